//! Which Apple devices are to be woken.
use crate::store::Conn;
use crate::store::schema::{apple_enrollments, commands, device_status, devices};
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::command::CommandState;
use domain::device::DeviceState;
use domain::id::{AppleEnrollmentId, DeviceId};
use domain::time::Time;

/// A device, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Due {
    pub id: AppleEnrollmentId,
    pub topic: String,
    /// Hex.
    pub token: String,
    pub magic: String,
    /// How often it was woken since it last came.
    pub tries: i64,
}

/// The devices for which something waits or was changed, or that were to be heard from, longest overdue first; at most `limit`.
pub fn due(conn: &mut Conn, now: Time, limit: i64) -> QueryResult<Vec<Due>> {
    let is_open = commands::state.eq(CommandState::Queued).or(commands::state.eq(CommandState::Delivered));
    let waiting = commands::table
        .filter(commands::device_id.eq(devices::id).and(commands::generation.eq(devices::generation)))
        .filter(is_open)
        .filter(commands::expires_at.gt(now));
    let is_silent = device_status::next_check_in_at.is_null().or(device_status::next_check_in_at.le(now));
    apple_enrollments::table
        .inner_join(devices::table.on(apple_enrollments::device_id.eq(devices::id.nullable())))
        .inner_join(device_status::table.on(device_status::device_id.eq(devices::id)))
        .filter(apple_enrollments::generation.eq(devices::generation.nullable()))
        .filter(apple_enrollments::ended_at.is_null().and(devices::state.eq(DeviceState::Enrolled)))
        .filter(apple_enrollments::push_due_at.le(now))
        .filter(apple_enrollments::push_token.is_not_null().and(apple_enrollments::push_magic.is_not_null()))
        .filter(is_silent.or(exists(waiting)).or(apple_enrollments::settings_due_at.is_not_null()))
        .order((apple_enrollments::push_due_at, apple_enrollments::id))
        .limit(limit)
        .select((
            apple_enrollments::id,
            apple_enrollments::topic,
            apple_enrollments::push_token.assume_not_null(),
            apple_enrollments::push_magic.assume_not_null(),
            apple_enrollments::push_tries,
        ))
        .load(conn)
}

/// A device that came when it was last woken may be woken at once: something new waits for it.
pub fn hurry(conn: &mut Conn, device: DeviceId, now: Time) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.filter(apple_enrollments::device_id.eq(device)))
        .filter(apple_enrollments::ended_at.is_null().and(apple_enrollments::push_tries.eq(0)))
        .set(apple_enrollments::push_due_at.eq(now))
        .execute(conn)
        .map(drop)
}

/// When a device may be woken again, and how often it was since it last came.
pub fn again(conn: &mut Conn, id: AppleEnrollmentId, at: Time, tries: i64) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id))
        .set((apple_enrollments::push_due_at.eq(at), apple_enrollments::push_tries.eq(tries)))
        .execute(conn)
        .map(drop)
}

/// A device came, and is told what was changed.
pub fn came(conn: &mut Conn, id: AppleEnrollmentId, again_at: Time) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id))
        .set((
            apple_enrollments::push_due_at.eq(again_at),
            apple_enrollments::push_tries.eq(0),
            apple_enrollments::settings_due_at.eq(None::<Time>),
        ))
        .execute(conn)
        .map(drop)
}
