//! The facts from which the loss of devices is computed: one function for pages, lists, mails and the command
//! line.
use crate::error::Result;
use crate::store::device_list::{self, Filter, ListedDevice, Status};
use crate::store::device_proof::DeviceProof;
use crate::store::{self, Conn};
use domain::loss::{Amount, Count, Damaged, Loss, LossFacts, Point, loss};
use domain::proof::Evidence;
use domain::time::Time;
use std::time::Duration;

/// What affects the loss of all devices alike: read once for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub now: Time,
    /// Since when the backup store cannot be read.
    pub store_away_since: Option<Time>,
}

/// The moment at which devices are looked at.
///
/// # Errors
/// When the database refuses.
pub fn moment(conn: &mut Conn, now: Time) -> Result<Moment> {
    Ok(Moment { now, store_away_since: store::ground::away(conn)?.map(|it| it.since) })
}

/// The filter for all enrolled devices at `now`, with what affects all of them alike, and how long until a
/// device counts as silent.
///
/// # Errors
/// When the database refuses.
pub fn all_devices(conn: &mut Conn, now: Time) -> Result<(Filter, Duration)> {
    let (silence, silent_before) = device_list::silent_cut(conn, now)?;
    let is_store_away = moment(conn, now)?.store_away_since.is_some();
    Ok((Filter { silent_before, is_store_away, ..Filter::default() }, silence))
}

/// The evidence of a listed device.
pub fn evidence(device: &ListedDevice) -> Evidence {
    device.proof.as_ref().map(DeviceProof::evidence).unwrap_or_default()
}

/// What is known of a listed device at that moment.
pub fn facts(device: &ListedDevice, moment: &Moment) -> LossFacts {
    let (evidence, status, proof) = (evidence(device), device.status.as_ref(), device.proof.as_ref());
    LossFacts {
        at: moment.now,
        state: device.device.state,
        grade: evidence.grade(moment.now),
        is_stored: evidence.stored_at.is_some() || evidence.verified.is_some() || evidence.proven.is_some(),
        holds_files: proof.is_some_and(|it| it.filled_points > 0),
        count: status.and_then(count),
        roots_away: status.map(Status::roots_away).unwrap_or_default(),
        is_doubted: status.is_some_and(|it| it.doubt.stands()),
        last_seen_at: status.and_then(|it| it.last_seen_at),
        heard_until: status.and_then(|it| it.heard_until),
        newest: proof.and_then(|it| Some(Point { id: it.baseline_id?, at: it.baseline_at? })),
        in_newest: proof.and_then(|it| Amount::of(it.baseline_files, it.baseline_bytes)),
        beyond_proof: proof.and_then(|it| Amount::of(it.not_proven_files, it.not_proven_bytes)),
        proven: proof.and_then(|it| Some(Point { id: it.proven_point_id?, at: it.proven_at? })),
        damaged: proof.map(damaged).unwrap_or_default(),
        store_away_since: moment.store_away_since,
        key_holder: evidence.key_holder,
    }
}

/// Files that no backup holds intact. Unreadable names are left out: the number is what counts.
fn damaged(proof: &DeviceProof) -> Damaged {
    Damaged { amount: Amount { files: proof.damaged_files, bytes: 0 }, names: proof.damaged().unwrap_or_default() }
}

fn count(status: &Status) -> Option<Count> {
    Some(Count {
        amount: Amount::of(status.changed_files, status.changed_bytes)?,
        measured_at: status.changed_measured_at?,
        until: status.changed_until?,
    })
}

/// What a wipe of a listed device would lose at that moment.
pub fn of(device: &ListedDevice, moment: &Moment) -> Loss {
    loss(&facts(device, moment))
}
