//! Finding entries of the history.
use crate::store::activity::Activity;
use crate::store::device::{self, Label};
use crate::store::schema::{activity, devices, wipe_requests};
use crate::store::search::{lower, pattern};
use crate::store::{Conn, MultiBackend};
use diesel::prelude::*;
use domain::activity::{Action, Outcome};
use domain::id::{DeviceId, WipeRequestId};
use domain::role::Reach;
use domain::time::Time;

/// Which entries; an empty text and none match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub actor: String,
    pub action: Option<Action>,
    /// A device's id, or part of its name or serial number.
    pub device: String,
    pub result: Option<Outcome>,
    pub from: Option<Time>,
    pub until: Option<Time>,
    /// The whole story of one wipe: its request and the command that carried it.
    pub wipe: Option<WipeRequestId>,
    /// Part of the act, of the object's name or id, of the reason, or of the device's name, serial or person.
    pub text: String,
    /// Only entries before this one: the next page.
    pub before: Option<i64>,
}

/// The entries that match, newest first. People of teams see what was done to their teams' devices.
pub fn find(conn: &mut Conn, filter: &Filter, reach: &Reach, limit: i64) -> QueryResult<Vec<Activity>> {
    let mut query = activity::table.into_boxed::<MultiBackend>();
    if let Reach::Teams(teams) = reach {
        let theirs = devices::table.filter(devices::team_id.eq_any(teams.clone())).select(devices::id.nullable());
        query = query.filter(activity::device_id.eq_any(theirs));
    }
    if let Some(id) = DeviceId::parse(&filter.device) {
        query = query.filter(activity::device_id.eq(id));
    } else if !filter.device.is_empty() {
        let like = pattern(&filter.device);
        let found = devices::table
            .filter(
                lower(devices::name).like(like.clone()).escape('!').or(lower(devices::serial).like(like).escape('!')),
            )
            .select(devices::id.nullable());
        query = query.filter(activity::device_id.eq_any(found));
    }
    if !filter.actor.is_empty() {
        query = query.filter(lower(activity::actor_name).like(pattern(&filter.actor)).escape('!'));
    }
    if let Some(wipe) = filter.wipe {
        let order = wipe_requests::table.find(wipe).select(wipe_requests::command_id);
        let objects = activity::object_id.eq(wipe.to_string()).or(activity::object_id.nullable().eq_any(order));
        query = query.filter(objects);
    }
    if !filter.text.is_empty() {
        let like = pattern(&filter.text);
        let of_device = devices::table
            .filter(lower(devices::name).like(like.clone()).escape('!'))
            .or_filter(lower(devices::serial).like(like.clone()).escape('!'))
            .or_filter(lower(devices::person).like(like.clone()).escape('!'))
            .select(devices::id.nullable());
        query = query.filter(
            lower(activity::object_name)
                .like(like.clone())
                .escape('!')
                .or(lower(activity::reason).like(like).escape('!'))
                .or(activity::object_id.eq(filter.text.trim().to_owned()))
                .or(activity::action.eq_any(acts(&filter.text)))
                .or(activity::device_id.eq_any(of_device)),
        );
    }
    if let Some(action) = filter.action {
        query = query.filter(activity::action.eq(action));
    }
    if let Some(result) = filter.result {
        query = query.filter(activity::result.eq(result));
    }
    if let Some(from) = filter.from {
        query = query.filter(activity::at.ge(from));
    }
    if let Some(until) = filter.until {
        query = query.filter(activity::at.lt(until));
    }
    if let Some(before) = filter.before {
        query = query.filter(activity::seq.lt(before));
    }
    query.order(activity::seq.desc()).limit(limit).select(Activity::as_select()).load(conn)
}

/// An entry with the device it is about, under its current name.
pub type Listed = (Activity, Label);

/// As [`find`], each entry with its device.
pub fn with_devices(conn: &mut Conn, filter: &Filter, reach: &Reach, limit: i64) -> QueryResult<Vec<Listed>> {
    let entries = find(conn, filter, reach, limit)?;
    let labels = device::labels(conn, entries.iter().filter_map(|it| it.device_id))?;
    let label = |entry: &Activity| entry.device_id.and_then(|id| labels.get(&id)).cloned().unwrap_or_default();
    Ok(entries.into_iter().map(|it| (label(&it), it)).map(|(label, it)| (it, label)).collect())
}

/// The acts whose wording holds a text.
fn acts(text: &str) -> Vec<Action> {
    let text = text.trim().to_ascii_lowercase();
    Action::ALL.iter().copied().filter(|it| it.phrase().contains(&text)).collect()
}
