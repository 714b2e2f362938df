//! What a lost device's page asks of the database.
use crate::store::Conn;
use crate::store::command::Command;
use crate::store::restore::Restore;
use crate::store::schema::{commands, devices, restores, wipe_requests};
use crate::store::wipe::WipeRequest;
use diesel::prelude::*;
use domain::command::CommandKind;
use domain::id::DeviceId;

/// The newest command of any of these kinds for an enrolment.
pub fn newest_command(
    conn: &mut Conn,
    (device, generation): (DeviceId, i64),
    kinds: &[CommandKind],
) -> QueryResult<Option<Command>> {
    commands::table
        .filter(commands::device_id.eq(device).and(commands::generation.eq(generation)))
        .filter(commands::kind.eq_any(kinds.to_vec()))
        .order((commands::created_at.desc(), commands::id.desc()))
        .select(Command::as_select())
        .first(conn)
        .optional()
}

/// The newest wipe request of a device.
pub fn newest_wipe(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<WipeRequest>> {
    wipe_requests::table
        .filter(wipe_requests::device_id.eq(device))
        .order(wipe_requests::id.desc())
        .select(WipeRequest::as_select())
        .first(conn)
        .optional()
}

/// The newest restore of a device's data to another device, and that device's name.
pub fn newest_replacement(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<(Restore, String)>> {
    restores::table
        .inner_join(devices::table.on(devices::id.eq(restores::target_device_id)))
        .filter(restores::device_id.eq(device).and(restores::target_device_id.ne(device)))
        .order(restores::id.desc())
        .select((Restore::as_select(), devices::name))
        .first(conn)
        .optional()
}
