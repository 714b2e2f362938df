//! Our account at Apple's device-enrolment service, and the devices that Apple says are assigned to us.
use crate::store::Conn;
use crate::store::schema::{apple_service, apple_service_devices};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::EnrollmentTokenId;
use domain::time::Time;

/// The account, and how far its list of devices was read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = apple_service, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct AppleService {
    /// DER, base64: to whose key Apple encrypts the token file.
    pub certificate: String,
    /// PKCS#8, encrypted, base64.
    pub sealed_key: String,
    pub made_at: Time,
    /// As it came; base64. None until somebody brought it.
    pub token_file: Option<String>,
    /// When what is in it ends; none until it was opened.
    pub token_until: Option<Time>,
    /// What Apple calls the organisation; empty until it was asked.
    pub organization: String,
    /// Of the definition of how devices enroll; none until it was sent.
    pub profile_uuid: Option<String>,
    /// Where the list goes on; none: at its beginning.
    pub sync_cursor: Option<String>,
    /// Since when the whole list is being read; none if only its changes are.
    pub listing_from: Option<Time>,
    /// When all was last read.
    pub synced_at: Option<Time>,
    /// When it is to be asked again.
    pub due_at: Time,
    /// Why the last time did not work.
    pub failure: Option<String>,
}

/// A device that Apple says is assigned to us.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_service_devices, treat_none_as_default_value = false)]
pub struct AppleServiceDevice {
    pub serial: String,
    pub model: String,
    pub description: String,
    /// When Apple last said so.
    pub said_at: Time,
    /// When Apple said that it is ours no more.
    pub removed_at: Option<Time>,
    /// With which it comes in; none until it was given to a team.
    pub token_id: Option<EnrollmentTokenId>,
    /// The definition that Apple says it gave the device.
    pub profile_uuid: Option<String>,
}

/// The account; none until its key was made.
pub fn find(conn: &mut Conn) -> QueryResult<Option<AppleService>> {
    apple_service::table.find(1).select(AppleService::as_select()).first(conn).optional()
}

/// Adds the account; false if there is one, which stays.
pub fn insert(conn: &mut Conn, service: &AppleService) -> QueryResult<bool> {
    let added = diesel::insert_into(apple_service::table)
        .values((apple_service::id.eq(1), service))
        .on_conflict_sql("(id) DO NOTHING")
        .execute(conn)?;
    Ok(added == 1)
}

/// Keeps what is known of the account.
pub fn set(conn: &mut Conn, service: &AppleService) -> QueryResult<()> {
    diesel::update(apple_service::table.find(1)).set(service).execute(conn).map(drop)
}

/// All devices, by serial number.
pub fn devices(conn: &mut Conn) -> QueryResult<Vec<AppleServiceDevice>> {
    apple_service_devices::table.order(apple_service_devices::serial).select(AppleServiceDevice::as_select()).load(conn)
}

/// A device by its serial number.
pub fn device(conn: &mut Conn, serial: &str) -> QueryResult<Option<AppleServiceDevice>> {
    apple_service_devices::table.find(serial).select(AppleServiceDevice::as_select()).first(conn).optional()
}

/// Keeps that Apple says a device is ours. What it was given to here stays; Apple may have taken its definition away.
pub fn keep(conn: &mut Conn, device: &AppleServiceDevice) -> QueryResult<()> {
    diesel::insert_into(apple_service_devices::table)
        .values(device)
        .on_conflict_sql(
            "(serial) DO UPDATE SET model = excluded.model, description = excluded.description, \
             said_at = excluded.said_at, removed_at = NULL, profile_uuid = excluded.profile_uuid",
        )
        .execute(conn)
        .map(drop)
}

/// Keeps that Apple says a device is ours no more: it comes in with nothing, also if Apple gives it back.
pub fn remove(conn: &mut Conn, serial: &str, now: Time) -> QueryResult<()> {
    let gone = (
        apple_service_devices::removed_at.eq(Some(now)),
        apple_service_devices::token_id.eq(None::<EnrollmentTokenId>),
    );
    diesel::update(apple_service_devices::table.find(serial)).set(gone).execute(conn).map(drop)
}

/// The same of all that Apple did not name since `from`.
pub fn remove_unsaid(conn: &mut Conn, from: Time, now: Time) -> QueryResult<usize> {
    let unsaid = apple_service_devices::said_at.lt(from).and(apple_service_devices::removed_at.is_null());
    let gone = (
        apple_service_devices::removed_at.eq(Some(now)),
        apple_service_devices::token_id.eq(None::<EnrollmentTokenId>),
    );
    diesel::update(apple_service_devices::table.filter(unsaid)).set(gone).execute(conn)
}

/// Gives a device to whom a token is for; false if there is none that is ours.
pub fn give(conn: &mut Conn, serial: &str, token: EnrollmentTokenId) -> QueryResult<bool> {
    let ours = apple_service_devices::table.find(serial).filter(apple_service_devices::removed_at.is_null());
    let changed = diesel::update(ours).set(apple_service_devices::token_id.eq(Some(token))).execute(conn)?;
    Ok(changed == 1)
}

/// Devices that were given to somebody here, and that do not have this definition at Apple yet; at most `limit`.
pub fn without_profile(conn: &mut Conn, profile: &str, limit: i64) -> QueryResult<Vec<String>> {
    let other = apple_service_devices::profile_uuid.is_null().or(apple_service_devices::profile_uuid.ne(profile));
    apple_service_devices::table
        .filter(apple_service_devices::removed_at.is_null().and(apple_service_devices::token_id.is_not_null()))
        .filter(other)
        .order(apple_service_devices::serial)
        .limit(limit)
        .select(apple_service_devices::serial)
        .load(conn)
}

/// Keeps that Apple gave devices a definition.
pub fn set_profile(conn: &mut Conn, serials: &[String], profile: &str) -> QueryResult<()> {
    diesel::update(apple_service_devices::table.filter(apple_service_devices::serial.eq_any(serials.to_vec())))
        .set(apple_service_devices::profile_uuid.eq(Some(profile)))
        .execute(conn)
        .map(drop)
}
