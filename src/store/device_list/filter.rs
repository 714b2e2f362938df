//! Which devices a list shows.
use super::among::{Among, Scores};
use super::condition::grade_condition;
use super::sql::Sql;
use super::view::View;
use crate::store::{Conn, setting};
use diesel::QueryResult;
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::id::TeamId;
use domain::proof::{Grade, TOLERANCE};
use domain::role::Reach;
use domain::time::{Time, days};
use std::time::Duration;

/// Which devices are shown; the default is every enrolled one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub view: View,
    /// Words that must all be in the name, person or serial number.
    pub q: String,
    pub team: Option<TeamId>,
    pub platform: Option<Platform>,
    pub encryption: Option<Encryption>,
    pub ownership: Option<Ownership>,
    pub grade: Option<Grade>,
    /// None for devices in every state.
    pub state: Option<DeviceState>,
    /// Only those in each of these, chosen by something that is not in the database.
    pub among: Vec<Among>,
    /// A device is silent when it last checked in before this; see [`silent_cut`].
    pub silent_before: Time,
    /// The backup store cannot be read: then no backup is counted on.
    pub is_store_away: bool,
    /// What [`Sort::Failing`](super::Sort::Failing) sorts by; nothing else looks at it.
    pub scores: Scores,
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
            among: Vec::new(),
            silent_before: Time::from_millis(0),
            is_store_away: false,
            scores: Scores::default(),
        }
    }
}

/// How long without a check-in makes a device silent, and so since when it was not seen.
pub fn silent_cut(conn: &mut Conn, now: Time) -> QueryResult<(Duration, Time)> {
    let span = setting::SILENT.find(conn)?.unwrap_or(days(14));
    Ok((span, now - span))
}

/// The values that conditions are compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    pub now: Time,
    pub silent_before: Time,
    pub is_store_away: bool,
}

impl Values {
    /// For conditions on evidence alone.
    pub fn at(now: Time) -> Self {
        Self { now, silent_before: Time::from_millis(0), is_store_away: false }
    }

    /// Writes a condition with the values of its `{names}` bound.
    pub fn write(&self, sql: &mut Sql, condition: &str) {
        sql.push("(");
        self.write_bare(sql, condition);
        sql.push(")");
    }

    /// The same without parentheses.
    pub fn write_bare(&self, sql: &mut Sql, expression: &str) {
        let mut rest = expression;
        while let Some((before, after)) = rest.split_once('{') {
            sql.push(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            sql.bind_int(match name {
                "future" => (self.now + TOLERANCE).millis(),
                "silent" => self.silent_before.millis(),
                "away" => i64::from(self.is_store_away),
                _ => self.now.millis(),
            });
            rest = after;
        }
        sql.push(rest);
    }
}

/// How many words of a search are looked for.
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
            && self.among.is_empty()
    }

    /// Those that accept commands; none if devices in another state are asked for.
    pub fn taking_commands(self) -> Option<Self> {
        let has_any = self.state.is_none_or(|it| it == DeviceState::Enrolled);
        has_any.then_some(Self { state: Some(DeviceState::Enrolled), ..self })
    }

    pub(super) fn values(&self, now: Time) -> Values {
        Values { now, silent_before: self.silent_before, is_store_away: self.is_store_away }
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
            self.values(now).write(sql, condition);
        }
        if let Some(grade) = self.grade {
            let (base, more) = grade_condition(grade);
            sql.push(" AND ");
            self.values(now).write(sql, &format!("{base}{more}"));
        }
        for among in &self.among {
            among.write(sql);
        }
        for word in self.q.split_whitespace().take(MAX_WORDS) {
            write_search(sql, word);
        }
    }
}

fn write_reach(sql: &mut Sql, reach: &Reach) {
    let Reach::Teams(teams) = reach else { return };
    if teams.is_empty() {
        // PostgreSQL does not read an empty list.
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

/// Looks for a word. The databases fold only ASCII, so a word with other letters is searched as typed, in lower
/// case and in upper case.
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
