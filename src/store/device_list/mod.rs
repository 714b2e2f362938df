//! The list of devices: filters, sort orders, pages and counts.
//!
//! Filtering and sorting read only `device_listings`, one narrow row per device maintained by triggers; the
//! devices of one page are then read completely. Neither a grade nor a loss is stored: they are computed from
//! the evidence and `now`, here in SQL as in [`Evidence::grade`](domain::proof::Evidence::grade) and
//! [`loss`](domain::loss::loss); `tests/it/loss.rs` checks that the two agree.
mod among;
mod condition;
mod counts;
mod filter;
mod row;
mod sort;
mod sql;
mod view;

pub use among::{Among, Scores};
pub use counts::{Counts, ages, counts};
pub use filter::{Filter, silent_cut};
pub use row::{ListedDevice, Named, Status, of_ids};
pub use sort::{Cursor, Key, Sort};
pub use view::View;

use crate::store::Conn;
use counts::{IN_ONE_PASS, Value, one_pass};
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
    // The page before a row is read backwards, away from it, and turned round afterwards.
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
    // SQLite reads the tables of a CROSS JOIN in the order in which they are written.
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
