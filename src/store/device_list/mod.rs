//! The list of devices: filters, sort orders, pages and counts.
//!
//! Filtering and sorting read only `device_listings`, one narrow row per device maintained by triggers; the
//! devices of one page are then read completely. Neither a grade nor a loss is stored: they are computed from
//! the evidence and `now`, here in SQL as in [`Evidence::grade`](domain::proof::Evidence::grade) and
//! [`loss`](domain::loss::loss); `tests/it/loss.rs` checks that the two agree.
mod among;
mod filter;
mod row;
mod sort;
mod sql;

pub use among::{Among, Scores};
pub use filter::{Filter, View, silent_cut};
pub use row::{ListedDevice, Named, Status, of_ids};
pub use sort::{Cursor, Key, Sort};

use crate::store::Conn;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::id::DeviceId;
use domain::role::Reach;
use domain::time::Time;
use sql::Sql;

/// Which part of the list is asked for.
#[derive(Debug, Clone)]
pub struct Query {
    pub filter: Filter,
    /// The devices the reader may see.
    pub reach: Reach,
    pub sort: Sort,
    pub is_descending: bool,
    pub from: From,
    pub limit: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Start,
    /// The page after this row.
    After(Cursor),
    /// The page before this row.
    Before(Cursor),
}

/// One page of the list.
#[derive(Debug, Clone)]
pub struct Page {
    pub devices: Vec<ListedDevice>,
    /// Where the previous page ends; none on the first.
    pub before: Option<Cursor>,
    /// Where the next page begins; none on the last.
    pub after: Option<Cursor>,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    device_id: DeviceId,
    #[diesel(sql_type = Text)]
    text: String,
    #[diesel(sql_type = BigInt)]
    major: i64,
    #[diesel(sql_type = BigInt)]
    minor: i64,
}

/// One page of the devices that match.
pub fn page(conn: &mut Conn, query: &Query, now: Time) -> QueryResult<Page> {
    let mut found: Vec<Found> = statement(conn, query, now).load(conn)?;
    let has_more = found.len() > query.limit;
    found.truncate(query.limit);
    let backwards = matches!(query.from, From::Before(_));
    if backwards {
        found.reverse();
    }
    let cursor = |it: Option<&Found>| it.map(|it| query.sort.cursor(it.device_id, &it.text, (it.major, it.minor)));
    let (first, last) = (cursor(found.first()), cursor(found.last()));
    let (has_before, has_after) = match query.from {
        From::Start => (false, has_more),
        From::After(_) => (true, has_more),
        From::Before(_) => (has_more, true),
    };
    let ids: Vec<DeviceId> = found.iter().map(|it| it.device_id).collect();
    Ok(Page { devices: of_ids(conn, &ids)?, before: first.filter(|_| has_before), after: last.filter(|_| has_after) })
}

/// The ids of the devices that match, at most `limit`, in the list's order.
pub fn ids(conn: &mut Conn, query: &Query, now: Time) -> QueryResult<Vec<DeviceId>> {
    let found: Vec<Found> = statement(conn, query, now).load(conn)?;
    Ok(found.into_iter().map(|it| it.device_id).take(query.limit).collect())
}

/// How many devices of the list come before this page.
pub fn position(conn: &mut Conn, query: &Query, page: &Page, now: Time) -> QueryResult<i64> {
    let Some(first) = &page.before else { return Ok(0) };
    let mut sql = Sql::new(conn.is_postgres());
    let values = query.filter.values(now);
    write_from(&mut sql, query, |sql| {
        sql.push("SELECT count(*) AS value");
    });
    query.filter.write(&mut sql, &query.reach, now);
    query.sort.write_beyond(&mut sql, &values, first, !query.is_descending);
    let row: Value = sql.into_query().get_result(conn)?;
    Ok(row.value)
}

fn statement(conn: &Conn, query: &Query, now: Time) -> sql::Boxed {
    let mut sql = Sql::new(conn.is_postgres());
    let values = query.filter.values(now);
    write_from(&mut sql, query, |sql| {
        sql.push("SELECT l.device_id");
        query.sort.write_columns(sql, &values);
    });
    query.filter.write(&mut sql, &query.reach, now);
    let backwards = matches!(query.from, From::Before(_));
    let descending = query.is_descending != backwards;
    if let From::After(cursor) | From::Before(cursor) = &query.from {
        query.sort.write_beyond(&mut sql, &values, cursor, descending);
    }
    query.sort.write_order(&mut sql, &values, descending);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    sql.push(" LIMIT ").bind_int(limit);
    sql.into_query()
}

/// Writes what is selected, and the tables the order needs.
fn write_from(sql: &mut Sql, query: &Query, select: impl FnOnce(&mut Sql)) {
    // With a filter that few devices pass, a walk along the order's index would look at every row in random
    // order; one pass over the narrow table and a sort is ten times faster.
    let in_order = query.filter.is_broad() && query.sort.has_index();
    if query.sort == Sort::Failing {
        query.filter.scores.write(sql);
    }
    select(sql);
    let tables = match (query.sort, sql.is_postgres, in_order) {
        (Sort::LastSeen, true, _) => "device_status s JOIN device_listings l ON l.device_id = s.device_id",
        (Sort::LastSeen, false, true) => "device_status s CROSS JOIN device_listings l ON l.device_id = s.device_id",
        (Sort::LastSeen, false, false) => {
            "device_listings l NOT INDEXED CROSS JOIN device_status s ON s.device_id = l.device_id"
        }
        (_, false, false) => IN_ONE_PASS,
        (_, _, _) => "device_listings l",
    };
    sql.push(" FROM ").push(tables).push(match query.sort {
        Sort::IfWiped => " LEFT JOIN device_status s ON s.device_id = l.device_id",
        Sort::Failing => " LEFT JOIN f ON f.id = l.device_id",
        Sort::Worst
        | Sort::Name
        | Sort::Person
        | Sort::Encryption
        | Sort::ProvenAt
        | Sort::NewestBackup
        | Sort::LastSeen => "",
    });
    sql.push(" WHERE ");
}

/// How many devices match.
pub fn count(conn: &mut Conn, filter: &Filter, reach: &Reach, now: Time) -> QueryResult<i64> {
    let mut sql = Sql::new(conn.is_postgres());
    sql.push("SELECT count(*) AS value FROM ");
    sql.push(one_pass(conn)).push(" WHERE ");
    filter.write(&mut sql, reach, now);
    let row: Value = sql.into_query().get_result(conn)?;
    Ok(row.value)
}

/// SQLite: it would choose an index by the state, which almost every device shares, and look up row by row.
const IN_ONE_PASS: &str = "device_listings l NOT INDEXED";

fn one_pass(conn: &Conn) -> &'static str {
    if conn.is_postgres() { "device_listings l" } else { IN_ONE_PASS }
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = BigInt)]
    value: i64,
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
        ("unknown", Some(filter::UNKNOWN)),
        ("proof_holds", Some(filter::PROVEN)),
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
        filter::Values::at(now).write(&mut sql, filter::PROVEN);
        sql.push(" AND l.proven_at >= ").bind_int(cut.millis());
        sql.push(" AND l.proven_at < ").bind_int(below);
        let row: Value = sql.into_query().get_result(conn)?;
        counts.push(row.value);
        below = cut.millis();
    }
    Ok(counts)
}
