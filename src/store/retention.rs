//! What is kept of every device, each time it was changed.
use crate::store::Conn;
use crate::store::schema::retention_changes;
use diesel::prelude::*;
use domain::id::{RetentionChangeId, UserId};
use domain::retention::ChangeState;
use domain::time::Time;

/// A change of what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = retention_changes, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Change {
    pub id: RetentionChangeId,
    /// What was kept when it was asked for; see [`Keep::read`](domain::retention::Keep::read).
    pub before: String,
    pub rule: String,
    pub state: ChangeState,
    pub reason: String,
    pub requested_by: UserId,
    pub requested_at: Time,
    pub approved_by: Option<UserId>,
    pub approved_at: Option<Time>,
    /// From when it counts, once it was agreed.
    pub in_force_at: Option<Time>,
    pub expires_at: Time,
}

/// A change by its id.
pub fn find(conn: &mut Conn, id: RetentionChangeId) -> QueryResult<Option<Change>> {
    retention_changes::table.find(id).select(Change::as_select()).first(conn).optional()
}

/// The change that took effect last; none if nothing was ever changed.
pub fn in_force(conn: &mut Conn) -> QueryResult<Option<Change>> {
    retention_changes::table
        .filter(retention_changes::state.eq(ChangeState::InForce))
        .order((retention_changes::in_force_at.desc(), retention_changes::id.desc()))
        .select(Change::as_select())
        .first(conn)
        .optional()
}

/// Changes that two people agreed to and that wait for their time, soonest first.
pub fn agreed(conn: &mut Conn) -> QueryResult<Vec<Change>> {
    retention_changes::table
        .filter(retention_changes::state.eq(ChangeState::Agreed))
        .order((retention_changes::in_force_at, retention_changes::id))
        .select(Change::as_select())
        .load(conn)
}

/// Changes that wait for a second person, oldest first.
pub fn requested(conn: &mut Conn) -> QueryResult<Vec<Change>> {
    retention_changes::table
        .filter(retention_changes::state.eq(ChangeState::Requested))
        .order(retention_changes::id)
        .select(Change::as_select())
        .load(conn)
}

/// Adds a change.
pub fn insert(conn: &mut Conn, change: &Change) -> QueryResult<()> {
    diesel::insert_into(retention_changes::table).values(change).execute(conn).map(drop)
}

/// Rewrites a change if it is still in the state `from`; false if something came in between.
pub fn update(conn: &mut Conn, change: &Change, from: ChangeState) -> QueryResult<bool> {
    let which = retention_changes::table.find(change.id).filter(retention_changes::state.eq(from));
    Ok(diesel::update(which).set(change).execute(conn)? == 1)
}
