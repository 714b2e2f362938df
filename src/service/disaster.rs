//! "If we lost…": the facts of all devices, and what one event would leave of each: the numbers, and the lists behind
//! them, come from one walk.
use crate::error::Result;
use crate::service::{console_copy, copy_proof, escrow, host, recovery_key};
use crate::store::compliance::{Which, measured};
use crate::store::device_list::Among;
use crate::store::device_proof::DeviceProof;
use crate::store::escrow::Records;
use crate::store::setting::{COPY, LOCATION};
use crate::store::{self, Conn};
use domain::console_copy::ConsoleStanding;
use domain::copy::SecondStore;
use domain::disaster::{Backups, Event, Fate, Means, Outcome, Second, Shares, Tally};
use domain::failure_domain::StoreKind;
use domain::id::DeviceId;
use domain::policy::CopyKnown;
use domain::recovery_key::Recoverability;
use domain::role::Reach;
use domain::time::Time;
use std::collections::{HashMap, HashSet};

/// How many devices are read at once.
const CHUNK: i64 = 1000;

/// Everything that is known, of the enrolled devices within reach.
#[derive(Debug, Clone)]
pub struct Known {
    pub means: Means,
    devices: Vec<(DeviceId, Backups)>,
    now: Time,
}

impl Known {
    /// Reads it.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn read(conn: &mut Conn, reach: &Reach, now: Time) -> Result<Self> {
        let means = means(conn, now)?;
        let copied = if means.second.is_some() { Copied::read(conn)? } else { Copied::default() };
        let copies = copy_proof::known_of_all(conn, now)?;
        let unsealed: HashSet<_> = store::escrow::uncovered_devices(conn, Records::InDatabase)?.into_iter().collect();
        let unkept: HashSet<_> = store::escrow::uncovered_devices(conn, Records::OnCopy)?.into_iter().collect();
        let state = console_copy::console_copy(conn, now)?;
        // One that only the server's own key opens is of no use without it.
        let has_state = state.standing(now) == ConsoleStanding::Proven && state.kept.is_some_and(|it| it.by_shares);
        let has_records = escrow::coverage(conn)?.is_fresh(now);
        let (mut devices, mut after) = (Vec::new(), None);
        loop {
            let page = measured(conn, Which::After(reach, after, CHUNK))?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for it in &page {
                let evidence = it.proof.as_ref().map(DeviceProof::evidence).unwrap_or_default();
                let copy = copies.get(&it.id).copied().unwrap_or(CopyKnown::NOTHING);
                let backups = Backups {
                    evidence,
                    copied: copied.of(it.id, evidence.stored_at),
                    copy: Some((copy.grade, copy.point_at)),
                    is_by_shares: !unsealed.contains(&it.id),
                    is_by_copy: has_state || (has_records && !unkept.contains(&it.id)),
                };
                devices.push((it.id, backups));
            }
        }
        Ok(Self { means, devices, now })
    }

    /// Each event that can happen here, and what it would leave, counted.
    pub fn tallies(&self) -> Vec<(Event, Tally)> {
        Event::all(&self.means).into_iter().map(|event| (event, self.tally(event))).collect()
    }

    /// What one event would leave, counted.
    pub fn tally(&self, event: Event) -> Tally {
        let mut tally = Tally::default();
        self.outcomes(event).for_each(|it| tally.add(&it.1));
        tally
    }

    /// The devices with one fate, or all, the worst first.
    pub fn list(&self, event: Event, fate: Option<Fate>) -> Vec<(DeviceId, Outcome)> {
        let mut list: Vec<_> = self.outcomes(event).filter(|it| fate.is_none_or(|fate| it.1.fate == fate)).collect();
        list.sort_by_key(|(id, it)| (it.fate, std::cmp::Reverse(it.recent), it.reason, *id));
        list
    }

    fn outcomes(&self, event: Event) -> impl Iterator<Item = (DeviceId, Outcome)> + '_ {
        self.devices.iter().map(move |(id, it)| (*id, event.outcome(&self.means, it, self.now)))
    }
}

/// The enrolled devices within reach that an event would leave with this fate, or all.
///
/// # Errors
/// When the database refuses.
pub fn among(conn: &mut Conn, (event, fate): (Event, Option<Fate>), reach: &Reach, now: Time) -> Result<Among> {
    let list = Known::read(conn, reach, now)?.list(event, fate);
    Ok(Among::new(&list.into_iter().map(|it| it.0).collect::<Vec<_>>(), false))
}

/// Keeps where the backup store stands, as whoever runs the server says.
///
/// # Errors
/// When the database refuses.
pub fn set_location(conn: &mut Conn, location: &str, now: Time) -> Result<()> {
    if LOCATION.find(conn)?.as_deref() == Some(location) {
        return Ok(());
    }
    Ok(LOCATION.set(conn, &location.to_owned(), now)?)
}

fn means(conn: &mut Conn, now: Time) -> Result<Means> {
    let (second, away) = (COPY.find(conn)?, store::ground::copy_away(conn, now)?);
    let has_spare = second.as_ref().is_some_and(|it| !it.counts());
    let second = second.filter(SecondStore::counts).map(|it| Second {
        is_there: away.is_none() && it.opened_at.is_some(),
        is_bucket: it.kind == StoreKind::Bucket,
        location: it.location,
        place: it.place,
    });
    let shares = match recovery_key::recoverability(conn, now)? {
        Recoverability::NoKey | Recoverability::NotConfirmed { .. } => Shares::Never,
        Recoverability::Stale { .. } => Shares::Old,
        Recoverability::Confirmed { .. } => Shares::Good,
    };
    Ok(Means {
        location: LOCATION.find(conn)?.unwrap_or_default(),
        second,
        has_spare,
        has_key_copy: host::proof_key_copy(conn, now)?.is_some_and(|it| !it.is_old),
        shares,
        has_customers: !store::team::of_customers(conn)?.is_empty(),
    })
}

/// Up to when the second store has everything of each device.
#[derive(Debug, Default)]
struct Copied {
    is_known: bool,
    /// Of those of which something is not there.
    behind: HashMap<DeviceId, Option<Time>>,
}

impl Copied {
    fn read(conn: &mut Conn) -> Result<Self> {
        Ok(Self { is_known: true, behind: store::uncopied::behind(conn)?.into_iter().collect() })
    }

    fn of(&self, device: DeviceId, stored_at: Option<Time>) -> Option<Time> {
        match self.behind.get(&device) {
            Some(point) => *point,
            None if self.is_known => stored_at,
            None => None,
        }
    }
}
