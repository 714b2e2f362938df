//! How devices enrolled: one row for each enrolment, the current one without an end.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::device::Device;
use crate::store::schema::{devices, enrollments};
use diesel::prelude::*;
use domain::channel::Channel;
use domain::command::CommandKind;
use domain::device::DeviceState;
use domain::id::{DeviceId, EnrollmentTokenId};
use domain::time::Time;

/// One enrolment of a device.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = enrollments, treat_none_as_default_value = false)]
pub struct Enrollment {
    pub device_id: DeviceId,
    pub generation: i64,
    /// The name of its [`Channel`].
    pub channel: String,
    /// What tells the device apart on its channel; for our agent its Ed25519 public key, base64url.
    pub identity: String,
    /// A JSON list of the kinds of orders that reach it.
    pub carries: String,
    pub token_id: EnrollmentTokenId,
    pub enrolled_at: Time,
    /// When another enrolment took its place, or the device was removed or erased.
    pub ended_at: Option<Time>,
    /// Why some orders do not reach it, as its channel says it: a JSON object of kinds and words.
    pub cannot: String,
}

impl Enrollment {
    /// How the device is reached.
    pub fn channel(&self) -> QueryResult<Channel> {
        let carries: Vec<CommandKind> = from_json(&self.carries)?;
        Ok(Channel { name: self.channel.clone(), carries, cannot: from_json(&self.cannot)? })
    }
}

/// An enrolment of a device.
pub fn find(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<Option<Enrollment>> {
    enrollments::table.find((device, generation)).select(Enrollment::as_select()).first(conn).optional()
}

/// The enrolled device that has this identity on a channel, with its enrolment.
pub fn holder(conn: &mut Conn, channel: &str, identity: &str) -> QueryResult<Option<(Device, Enrollment)>> {
    devices::table
        .inner_join(enrollments::table.on(enrollments::device_id.eq(devices::id)))
        .filter(enrollments::channel.eq(channel).and(enrollments::identity.eq(identity)))
        .filter(enrollments::ended_at.is_null().and(devices::state.eq(DeviceState::Enrolled)))
        .select((Device::as_select(), Enrollment::as_select()))
        .first(conn)
        .optional()
}

/// Adds an enrolment.
pub fn insert(conn: &mut Conn, enrollment: &Enrollment) -> QueryResult<()> {
    diesel::insert_into(enrollments::table).values(enrollment).execute(conn).map(drop)
}

/// Records which orders reach a device in an enrolment, and why some do not.
pub fn set_carries(
    conn: &mut Conn,
    device: DeviceId,
    generation: i64,
    (carries, cannot): (&str, &str),
) -> QueryResult<()> {
    diesel::update(enrollments::table.find((device, generation)))
        .set((enrollments::carries.eq(carries), enrollments::cannot.eq(cannot)))
        .execute(conn)
        .map(drop)
}

/// Ends the current enrolment of a device.
pub fn end(conn: &mut Conn, device: DeviceId, now: Time) -> QueryResult<()> {
    diesel::update(enrollments::table)
        .filter(enrollments::device_id.eq(device).and(enrollments::ended_at.is_null()))
        .set(enrollments::ended_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}
