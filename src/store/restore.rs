//! Restores: who gets whose data back, and the tickets that let them read it.
use crate::domain::id::{RepositoryId, RestoreId};
use crate::domain::restore::RestoreState;
use crate::domain::time::Time;
use crate::store::Conn;
use crate::store::schema::{restore_points, restores};
use diesel::prelude::*;

/// What a restore's ticket opens: one repository as it was when the restore point was received.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Ticket {
    pub restore_id: RestoreId,
    pub repository_id: RepositoryId,
    /// When the restore point was received; nothing later is in view.
    pub received_at: Time,
    pub expires_at: Time,
}

/// The ticket with this hash, of a restore that has not ended.
pub fn find_ticket(conn: &mut Conn, hash: &str) -> QueryResult<Option<Ticket>> {
    restores::table
        .inner_join(restore_points::table.on(restore_points::id.eq(restores::restore_point_id)))
        .filter(restores::ticket_hash.eq(hash))
        .filter(restores::state.eq_any([RestoreState::Queued, RestoreState::Running]))
        .select((restores::id, restores::repository_id, restore_points::received_at, restores::expires_at))
        .first(conn)
        .optional()
}
