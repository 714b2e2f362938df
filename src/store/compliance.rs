//! What policies are checked against, for many devices at once.
use crate::store::Conn;
use crate::store::device_proof::DeviceProof;
use crate::store::device_status::DeviceStatus;
use crate::store::schema::{device_proof, device_status, devices};
use diesel::prelude::*;
use domain::device::DeviceState;
use domain::id::{DeviceId, TeamId};
use domain::role::Reach;
use domain::time::Time;

/// The parts of an enrolled device that policies look at.
#[derive(Debug, Clone, Queryable)]
pub struct Measured {
    pub id: DeviceId,
    pub team_id: Option<TeamId>,
    pub enrolled_at: Time,
    pub status: Option<DeviceStatus>,
    pub proof: Option<DeviceProof>,
}

/// Which devices are looked at.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those within reach after an id, by id, at most this many.
    After(&'a Reach, Option<DeviceId>, i64),
    Ids(&'a [DeviceId]),
}

/// The enrolled devices among them.
pub fn measured(conn: &mut Conn, which: Which<'_>) -> QueryResult<Vec<Measured>> {
    let mut query = devices::table
        .left_join(device_status::table.on(device_status::device_id.eq(devices::id)))
        .left_join(device_proof::table.on(device_proof::device_id.eq(devices::id)))
        .filter(devices::state.eq(DeviceState::Enrolled))
        .into_boxed();
    match which {
        Which::Ids(ids) => query = query.filter(devices::id.eq_any(ids.to_vec())),
        Which::After(reach, after, limit) => {
            if let Reach::Teams(teams) = reach {
                query = query.filter(devices::team_id.eq_any(teams.clone()));
            }
            if let Some(after) = after {
                query = query.filter(devices::id.gt(after));
            }
            query = query.order(devices::id).limit(limit);
        }
    }
    query
        .select((
            devices::id,
            devices::team_id,
            devices::enrolled_at,
            Option::<DeviceStatus>::as_select(),
            Option::<DeviceProof>::as_select(),
        ))
        .load(conn)
}
