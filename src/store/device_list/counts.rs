//! How many devices each view has.
use super::condition;
use super::filter::{Filter, Values};
use super::sql::Sql;
use super::view::View;
use crate::store::Conn;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::role::Reach;
use domain::time::Time;

/// SQLite: it would choose an index by the state, which almost every device shares, and look up row by row.
pub(super) const IN_ONE_PASS: &str = "device_listings l NOT INDEXED";

pub(super) fn one_pass(conn: &Conn) -> &'static str {
    if conn.is_postgres() { "device_listings l" } else { IN_ONE_PASS }
}

#[derive(QueryableByName)]
pub(super) struct Value {
    #[diesel(sql_type = BigInt)]
    pub(super) value: i64,
}

/// How many enrolled devices each view shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub all: i64,
    pub failed: i64,
    pub never_proven: i64,
    pub out_of_date: i64,
    pub partial: i64,
    pub unknown: i64,
    /// Devices whose proof holds, whatever has changed on them since.
    pub proof_holds: i64,
    pub not_encrypted: i64,
    pub silent: i64,
    pub lose_all: i64,
    pub at_risk: i64,
    pub cannot_say: i64,
    /// Devices that are proven to come back: the one count of proven devices that pages show.
    pub restorable: i64,
}

impl Counts {
    /// How many devices pass a filter that is only a view; none for any other filter.
    pub fn total(&self, filter: &Filter) -> Option<i64> {
        let view_alone = Filter {
            view: filter.view,
            silent_before: filter.silent_before,
            is_store_away: filter.is_store_away,
            scores: filter.scores.clone(),
            ..Filter::default()
        };
        if *filter == view_alone { self.of(filter.view) } else { None }
    }

    /// The count of a view, if it is counted with the others.
    pub const fn of(&self, view: View) -> Option<i64> {
        match view {
            View::All => Some(self.all),
            View::Failed => Some(self.failed),
            View::NeverProven => Some(self.never_proven),
            View::OutOfDate => Some(self.out_of_date),
            View::Partial => Some(self.partial),
            View::NotEncrypted => Some(self.not_encrypted),
            View::Silent => Some(self.silent),
            View::LoseAll => Some(self.lose_all),
            View::AtRisk => Some(self.at_risk),
            View::CannotSay => Some(self.cannot_say),
            View::Restorable => Some(self.restorable),
            View::NotRestorable => Some(self.all - self.restorable),
            View::NearlyFull | View::InDoubt => None,
        }
    }
}

#[derive(QueryableByName)]
struct Sums {
    #[diesel(sql_type = BigInt)]
    all_count: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    never_proven: i64,
    #[diesel(sql_type = BigInt)]
    out_of_date: i64,
    #[diesel(sql_type = BigInt)]
    partial: i64,
    #[diesel(sql_type = BigInt)]
    unknown: i64,
    #[diesel(sql_type = BigInt)]
    proof_holds: i64,
    #[diesel(sql_type = BigInt)]
    not_encrypted: i64,
    #[diesel(sql_type = BigInt)]
    silent: i64,
    #[diesel(sql_type = BigInt)]
    lose_all: i64,
    #[diesel(sql_type = BigInt)]
    at_risk: i64,
    #[diesel(sql_type = BigInt)]
    cannot_say: i64,
    #[diesel(sql_type = BigInt)]
    restorable: i64,
}

/// Counts the devices of every view in one pass; of `filter` only what affects all devices alike is used.
pub fn counts(conn: &mut Conn, filter: &Filter, reach: &Reach, now: Time) -> QueryResult<Counts> {
    let values = filter.values(now);
    let mut sql = Sql::new(conn.is_postgres());
    sql.push("SELECT count(*) AS all_count");
    for (column, condition) in [
        ("failed", View::Failed.condition()),
        ("never_proven", View::NeverProven.condition()),
        ("out_of_date", View::OutOfDate.condition()),
        ("partial", View::Partial.condition()),
        ("unknown", Some(condition::UNKNOWN)),
        ("proof_holds", Some(condition::PROVEN)),
        ("not_encrypted", View::NotEncrypted.condition()),
        ("silent", View::Silent.condition()),
        ("lose_all", View::LoseAll.condition()),
        ("at_risk", View::AtRisk.condition()),
        ("cannot_say", View::CannotSay.condition()),
        ("restorable", View::Restorable.condition()),
    ] {
        sql.push(", CAST(coalesce(sum(CASE WHEN ");
        values.write(&mut sql, condition.unwrap_or("1 = 1"));
        sql.push(" THEN 1 ELSE 0 END), 0) AS BIGINT) AS ").push(column);
    }
    sql.push(" FROM ").push(one_pass(conn)).push(" WHERE ");
    Filter::default().write(&mut sql, reach, now);
    let sums: Sums = sql.into_query().get_result(conn)?;
    Ok(Counts {
        all: sums.all_count,
        failed: sums.failed,
        never_proven: sums.never_proven,
        out_of_date: sums.out_of_date,
        partial: sums.partial,
        unknown: sums.unknown,
        proof_holds: sums.proof_holds,
        not_encrypted: sums.not_encrypted,
        silent: sums.silent,
        lose_all: sums.lose_all,
        at_risk: sums.at_risk,
        cannot_say: sums.cannot_say,
        restorable: sums.restorable,
    })
}

/// How many enrolled devices have a proof that holds, of data at least as new as each of `cuts` (newest first)
/// and older than the one before it.
pub fn ages(conn: &mut Conn, reach: &Reach, cuts: &[Time], now: Time) -> QueryResult<Vec<i64>> {
    let mut counts = Vec::with_capacity(cuts.len());
    let mut below = i64::MAX;
    for cut in cuts {
        let mut sql = Sql::new(conn.is_postgres());
        sql.push("SELECT count(*) AS value FROM device_listings l WHERE ");
        Filter::default().write(&mut sql, reach, now);
        sql.push(" AND ");
        Values::at(now).write(&mut sql, condition::PROVEN);
        sql.push(" AND l.proven_at >= ").bind_int(cut.millis());
        sql.push(" AND l.proven_at < ").bind_int(below);
        let row: Value = sql.into_query().get_result(conn)?;
        counts.push(row.value);
        below = cut.millis();
    }
    Ok(counts)
}
