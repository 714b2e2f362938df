//! Which devices a list shows.
use super::sql::Sql;
use crate::domain::device::{DeviceState, Encryption, Ownership, Platform};
use crate::domain::id::TeamId;
use crate::domain::proof::{Grade, TOLERANCE};
use crate::domain::role::Reach;
use crate::domain::time::{Time, days};
use crate::store::{Conn, setting};
use diesel::QueryResult;
use std::time::Duration;

/// A saved view of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    All,
    Failed,
    NeverProven,
    OutOfDate,
    NotEncrypted,
    Silent,
    /// Nothing of the device is on the server.
    LoseAll,
    /// Something is on the server, and its proof failed, is missing or is out of date.
    AtRisk,
    /// Silent, or the evidence comes from the future; what the device holds is not known.
    CannotSay,
    /// Proven and heard of.
    Restorable,
    /// A tenth of the space of its backups is left, or less.
    NearlyFull,
}

impl View {
    /// The views of the pills, in their order.
    pub const PILLS: &'static [Self] =
        &[Self::All, Self::Failed, Self::NeverProven, Self::OutOfDate, Self::NotEncrypted, Self::Silent];
    /// The four parts of "If we lost…": every enrolled device is in exactly one.
    pub const PARTS: &'static [Self] = &[Self::LoseAll, Self::AtRisk, Self::CannotSay, Self::Restorable];
    /// Every view.
    pub const ALL: &'static [Self] = &[
        Self::All,
        Self::Failed,
        Self::NeverProven,
        Self::OutOfDate,
        Self::NotEncrypted,
        Self::Silent,
        Self::LoseAll,
        Self::AtRisk,
        Self::CannotSay,
        Self::Restorable,
        Self::NearlyFull,
    ];

    /// The word in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failed => "failed",
            Self::NeverProven => "never_proven",
            Self::OutOfDate => "out_of_date",
            Self::NotEncrypted => "not_encrypted",
            Self::Silent => "silent",
            Self::LoseAll => "lose_all",
            Self::AtRisk => "at_risk",
            Self::CannotSay => "cannot_say",
            Self::Restorable => "restorable",
            Self::NearlyFull => "nearly_full",
        }
    }

    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Failed => "Failed",
            Self::NeverProven => "Never proven",
            Self::OutOfDate => "Proof out of date",
            Self::NotEncrypted => "Not encrypted",
            Self::Silent => "Silent",
            Self::LoseAll => "Would lose everything",
            Self::AtRisk => "Would lose recent work",
            Self::CannotSay => "Cannot say",
            Self::Restorable => "Proven to come back",
            Self::NearlyFull => "Backups nearly full",
        }
    }

    /// The view of a word; none for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }

    pub(super) const fn condition(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Failed => Some(FAILED),
            Self::NeverProven => Some(NEVER_PROVEN),
            Self::OutOfDate => Some(OUT_OF_DATE),
            Self::NotEncrypted => Some("l.encryption = 'off'"),
            Self::Silent => Some(SILENT),
            Self::LoseAll => Some(LOSE_ALL),
            Self::AtRisk => Some(AT_RISK),
            Self::CannotSay => Some(CANNOT_SAY),
            Self::Restorable => Some(RESTORABLE),
            Self::NearlyFull => Some(NEARLY_FULL),
        }
    }
}

/// Which devices are shown; the default is every enrolled one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub view: View,
    /// Words that must all be in name, person or serial number.
    pub q: String,
    pub team: Option<TeamId>,
    pub platform: Option<Platform>,
    pub encryption: Option<Encryption>,
    pub ownership: Option<Ownership>,
    pub grade: Option<Grade>,
    /// None for devices in every state.
    pub state: Option<DeviceState>,
    /// A device is silent when it last checked in before this; see [`silent_cut`].
    pub silent_before: Time,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            view: View::All,
            q: String::new(),
            team: None,
            platform: None,
            encryption: None,
            ownership: None,
            grade: None,
            state: Some(DeviceState::Enrolled),
            silent_before: Time::from_millis(0),
        }
    }
}

/// The setting that says after how many seconds without a check-in a device is silent.
pub const SILENT_SECONDS: &str = "silent.seconds";
/// The hour decides for all but the devices that were last seen in the very hour of the cut.
macro_rules! silent {
    () => {
        "(l.enrolled_at < {silent} AND (l.seen_hour < {silent_hour} OR (l.seen_hour = {silent_hour} AND coalesce(\
          (SELECT s.last_seen_at FROM device_status s WHERE s.device_id = l.device_id), 0) < {silent})))"
    };
}
const SILENT: &str = silent!();

/// After how long without a check-in a device is silent, and so since when it was not seen.
pub fn silent_cut(conn: &mut Conn, now: Time) -> QueryResult<(Duration, Time)> {
    let seconds = setting::find(conn, SILENT_SECONDS)?.and_then(|it| it.parse().ok());
    let span = seconds.map_or(days(14), Duration::from_secs);
    Ok((span, now - span))
}

// The grades of `Evidence::grade`, one condition each: every device meets exactly one of
// failed, unknown, proven, never, out of date, verified, stored and reported.
const FAILED: &str = "l.failed_at > 0";
macro_rules! known {
    () => {
        "l.failed_at = 0 AND l.newest_at <= {future} AND l.proven_at <= {future} AND l.tested_at <= {future}"
    };
}
macro_rules! unknown {
    () => {
        "l.failed_at = 0 AND (l.newest_at > {future} OR l.proven_at > {future} OR l.tested_at > {future})"
    };
}
macro_rules! proven {
    () => {
        concat!(known!(), " AND l.proven_until > {now}")
    };
}
const KNOWN: &str = known!();
pub(super) const UNKNOWN: &str = unknown!();
pub(super) const PROVEN: &str = proven!();
const OUT_OF_DATE: &str = concat!(known!(), " AND l.proven_until > 0 AND l.proven_until <= {now}");
const NEVER_PROVEN: &str = concat!(known!(), " AND l.proven_until = 0");

// The four parts of "If we lost…". Nothing on the server is lost whatever else is known; then what is not known.
macro_rules! lose_all {
    () => {
        "(l.newest_at <= {future} AND l.stored_at = 0 AND l.verified_until = 0 AND l.proven_until = 0)"
    };
}
const LOSE_ALL: &str = lose_all!();
const CANNOT_SAY: &str = concat!("NOT ", lose_all!(), " AND (", silent!(), " OR (", unknown!(), "))");
const RESTORABLE: &str = concat!(proven!(), " AND NOT ", silent!());
const AT_RISK: &str = concat!(
    "NOT ",
    lose_all!(),
    " AND NOT ",
    silent!(),
    " AND (l.failed_at > 0 OR (",
    known!(),
    " AND l.proven_until <= {now}))"
);

/// As `Space::room` of the domain; in the words of the index `repositories_nearly_full`, so that it is found by that.
const NEARLY_FULL: &str = "l.device_id IN (SELECT r.device_id FROM repositories r \
     WHERE r.state = 'active' AND r.stored_bytes >= r.quota_bytes - r.quota_bytes / 10)";

const fn grade_condition(grade: Grade) -> (&'static str, &'static str) {
    match grade {
        Grade::Failed => (FAILED, ""),
        Grade::Unknown => (UNKNOWN, ""),
        Grade::Proven => (PROVEN, ""),
        Grade::OutOfDate => (OUT_OF_DATE, ""),
        Grade::Verified => (NEVER_PROVEN, " AND l.verified_until > {now}"),
        Grade::Stored => (NEVER_PROVEN, " AND l.verified_until <= {now} AND l.stored_at > 0"),
        Grade::Reported => (NEVER_PROVEN, " AND l.verified_until <= {now} AND l.stored_at = 0 AND l.newest_at > 0"),
        Grade::Never => {
            (KNOWN, " AND l.proven_until = 0 AND l.verified_until <= {now} AND l.stored_at = 0 AND l.newest_at = 0")
        }
    }
}

/// Writes a condition with the values of `{now}` and `{future}` bound.
pub(super) fn write_condition(sql: &mut Sql, condition: &str, now: Time) {
    write_with_silence(sql, condition, now, Time::from_millis(0));
}

/// As the triggers count hours.
const HOUR_MILLIS: i64 = 3_600_000;

pub(super) fn write_with_silence(sql: &mut Sql, condition: &str, now: Time, silent_before: Time) {
    sql.push("(");
    let mut rest = condition;
    while let Some((before, after)) = rest.split_once('{') {
        sql.push(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        sql.bind_int(match name {
            "future" => (now + TOLERANCE).millis(),
            "silent" => silent_before.millis(),
            "silent_hour" => silent_before.millis() / HOUR_MILLIS,
            _ => now.millis(),
        });
        rest = after;
    }
    sql.push(rest).push(")");
}

/// At most so many words of a search are looked for.
const MAX_WORDS: usize = 6;

impl Filter {
    /// Whether most devices may pass: then a walk along the order's index finds a page at once.
    pub(super) fn is_broad(&self) -> bool {
        self.view == View::All
            && self.q.trim().is_empty()
            && self.team.is_none()
            && self.platform.is_none()
            && self.encryption.is_none()
            && self.ownership.is_none()
            && self.grade.is_none()
    }

    /// Writes the conditions, for the table as `l`.
    pub(super) fn write(&self, sql: &mut Sql, reach: &Reach, now: Time) {
        match self.state {
            Some(state) => sql.push("l.state = ").bind_text(state.as_str()),
            None => sql.push("1 = 1"),
        };
        write_reach(sql, reach);
        if let Some(team) = self.team {
            sql.push(" AND l.team_id = ").bind_text(team.as_str());
        }
        for (column, value) in [
            ("platform", self.platform.map(Platform::as_str)),
            ("encryption", self.encryption.map(Encryption::as_str)),
            ("ownership", self.ownership.map(Ownership::as_str)),
        ] {
            if let Some(value) = value {
                sql.push(" AND l.").push(column).push(" = ").bind_text(value);
            }
        }
        if let Some(condition) = self.view.condition() {
            sql.push(" AND ");
            write_with_silence(sql, condition, now, self.silent_before);
        }
        if let Some(grade) = self.grade {
            let (base, more) = grade_condition(grade);
            sql.push(" AND ");
            write_condition(sql, &format!("{base}{more}"), now);
        }
        for word in self.q.split_whitespace().take(MAX_WORDS) {
            write_search(sql, word);
        }
    }
}

fn write_reach(sql: &mut Sql, reach: &Reach) {
    let Reach::Teams(teams) = reach else { return };
    if teams.is_empty() {
        sql.push(" AND 1 = 0");
        return;
    }
    sql.push(" AND l.team_id IN (");
    for (at, team) in teams.iter().enumerate() {
        if at > 0 {
            sql.push(", ");
        }
        sql.bind_text(team.as_str());
    }
    sql.push(")");
}

/// Looks for a word. The databases fold ASCII only, so a word with other letters is looked for as
/// typed, in lower case and in upper case.
fn write_search(sql: &mut Sql, word: &str) {
    let mut spellings: Vec<String> =
        [word.to_owned(), word.to_lowercase(), word.to_uppercase()].iter().map(|it| it.to_ascii_lowercase()).collect();
    spellings.dedup();
    if word.is_ascii() {
        spellings.truncate(1);
    }
    let function = if sql.is_postgres { "strpos" } else { "instr" };
    sql.push(" AND (");
    for (at, spelling) in spellings.into_iter().enumerate() {
        if at > 0 {
            sql.push(" OR ");
        }
        sql.push(function).push("(l.search, ").bind_text(spelling).push(") > 0");
    }
    sql.push(")");
}
