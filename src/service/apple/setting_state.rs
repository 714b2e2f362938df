//! How what is set reaches an Apple device: sent when it differs, sent again when it is gone, taken away when nothing is set.
use crate::error::Result;
use crate::service::activity::{self, Act};
use crate::service::apple::caller::Caller;
use crate::service::apple::settings::{digest, to_be_set};
use crate::store::apple::setting_state::{self, SettingState};
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Object, Via};
use domain::apple_settings::{LeftOut, Setting, SettingKind};
use domain::inventory::Profile;
use domain::time::{Time, days, minutes};
use std::time::Duration;

/// How long the answer may take.
const PATIENCE: Duration = minutes(10);

/// After how long a device is sent again what it refused, and its history may say again that something is gone.
const AGAIN: Duration = days(1);

/// What of a setting a device takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    /// None: nothing of it.
    pub setting: Option<Setting>,
    pub left_out: Vec<LeftOut>,
}

/// Says what of a setting a device takes.
pub trait Fits {
    /// Cheap: it is asked at each of the device's polls.
    fn of(&self, setting: &Setting) -> Fit;
}

impl<F: Fn(&Setting) -> Fit> Fits for F {
    fn of(&self, setting: &Setting) -> Fit {
        self(setting)
    }
}

/// What a device is told to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: SettingKind,
    /// None: it is taken away.
    pub setting: Option<Setting>,
    /// What its answer repeats.
    pub sent_as: String,
}

/// The next change for a device; none if it has what it is to have, or said no to it.
///
/// # Errors
/// When the database refuses.
pub fn next(
    conn: &mut Conn,
    Caller { device, enrollment, .. }: Caller<'_>,
    (fits, put_off): (&dyn Fits, &[String]),
    now: Time,
) -> Result<Option<Change>> {
    let to_be = to_be_set(conn, device.team_id, now)?;
    let set = to_be.settings.each();
    let states = setting_state::of_enrollment(conn, enrollment.id)?;
    for kind in SettingKind::ALL.iter().filter(|it| to_be.left_alone != Some(**it)) {
        let setting = set.iter().find(|it| it.kind() == *kind);
        let known = states.iter().find(|it| it.kind == *kind);
        if setting.is_none() && known.is_none() {
            continue;
        }
        let fit = setting.map(|it| fits.of(it)).unwrap_or_default();
        let mut state = known.cloned().unwrap_or_else(|| SettingState::new(enrollment.id, *kind));
        want(&mut state, setting, &fit)?;
        let is_put_off = put_off.iter().any(|it| it == kind.as_str());
        if is_due(&state, now) && !is_put_off {
            let sent_as = send(conn, state, now)?;
            return Ok(Some(Change { kind: *kind, setting: fit.setting, sent_as }));
        }
        if state.asked_for.is_none() && !may_be_there(&state) {
            setting_state::remove(conn, &state)?;
        } else if known != Some(&state) {
            setting_state::put(conn, &state)?;
        }
    }
    Ok(None)
}

fn want(state: &mut SettingState, setting: Option<&Setting>, fit: &Fit) -> Result<()> {
    let wanted = fit.setting.as_ref().map(digest).transpose()?;
    if wanted != state.wanted {
        // Its words were about something else.
        (state.failure, state.failed_at, state.sent_as) = (None, None, None);
    }
    state.wanted = wanted;
    state.asked_for = setting.map(digest).transpose()?;
    state.left_out = serde_json::to_string(&fit.left_out).context("writing what a device does not take")?;
    Ok(())
}

const fn may_be_there(state: &SettingState) -> bool {
    state.installed.is_some() || state.sent.is_some()
}

fn is_due(state: &SettingState, now: Time) -> bool {
    let differs = match &state.wanted {
        Some(_) => state.installed != state.wanted,
        None => may_be_there(state),
    };
    let is_waiting = state.sent_as.is_some() && state.sent_at + PATIENCE > now;
    let is_refused = state.failed_at.is_some_and(|it| it + AGAIN > now);
    differs && !is_waiting && !is_refused
}

fn send(conn: &mut Conn, mut state: SettingState, now: Time) -> Result<String> {
    let verb = if state.wanted.is_some() { INSTALL } else { REMOVE };
    let sent_as = format!("{verb}{}-{}", state.kind, hex::encode(secret::bytes::<8>()?));
    if state.wanted.is_some() {
        state.sent.clone_from(&state.wanted);
    }
    (state.sent_as, state.sent_at) = (Some(sent_as.clone()), now);
    setting_state::put(conn, &state)?;
    Ok(sent_as)
}

const INSTALL: &str = "install_";
const REMOVE: &str = "remove_";

/// What became of a change; its kind, or none if nothing was sent as this.
///
/// # Errors
/// When the database refuses.
pub fn answered(
    conn: &mut Conn,
    Caller { enrollment, .. }: Caller<'_>,
    sent_as: &str,
    (done, detail): (bool, &str),
    now: Time,
) -> Result<Option<SettingKind>> {
    let Some(mut state) = setting_state::sent_as(conn, enrollment.id, sent_as)? else { return Ok(None) };
    state.sent_as = None;
    let was_install = sent_as.starts_with(INSTALL);
    if done {
        (state.failure, state.failed_at) = (None, None);
        state.installed = state.sent.take().filter(|_| was_install);
        state.installed_at = state.installed.is_some().then_some(now);
    } else {
        (state.failure, state.failed_at) = (Some(detail.to_owned()), Some(now));
        state.sent = state.sent.filter(|_| !was_install);
    }
    setting_state::put(conn, &state)?;
    Ok(Some(state.kind))
}

/// The device cannot do it now; its kind, or none if nothing was sent as this.
///
/// # Errors
/// When the database refuses.
pub fn put_off(conn: &mut Conn, Caller { enrollment, .. }: Caller<'_>, sent_as: &str) -> Result<Option<SettingKind>> {
    let Some(mut state) = setting_state::sent_as(conn, enrollment.id, sent_as)? else { return Ok(None) };
    state.sent_as = None;
    setting_state::put(conn, &state)?;
    Ok(Some(state.kind))
}

/// Compares what a device lists with what it said that it has: what is gone is sent again, and written down.
///
/// # Errors
/// When the database refuses.
pub fn compare(conn: &mut Conn, caller: Caller<'_>, listed: &[Profile], now: Time) -> Result<()> {
    for mut state in setting_state::of(conn, &[caller.enrollment.id])? {
        let is_listed = listed.iter().any(|it| it.identifier == state.kind.identifier());
        if is_listed || state.sent_as.is_some() || !may_be_there(&state) {
            continue;
        }
        let is_news = state.missed_at.is_none_or(|it| it + AGAIN <= now);
        if state.wanted.is_some() && state.installed.is_some() && is_news {
            state.missed_at = Some(now);
            missing(conn, caller, state.kind, now)?;
        }
        (state.installed, state.installed_at, state.sent) = (None, None, None);
        if state.wanted.is_none() {
            (state.failure, state.failed_at) = (None, None);
        }
        setting_state::put(conn, &state)?;
    }
    Ok(())
}

fn missing(conn: &mut Conn, Caller { device, address, .. }: Caller<'_>, kind: SettingKind, now: Time) -> Result<()> {
    // Recorded, so it takes its turn among the acts.
    store::activity::lock(conn)?;
    let object = Object::new("device", device.id, device.name.clone());
    let reason = format!("{} is no longer among the profiles that it lists; it is sent again.", kind.name());
    let act = Act::done(Action::AppleSettingMissing, object).on(device.id).because(&reason);
    activity::record(conn, &device.actor(Via::Apple, address), &act, now)
}
