//! Keeps clients from relying on packs that no store has intact: what the server's indexes name, no client sends again.
//!
//! Our own agent is told of damage and ignores all indexes then. Any other client compares with the indexes that it is
//! shown: so those that name a lost pack are replaced by others without it, and are not shown while it is lost. They are
//! not erased: if the pack comes back, they are shown again.
use super::damage::named;
use crate::blob::BlobKey;
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::store::object::Object;
use crate::store::repository::Repository;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor};
use domain::id::RepositoryId;
use domain::key_holder::KeyHolder;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;
use domain::words::counted;

/// A repository of which packs are lost that clients would still rely on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToAvoid {
    pub repository: Repository,
    /// All that are lost.
    pub packs: Vec<ObjectName>,
    /// What there is besides: everything that clients are shown, but for the lost packs.
    pub ledger: Vec<Object>,
}

/// What was found for [`avoid`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Indexes that name a lost pack.
    pub indexes: Vec<ObjectName>,
    /// What takes their place: whose, where, and its size.
    pub published: Vec<(ObjectName, BlobKey, i64)>,
}

/// The repositories of which something came back that clients are kept from, and whether that is all of it.
///
/// # Errors
/// When the database refuses.
pub fn regained(conn: &mut Conn) -> Result<Vec<(RepositoryId, bool)>> {
    let mut regained = Vec::new();
    for id in store::avoided_pack::repositories(conn)? {
        let lost = store::uncopied::lost_packs(conn, id)?;
        if store::avoided_pack::avoided(conn, id)?.iter().any(|it| !lost.contains(it)) {
            regained.push((id, lost.is_empty()));
        }
    }
    Ok(regained)
}

/// Shows all indexes of a repository again, if nothing of it is lost any more.
///
/// # Errors
/// When the database refuses.
pub fn show_again(conn: &mut Conn, id: RepositoryId) -> Result<()> {
    if store::uncopied::lost_packs(conn, id)?.is_empty() {
        store::avoided_pack::forget(conn, id)?;
    }
    Ok(())
}

/// What is to be avoided of a repository; none if it is what is avoided, or the customer keeps the key.
///
/// # Errors
/// When the database refuses.
pub fn to_avoid(conn: &mut Conn, id: RepositoryId) -> Result<Option<ToAvoid>> {
    let repository = store::repository::find(conn, id)?.ok_or(Error::NotFound("repository"))?;
    // Nobody here can read its indexes.
    if repository.key_holder == KeyHolder::Customer {
        return Ok(None);
    }
    let packs = store::uncopied::lost_packs(conn, id)?;
    let avoided = store::avoided_pack::avoided(conn, id)?;
    // What came back may be named only by an index that is hidden on account of another pack.
    let has_regained = avoided.iter().any(|it| !packs.contains(it));
    if packs.is_empty() || (!has_regained && packs.iter().all(|it| avoided.contains(it))) {
        return Ok(None);
    }
    let shown = store::object::list(conn, id, ObjectKind::Index, None)?;
    // Locks come and go.
    let is_shown = |it: &Object| match it.kind {
        ObjectKind::Index => has_regained || shown.iter().any(|(name, _)| *name == it.name),
        ObjectKind::Locks => false,
        ObjectKind::Config | ObjectKind::Keys | ObjectKind::Data | ObjectKind::Snapshots | ObjectKind::Manifests => {
            true
        }
    };
    let ledger = store::object::all(conn, id, None)?.into_iter().filter(is_shown).collect();
    Ok(Some(ToAvoid { repository, packs, ledger }))
}

/// Publishes indexes without what is lost, and shows no client those that name it. An act.
///
/// # Errors
/// When something has changed since, or the database refuses.
pub fn avoid(conn: &mut Conn, plan: &ToAvoid, found: &Replaced, now: Time) -> Result<()> {
    let id = plan.repository.id;
    // Another index may name what is lost, or something is not lost any more.
    if to_avoid(conn, id)?.is_none_or(|it| it.packs != plan.packs || it.ledger != plan.ledger) {
        return Err(Error::Conflict("the repository has changed meanwhile".to_owned()));
    }
    publish_indexes(conn, id, &plan.ledger, &found.published)?;
    // What is hidden on account of another pack names these as well.
    let mut hidden = store::avoided_pack::hidden_indexes(conn, id)?;
    hidden.extend(found.indexes.iter().cloned());
    let mut hidden: Vec<_> = hidden.into_iter().collect();
    hidden.sort();
    // Only now, when others take their place: what is still lost is in no index that is shown meanwhile.
    store::avoided_pack::forget(conn, id)?;
    for pack in &plan.packs {
        store::avoided_pack::insert(conn, id, pack, &hidden, now)?;
    }
    let Some(first) = plan.packs.first() else { return Ok(()) };
    let key = BlobKey::new(id, ObjectKind::Data, first.clone());
    let packs = counted(i64::try_from(plan.packs.len()).unwrap_or(i64::MAX), "pack", "packs");
    let why = format!(
        "{packs} that no store has intact are in no index any more that clients are shown: what was in them is sent again"
    );
    let act = Act::done(Action::PacksAvoided, named(&key)).on(plan.repository.device_id).because(&why);
    record(conn, &Actor::system(), &act, now)
}

/// Gives new indexes their rows: whose place each takes, where it is, and its size. Each is as old as the one whose place
/// it takes: a view of the past shows what it showed before.
///
/// # Errors
/// When one of these is not in the ledger, or the database refuses.
pub fn publish_indexes(
    conn: &mut Conn,
    repository: RepositoryId,
    ledger: &[Object],
    published: &[(ObjectName, BlobKey, i64)],
) -> Result<()> {
    let (mut count, mut size) = (0, 0);
    for (old, key, size_bytes) in published {
        let old = ledger.iter().find(|it| it.kind == ObjectKind::Index && it.name == *old);
        let received_at = old.ok_or(Error::NotFound("index"))?.received_at;
        let (repository_id, kind, name) = (key.repository, key.kind, key.name.clone());
        let row = Object { repository_id, kind, name, size_bytes: *size_bytes, received_at };
        if store::object::insert(conn, &row, Location::Primary)? {
            (count, size) = (count + 1, size + size_bytes);
        }
    }
    Ok(store::repository::count_out_many(conn, repository, (-count, -size))?)
}
