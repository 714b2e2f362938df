//! A store that lost something or cannot be relied on: the facts behind what pages and the API say of it.
//!
//! What stands still is asked of the rules that hold it, and not worked out a second time.
use crate::error::Result;
use crate::service::disaster::Known;
use crate::service::ground::rooms;
use crate::service::{retention, wipe};
use crate::store::activity_list::{self, Filter, Listed};
use crate::store::device_list::{self, ListedDevice};
use crate::store::setting::COPY;
use crate::store::{self, Conn};
use domain::activity::Action;
use domain::command::CommandKind;
use domain::disaster::{Event, Fate};
use domain::failure_domain::StoreKind;
use domain::ground::{Away, AwayCause, Disk, Ground};
use domain::id::DeviceId;
use domain::incident::{Act, Cause, Damage, Entry, Past, Risk, Still, past};
use domain::key_holder::KeyHolder;
use domain::object::Location;
use domain::retention::{Brake, brakes, erase_brakes};
use domain::role::Reach;
use domain::time::Time;
use domain::wipe::{BEFORE_DELIVERY, Hold};
use std::collections::{HashMap, HashSet};

/// How many devices are named.
const NAMED: usize = 100;

/// How many devices are looked for at once.
const SOME: usize = 500;

/// How many repairs are named.
const REPAIRS: i64 = 20;

/// How many entries of the activity are looked through for earlier incidents.
const ENTRIES: i64 = 2_000;

/// How many earlier incidents are shown.
const PAST: usize = 20;

/// What is the matter with the stores, for somebody who sees the devices within their reach.
#[derive(Debug, Clone)]
pub struct Incident {
    /// The worst first; none if nothing is the matter.
    pub causes: Vec<Cause>,
    /// What waits because of it, and because of other rules meanwhile; nothing if nothing is the matter.
    pub still: Vec<Still>,
    /// Wipes that were asked for and have not left.
    pub wipes_waiting: i64,
    /// How many devices may hold the last copy.
    pub last_copy_count: i64,
    /// Some of them.
    pub last_copies: Vec<LastCopy>,
    /// Free on the backup store's disk, as last sampled.
    pub free_bytes: Option<i64>,
    /// What was repaired since it began, newest first.
    pub repairs: Vec<Listed>,
    /// Newest first.
    pub past: Vec<Past>,
}

/// A device that may hold the last copy.
#[derive(Debug, Clone)]
pub struct LastCopy {
    pub device: ListedDevice,
    pub risk: Risk,
    /// It was asked to back up, and has not ended that.
    pub is_asked: bool,
    /// It missed its check-ins.
    pub is_silent: bool,
    /// What it would send again at most; nothing while the store is away, when it is asked for nothing.
    pub lost_bytes: i64,
}

impl LastCopy {
    /// What somebody does for it.
    pub const fn step(&self) -> &'static str {
        self.risk.step(self.is_asked, self.is_silent)
    }

    /// Whether a backup of it now helps.
    pub const fn helps(&self) -> bool {
        match self.risk {
            Risk::Damaged => true,
            Risk::Closed | Risk::Away(_) => false,
        }
    }
}

impl Incident {
    /// Since when something is the matter; none if nothing is, or nobody knows.
    pub fn since(&self) -> Option<Time> {
        self.causes.iter().filter_map(Cause::since).min()
    }

    /// Whether the store can take a backup now.
    pub fn takes_backups(&self) -> bool {
        !self.causes.iter().any(|it| matches!(it, Cause::Away(_) | Cause::Stopped(_)))
    }

    /// Those that can be asked to back up, if that helps now.
    pub fn to_ask(&self) -> Vec<&LastCopy> {
        let is_open = self.takes_backups();
        self.last_copies.iter().filter(|it| is_open && it.helps() && !it.is_asked).collect()
    }
}

/// Reads all of it; `when` writes a time.
///
/// # Errors
/// When the database refuses.
pub fn read(conn: &mut Conn, reach: &Reach, when: &dyn Fn(Time) -> String, now: Time) -> Result<Incident> {
    let ground = store::ground::find(conn)?;
    let is_away = ground.away.is_some();
    let lost = i64::try_from(store::uncopied::last_copies(conn, &Reach::All, now)?.len()).unwrap_or(i64::MAX);
    let causes = causes(conn, ground, lost, now)?;
    let risks = if causes.is_empty() { Vec::new() } else { risks(conn, is_away, reach, now)? };
    let mut incident = Incident {
        still: Vec::new(),
        wipes_waiting: store::wipe::count(conn, &BEFORE_DELIVERY, reach)?,
        last_copy_count: i64::try_from(risks.len()).unwrap_or(i64::MAX),
        last_copies: last_copies(conn, risks, now)?,
        free_bytes: rooms(conn)?.into_iter().find(|it| it.disk == Disk::Backups).map(|it| it.now.free_bytes),
        repairs: Vec::new(),
        past: history(conn, causes.iter().any(|it| matches!(it, Cause::Damaged(_) | Cause::CopyDamaged(_))))?,
        causes,
    };
    if !incident.causes.is_empty() {
        incident.still = still(conn, lost, when, now)?;
        let filter = Filter { action: Some(Action::ObjectHealed), from: incident.since(), ..Filter::default() };
        incident.repairs = activity_list::with_devices(conn, &filter, reach, REPAIRS)?;
    }
    Ok(incident)
}

/// What is the matter; nothing if the bars of all pages say nothing of the stores, and the second one is there and whole.
fn causes(conn: &mut Conn, ground: Ground, lost: i64, now: Time) -> Result<Vec<Cause>> {
    let mut causes = Vec::new();
    causes.extend(ground.away.map(Cause::Away));
    let is_away = !causes.is_empty();
    // Also of devices that are there no more, and whose last copy it was.
    let all_lost =
        |conn: &mut Conn| Ok(i64::try_from(store::uncopied::lost(conn, i64::MAX)?.len()).unwrap_or(i64::MAX));
    let second = second_store(conn, is_away, all_lost, now)?;
    let (objects, devices, since) = store::attention::damage_since(conn)?;
    if objects > 0 {
        let is_other_away = second.iter().any(|it| matches!(it, Cause::CopyAway(..)));
        causes.push(Cause::Damaged(Damage { objects, devices, since, lost, is_other_away }));
    }
    causes.extend(ground.stopped.map(Cause::Stopped));
    causes.extend(second);
    Ok(causes)
}

/// What is the matter with the second store; nothing where there is none. `is_other_away`: the backup store cannot be read.
fn second_store(
    conn: &mut Conn,
    is_other_away: bool,
    lost: impl FnOnce(&mut Conn) -> Result<i64>,
    now: Time,
) -> Result<Vec<Cause>> {
    let Some(second) = COPY.entry(conn)? else { return Ok(Vec::new()) };
    let Some(kind) = second.value.map(|it| it.kind) else {
        let why = "what was written down of it cannot be read back".to_owned();
        let away = Away { cause: AwayCause::Unreadable, why, since: second.updated_at };
        return Ok(vec![Cause::CopyAway(away, StoreKind::Folder)]);
    };
    let mut causes = Vec::new();
    causes.extend(store::ground::copy_away(conn, now)?.map(|it| Cause::CopyAway(it, kind)));
    let (objects, devices) = store::verification::damaged_count(conn, Location::Copy)?;
    if objects > 0 {
        let since = store::verification::damaged_since(conn, Location::Copy)?;
        let lost = lost(conn)?;
        causes.push(Cause::CopyDamaged(Damage { objects, devices, since, lost, is_other_away }));
    }
    Ok(causes)
}

/// What every page says of the second store while something is the matter with it, in a few words.
///
/// # Errors
/// When the database refuses.
pub fn second_store_headlines(conn: &mut Conn, now: Time) -> Result<Vec<&'static str>> {
    Ok(second_store(conn, false, |_| Ok(0), now)?.iter().map(Cause::headline).collect())
}

/// What the rules hold now, for all devices or for some.
fn still(conn: &mut Conn, lost: i64, when: &dyn Fn(Time) -> String, now: Time) -> Result<Vec<Still>> {
    let wipes: Vec<_> = wipe::stops(conn, now)?.iter().map(|it| it.sentence(when)).collect();
    let facts = retention::state_of_all(conn, now)?;
    let said = |found: Vec<Brake>| found.iter().map(Brake::sentence).collect::<Vec<_>>();
    let (ends, erases) = (said(brakes(&facts, now)), said(erase_brakes(&facts, now)));
    let damaged = (store::copy::damaged_devices(conn)?, Brake::Damaged.sentence());
    let some = (damaged.0, damaged.1.as_str());
    Ok([
        Still::of(Act::Wipes, wipes, (lost, Hold::Damaged.reason())),
        Still::of(Act::Retention, ends, some),
        Still::of(Act::Trash, erases, some),
    ]
    .into_iter()
    .flatten()
    .collect())
}

/// The devices within reach that may hold the last copy, those of which something is surely damaged first.
fn risks(conn: &mut Conn, is_away: bool, reach: &Reach, now: Time) -> Result<Vec<(DeviceId, Risk)>> {
    let mut risks = Vec::new();
    for id in store::uncopied::last_copies(conn, reach, now)? {
        risks.push((id, damage(conn, id)?));
    }
    if is_away {
        let known: HashSet<_> = risks.iter().map(|it| it.0).collect();
        // The same answer as "If we lost the backup store": nobody can say that it is not lost.
        let others = Known::read(conn, reach, now)?.list(Event::BackupStore, None);
        let others = others.into_iter().filter(|(id, it)| it.fate != Fate::ComesBack && !known.contains(id));
        risks.extend(others.map(|(id, it)| (id, Risk::Away(it.reason))));
    }
    Ok(risks)
}

/// What a device risks of which something is intact in no store.
fn damage(conn: &mut Conn, device: DeviceId) -> Result<Risk> {
    if store::repository::key_holder_of(conn, device)? == KeyHolder::Server {
        return Ok(Risk::Damaged);
    }
    let stored_at = store::device_proof::find(conn, device)?.and_then(|it| it.stored_at);
    let damaged_at = store::uncopied::damaged_until(conn, device)?;
    let came_since = stored_at.zip(damaged_at).is_some_and(|(stored, damaged)| stored > damaged);
    Ok(if came_since { Risk::Closed } else { Risk::Damaged })
}

fn last_copies(conn: &mut Conn, mut risks: Vec<(DeviceId, Risk)>, now: Time) -> Result<Vec<LastCopy>> {
    let mut asked = HashSet::new();
    for some in risks.chunks(SOME) {
        let ids: Vec<_> = some.iter().map(|it| it.0).collect();
        asked.extend(store::command::devices_asked(conn, &ids, CommandKind::BackUpNow, now)?);
    }
    // Those of whom nobody asked anything first: whoever asks all that are named comes to the others so.
    risks.sort_by_key(|it| asked.contains(&it.0));
    risks.truncate(NAMED);
    let ids: Vec<_> = risks.iter().map(|it| it.0).collect();
    let risks: HashMap<_, _> = risks.into_iter().collect();
    let mut found = Vec::with_capacity(ids.len());
    for device in device_list::of_ids(conn, &ids)? {
        let id = device.device.id;
        let Some(risk) = risks.get(&id).copied() else { continue };
        let heard_until = device.status.as_ref().and_then(|it| it.heard_until);
        let is_silent = heard_until.is_none_or(|it| it <= now);
        let lost_bytes = if risk == Risk::Damaged { store::uncopied::lost_bytes(conn, id)? } else { 0 };
        found.push(LastCopy { device, risk, is_asked: asked.contains(&id), is_silent, lost_bytes });
    }
    Ok(found)
}

fn history(conn: &mut Conn, is_damaged: bool) -> Result<Vec<Past>> {
    let actions: Vec<_> = Entry::actions().collect();
    let entries = store::activity::newest_of(conn, &actions, ENTRIES)?;
    let entries: Vec<_> = entries.into_iter().map(|(action, at)| Entry { action, at }).collect();
    let mut found = past(&entries, is_damaged);
    found.truncate(PAST);
    Ok(found)
}
