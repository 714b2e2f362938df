//! What the server said yes to, when, and whether it is still there.
use crate::support::disk::Meter;
use diesel::prelude::*;
use domain::command::CommandState;
use domain::fact::{FactKind, FactValue};
use domain::id::{CommandId, DeviceId, RestoreId, WipeRequestId};
use domain::restore::RestoreState;
use domain::wipe::WipeState;
use holdfast::store;
use holdfast::store::Store;
use holdfast::store::schema::{activity, commands};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// One thing that the server said yes to.
#[derive(Debug, Clone)]
pub enum Ack {
    /// The device's counter.
    CheckIn(DeviceId, i64),
    /// Device and object name.
    Upload(usize, String),
    /// The request key of a command that a person queued.
    Command(String),
    /// A command whose result a device has reported.
    Result(CommandId),
    Wipe(WipeRequestId),
    Approval(WipeRequestId),
    Restore(RestoreId),
    /// An order to wipe that a device was handed.
    WipeOrder(CommandId),
    /// A wipe or a restore that a device said it did not do.
    Refused(CommandId),
}

/// The names of all kinds, as they are counted.
const KINDS: [&str; 9] = [
    "check-ins",
    "uploads",
    "commands",
    "results",
    "wipe requests",
    "approvals",
    "restores",
    "wipe orders",
    "refused orders",
];

impl Ack {
    fn kind(&self) -> usize {
        match self {
            Self::CheckIn(..) => 0,
            Self::Upload(..) => 1,
            Self::Command(_) => 2,
            Self::Result(_) => 3,
            Self::Wipe(_) => 4,
            Self::Approval(_) => 5,
            Self::Restore(_) => 6,
            Self::WipeOrder(_) => 7,
            Self::Refused(_) => 8,
        }
    }
}

/// All that the server said yes to, each with how far the disk's record had come when the answer was there.
#[derive(Clone, Default)]
pub struct Acknowledged {
    meter: Meter,
    told: Vec<(usize, Ack)>,
}

impl Acknowledged {
    /// None yet; noted with the record of a disk.
    pub fn on(meter: &Meter) -> Self {
        Self { meter: meter.clone(), told: Vec::new() }
    }

    pub fn note(&mut self, what: Ack) {
        self.told.push((self.meter.position(), what));
    }

    pub fn add(&mut self, other: Self) {
        self.told.extend(other.told);
    }

    /// What had been acknowledged when the record had come to a position.
    pub fn until(&self, position: usize) -> Self {
        let told = self.told.iter().filter(|(at, _)| *at <= position).cloned().collect();
        Self { meter: Meter::default(), told }
    }

    /// How far the record had come at each answer.
    pub fn moments(&self) -> Vec<usize> {
        self.told.iter().map(|(at, _)| *at).collect()
    }

    pub fn has_each_kind(&self) -> bool {
        self.counts().iter().all(|count| *count > 0)
    }

    fn counts(&self) -> [usize; KINDS.len()] {
        let mut counts = [0; KINDS.len()];
        for (_, what) in &self.told {
            counts[what.kind()] += 1;
        }
        counts
    }

    /// Each device and the name of an object it uploaded.
    pub fn uploads(&self) -> impl Iterator<Item = (usize, &str)> {
        self.told.iter().filter_map(|(_, it)| match it {
            Ack::Upload(at, name) => Some((*at, name.as_str())),
            Ack::CheckIn(..)
            | Ack::Command(_)
            | Ack::Result(_)
            | Ack::Wipe(_)
            | Ack::Approval(_)
            | Ack::Restore(_)
            | Ack::WipeOrder(_)
            | Ack::Refused(_) => None,
        })
    }

    /// What the database does not have of it. Objects are looked for elsewhere.
    pub fn missing_rows(&self, store: &Store) -> Vec<String> {
        let this = self.clone();
        store.read_blocking(move |conn| this.missing_in(conn)).unwrap()
    }

    fn missing_in(&self, conn: &mut store::Conn) -> QueryResult<Vec<String>> {
        let (mut missing, mut newest) = (Vec::new(), BTreeMap::new());
        let kept = Kept::load(conn)?;
        for (_, what) in &self.told {
            let lost = match what {
                Ack::CheckIn(device, counter) => {
                    let newest = newest.entry(*device).or_insert(*counter);
                    *newest = (*newest).max(*counter);
                    None
                }
                Ack::Upload(..) => None,
                Ack::Command(key) => kept.lacks_command(key),
                Ack::Result(id) => {
                    let state = kept.commands.get(id);
                    let is_kept = state == Some(&CommandState::Acknowledged);
                    (!is_kept).then(|| format!("the result of command {id}: it is {state:?}"))
                }
                Ack::Wipe(id) => {
                    let is_kept = store::wipe::find(conn, *id)?.is_some() && kept.entries.contains(&id.to_string());
                    (!is_kept).then(|| format!("wipe request {id}, or its activity entry"))
                }
                Ack::Approval(id) => missing_approval(conn, *id)?,
                Ack::WipeOrder(id) => {
                    let request = store::wipe::of_command(conn, *id)?;
                    let is_kept = request.is_some_and(|it| !it.state.is_before_delivery());
                    (!is_kept).then(|| format!("the wipe request whose order {id} a device has"))
                }
                Ack::Restore(id) => {
                    let is_kept = store::restore::find(conn, *id)?.is_some() && kept.entries.contains(&id.to_string());
                    (!is_kept).then(|| format!("restore {id}, or its activity entry"))
                }
                Ack::Refused(id) => missing_refusal(conn, &kept, *id)?,
            };
            missing.extend(lost);
        }
        for (device, counter) in newest {
            missing.extend(missing_check_in(conn, device, counter)?);
        }
        Ok(missing)
    }
}

impl fmt::Display for Acknowledged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts().into_iter().zip(KINDS).map(|(count, name)| format!("{count} {name}"));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}

fn missing_check_in(conn: &mut store::Conn, device: DeviceId, counter: i64) -> QueryResult<Option<String>> {
    let Some(status) = store::device_status::find(conn, device)? else {
        return Ok(Some(format!("check-in {counter} of {device}: there is none")));
    };
    let kept = match status.facts().unwrap().get(FactKind::FreeBytes).map(|it| &it.value) {
        Some(FactValue::Number(count)) => *count,
        _ => -1,
    };
    Ok((kept < counter).then(|| format!("check-in {counter} of {device}: the last one kept is {kept}")))
}

/// What is looked for most, loaded at once: there are thousands.
struct Kept {
    /// What the activity has an entry of.
    entries: HashSet<String>,
    commands: HashMap<CommandId, CommandState>,
    by_key: HashMap<String, CommandId>,
}

impl Kept {
    fn load(conn: &mut store::Conn) -> QueryResult<Self> {
        let entries: Vec<String> = activity::table.select(activity::object_id).load(conn)?;
        let rows: Vec<(CommandId, Option<String>, CommandState)> =
            commands::table.select((commands::id, commands::request_key, commands::state)).load(conn)?;
        Ok(Self {
            entries: entries.into_iter().collect(),
            commands: rows.iter().map(|(id, _, state)| (*id, *state)).collect(),
            by_key: rows.into_iter().filter_map(|(id, key, _)| Some((key?, id))).collect(),
        })
    }

    fn lacks_command(&self, key: &str) -> Option<String> {
        let Some(id) = self.by_key.get(key) else { return Some(format!("command {key}")) };
        let is_told = self.entries.contains(&id.to_string());
        (!is_told).then(|| format!("the activity entry of command {key}"))
    }
}

/// A missing request is told as such.
fn missing_approval(conn: &mut store::Conn, id: WipeRequestId) -> QueryResult<Option<String>> {
    let Some(request) = store::wipe::find(conn, id)? else { return Ok(None) };
    let is_kept = request.progress(conn)?.approval.is_some();
    Ok((!is_kept).then(|| format!("the approval of wipe request {id}: it is {}", request.state)))
}

/// The end of a wipe or a restore, and that of its order.
fn missing_refusal(conn: &mut store::Conn, kept: &Kept, id: CommandId) -> QueryResult<Option<String>> {
    let wipe = store::wipe::of_command(conn, id)?.map(|it| it.state);
    let restore = store::restore::of_command(conn, id)?.map(|it| it.state);
    let command = kept.commands.get(&id);
    let is_kept = wipe.is_none_or(|it| it == WipeState::Failed)
        && restore.is_none_or(|it| it == RestoreState::Failed)
        && command == Some(&CommandState::Failed);
    Ok((!is_kept).then(|| format!("the end of order {id}: it is {wipe:?}, {restore:?} and {command:?}")))
}
