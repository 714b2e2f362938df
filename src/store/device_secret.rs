//! Secrets of devices that the server keeps for people, encrypted, with those they replaced.
use crate::store::Conn;
use crate::store::schema::device_secrets;
use diesel::prelude::*;
use domain::device_secret::SecretKind;
use domain::id::{CommandId, DeviceId, DeviceSecretId};
use domain::time::Time;

/// A secret of a device.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = device_secrets, treat_none_as_default_value = false)]
pub struct DeviceSecret {
    pub id: DeviceSecretId,
    pub device_id: DeviceId,
    pub kind: SecretKind,
    /// Encrypted, base64.
    pub sealed: String,
    /// The enrolment that it came from or was made for: it is sent to no other.
    pub generation: i64,
    /// What the secret hashes to, hex: the same from two devices is one that was taken from the other.
    pub fingerprint: String,
    pub made_at: Time,
    /// The command that carries it to the device, if it was made here.
    pub command_id: Option<CommandId>,
    /// When the device said that it has it.
    pub confirmed_at: Option<Time>,
    /// When the device answered with an error after it was sent: nobody knows whether it is in force.
    pub doubted_at: Option<Time>,
    /// When another took its place.
    pub ended_at: Option<Time>,
    pub revealed_at: Option<Time>,
}

/// One by its id.
pub fn find(conn: &mut Conn, id: DeviceSecretId) -> QueryResult<Option<DeviceSecret>> {
    device_secrets::table.find(id).select(DeviceSecret::as_select()).first(conn).optional()
}

/// All of a device, newest first.
pub fn of_device(conn: &mut Conn, device: DeviceId) -> QueryResult<Vec<DeviceSecret>> {
    device_secrets::table
        .filter(device_secrets::device_id.eq(device))
        .order((device_secrets::made_at.desc(), device_secrets::id.desc()))
        .select(DeviceSecret::as_select())
        .load(conn)
}

/// The one of a kind that a device has in this enrolment, as far as is known.
pub fn current(
    conn: &mut Conn,
    (device, generation): (DeviceId, i64),
    kind: SecretKind,
) -> QueryResult<Option<DeviceSecret>> {
    device_secrets::table
        .filter(device_secrets::device_id.eq(device).and(device_secrets::generation.eq(generation)))
        .filter(device_secrets::kind.eq(kind))
        .filter(device_secrets::confirmed_at.is_not_null().and(device_secrets::ended_at.is_null()))
        .order((device_secrets::made_at.desc(), device_secrets::id.desc()))
        .select(DeviceSecret::as_select())
        .first(conn)
        .optional()
}

/// The one that a command carries.
pub fn of_command(conn: &mut Conn, command: CommandId) -> QueryResult<Option<DeviceSecret>> {
    device_secrets::table
        .filter(device_secrets::command_id.eq(command))
        .select(DeviceSecret::as_select())
        .first(conn)
        .optional()
}

/// Adds one.
pub fn insert(conn: &mut Conn, secret: &DeviceSecret) -> QueryResult<()> {
    diesel::insert_into(device_secrets::table).values(secret).execute(conn).map(drop)
}

/// Ends those of a kind that the device had until now.
pub fn end_current(conn: &mut Conn, device: DeviceId, kind: SecretKind, now: Time) -> QueryResult<()> {
    let current = device_secrets::device_id.eq(device).and(device_secrets::kind.eq(kind));
    diesel::update(device_secrets::table.filter(current))
        .filter(device_secrets::confirmed_at.is_not_null().and(device_secrets::ended_at.is_null()))
        .set(device_secrets::ended_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}

/// The device said that it has it.
pub fn confirm(conn: &mut Conn, id: DeviceSecretId, now: Time) -> QueryResult<()> {
    diesel::update(device_secrets::table.find(id))
        .set(device_secrets::confirmed_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}

/// The device answered with an error: nobody knows whether it has it.
pub fn doubt(conn: &mut Conn, id: DeviceSecretId, now: Time) -> QueryResult<()> {
    diesel::update(device_secrets::table.find(id)).set(device_secrets::doubted_at.eq(Some(now))).execute(conn).map(drop)
}

/// Whether another device brought the same secret.
pub fn is_of_another(conn: &mut Conn, device: DeviceId, fingerprint: &str) -> QueryResult<bool> {
    let same = device_secrets::table
        .filter(device_secrets::fingerprint.eq(fingerprint).and(device_secrets::device_id.ne(device)));
    diesel::select(diesel::dsl::exists(same)).get_result(conn)
}

/// Somebody read it.
pub fn set_revealed(conn: &mut Conn, id: DeviceSecretId, now: Time) -> QueryResult<()> {
    diesel::update(device_secrets::table.find(id))
        .set(device_secrets::revealed_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}
