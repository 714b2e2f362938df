//! What a device read back, compared with the manifest of the restore point.
use crate::blob::{self, BlobKey, BlobStore, ReadFault};
use crate::error::{Error, Result};
use crate::store::repository::Repository;
use crate::store::restore::{Restore, RestoreFindings};
use crate::store::{self, Conn};
use anyhow::anyhow;
use domain::id::{DeviceId, RestoreId, RestorePointId};
use domain::manifest::{self, Manifest};
use domain::object::{ObjectKind, ObjectName};
use domain::restore::{self, Conflict, RestoreRefusal, RestoreResult, Selection};
use domain::{shortfall, words};

/// Reads a point's manifest. Blocks, and needs no database.
///
/// # Errors
/// When it is not in the store, or is damaged.
pub fn manifest(blobs: &dyn BlobStore, repository: &Repository, name: &ObjectName) -> Result<Manifest> {
    let key = BlobKey::new(repository.id, ObjectKind::Manifests, name.clone());
    let stored = match blob::read_all(blobs, &key, manifest::MAX_STORED_BYTES as u64) {
        Err(ReadFault::Lost) => return Err(unusable("missing from")),
        Err(ReadFault::Unreadable(why)) => {
            tracing::error!(%key, why, "a manifest cannot be read");
            return Err(unusable("damaged in"));
        }
        stored => stored?,
    };
    // The bytes on disk may have changed since they were taken in.
    if ObjectName::from_hash(&secret::sha256(&stored)) != *name {
        return Err(unusable("damaged in"));
    }
    Ok(Manifest::decode(&stored).map_err(|fault| anyhow!("reading manifest {name}: {fault}"))?)
}

fn unusable(how: &str) -> Error {
    Error::Refused(format!("the manifest of this restore point is {how} the store; choose another restore point"))
}

/// What was ordered, and what the source device said about it: the basis of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Basis {
    point: RestorePointId,
    manifest: ObjectName,
    selection: Selection,
    conflict: Conflict,
}

impl Basis {
    pub(super) fn of(conn: &mut Conn, restore: &Restore) -> Result<Self> {
        let point = restore.restore_point_id;
        let found = store::restore_point::find(conn, point)?.ok_or(Error::NotFound("restore point"))?;
        Ok(Self {
            point,
            manifest: found.manifest_name.ok_or(RestoreRefusal::NoManifest)?,
            selection: restore.chosen()?,
            conflict: restore.conflict,
        })
    }
}

/// What a result is compared with.
#[derive(Debug, Clone)]
pub struct Expected {
    basis: Basis,
    repository: Repository,
    excluded: Vec<String>,
}

/// Loads what a result of this device is compared with; none if the restore has ended.
///
/// # Errors
/// When the restore is not this device's.
pub fn expected(conn: &mut Conn, device: DeviceId, id: RestoreId) -> Result<Option<Expected>> {
    let restore =
        store::restore::find(conn, id)?.filter(|it| it.target_device_id == device).ok_or(Error::NotFound("restore"))?;
    if restore.state.is_final() {
        return Ok(None);
    }
    let basis = Basis::of(conn, &restore)?;
    let repository = store::repository::find(conn, restore.repository_id)?.ok_or(Error::NotFound("repository"))?;
    let excluded = store::restore_point::excluded(conn, basis.point)?;
    Ok(Some(Expected { basis, repository, excluded }))
}

/// A result, compared with the manifest.
#[derive(Debug, Clone)]
pub struct Compared {
    pub(super) basis: Basis,
    pub(super) is_good: bool,
    pub(super) restored_count: i64,
    pub(super) matched_count: i64,
    pub(super) outcome: RestoreFindings,
    pub(super) note: String,
}

/// Compares what the device read back with the manifest. Slow with many files, and without the database.
///
/// # Errors
/// When the manifest is not in the store, or is damaged.
pub fn compare(blobs: &dyn BlobStore, expected: Expected, said: &RestoreResult) -> Result<Compared> {
    let Expected { basis, repository, excluded } = expected;
    let manifest = manifest(blobs, &repository, &basis.manifest)?;
    let kept = (basis.conflict, said.kept.as_slice());
    let found = restore::compare(&manifest.files, &basis.selection, &excluded, &said.files, kept);
    let outcome = RestoreFindings {
        note: String::new(),
        counts: [found.differing.len(), found.missing.len(), found.kept.len(), found.not_compared.len()],
        failures: said
            .failures
            .iter()
            .take(RestoreFindings::NAMED)
            .map(|it| (it.path.clone(), it.reason.clone()))
            .collect(),
        differing: cut(&found.differing),
        missing: cut(&found.missing),
        kept: cut(&found.kept),
        replaced: cut(&said.replaced),
        replaced_count: said.replaced.len(),
        not_compared: cut(&found.not_compared),
        shortfalls: shortfall::bounded(&said.shortfalls),
    };
    let note = format!(
        "{} of {} as in the manifest; different: {}, missing: {}, already there and kept: {}",
        words::number(found.matched_count),
        words::files(found.file_count),
        found.differing.len(),
        found.missing.len(),
        found.kept.len()
    );
    Ok(Compared {
        basis,
        is_good: found.is_good() && said.failures.is_empty(),
        restored_count: i64::try_from(said.files.len()).unwrap_or(i64::MAX),
        matched_count: found.matched_count,
        outcome,
        note,
    })
}

fn cut(paths: &[String]) -> Vec<String> {
    paths.iter().take(RestoreFindings::NAMED).cloned().collect()
}
