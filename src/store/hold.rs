//! What may not be removed.
use crate::store::Conn;
use crate::store::schema::{devices, held_devices, holds};
use crate::store::upsert::UpsertExt;
use diesel::dsl::count;
use diesel::prelude::*;
use domain::id::{DeviceId, HoldId, RestorePointId, UserId};
use domain::retention::{Held, HoldCause, HoldScope};
use domain::role::Reach;
use domain::time::Time;

/// A hold, and how it ended if it did.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = holds, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Hold {
    pub id: HoldId,
    pub scope: HoldScope,
    pub cause: HoldCause,
    /// Of a hold on a device or a point.
    pub device_id: Option<DeviceId>,
    /// Of a hold on everything of a person.
    pub person: Option<String>,
    pub point_id: Option<RestorePointId>,
    pub reason: String,
    /// None for a rule.
    pub made_by: Option<UserId>,
    pub made_name: String,
    pub made_at: Time,
    /// Somebody asked to lift it: why, who and when.
    pub lift_reason: Option<String>,
    pub lift_asked_by: Option<UserId>,
    pub lift_asked_at: Option<Time>,
    /// The second person, who lifted it.
    pub lifted_by: Option<UserId>,
    pub lifted_at: Option<Time>,
}

impl Hold {
    /// What it covers; none of a row that says nothing.
    pub fn held(&self) -> Option<Held> {
        match self.scope {
            HoldScope::Device => self.device_id.map(Held::Device),
            HoldScope::Person => self.person.clone().map(Held::Person),
            HoldScope::Point => self.point_id.map(Held::Point),
        }
    }
}

/// A hold by its id.
pub fn find(conn: &mut Conn, id: HoldId) -> QueryResult<Option<Hold>> {
    holds::table.find(id).select(Hold::as_select()).first(conn).optional()
}

/// Every hold that stands and may cover something of a device: its own, and those on people. Newest first.
pub fn standing(conn: &mut Conn, device: DeviceId) -> QueryResult<Vec<Hold>> {
    holds::table
        .filter(holds::lifted_at.is_null())
        .filter(holds::device_id.eq(device).or(holds::scope.eq(HoldScope::Person)))
        .order(holds::id.desc())
        .select(Hold::as_select())
        .load(conn)
}

/// Every hold that stands, newest first.
pub fn all_standing(conn: &mut Conn, limit: i64) -> QueryResult<Vec<Hold>> {
    holds::table
        .filter(holds::lifted_at.is_null())
        .order(holds::id.desc())
        .limit(limit)
        .select(Hold::as_select())
        .load(conn)
}

/// Adds a hold.
pub fn insert(conn: &mut Conn, hold: &Hold) -> QueryResult<()> {
    diesel::insert_into(holds::table).values(hold).execute(conn).map(drop)
}

/// Some of the holds that stand and that somebody asked to lift since then, oldest request first.
pub fn lifts_asked(conn: &mut Conn, since: Time, limit: i64) -> QueryResult<Vec<Hold>> {
    holds::table
        .filter(holds::lifted_at.is_null().and(holds::lift_asked_at.gt(since)))
        .order((holds::lift_asked_at, holds::id))
        .limit(limit)
        .select(Hold::as_select())
        .load(conn)
}

/// Of how many devices within reach a rule holds something.
pub fn unusual_count(conn: &mut Conn, reach: &Reach) -> QueryResult<i64> {
    let mut found = holds::table
        .inner_join(devices::table.on(devices::id.nullable().eq(holds::device_id)))
        .filter(holds::lifted_at.is_null().and(holds::cause.eq(HoldCause::Anomaly)))
        .select(count(devices::id).aggregate_distinct())
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        found = found.filter(devices::team_id.eq_any(teams.clone()));
    }
    found.first(conn)
}

/// Rewrites a hold that still stands; false if it was lifted.
pub fn update(conn: &mut Conn, hold: &Hold) -> QueryResult<bool> {
    let which = holds::table.find(hold.id).filter(holds::lifted_at.is_null());
    Ok(diesel::update(which).set(hold).execute(conn)? == 1)
}

/// The holds on people that covered a device when it was given to somebody else.
pub fn carried(conn: &mut Conn, device: DeviceId) -> QueryResult<Vec<HoldId>> {
    held_devices::table.filter(held_devices::device_id.eq(device)).select(held_devices::hold_id).load(conn)
}

/// Notes that a hold on a person covers a device whoever it is given to.
pub fn carry(conn: &mut Conn, hold: HoldId, device: DeviceId) -> QueryResult<()> {
    diesel::insert_into(held_devices::table)
        .values((held_devices::hold_id.eq(hold), held_devices::device_id.eq(device)))
        .on_conflict_sql("(hold_id, device_id) DO NOTHING")
        .execute(conn)
        .map(drop)
}
