//! What is set on Apple devices: written by people, for all or for a team, and how far it is on each device.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::{account, alert, freeze, reach};
use crate::store::apple::setting_state::{self, SettingState};
use crate::store::apple::settings::{AppleSettings, Managed, managed, scope};
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Object};
use domain::apple_settings::{LeftOut, Setting, SettingKind, Settings, Standing};
use domain::by::By;
use domain::consent::SETTLED;
use domain::id::TeamId;
use domain::role::{Permission, Reach};
use domain::shown::Shown;
use domain::time::Time;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// A digest of what a setting asks for: the same for the same content.
///
/// # Errors
/// Never for what a form can hold.
pub fn digest(setting: &Setting) -> Result<String> {
    let content = serde_json::to_string(setting).context("writing a setting")?;
    Ok(secret::hash(&content))
}

/// What is set on the devices of a team: its own alone, if it has any.
///
/// # Errors
/// When the database refuses, or what is stored cannot be read.
pub fn in_force(conn: &mut Conn, team: Option<TeamId>) -> Result<Settings> {
    let row = store::apple::settings::of_team(conn, team)?;
    Ok(row.as_ref().map(AppleSettings::settings).transpose()?.unwrap_or_default())
}

/// What is to be on the devices of a team now.
///
/// Where Macs back up to is left alone for a while after each change: whoever stole one session could have the data of all of
/// them sent elsewhere otherwise, before anybody who was told of it can take it back.
///
/// # Errors
/// As [`in_force`].
pub fn to_be_set(conn: &mut Conn, team: Option<TeamId>, now: Time) -> Result<ToBeSet> {
    let Some(row) = store::apple::settings::of_team(conn, team)? else { return Ok(ToBeSet::default()) };
    let settings = row.settings()?;
    let is_new = row.changed_at + SETTLED > now;
    let left_alone = (is_new && settings.time_machine.is_some()).then_some(SettingKind::TimeMachine);
    Ok(ToBeSet { settings, left_alone })
}

/// What is to be on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToBeSet {
    pub settings: Settings,
    /// Of what there stays what is there.
    pub left_alone: Option<SettingKind>,
}

/// Who the settings are for, by name; what somebody may change.
///
/// # Errors
/// `NotFound` if there is no such team for which they write policies.
pub fn editable(conn: &mut Conn, by: &By, team: Option<TeamId>) -> Result<String> {
    let reach = reach::of(by, Permission::EditPolicies)?;
    named(conn, &reach, team)
}

fn named(conn: &mut Conn, reach: &Reach, team: Option<TeamId>) -> Result<String> {
    const NONE: Error = Error::NotFound("settings for Apple devices");
    if !reach.covers(team) {
        return Err(NONE);
    }
    match team {
        None => Ok("All devices".to_owned()),
        Some(id) => store::team::find(conn, id)?.map(|it| it.name).ok_or(NONE),
    }
}

/// As the form shows them.
pub fn shown(settings: &Settings, name: &str) -> Shown {
    Shown::new([("For", name.to_owned()), ("Settings", settings.sentences().join("; "))])
}

/// What a change (or, without settings, the end of a team's own) loosens, in words.
///
/// # Errors
/// When the database refuses, or the person may not change them.
pub fn loosened(conn: &mut Conn, by: &By, team: Option<TeamId>, settings: Option<&Settings>) -> Result<Vec<String>> {
    editable(conn, by, team)?;
    let old = in_force(conn, team)?;
    match settings {
        Some(new) => Ok(new.loosened(&old)),
        None => Ok(in_force(conn, None)?.loosened(&old)),
    }
}

/// Sets what was typed; `version` is how the form was shown. An act.
///
/// # Errors
/// When a field is wrong, somebody changed it in the meantime, or the person may not.
pub fn change(
    conn: &mut Conn,
    by: &By,
    team: Option<TeamId>,
    (settings, version): (&Settings, &str),
    now: Time,
) -> Result<()> {
    let name = editable(conn, by, team)?;
    settings.check()?;
    freeze::check(conn)?;
    let current = in_force(conn, team)?;
    shown(&current, &name).check(version).map_err(Error::Conflict)?;
    let said = settings.loosened(&current);
    let old = store::apple::settings::find(conn, team)?;
    store::apple::settings::put(conn, (team, old.as_ref()), settings, (by.user.to_string(), now))?;
    changed(conn, by, (team, &name), (Action::AppleSettingsChanged, &settings.sentences(), &said), now)
}

/// Ends what a team has of its own: its devices have what all have. An act.
///
/// # Errors
/// When it has none, or the person may not.
pub fn remove(conn: &mut Conn, by: &By, team: TeamId, now: Time) -> Result<()> {
    let name = editable(conn, by, Some(team))?;
    freeze::check(conn)?;
    let said = loosened(conn, by, Some(team), None)?;
    if store::apple::settings::find(conn, Some(team))?.is_none() {
        return Err(Error::Conflict("this team has no settings of its own any more".to_owned()));
    }
    store::apple::settings::remove(conn, Some(team))?;
    changed(conn, by, (Some(team), &name), (Action::AppleSettingsRemoved, &[], &said), now)
}

/// Writes a change down, tells of what it loosens, and wakes the devices.
fn changed(
    conn: &mut Conn,
    by: &By,
    (team, name): (Option<TeamId>, &str),
    (action, sentences, said): (Action, &[String], &[String]),
    now: Time,
) -> Result<()> {
    let reason = sentences.join("; ");
    let act = Act::done(action, Object::new("apple_settings", scope(team), name)).because(&reason);
    activity::record(conn, &by.actor, &act, now)?;
    if !said.is_empty() {
        let who = account::who(conn, &by.actor)?;
        let label = format!("Settings for Apple devices: {name}");
        alert::guard_changed(conn, &who, (&label, &said.join("; ")), true, now)?;
    }
    Ok(store::apple::settings::wake(conn, team, now)?)
}

/// How far a setting is on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDevice {
    pub setting: Setting,
    pub standing: Standing,
    pub left_out: Vec<LeftOut>,
}

/// How far each setting is on a device of this team.
fn on_device(settings: &Settings, states: &[&SettingState]) -> Result<Vec<OnDevice>> {
    let mut found = Vec::new();
    for setting in settings.each() {
        let state = states.iter().find(|it| it.kind == setting.kind());
        let standing = standing(&digest(&setting)?, state.copied());
        let left_out = state.map(|it| it.left_out()).transpose()?.unwrap_or_default();
        found.push(OnDevice { setting, standing, left_out });
    }
    Ok(found)
}

fn standing(asked_for: &str, state: Option<&SettingState>) -> Standing {
    let Some(state) = state.filter(|it| it.asked_for.as_deref() == Some(asked_for)) else { return Standing::Waits };
    match (&state.failure, &state.wanted) {
        (Some(why), _) => Standing::Failed(why.clone()),
        (None, None) if state.installed.is_none() && state.sent.is_none() => Standing::LeftOut,
        (None, Some(_)) if state.installed == state.wanted => Standing::InForce { since: state.installed_at },
        (None, _) => Standing::Waits,
    }
}

/// How far each setting is on one device; empty if it is not managed through Apple's protocol.
///
/// # Errors
/// When the database refuses, or what is stored cannot be read.
pub fn of_device(conn: &mut Conn, device: &Device) -> Result<Vec<OnDevice>> {
    let Some(enrollment) = store::apple::enrollment::of_device(conn, device.id, device.generation)? else {
        return Ok(Vec::new());
    };
    let settings = in_force(conn, device.team_id)?;
    let states = setting_state::of_enrollment(conn, enrollment.id)?;
    on_device(&settings, &states.iter().collect::<Vec<_>>())
}

/// The most devices that are looked at for a page.
pub const MOST: usize = 20_000;
const CHUNK: i64 = 1000;

/// Calls `look` with each managed device within reach; whether there were more than [`MOST`].
///
/// # Errors
/// When the database refuses, or what is stored cannot be read.
pub fn walk(conn: &mut Conn, reach: &Reach, look: &mut dyn FnMut(&Managed, Vec<OnDevice>)) -> Result<bool> {
    let mut by_team: HashMap<Option<TeamId>, Settings> = HashMap::new();
    let (mut after, mut seen) = (None, 0);
    loop {
        let devices = managed(conn, reach, after, CHUNK)?;
        let ids: Vec<_> = devices.iter().map(|it| it.enrollment_id).collect();
        let states = setting_state::of(conn, &ids)?;
        for device in &devices {
            if seen == MOST {
                return Ok(true);
            }
            seen += 1;
            let settings = match by_team.entry(device.team_id) {
                Entry::Occupied(it) => it.into_mut(),
                Entry::Vacant(it) => it.insert(in_force(conn, device.team_id)?),
            };
            let own = states.partition_point(|it| it.enrollment_id < device.enrollment_id);
            let own: Vec<_> =
                states.iter().skip(own).take_while(|it| it.enrollment_id == device.enrollment_id).collect();
            look(device, on_device(settings, &own)?);
        }
        match devices.last() {
            Some(last) => after = Some(last.id),
            None => return Ok(false),
        }
    }
}

/// On how many devices a setting is how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub in_force: i64,
    pub waits: i64,
    pub failed: i64,
    pub left_out: i64,
}

impl Tally {
    fn add(&mut self, standing: &Standing) {
        match standing {
            Standing::InForce { .. } => self.in_force += 1,
            Standing::Waits => self.waits += 1,
            Standing::Failed(_) => self.failed += 1,
            Standing::LeftOut => self.left_out += 1,
        }
    }
}

/// The tally of each kind of setting, and whether there are more devices than were counted.
///
/// # Errors
/// As [`walk`].
pub fn tallies(conn: &mut Conn, reach: &Reach) -> Result<(HashMap<SettingKind, Tally>, bool)> {
    let mut tallies: HashMap<_, Tally> = HashMap::new();
    let is_partial = walk(conn, reach, &mut |_, settings| {
        for it in settings {
            tallies.entry(it.setting.kind()).or_default().add(&it.standing);
        }
    })?;
    Ok((tallies, is_partial))
}
