//! The facts as they are now.
use crate::domain::loss::measure_holds;
use crate::domain::proof::Grade;
use crate::domain::time::{Time, minutes};
use crate::domain::wipe::{Amount, Facts, Point};
use crate::error::Result;
use crate::secret;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};
use anyhow::Context;
use std::time::Duration;

/// Who was heard of within this is there.
const REACHABLE: Duration = minutes(60);

/// What is known of a device now.
///
/// # Errors
/// When the database refuses.
pub fn facts(conn: &mut Conn, device: &Device, now: Time) -> Result<Facts> {
    let status = store::device_status::find(conn, device.id)?.unwrap_or_else(|| DeviceStatus::new(device.id));
    let proof = store::device_proof::find(conn, device.id)?;
    let said = status.facts()?;
    let encryption = said.encryption.as_ref();
    let newest = store::evidence::baseline(conn, device.id)?;
    let grade = proof.as_ref().map_or(Grade::Never, |it| it.evidence().grade(now));
    let not_proven = match (&proof, &newest) {
        (Some(it), Some(_)) if grade == Grade::Proven => amount(it.not_proven_files, it.not_proven_bytes),
        // Beyond a proof that does not hold, all that the backup holds is at risk.
        (_, Some(newest)) => amount(newest.file_count, newest.size_bytes),
        // Without a backup nothing is in one.
        (_, None) => Some(Amount::default()),
    };
    Ok(Facts {
        device_id: device.id,
        name: device.name.clone(),
        serial: device.serial.clone(),
        generation: device.generation,
        ownership: device.ownership,
        encryption: status.encryption,
        encryption_method: encryption.map(|it| it.value.method.clone()).unwrap_or_default(),
        encryption_measured_at: encryption.map(|it| it.measured_at),
        only_here: amount(status.changed_files, status.changed_bytes),
        only_here_measured_at: status.changed_measured_at,
        // Two machines count their own files: neither number says what a wipe would lose.
        measure_holds: !status.doubt.stands() && status.changed_measured_at.is_some_and(|at| measure_holds(at, now)),
        not_proven,
        newest: newest.map(|it| Point { id: it.id, at: it.received_at }),
        proven: proof.as_ref().and_then(|it| Some(Point { id: it.proven_point_id?, at: it.proven_at? })),
        grade,
        last_seen_at: status.last_seen_at,
        doubt: status.doubt,
        shares_serial: !store::device::with_serial_of(conn, device)?.is_empty(),
    })
}

fn amount(files: Option<i64>, bytes: Option<i64>) -> Option<Amount> {
    Some(Amount { files: files?, bytes: bytes? })
}

/// Stands for what of the facts is agreed to.
///
/// # Errors
/// None in practice.
pub fn digest(facts: &Facts) -> Result<String> {
    Ok(secret::hash(&facts.canonical().context("writing a device's facts")?))
}

/// Whether the device was heard of lately.
pub fn is_reachable(facts: &Facts, now: Time) -> bool {
    facts.last_seen_at.is_some_and(|at| now.since(at) <= REACHABLE)
}
