//! The command channel: a device says how the last thing went, and is told the next, until there is nothing.
use crate::error::Result;
use crate::service::apple::caller::Caller;
use crate::service::apple::certificate::RENEW_BEFORE;
use crate::service::apple::push;
use crate::service::apple::setting_state::{self, Change, Fits};
use crate::service::command::deliver::deliver_next;
use crate::service::command::finish::finish;
use crate::service::device_secret::{self, Sealed};
use crate::service::fact::{self, Heard, Schedule};
use crate::service::wipe;
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::apple::query::AppleQuery;
use crate::store::apple::report::AppleReport;
use crate::store::command::Command;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::Via;
use domain::apple_settings::SettingKind;
use domain::command::{CommandKind, CommandState, Ending, Instruction};
use domain::device_secret::SecretKind;
use domain::fact::Reported;
use domain::id::CommandId;
use domain::inventory::{Inventory, InventoryKind};
use domain::time::{Time, days, hours, minutes};
use std::time::Duration;

/// How often a device is asked how it is.
const EVERY: Duration = hours(6);

/// How long the answer to a question may take.
const PATIENCE: Duration = minutes(10);

/// What a device says.
#[derive(Debug, Clone)]
pub enum Said {
    /// It asks for something to do.
    Idle,
    /// It cannot do this now, and asks again by itself.
    NotNow {
        asked_as: String,
    },
    Ended {
        asked_as: String,
        done: bool,
        detail: String,
        given: Given,
    },
}

/// What a device gives with an answer.
#[derive(Debug, Clone, Default)]
pub struct Given {
    pub facts: Vec<Reported>,
    pub secrets: Vec<Sealed>,
    pub inventory: Option<Inventory>,
}

/// What the server asks by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    DeviceInformation,
    SecurityInfo,
    ProfileList,
    CertificateList,
    InstalledApplicationList,
    /// It gets its profile again, with which it gets its next certificate.
    NextCertificate,
}

impl Question {
    const ALL: [Self; 6] = [
        Self::DeviceInformation,
        Self::SecurityInfo,
        Self::ProfileList,
        Self::CertificateList,
        Self::InstalledApplicationList,
        Self::NextCertificate,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::DeviceInformation => "device_information",
            Self::SecurityInfo => "security_info",
            Self::ProfileList => "profile_list",
            Self::CertificateList => "certificate_list",
            Self::InstalledApplicationList => "installed_application_list",
            Self::NextCertificate => "next_certificate",
        }
    }

    const fn every(self) -> Duration {
        match self {
            Self::DeviceInformation | Self::SecurityInfo | Self::ProfileList => EVERY,
            Self::CertificateList | Self::InstalledApplicationList | Self::NextCertificate => days(1),
        }
    }
}

/// What a device is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Order(Instruction),
    Ask { question: Question, asked_as: String },
    Set(Change),
    Nothing,
}

/// Takes what a device says, and returns what it is told.
///
/// # Errors
/// When the database refuses.
pub fn exchange(conn: &mut Conn, caller: Caller<'_>, (said, fits): (&Said, &dyn Fits), now: Time) -> Result<Next> {
    let Caller { device, enrollment, address } = caller;
    let facts = match said {
        Said::Idle => {
            store::apple::query::resume(conn, enrollment.id)?;
            Vec::new()
        }
        Said::NotNow { asked_as } => {
            put_off(conn, caller, asked_as)?;
            Vec::new()
        }
        Said::Ended { asked_as, done, detail, given } => {
            let about = about(conn, caller, asked_as)?;
            match &about {
                Some(About::Order(command)) => ended(conn, caller, (command, *done), detail, now)?,
                Some(About::Question(_)) => {
                    store::apple::query::answer(conn, enrollment.id, asked_as, done.then_some(now))?;
                }
                None => set(conn, caller, asked_as, (*done, detail), now)?,
            }
            take(conn, caller, (about.as_ref(), given), now)?
        }
    };
    push::came(conn, enrollment.id, matches!(said, Said::NotNow { .. }), now)?;
    let schedule = Schedule { now, next_at: now + EVERY, every: EVERY };
    fact::keep(conn, device, &Heard { facts: &facts, policy_version: "", continuity: None, address }, &schedule)?;
    if !store::apple::enrollment::is_current(conn, device.id, device.generation)? {
        // It is being erased.
        return Ok(Next::Nothing);
    }
    next(conn, caller, fits, now)
}

fn put_off(conn: &mut Conn, caller: Caller<'_>, asked_as: &str) -> Result<()> {
    let id = caller.enrollment.id;
    let kind = match setting_state::put_off(conn, caller, asked_as)? {
        Some(kind) => Some(kind.as_str().to_owned()),
        None => store::apple::query::forget_asked(conn, id, asked_as)?,
    };
    // Only what was asked: each is a row.
    if kind.is_none() && about(conn, caller, asked_as)?.is_none() {
        return Ok(());
    }
    Ok(store::apple::query::defer(conn, id, kind.as_deref().unwrap_or(asked_as))?)
}

/// Something that was set on the device ended; nothing if nothing was set as this.
fn set(conn: &mut Conn, caller: Caller<'_>, asked_as: &str, (done, detail): (bool, &str), now: Time) -> Result<()> {
    match setting_state::answered(conn, caller, asked_as, (done, detail), now)? {
        // How its disk and its passcode are it says there.
        Some(SettingKind::FileVault | SettingKind::Passcode) if done => {
            ask_again(conn, caller.enrollment, Question::SecurityInfo)
        }
        Some(_) | None => Ok(()),
    }
}

/// What an answer is about.
enum About {
    Order(Box<Command>),
    /// The word of what was asked.
    Question(String),
}

/// What an answer is about: only what this device was asked, and has not answered yet.
fn about(conn: &mut Conn, caller: Caller<'_>, asked_as: &str) -> Result<Option<About>> {
    let Caller { device, enrollment, .. } = caller;
    if let Some(id) = CommandId::parse(asked_as) {
        let found = store::command::find(conn, id)?;
        let own = found.filter(|it| it.device_id == device.id && it.generation == device.generation);
        return Ok(own
            .filter(|it| it.state != CommandState::Acknowledged && it.state != CommandState::Failed)
            .map(|it| About::Order(Box::new(it))));
    }
    let asked = store::apple::query::all(conn, enrollment.id)?;
    Ok(asked.into_iter().find(|it| it.asked_as.as_deref() == Some(asked_as)).map(|it| About::Question(it.kind)))
}

impl About {
    /// Whether a secret of this kind answers it.
    fn asks_secret(&self, kind: SecretKind) -> bool {
        match self {
            Self::Question(word) => kind == SecretKind::RecoveryKey && word == Question::SecurityInfo.word(),
            Self::Order(command) => match kind {
                SecretKind::RecoveryKey => command.kind == CommandKind::RotateRecoveryKey,
                SecretKind::BypassCode => command.kind == CommandKind::FetchBypassCode,
                SecretKind::LockPin | SecretKind::WipePin | SecretKind::RecoveryLock => false,
            },
        }
    }

    fn asks_list(&self, kind: InventoryKind) -> bool {
        let question = match kind {
            InventoryKind::Profiles => Question::ProfileList,
            InventoryKind::Certificates => Question::CertificateList,
            InventoryKind::Applications => Question::InstalledApplicationList,
            InventoryKind::Location => {
                return matches!(self, Self::Order(command) if command.kind == CommandKind::Locate);
            }
        };
        matches!(self, Self::Question(word) if word == question.word())
    }
}

/// Keeps what came with an answer, as far as it was asked for; returns the facts. What nobody asked is no answer.
fn take(
    conn: &mut Conn,
    caller: Caller<'_>,
    (about, given): (Option<&About>, &Given),
    now: Time,
) -> Result<Vec<Reported>> {
    let Caller { device, enrollment, address } = caller;
    let Some(about) = about else { return Ok(Vec::new()) };
    let asked: Vec<_> = given.secrets.iter().filter(|it| about.asks_secret(it.kind)).collect();
    if !asked.is_empty() {
        // Recorded, so it takes its turn among the acts.
        store::activity::lock(conn)?;
        let actor = device.actor(Via::Apple, address);
        for secret in asked {
            device_secret::keep(conn, (&actor, device), secret, now)?;
        }
    }
    if let Some(Inventory::Profiles(listed)) = &given.inventory
        && about.asks_list(InventoryKind::Profiles)
    {
        setting_state::compare(conn, caller, listed, now)?;
    }
    if let Some(inventory) = given.inventory.as_ref().filter(|it| about.asks_list(it.kind())) {
        let body = serde_json::to_string(inventory).context("writing what a device listed")?;
        let report = AppleReport { enrollment_id: enrollment.id, kind: inventory.kind(), at: now, body };
        store::apple::report::keep(conn, &report)?;
    }
    let is_sound = |it: &&Reported| !it.is_demo() && it.faults(now).is_empty();
    Ok(given.facts.iter().filter(is_sound).cloned().collect())
}

/// An order ended. What erases says so before it begins, and nothing after.
fn ended(
    conn: &mut Conn,
    caller: Caller<'_>,
    (command, done): (&Command, bool),
    detail: &str,
    now: Time,
) -> Result<()> {
    let Caller { device, enrollment, address } = caller;
    // The end of a command is recorded, so it takes its turn among the acts.
    store::activity::lock(conn)?;
    let actor = device.actor(Via::Apple, address);
    device_secret::answered(conn, (&actor, device), (command.id, done), now)?;
    if command.kind.erases() && done {
        return wipe::begun(conn, &actor, device, command.id, now);
    }
    finish(conn, device, &Ending { id: command.id, done, detail: detail.to_owned() }, &actor, now)?;
    match command.kind {
        CommandKind::LostModeOn | CommandKind::LostModeOff if done => {
            // Where it was is nobody's business once it is found.
            if command.kind == CommandKind::LostModeOff {
                store::apple::report::forget(conn, enrollment.id, InventoryKind::Location)?;
            }
            ask_again(conn, enrollment, Question::DeviceInformation)
        }
        // Whatever it says: its answer to an earlier try may have been lost.
        CommandKind::RotateRecoveryKey => ask_again(conn, enrollment, Question::SecurityInfo),
        CommandKind::ClearPasscode if done => ask_again(conn, enrollment, Question::SecurityInfo),
        CommandKind::Lock
        | CommandKind::BackUpNow
        | CommandKind::Wipe
        | CommandKind::RemoveCompanyData
        | CommandKind::Restore
        | CommandKind::UndoRestore
        | CommandKind::LostModeOn
        | CommandKind::LostModeOff
        | CommandKind::PlaySound
        | CommandKind::Locate
        | CommandKind::ClearPasscode
        | CommandKind::Restart
        | CommandKind::ShutDown
        | CommandKind::SetRecoveryLock
        | CommandKind::FetchBypassCode => Ok(()),
    }
}

/// What it said before is true no more.
fn ask_again(conn: &mut Conn, enrollment: &AppleEnrollment, question: Question) -> Result<()> {
    Ok(store::apple::query::make_due(conn, enrollment.id, question.word())?)
}

fn next(conn: &mut Conn, caller: Caller<'_>, fits: &dyn Fits, now: Time) -> Result<Next> {
    let Caller { device, enrollment, .. } = caller;
    let put_off = store::apple::query::deferred(conn, enrollment.id)?;
    if let Some(order) = deliver_next(conn, device, &put_off, now)? {
        return Ok(Next::Order(order));
    }
    let asked = store::apple::query::all(conn, enrollment.id)?;
    for question in Question::ALL {
        let row = asked.iter().find(|it| it.kind == question.word());
        if put_off.iter().any(|it| it == question.word()) || !is_due(row, question, now) {
            continue;
        }
        if question == Question::NextCertificate && !needs_certificate(conn, enrollment, now)? {
            continue;
        }
        let asked_as = format!("{}-{}", question.word(), hex::encode(secret::bytes::<8>()?));
        let asked = AppleQuery {
            enrollment_id: enrollment.id,
            kind: question.word().to_owned(),
            asked_as: Some(asked_as.clone()),
            asked_at: now,
            answered_at: None,
        };
        store::apple::query::ask(conn, &asked)?;
        return Ok(Next::Ask { question, asked_as });
    }
    // Last: what a device takes of it follows what it says of itself.
    Ok(setting_state::next(conn, caller, (fits, &put_off), now)?.map_or(Next::Nothing, Next::Set))
}

fn is_due(row: Option<&AppleQuery>, question: Question, now: Time) -> bool {
    row.is_none_or(|it| {
        let wait = if it.asked_as.is_some() { PATIENCE } else { question.every() };
        it.asked_at + wait <= now
    })
}

fn needs_certificate(conn: &mut Conn, enrollment: &AppleEnrollment, now: Time) -> Result<bool> {
    // One that it never showed may have been lost on its way.
    let all = store::apple::certificate::of_enrollment(conn, enrollment.id)?;
    let newest = all.into_iter().find(|it| it.used_at.is_some() && it.revoked_at.is_none());
    Ok(newest.is_some_and(|it| it.not_after <= now + RENEW_BEFORE))
}
