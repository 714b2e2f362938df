//! The people behind requests and approvals: their names, and whether their word counts.
use crate::store::Conn;
use crate::store::schema::{one_time_links, users};
use diesel::prelude::*;
use domain::account::UserState;
use domain::consent::Account;
use domain::id::UserId;
use domain::time::Time;
use std::collections::HashMap;

/// The person behind a request or approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub account: Account,
    pub name: String,
    pub is_active: bool,
}

/// The parts of an account that decide whether its word counts.
pub fn find(conn: &mut Conn, id: UserId) -> QueryResult<Option<Person>> {
    type Row = (String, UserState, Option<UserId>, Time, Option<Time>);
    let row: Option<Row> = users::table
        .find(id)
        .select((users::name, users::state, users::created_by, users::created_at, users::founder_at))
        .first(conn)
        .optional()?;
    let Some((name, state, created_by, created_at, founder_at)) = row else { return Ok(None) };
    let last_link: Option<Option<Time>> = one_time_links::table
        .filter(one_time_links::user_id.eq(id).and(one_time_links::used_at.is_not_null()))
        .order(one_time_links::used_at.desc())
        .select(one_time_links::used_at)
        .first(conn)
        .optional()?;
    let in_use_since = last_link.flatten().map_or(created_at, |used| used.max(created_at));
    let account = Account { id, created_by, in_use_since, founder_at };
    Ok(Some(Person { account, name, is_active: state == UserState::Active }))
}

/// The names of people by their ids.
pub fn names(conn: &mut Conn, ids: &[UserId]) -> QueryResult<HashMap<UserId, String>> {
    let rows: Vec<(UserId, String)> =
        users::table.filter(users::id.eq_any(ids)).select((users::id, users::name)).load(conn)?;
    Ok(rows.into_iter().collect())
}
