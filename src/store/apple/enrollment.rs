//! What Apple's channel adds to an enrolment: which profile it came with, and where the device is reached.
use crate::store::Conn;
use crate::store::schema::{apple_enrollments, devices, enrollments};
use diesel::prelude::*;
use domain::channel::Channel;
use domain::device::DeviceState;
use domain::id::{AppleEnrollmentId, DeviceId, EnrollmentTokenId};
use domain::time::Time;

/// One enrolment, from the profile that was handed out to its end.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_enrollments, treat_none_as_default_value = false)]
pub struct AppleEnrollment {
    pub id: AppleEnrollmentId,
    pub token_id: EnrollmentTokenId,
    /// Of the push certificate that its profile names.
    pub topic: String,
    /// Bits of Apple's `AccessRights`.
    pub rights: i64,
    pub made_at: Time,
    /// How the device names itself on this channel; none until it first speaks. It stays the same.
    pub name: Option<String>,
    /// What it said of itself then, JSON.
    pub said: Option<String>,
    /// None until it can be reached.
    pub device_id: Option<DeviceId>,
    pub generation: Option<i64>,
    /// Hex.
    pub push_token: Option<String>,
    pub push_magic: Option<String>,
    /// What removes its passcode; encrypted, base64.
    pub unlock_token: Option<String>,
    /// Of a Mac; encrypted, base64.
    pub bootstrap_token: Option<String>,
    /// When it may be woken again, and how often it was woken since it last came.
    pub push_due_at: Time,
    pub push_tries: i64,
    /// When the device said that it is managed no more, or another enrolment took its place.
    pub ended_at: Option<Time>,
    /// The Managed Apple Account of the person whose device it is: a User Enrolment.
    pub account: Option<String>,
    /// The only device that may come with its profile.
    pub only_serial: Option<String>,
}

impl AppleEnrollment {
    /// Whether its device is its person's, enrolled with their Managed Apple Account: it does not even say which one it is.
    pub const fn is_by_account(&self) -> bool {
        self.account.is_some()
    }
}

/// An enrolment by its id.
pub fn find(conn: &mut Conn, id: AppleEnrollmentId) -> QueryResult<Option<AppleEnrollment>> {
    apple_enrollments::table.find(id).select(AppleEnrollment::as_select()).first(conn).optional()
}

/// That of a device's enrolment; none if it came through another channel.
pub fn of_device(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<Option<AppleEnrollment>> {
    apple_enrollments::table
        .filter(apple_enrollments::device_id.eq(device).and(apple_enrollments::generation.eq(generation)))
        .select(AppleEnrollment::as_select())
        .first(conn)
        .optional()
}

/// The enrolled device that names itself like this.
pub fn named(conn: &mut Conn, name: &str) -> QueryResult<Option<(DeviceId, i64)>> {
    apple_enrollments::table
        .inner_join(devices::table.on(apple_enrollments::device_id.eq(devices::id.nullable())))
        .filter(apple_enrollments::name.eq(name))
        .filter(devices::state.eq(DeviceState::Enrolled))
        .filter(apple_enrollments::generation.eq(devices::generation.nullable()))
        .select((devices::id, devices::generation))
        .first(conn)
        .optional()
}

/// How many profiles were handed out for a token that no device came with.
pub fn unused(conn: &mut Conn, token: EnrollmentTokenId) -> QueryResult<i64> {
    apple_enrollments::table
        .filter(apple_enrollments::token_id.eq(token).and(apple_enrollments::device_id.is_null()))
        .filter(apple_enrollments::ended_at.is_null())
        .count()
        .get_result(conn)
}

/// Ends those that no device came with and that were made before `before`.
pub fn end_unused(conn: &mut Conn, before: Time, now: Time) -> QueryResult<usize> {
    let unused = apple_enrollments::device_id.is_null().and(apple_enrollments::ended_at.is_null());
    diesel::update(apple_enrollments::table.filter(unused).filter(apple_enrollments::made_at.lt(before)))
        .set(apple_enrollments::ended_at.eq(Some(now)))
        .execute(conn)
}

/// Adds one.
pub fn insert(conn: &mut Conn, enrollment: &AppleEnrollment) -> QueryResult<()> {
    diesel::insert_into(apple_enrollments::table).values(enrollment).execute(conn).map(drop)
}

/// Keeps what a device says of itself when it first speaks; false if another machine spoke first.
pub fn introduce(conn: &mut Conn, id: AppleEnrollmentId, name: &str, said: &str) -> QueryResult<bool> {
    let unnamed = apple_enrollments::name.is_null().or(apple_enrollments::name.eq(name));
    let changed = diesel::update(apple_enrollments::table.find(id).filter(unnamed))
        .set((apple_enrollments::name.eq(Some(name)), apple_enrollments::said.eq(Some(said))))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Joins an enrolment to the device it made.
pub fn join(conn: &mut Conn, id: AppleEnrollmentId, device: DeviceId, generation: i64) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id))
        .set((apple_enrollments::device_id.eq(Some(device)), apple_enrollments::generation.eq(Some(generation))))
        .execute(conn)
        .map(drop)
}

/// Where a device is reached.
#[derive(Debug, Clone, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = apple_enrollments)]
pub struct Reached {
    pub push_token: String,
    pub push_magic: String,
    /// None: what was there stays.
    pub unlock_token: Option<String>,
}

/// Records where a device is reached.
pub fn set_reached(conn: &mut Conn, id: AppleEnrollmentId, reached: &Reached) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id)).set(reached).execute(conn).map(drop)
}

/// Forgets where a device is reached: it is not reached there any more.
pub fn forget_push(conn: &mut Conn, id: AppleEnrollmentId, push_token: &str) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id).filter(apple_enrollments::push_token.eq(push_token)))
        .set(apple_enrollments::push_token.eq(None::<String>))
        .execute(conn)
        .map(drop)
}

/// Keeps what lets a Mac's users sign in after an update; none forgets it.
pub fn set_bootstrap_token(conn: &mut Conn, id: AppleEnrollmentId, sealed: Option<&str>) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id))
        .set(apple_enrollments::bootstrap_token.eq(sealed))
        .execute(conn)
        .map(drop)
}

/// Ends one.
pub fn end(conn: &mut Conn, id: AppleEnrollmentId, now: Time) -> QueryResult<()> {
    diesel::update(apple_enrollments::table.find(id).filter(apple_enrollments::ended_at.is_null()))
        .set((apple_enrollments::ended_at.eq(Some(now)), apple_enrollments::push_token.eq(None::<String>)))
        .execute(conn)
        .map(drop)
}

/// Whether the device's enrolment still is this one.
pub fn is_current(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<bool> {
    let current = enrollments::table
        .find((device, generation))
        .filter(enrollments::channel.eq(Channel::APPLE).and(enrollments::ended_at.is_null()));
    diesel::select(diesel::dsl::exists(current)).get_result(conn)
}
