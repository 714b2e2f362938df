//! Restore points of all devices, with whose they are.
use crate::store::Conn;
use crate::store::restore_point::RestorePoint;
use crate::store::schema::{devices, restore_points};
use diesel::prelude::*;
use domain::id::RestorePointId;
use domain::role::Reach;
use domain::time::Time;

/// Which points are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    All,
    /// Its restore test holds now.
    Proven,
    /// Nothing holds that a whole restore showed, and nothing failed.
    Unproven,
    Failed,
}

/// A point with the name of its device.
pub type Listed = (RestorePoint, String);

/// The newest points that the server holds first, at most `limit`, older than `before`.
pub fn newest(
    conn: &mut Conn,
    (shown, now): (Shown, Time),
    reach: &Reach,
    before: Option<RestorePointId>,
    limit: i64,
) -> QueryResult<Vec<Listed>> {
    let mut query = restore_points::table
        .inner_join(devices::table.on(devices::id.eq(restore_points::device_id)))
        .filter(restore_points::stored_at.is_not_null().and(restore_points::trashed_by.is_null()))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query = match shown {
        Shown::All => query,
        Shown::Failed => query.filter(restore_points::failed_at.is_not_null()),
        Shown::Proven => query.filter(restore_points::failed_at.is_null().and(restore_points::proven_until.gt(now))),
        Shown::Unproven => query.filter(
            restore_points::failed_at
                .is_null()
                .and(restore_points::proven_until.is_null().or(restore_points::proven_until.le(now))),
        ),
    };
    if let Some(before) = before {
        query = query.filter(restore_points::id.lt(before));
    }
    // An id begins with the time at which it was received.
    query.order(restore_points::id.desc()).limit(limit).select((RestorePoint::as_select(), devices::name)).load(conn)
}
