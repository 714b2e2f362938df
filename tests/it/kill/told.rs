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
use holdfast::store::schema::activity;
use std::collections::{BTreeMap, HashSet};
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
        // At once: there are thousands.
        let entries: Vec<String> = activity::table.select(activity::object_id).load(conn)?;
        let entries: HashSet<String> = entries.into_iter().collect();
        for (_, what) in &self.told {
            let lost = match what {
                Ack::CheckIn(device, counter) => {
                    let newest = newest.entry(*device).or_insert(*counter);
                    *newest = (*newest).max(*counter);
                    None
                }
                Ack::Upload(..) => None,
                Ack::Command(key) => missing_command(conn, &entries, key)?,
                Ack::Result(id) => {
                    let state = store::command::find(conn, *id)?.map(|it| it.state);
                    let is_kept = state == Some(CommandState::Acknowledged);
                    (!is_kept).then(|| format!("the result of command {id}: it is {state:?}"))
                }
                Ack::Wipe(id) => {
                    let is_kept = store::wipe::find(conn, *id)?.is_some() && entries.contains(&id.to_string());
                    (!is_kept).then(|| format!("wipe request {id}, or its activity entry"))
                }
                Ack::Approval(id) => missing_approval(conn, *id)?,
                Ack::WipeOrder(id) => {
                    let request = store::wipe::of_command(conn, *id)?;
                    let is_kept = request.is_some_and(|it| !it.state.is_before_delivery());
                    (!is_kept).then(|| format!("the wipe request whose order {id} a device has"))
                }
                Ack::Restore(id) => {
                    let is_kept = store::restore::find(conn, *id)?.is_some() && entries.contains(&id.to_string());
                    (!is_kept).then(|| format!("restore {id}, or its activity entry"))
                }
                Ack::Refused(id) => missing_refusal(conn, *id)?,
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

fn missing_command(conn: &mut store::Conn, entries: &HashSet<String>, key: &str) -> QueryResult<Option<String>> {
    let Some(command) = store::command::find_by_request_key(conn, key)? else {
        return Ok(Some(format!("command {key}")));
    };
    let is_kept = entries.contains(&command.id.to_string());
    Ok((!is_kept).then(|| format!("the activity entry of command {key}")))
}

/// A missing request is told as such.
fn missing_approval(conn: &mut store::Conn, id: WipeRequestId) -> QueryResult<Option<String>> {
    let Some(request) = store::wipe::find(conn, id)? else { return Ok(None) };
    let is_kept = request.progress(conn)?.approval.is_some();
    Ok((!is_kept).then(|| format!("the approval of wipe request {id}: it is {}", request.state)))
}

/// The end of a wipe or a restore, and that of its order.
fn missing_refusal(conn: &mut store::Conn, id: CommandId) -> QueryResult<Option<String>> {
    let wipe = store::wipe::of_command(conn, id)?.map(|it| it.state);
    let restore = store::restore::of_command(conn, id)?.map(|it| it.state);
    let command = store::command::find(conn, id)?.map(|it| it.state);
    let is_kept = wipe.is_none_or(|it| it == WipeState::Failed)
        && restore.is_none_or(|it| it == RestoreState::Failed)
        && command == Some(CommandState::Failed);
    Ok((!is_kept).then(|| format!("the end of order {id}: it is {wipe:?}, {restore:?} and {command:?}")))
}
