//! What happens by itself: proofs that expire, and restore tests that fail.
use super::{by_team, named, subject, tell_of_devices, url};
use crate::error::Result;
use crate::store::alert::Untold;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::time::Time;

/// How many devices one run reports.
const BATCH: i64 = 1_000;

const PROOF_OUT_OF_DATE: &str = "proof_out_of_date";

const RESTORE_TEST_FAILED: &str = "restore_test_failed";

#[derive(Template)]
#[template(path = "mail/proof_out_of_date.txt")]
struct ProofOutOfDate<'a> {
    devices: &'a [Untold],
    more_count: usize,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/restore_test_failed.txt")]
struct RestoreTestFailed<'a> {
    devices: &'a [Untold],
    more_count: usize,
    url: String,
}

/// Reports proofs that expired and restore tests that failed, each once; returns how many devices were
/// reported.
///
/// # Errors
/// When the database refuses; then nobody counts as told.
pub fn tell(conn: &mut Conn, now: Time) -> Result<usize> {
    let failed = store::alert::failed_untold(conn, RESTORE_TEST_FAILED, BATCH)?;
    let lapsed = store::alert::lapsed_untold(conn, PROOF_OUT_OF_DATE, now, BATCH)?;
    for (team, devices) in by_team(&failed) {
        let (devices_named, more_count) = named(&devices);
        let url = url(conn, "/devices?grade=failed")?;
        let body = RestoreTestFailed { devices: devices_named, more_count, url }.render();
        let subject = subject("Restore test failed", &devices);
        tell_of_devices(conn, RESTORE_TEST_FAILED, team, subject, body.context("writing a mail")?, now)?;
    }
    for (team, devices) in by_team(&lapsed) {
        let (devices_named, more_count) = named(&devices);
        let url = url(conn, "/devices?grade=out_of_date")?;
        let body = ProofOutOfDate { devices: devices_named, more_count, url }.render();
        let subject = subject("Proof out of date", &devices);
        tell_of_devices(conn, PROOF_OUT_OF_DATE, team, subject, body.context("writing a mail")?, now)?;
    }
    for device in &failed {
        store::alert::told(conn, RESTORE_TEST_FAILED, device, now)?;
    }
    for device in &lapsed {
        store::alert::told(conn, PROOF_OUT_OF_DATE, device, now)?;
    }
    Ok(failed.len() + lapsed.len())
}
