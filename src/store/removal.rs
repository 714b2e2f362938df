//! Removals of devices that are on hold.
use crate::store::Conn;
use crate::store::schema::device_removals;
use diesel::prelude::*;
use domain::id::DeviceId;
use domain::time::Time;

/// A removal that anyone who sees the device may stop until it is due.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = device_removals)]
pub struct Removal {
    pub device_id: DeviceId,
    /// Of the enrolment that was to be removed.
    pub generation: i64,
    /// A user's id.
    pub requested_by: String,
    pub requested_name: String,
    pub requested_at: Time,
    pub due_at: Time,
}

/// The removal of a device that is on hold.
pub fn find(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<Removal>> {
    device_removals::table.find(device).select(Removal::as_select()).first(conn).optional()
}

/// Adds a removal.
pub fn insert(conn: &mut Conn, removal: &Removal) -> QueryResult<()> {
    diesel::insert_into(device_removals::table).values(removal).execute(conn).map(drop)
}

/// Takes a removal off hold; false if there is none.
pub fn delete(conn: &mut Conn, device: DeviceId) -> QueryResult<bool> {
    Ok(diesel::delete(device_removals::table.find(device)).execute(conn)? == 1)
}

/// Every removal that is on hold.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<Removal>> {
    device_removals::table.order(device_removals::device_id).select(Removal::as_select()).load(conn)
}

/// Moves the end of a hold.
pub fn put_off(conn: &mut Conn, device: DeviceId, due_at: Time) -> QueryResult<()> {
    let which = device_removals::table.find(device);
    diesel::update(which).set(device_removals::due_at.eq(due_at)).execute(conn).map(drop)
}

/// Removals whose hold is over, oldest first.
pub fn due(conn: &mut Conn, now: Time, limit: i64) -> QueryResult<Vec<Removal>> {
    device_removals::table
        .filter(device_removals::due_at.le(now))
        .order((device_removals::due_at, device_removals::device_id))
        .limit(limit)
        .select(Removal::as_select())
        .load(conn)
}
