//! What changes with each check-in of a device: one narrow row.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::device_status;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::continuity::{Continuity, Doubt};
use domain::device::{DeviceState, Encryption};
use domain::fact::{EncryptionNow, Facts};
use domain::id::DeviceId;
use domain::time::Time;

/// What a device last reported about itself, and when.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = device_status, treat_none_as_default_value = false)]
pub struct DeviceStatus {
    pub device_id: DeviceId,
    /// By the server's clock; none before the first check-in.
    pub last_seen_at: Option<Time>,
    pub next_check_in_at: Option<Time>,
    /// JSON; see [`DeviceStatus::facts`].
    pub facts: String,
    pub encryption: Encryption,
    pub changed_files: Option<i64>,
    pub changed_bytes: Option<i64>,
    pub changed_measured_at: Option<Time>,
    /// The count holds until then: two check-ins of the schedule the device was on when it counted.
    pub changed_until: Option<Time>,
    /// When the device will have missed two check-ins of its schedule, unless it checks in before.
    pub heard_until: Option<Time>,
    /// JSON: the protected folders that the device did not find, or found without their mark.
    pub roots_away: String,
    /// The policy version the device said it holds.
    pub policy_version: String,
    pub address: String,
    /// JSON; see [`DeviceStatus::continuity`].
    pub continuity: String,
    /// Grows with each check-in.
    pub continuity_version: i64,
    pub doubt: Doubt,
    pub doubt_since: Option<Time>,
}

/// What is known of a device's encryption by the columns of its row.
pub(super) fn encryption_now(
    facts: &str,
    said: Encryption,
    device: DeviceState,
    now: Time,
) -> QueryResult<EncryptionNow> {
    let facts: Facts = from_json(facts)?;
    Ok(EncryptionNow::of(said, facts.encryption().map(|(_, it)| it.measured_at), device, now))
}

impl DeviceStatus {
    /// The row of a device that has never checked in.
    pub fn new(device_id: DeviceId) -> Self {
        Self {
            device_id,
            last_seen_at: None,
            next_check_in_at: None,
            facts: "{}".to_owned(),
            encryption: Encryption::Unknown,
            changed_files: None,
            changed_bytes: None,
            changed_measured_at: None,
            changed_until: None,
            heard_until: None,
            roots_away: "[]".to_owned(),
            policy_version: String::new(),
            address: String::new(),
            continuity: "{}".to_owned(),
            continuity_version: 0,
            doubt: Doubt::None,
            doubt_since: None,
        }
    }

    /// Which machines have reported as the device in its enrolment.
    pub fn continuity(&self) -> QueryResult<Continuity> {
        from_json(&self.continuity)
    }

    /// What is known of the device by its own word.
    pub fn facts(&self) -> QueryResult<Facts> {
        from_json(&self.facts)
    }

    /// What is known of its encryption; `device` is where it stands.
    pub fn encryption_now(&self, device: DeviceState, now: Time) -> QueryResult<EncryptionNow> {
        encryption_now(&self.facts, self.encryption, device, now)
    }
}

/// The status of a device; there from enrolment on.
pub fn find(conn: &mut Conn, id: DeviceId) -> QueryResult<Option<DeviceStatus>> {
    device_status::table.find(id).select(DeviceStatus::as_select()).first(conn).optional()
}

macro_rules! write {
    () => {
        "(device_id) DO UPDATE SET last_seen_at = excluded.last_seen_at, \
         next_check_in_at = excluded.next_check_in_at, facts = excluded.facts, encryption = excluded.encryption, \
         changed_files = excluded.changed_files, \
         changed_bytes = excluded.changed_bytes, changed_measured_at = excluded.changed_measured_at, \
         changed_until = excluded.changed_until, heard_until = excluded.heard_until, \
         roots_away = excluded.roots_away, policy_version = excluded.policy_version, \
         address = excluded.address, continuity = excluded.continuity, \
         continuity_version = excluded.continuity_version, doubt = excluded.doubt, doubt_since = excluded.doubt_since"
    };
}

/// Writes the row of a device, whatever was there.
pub fn set(conn: &mut Conn, status: &DeviceStatus) -> QueryResult<()> {
    diesel::insert_into(device_status::table).values(status).on_conflict_sql(write!()).execute(conn).map(drop)
}

/// Writes the row after a check-in; false if another check-in of the device came in between, and then nothing
/// was written.
///
/// One statement that stays prepared, because each check-in runs it.
pub fn advance(conn: &mut Conn, status: &DeviceStatus) -> QueryResult<bool> {
    let written = diesel::insert_into(device_status::table)
        .values(status)
        .on_conflict_sql(concat!(write!(), " WHERE device_status.continuity_version = excluded.continuity_version - 1"))
        .execute(conn)?;
    Ok(written == 1)
}

/// When a device last checked in, whichever it was.
pub fn newest_check_in(conn: &mut Conn) -> QueryResult<Option<Time>> {
    device_status::table.select(diesel::dsl::max(device_status::last_seen_at)).first(conn)
}
