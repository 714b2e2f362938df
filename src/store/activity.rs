//! The history of acts.
use crate::store::Conn;
use crate::store::schema::{activity, activity_head};
use diesel::prelude::*;
use domain::activity::{Action, ActorKind, Outcome, Via};
use domain::id::{ActivityId, DeviceId};
use domain::time::Time;

/// One entry, in columns for searching and as the canonical bytes for hashing.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = activity, treat_none_as_default_value = false)]
pub struct Activity {
    pub seq: i64,
    pub id: ActivityId,
    pub at: Time,
    pub actor_kind: ActorKind,
    pub actor_id: Option<String>,
    pub actor_name: String,
    pub via: Via,
    pub action: Action,
    pub device_id: Option<DeviceId>,
    pub object_kind: String,
    pub object_id: String,
    pub object_name: String,
    pub reason: String,
    pub result: Outcome,
    pub address: String,
    pub canonical: String,
}

/// Makes acts run one after the other: on PostgreSQL with the head's row lock; SQLite has one writer anyway.
pub fn lock(conn: &mut Conn) -> QueryResult<()> {
    if conn.is_postgres() {
        diesel::sql_query("SELECT seq FROM activity_head WHERE id = 1 FOR UPDATE").execute(conn)?;
    }
    Ok(())
}

/// Takes the next sequence number; it is given back if the transaction is undone.
pub fn next_seq(conn: &mut Conn) -> QueryResult<i64> {
    diesel::update(activity_head::table.find(1))
        .set(activity_head::seq.eq(activity_head::seq + 1))
        .returning(activity_head::seq)
        .get_result(conn)
}

/// The last sequence number taken.
pub fn newest_seq(conn: &mut Conn) -> QueryResult<i64> {
    activity_head::table.find(1).select(activity_head::seq).first(conn)
}

/// The number and the id of the newest entry.
pub fn newest(conn: &mut Conn) -> QueryResult<Option<(i64, ActivityId)>> {
    activity::table.order(activity::seq.desc()).select((activity::seq, activity::id)).first(conn).optional()
}

/// The id of the entry with this number.
pub fn id_at(conn: &mut Conn, seq: i64) -> QueryResult<Option<ActivityId>> {
    activity::table.find(seq).select(activity::id).first(conn).optional()
}

/// When the newest entry was written.
pub fn newest_at(conn: &mut Conn) -> QueryResult<Option<Time>> {
    activity::table.order(activity::seq.desc()).select(activity::at).first(conn).optional()
}

/// How many acts of these kinds somebody did after `since`.
pub fn count_by(conn: &mut Conn, actor_id: &str, actions: &[Action], since: Time) -> QueryResult<i64> {
    activity::table
        .filter(activity::action.eq_any(actions.to_vec()).and(activity::actor_id.eq(actor_id)))
        .filter(activity::at.gt(since))
        .count()
        .get_result(conn)
}

/// How often something was done after `since` and up to `until`: by one actor, and by all.
pub fn count_done(
    conn: &mut Conn,
    action: Action,
    actor: Option<&str>,
    since: Time,
    until: Time,
) -> QueryResult<(i64, i64)> {
    let done = || {
        activity::table
            .filter(activity::action.eq(action).and(activity::at.gt(since)).and(activity::at.le(until)))
            .count()
    };
    let by_actor = match actor {
        Some(id) => done().filter(activity::actor_id.eq(id)).get_result(conn)?,
        None => 0,
    };
    Ok((by_actor, done().get_result(conn)?))
}

/// When acts of these kinds were last done, at most `limit`, oldest first.
pub fn newest_of(conn: &mut Conn, actions: &[Action], limit: i64) -> QueryResult<Vec<(Action, Time)>> {
    let mut newest: Vec<_> = activity::table
        .filter(activity::action.eq_any(actions.to_vec()))
        .order(activity::seq.desc())
        .limit(limit)
        .select((activity::action, activity::at))
        .load(conn)?;
    newest.reverse();
    Ok(newest)
}

/// Appends an entry.
pub fn insert(conn: &mut Conn, entry: &Activity) -> QueryResult<()> {
    diesel::insert_into(activity::table).values(entry).execute(conn).map(drop)
}

/// The whole history, oldest first; for checking it.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<Activity>> {
    activity::table.order(activity::seq).select(Activity::as_select()).load(conn)
}

/// How many entries of one kind there are about a device since `since`.
pub fn count_since(conn: &mut Conn, device: DeviceId, action: Action, since: Time) -> QueryResult<i64> {
    activity::table
        .filter(activity::device_id.eq(device).and(activity::action.eq(action)).and(activity::at.gt(since)))
        .count()
        .get_result(conn)
}

/// The newest entries about a device, newest first.
pub fn of_device(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<Activity>> {
    activity::table
        .filter(activity::device_id.eq(device))
        .order(activity::seq.desc())
        .limit(limit)
        .select(Activity::as_select())
        .load(conn)
}
