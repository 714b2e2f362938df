//! The devices of one page, read completely in one statement.
use crate::store::Conn;
use crate::store::device_proof::DeviceProof;
use crate::store::device_status::encryption_now;
use crate::store::schema::{device_proof, device_status, devices, teams};
use diesel::prelude::*;
use domain::continuity::Doubt;
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::fact::EncryptionNow;
use domain::id::{DeviceId, TeamId};
use domain::time::Time;
use std::collections::HashMap;

/// One device of the list.
#[derive(Debug, Clone, Queryable)]
pub struct ListedDevice {
    pub device: Named,
    /// None if the device is in no team.
    pub team: Option<String>,
    pub status: Option<Status>,
    pub proof: Option<DeviceProof>,
}

impl ListedDevice {
    /// What is known of its encryption; what cannot be read is not known.
    pub fn encryption_now(&self, now: Time) -> EncryptionNow {
        let (status, device) = (self.status.as_ref(), self.device.state);
        let known = status.and_then(|it| encryption_now(&it.facts, it.encryption, device, now).ok());
        known.unwrap_or(EncryptionNow { state: Encryption::Unknown, is_old: false })
    }
}

/// What identifies a device in a list.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = devices)]
pub struct Named {
    pub id: DeviceId,
    pub name: String,
    pub person: String,
    pub team_id: Option<TeamId>,
    pub platform: Platform,
    pub model: String,
    pub serial: String,
    pub os_version: String,
    pub ownership: Ownership,
    pub state: DeviceState,
    pub enrolled_at: Time,
    pub erased_at: Option<Time>,
}

/// What a list shows of the last check-in.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = device_status)]
pub struct Status {
    pub last_seen_at: Option<Time>,
    /// JSON, as the row of the device has it.
    pub facts: String,
    pub encryption: Encryption,
    pub changed_files: Option<i64>,
    pub changed_bytes: Option<i64>,
    pub changed_measured_at: Option<Time>,
    pub changed_until: Option<Time>,
    pub heard_until: Option<Time>,
    pub roots_away: String,
    pub doubt: Doubt,
}

impl Status {
    /// The protected folders that the device did not find. An unreadable value counts as a folder without a
    /// name: it must not pass for none.
    pub fn roots_away(&self) -> Vec<String> {
        serde_json::from_str(&self.roots_away).unwrap_or_else(|_unreadable| vec!["a folder".to_owned()])
    }
}

/// The devices with these ids, in this order; missing ids are left out.
pub fn of_ids(conn: &mut Conn, ids: &[DeviceId]) -> QueryResult<Vec<ListedDevice>> {
    let rows = devices::table
        .left_join(device_status::table.on(device_status::device_id.eq(devices::id)))
        .left_join(device_proof::table.on(device_proof::device_id.eq(devices::id)))
        .left_join(teams::table.on(teams::id.nullable().eq(devices::team_id)))
        .filter(devices::id.eq_any(ids.to_vec()))
        .select((
            Named::as_select(),
            teams::name.nullable(),
            Option::<Status>::as_select(),
            Option::<DeviceProof>::as_select(),
        ))
        .load::<ListedDevice>(conn)?;
    let mut by_id: HashMap<DeviceId, ListedDevice> = rows.into_iter().map(|it| (it.device.id, it)).collect();
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}
