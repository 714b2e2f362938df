//! What somebody agrees to when a device is to be wiped, and which of it has changed since.
use crate::consent::Terms;
use crate::continuity::Doubt;
use crate::device::{Encryption, Ownership};
use crate::id::DeviceId;
use crate::loss::{Amount, Loss, LossFacts, Point, Say, loss};
use crate::proof::Grade;
use crate::time::Time;
use crate::wipe::WipeAction;
use serde::{Deserialize, Serialize};

/// What is known about a device at one moment; stored with each request as what was agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub device_id: DeviceId,
    pub name: String,
    pub serial: String,
    pub generation: i64,
    pub ownership: Ownership,
    pub encryption: Encryption,
    /// Such as `LUKS2`; empty where it is not known.
    pub encryption_method: String,
    /// By the device's clock.
    pub encryption_measured_at: Option<Time>,
    /// What the loss is computed from.
    pub known: LossFacts,
    /// The doubt about which machine would be wiped.
    pub doubt: Doubt,
    /// Another enrolled device has the same serial, so it identifies neither.
    pub shares_serial: bool,
    /// Something of its backups is intact in no store, and no later proof did without it. Which files that is nobody may
    /// know yet. False in requests from before this was looked at.
    #[serde(default)]
    pub is_damaged: bool,
}

/// The part of the consent that says what doubt about the machine means; the second person ticks only this.
pub const EITHER: &str = "every machine with this identity";

/// The facts that count: what a person agrees to. Times of measurement change with each check-in and do not
/// count.
#[derive(Serialize)]
struct Material<'a> {
    device_id: DeviceId,
    serial: &'a str,
    generation: i64,
    ownership: Ownership,
    encryption: Encryption,
    only_here: Option<Amount>,
    roots_away: &'a [String],
    damaged: Amount,
    not_proven: Option<Amount>,
    newest: Option<Point>,
    proven: Option<Point>,
    grade: Grade,
    is_store_away: bool,
    doubt: Doubt,
    /// None if no other device has it: it decides what is typed.
    shared_serial_of: Option<&'a str>,
    /// Left out if it is not, so that what was agreed to before this was looked at is still that.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_damaged: Option<bool>,
}

/// One thing that is not as it was agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub before: Value,
    pub now: Value,
    pub is_worse: bool,
}

/// A fact as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None is "unknown".
    Count(Option<i64>),
    Bytes(Option<i64>),
    /// None is "none".
    When(Option<Time>),
    Text(String),
}

impl Terms for Facts {
    fn canonical(&self) -> serde_json::Result<String> {
        let (loss, known) = (self.loss(), &self.known);
        serde_json::to_string(&Material {
            device_id: self.device_id,
            serial: &self.serial,
            generation: self.generation,
            ownership: self.ownership,
            encryption: self.encryption,
            only_here: loss.only_here,
            roots_away: &known.roots_away,
            damaged: known.damaged.amount,
            not_proven: loss.not_proven,
            newest: known.newest,
            proven: known.proven,
            grade: known.grade,
            is_store_away: known.store_away_since.is_some(),
            doubt: self.doubt,
            shared_serial_of: self.shares_serial.then_some(self.name.as_str()),
            is_damaged: self.is_damaged.then_some(true),
        })
    }
}

impl Facts {
    /// What a wipe would lose at the moment of these facts.
    pub fn loss(&self) -> Loss {
        loss(&self.known)
    }

    /// Whether a second person has to accept by itself what a wipe would lose: no store has it intact.
    pub fn needs_damage_accepted(&self, action: WipeAction) -> bool {
        // A removal of company data erases no file.
        action == WipeAction::Wipe && (self.is_damaged || self.known.damaged.amount.files > 0)
    }

    /// What `action` loses in a few words, for a list.
    pub fn lost_by(&self, action: WipeAction, say: Say<'_>) -> String {
        match action {
            WipeAction::Wipe => self.loss().short(say),
            WipeAction::RemoveCompanyData => "The keys, no files".to_owned(),
        }
    }

    /// The same in sentences, for mails and the history.
    pub fn loss_sentence(&self, action: WipeAction, say: Say<'_>) -> String {
        match action {
            WipeAction::Wipe => self.loss().sentence(say),
            WipeAction::RemoveCompanyData => "No files on the device; it can no longer read its backups.".to_owned(),
        }
    }

    /// What is typed to confirm this device: its serial, or its name if it has none, and both if another device
    /// has the same serial.
    pub fn typed_name(&self) -> String {
        if self.serial.is_empty() {
            self.name.clone()
        } else if self.shares_serial {
            format!("{} {}", self.serial, self.name)
        } else {
            self.serial.clone()
        }
    }

    /// What [`Facts::typed_name`] is, in words.
    pub const fn typed_what(&self) -> &'static str {
        if self.serial.is_empty() {
            "name"
        } else if self.shares_serial {
            "serial number and the name"
        } else {
            "serial number"
        }
    }

    /// The consent that is ticked: the loss by number, and if two machines may have this identity, that either
    /// may be erased. Empty if nothing needs consent.
    pub fn consent(&self) -> String {
        let loss = self.loss();
        let loss = if loss.is_nothing() { String::new() } else { loss.consent() };
        match (loss.is_empty(), self.doubt.stands()) {
            (_, false) => loss,
            (true, true) => EITHER.to_owned(),
            (false, true) => format!("{loss}, {EITHER}"),
        }
    }

    /// What differs between these facts, which were agreed to, and `now`. Numbers that have only got old do not
    /// count as worse, otherwise a device that is away could never be wiped. When it comes for its order it
    /// must count again.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let (old, new) = (self.loss(), now.loss());
        let here = |pick: fn(Amount) -> i64| (old.only_here.map(pick), new.only_here.map(pick));
        let not = |pick: fn(Amount) -> i64| (old.not_proven.map(pick), new.not_proven.map(pick));
        let is_silent = !now.known.is_heard();
        let is_worse_here = |(before, now): (Option<i64>, Option<i64>)| {
            if now.is_none() && is_silent { false } else { is_more(before, now) }
        };
        let (here_files, here_bytes) = (here(|it| it.files), here(|it| it.bytes));
        let (not_files, not_bytes) = (not(|it| it.files), not(|it| it.bytes));
        let (before, after) = (&self.known, &now.known);
        let (damaged, damaged_now) = (before.damaged.amount.files, after.damaged.amount.files);
        let mut all = vec![
            Difference {
                is_worse: is_worse_here(here_files),
                ..count("Files only on the device", here_files.0, here_files.1)
            },
            Difference { is_worse: is_worse_here(here_bytes), ..bytes("Their size", here_bytes.0, here_bytes.1) },
            count("Files damaged in the store", Some(damaged), Some(damaged_now)),
            count("Files not proven", not_files.0, not_files.1),
            bytes("Size not proven", not_bytes.0, not_bytes.1),
            when("Proven up to", before.proven.map(|it| it.at), after.proven.map(|it| it.at)),
            when("Newest backup", before.newest.map(|it| it.at), after.newest.map(|it| it.at)),
        ];
        all.push(text("Backups intact in a store", yes(!self.is_damaged), yes(!now.is_damaged), now.is_damaged));
        let is_away_anew = after.roots_away.iter().any(|it| !before.roots_away.contains(it));
        all.push(text("Folders without their mark", &roots(before), &roots(after), is_away_anew));
        let (could, can) = (before.store_away_since.is_none(), after.store_away_since.is_none());
        all.push(text("Backups can be read", yes(could), yes(can), could && !can));
        all.push(text("Machines", self.doubt.name(), now.doubt.name(), now.doubt.is_worse_than(self.doubt)));
        all.push(text("Proof", before.grade.name(), after.grade.name(), is_worse_grade(before.grade, after.grade)));
        // Each of these affects the decision itself, so any change goes back to the people.
        all.push(text("Encrypted", encryption(self.encryption), encryption(now.encryption), true));
        all.push(text("Serial", &self.serial, &now.serial, true));
        all.push(text("Ownership", self.ownership.name(), now.ownership.name(), true));
        all.push(text("Enrolment", &self.generation.to_string(), &now.generation.to_string(), true));
        all.retain(|it| it.before != it.now);
        all
    }

    /// Whether `now` is worse in anything than these facts, which were agreed to.
    pub fn is_worse(&self, now: &Self) -> bool {
        self.differences(now).iter().any(|it| it.is_worse)
    }
}

fn roots(known: &LossFacts) -> String {
    if known.roots_away.is_empty() { "None".to_owned() } else { known.roots_away.join(", ") }
}

const fn yes(is: bool) -> &'static str {
    if is { "Yes" } else { "No" }
}

const fn encryption(it: Encryption) -> &'static str {
    match it {
        Encryption::On => "Yes",
        Encryption::Off => "No",
        Encryption::Unknown => "Unknown",
    }
}

/// More is worse, and so is no longer knowing. A number where there was none is covered by having agreed to
/// "unknown".
fn is_more(before: Option<i64>, now: Option<i64>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => now > before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn count(what: &'static str, before: Option<i64>, now: Option<i64>) -> Difference {
    Difference { what, before: Value::Count(before), now: Value::Count(now), is_worse: is_more(before, now) }
}

fn bytes(what: &'static str, before: Option<i64>, now: Option<i64>) -> Difference {
    Difference { what, before: Value::Bytes(before), now: Value::Bytes(now), is_worse: is_more(before, now) }
}

/// Older than agreed, or gone, is worse.
fn when(what: &'static str, before: Option<Time>, now: Option<Time>) -> Difference {
    Difference { what, before: Value::When(before), now: Value::When(now), is_worse: now < before }
}

fn text(what: &'static str, before: &str, now: &str, is_worse: bool) -> Difference {
    Difference { what, before: Value::Text(before.to_owned()), now: Value::Text(now.to_owned()), is_worse }
}

fn is_worse_grade(before: Grade, now: Grade) -> bool {
    trust(now) < trust(before)
}

/// How far a grade can be relied on when something is to be erased.
const fn trust(grade: Grade) -> u8 {
    match grade {
        Grade::Failed => 0,
        Grade::Never => 1,
        Grade::Unknown => 2,
        Grade::Reported => 3,
        Grade::Stored => 4,
        Grade::OutOfDate => 5,
        Grade::Verified => 6,
        Grade::Partial => 7,
        Grade::Proven => 8,
    }
}

#[cfg(test)]
pub(super) mod tests;
