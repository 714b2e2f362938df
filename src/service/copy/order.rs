//! What is copied next, so that the second store is always a valid repository.
use crate::error::Result;
use crate::store::Conn;
use crate::store::uncopied::{self, Uncopied};
use domain::id::RepositoryId;
use domain::object::ObjectKind;

/// The next objects of a repository that may be copied: all of one kind, and nothing that needs any of the others comes
/// before them. Empty if nothing can be copied.
///
/// What a snapshot needs was received before it. So the oldest snapshot that waits is a cut: whatever was received up
/// to it goes first, kind by kind, and a device that never stops sending packs does not keep its snapshots waiting.
/// What is damaged in the backup store cannot be copied, and keeps nothing else waiting.
///
/// # Errors
/// When the database refuses.
pub fn next(conn: &mut Conn, repository: RepositoryId, limit: i64) -> Result<Vec<Uncopied>> {
    let cut = uncopied::next_snapshot(conn, repository)?;
    for kind in ObjectKind::COPIED.iter().copied() {
        let until = match kind {
            // Nothing that is received later is needed by them, and everything needs them.
            ObjectKind::Keys | ObjectKind::Config => None,
            ObjectKind::Data
            | ObjectKind::Index
            | ObjectKind::Snapshots
            | ObjectKind::Locks
            | ObjectKind::Manifests => cut,
        };
        let found = uncopied::of_kind(conn, repository, kind, until, limit)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}
