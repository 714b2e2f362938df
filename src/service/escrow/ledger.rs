//! A ledger of what a repository has, from its files alone.
use super::record::{Record, Secret};
use crate::blob::{self, BlobKey, BlobStore, ReadFault};
use crate::error::{Error, Result};
use crate::service::proof;
use crate::service::setting::QUOTA;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn, Store};
use anyhow::{Context, anyhow};
use domain::object::{Location, ObjectKind, ObjectName, TokenKind};
use domain::proof::TestCause;
use domain::time::Time;

/// Takes the config of a repository, whose name is no hash: the record says what it must be. False if it is not that.
///
/// # Errors
/// When the store or the database cannot be used.
pub fn take_config(store: &Store, copy: &dyn BlobStore, (record, secret): &(Record, Secret)) -> Result<bool> {
    let key = BlobKey::new(record.repository, ObjectKind::Config, ObjectName::config());
    let bytes = match blob::read_all(copy, &key, ObjectKind::Config.max_bytes()) {
        Ok(bytes) => bytes,
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => return Ok(false),
        Err(fault @ ReadFault::Away(_)) => return Err(anyhow!(fault).context("reading a config").into()),
    };
    if secret.config.hash() != Some(secret::sha256(&bytes)) {
        return Ok(false);
    }
    store.write_blocking(move |conn| {
        Ok::<_, Error>(store::kept_object::keep(conn, key.repository, key.kind, &key.name, &bytes)?)
    })?;
    Ok(true)
}

/// Gives the rows to what `primary` has of a repository, with the times that `copy` says; then it is what it was: the
/// newest of its device accepts backups, within the space that all have.
///
/// An index or a snapshot is seen from its own time on, so that a view of the past does not show what came later. All else
/// is seen from the beginning: what was put right on the second store since has a later time than it came.
///
/// # Errors
/// When a store or the database cannot be used.
pub fn take_in(
    store: &Store,
    (copy, primary): (&dyn BlobStore, &dyn BlobStore),
    (record, secret): &(Record, Secret),
    is_newest: bool,
    now: Time,
) -> Result<()> {
    let id = record.repository;
    let mut dated = Vec::new();
    for (key, size) in primary.list(id).with_context(|| format!("listing repository {id}"))? {
        let at = match key.kind {
            ObjectKind::Index | ObjectKind::Snapshots => copy.stored_at(&key).context("reading the second store")?,
            ObjectKind::Config | ObjectKind::Keys | ObjectKind::Data | ObjectKind::Locks | ObjectKind::Manifests => {
                Some(secret.created_at)
            }
        };
        // Nothing came before the repository, or after now.
        let at = at.unwrap_or(now).clamp(secret.created_at.min(now), now);
        dated.push((at, key.kind == ObjectKind::Snapshots, key, i64::try_from(size).unwrap_or(i64::MAX)));
    }
    // A snapshot after what it needs, if they came in one moment.
    dated.sort_by(|one, other| (one.0, one.1, one.2.name.as_str()).cmp(&(other.0, other.1, other.2.name.as_str())));
    for some in dated.chunks(500) {
        let some = some.to_vec();
        store.write_blocking(move |conn| {
            some.iter().try_for_each(|(at, _, key, size)| receive(conn, key, *size, *at, now))
        })?;
    }
    store.write_blocking(move |conn| {
        let repository = store::repository::find(conn, id)?.ok_or(Error::NotFound("repository"))?;
        let quota = QUOTA.find(conn, now)?;
        // What is there is more than that already: it goes on, and is told that it is nearly full.
        store::repository::set_quota(conn, id, quota.max(repository.stored_bytes))?;
        if !is_newest {
            store::repository::close_older(conn, repository.device_id, repository.generation + 1)?;
        }
        proof::learned(conn, repository.device_id, now)
    })
}

fn receive(conn: &mut Conn, key: &BlobKey, size_bytes: i64, at: Time, now: Time) -> Result<()> {
    if !store::repository::count_in(conn, key.repository, size_bytes, at)? {
        // Said afterwards, as an object that is missing.
        return Ok(());
    }
    let (repository_id, kind, name) = (key.repository, key.kind, key.name.clone());
    let object = store::object::Object { repository_id, kind, name, size_bytes, received_at: at };
    store::object::insert(conn, &object, Location::Primary)?;
    if key.kind != ObjectKind::Snapshots {
        return Ok(());
    }
    let repository = store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?;
    let point = RestorePoint::received((repository.id, repository.device_id), &key.name, TokenKind::Agent, at);
    let point = RestorePoint { as_of: repository.newest_at.max(at), ..point };
    store::restore_point::insert(conn, &point)?;
    proof::queue(conn, point.id, TestCause::NewBackup, None, now).map(drop)
}
