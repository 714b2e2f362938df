//! The ids of signed requests, kept until they expire: a request is accepted once.
use crate::store::Conn;
use crate::store::schema::request_ids;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::DeviceId;
use domain::time::Time;

/// Records a request's id; false if it was already recorded.
pub fn take(conn: &mut Conn, device: DeviceId, jti: &str, expires_at: Time) -> QueryResult<bool> {
    let taken = diesel::insert_into(request_ids::table)
        .values((request_ids::device_id.eq(device), request_ids::jti.eq(jti), request_ids::expires_at.eq(expires_at)))
        .on_conflict_sql("(device_id, jti) DO NOTHING")
        .execute(conn)?;
    Ok(taken == 1)
}

/// Forgets ids that expired before `before`; returns how many.
pub fn prune(conn: &mut Conn, before: Time) -> QueryResult<usize> {
    diesel::delete(request_ids::table.filter(request_ids::expires_at.lt(before))).execute(conn)
}
