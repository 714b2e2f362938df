//! What the device says of its backup, tied to the restore point.
use super::ledger::{MORE_SPACE, size_of};
use crate::error::{Error, Result};
use crate::service::{backup_attempt, proof};
use crate::store::device::Device;
use crate::store::restore_point::{Reported, RestorePoint};
use crate::store::{self, Conn};
use anyhow::Context;
use domain::backup::Backup;
use domain::object::{ObjectKind, TokenKind};
use domain::proof::TestCause;
use domain::time::Time;

/// Ties the device's report of a backup to its restore point, in either order of arrival.
///
/// A test that ran earlier had no manifest to compare with, so another is queued. The same report may come
/// again.
///
/// # Errors
/// When the report is from an older enrolment, its manifest was not uploaded, the backup already has another
/// one, or the quota has no room for the names of excluded files.
pub fn report(conn: &mut Conn, device: &Device, report: &Backup, now: Time) -> Result<()> {
    if report.generation != device.generation {
        return Err(Error::Conflict("this report is from an older enrolment of the device".to_owned()));
    }
    let repository = store::repository::active_of_device(conn, device.id)?.ok_or(Error::NotFound("repository"))?;
    if store::object::find(conn, repository.id, ObjectKind::Manifests, &report.manifest)?.is_none() {
        return Err(Error::invalid("manifest", "the server has no such manifest; upload it before the report"));
    }
    let point = match store::restore_point::of_snapshot(conn, repository.id, &report.snapshot)? {
        Some(point) if point.manifest_name.as_ref() == Some(&report.manifest) => return Ok(()),
        Some(RestorePoint { manifest_name: Some(_), .. }) => {
            return Err(Error::Conflict("this backup was reported before, with a different manifest".to_owned()));
        }
        Some(point) => (point.id, point.stored_at.is_some() || point.failed_at.is_some()),
        None => {
            let freed = store::restore_point::remove_reported(conn, repository.id, ONLY_REPORTED - 1)?;
            store::repository::discharge(conn, repository.id, freed)?;
            let of = (repository.id, repository.device_id);
            let point = RestorePoint::received(of, &report.snapshot, TokenKind::Agent, now);
            store::restore_point::insert(conn, &RestorePoint { stored_at: None, ..point.clone() })?;
            (point.id, false)
        }
    };
    let (point, has_snapshot) = point;
    let reported = reported(report)?;
    let charged = store::restore_point::charged(&reported.excluded);
    if charged > 0 && !store::repository::charge(conn, repository.id, charged)? {
        // Refused, not full: a problem the device cannot fix must not keep it from checking in.
        return Err(Error::Refused(format!("{NO_ROOM_FOR_NAMES}; {MORE_SPACE}")));
    }
    store::restore_point::set_reported(conn, point, &reported, now)?;
    backup_attempt::done(conn, device, report, now)?;
    if has_snapshot {
        proof::queue(conn, point, TestCause::NewBackup, None, now)?;
    }
    // Nothing was learned: the device's word is no evidence.
    proof::refresh(conn, device.id)
}

/// How many restore points of a repository may be only reported; beyond that, the oldest goes.
pub const ONLY_REPORTED: i64 = 10;

const NO_ROOM_FOR_NAMES: &str =
    "the backups of this device leave no room for the names of the files that were left out";

fn reported(report: &Backup) -> Result<Reported> {
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    Ok(Reported {
        manifest_name: report.manifest.clone(),
        claimed_at: report.finished_at,
        file_count: count(report.file_count),
        size_bytes: count(report.size_bytes),
        excluded_count: size_of(report.excluded.len()),
        excluded: serde_json::to_string(&report.excluded).context("writing the excluded files")?,
    })
}
