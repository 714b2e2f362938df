//! Enrolled devices.
use crate::store::Conn;
use crate::store::schema::devices;
use diesel::prelude::*;
use domain::activity::{Actor, Via};
use domain::device::{DeviceState, Ownership, Platform};
use domain::id::{DeviceId, TeamId};
use domain::time::Time;
use std::collections::{HashMap, HashSet};

/// A device as it enrolled; what changes with each check-in is in its
/// [`DeviceStatus`](super::device_status::DeviceStatus).
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = devices, treat_none_as_default_value = false)]
pub struct Device {
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
    /// Grows with each enrolment; what belongs to an older one is never delivered.
    pub generation: i64,
    pub enrolled_at: Time,
    /// When its wipe, or the removal of company data, was confirmed.
    pub erased_at: Option<Time>,
}

impl Device {
    /// It as the one who acts; `address` is empty where it is not known.
    pub fn actor(&self, via: Via, address: &str) -> Actor {
        Actor::device(self.id, &self.name, via, address)
    }
}

/// What tells people which device is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Queryable)]
pub struct Label {
    pub name: String,
    pub serial: String,
    pub person: String,
}

/// The labels of devices by their ids, of removed and wiped ones too.
pub fn labels(conn: &mut Conn, ids: impl IntoIterator<Item = DeviceId>) -> QueryResult<HashMap<DeviceId, Label>> {
    let ids: HashSet<DeviceId> = ids.into_iter().collect();
    let rows: Vec<(DeviceId, Label)> = devices::table
        .filter(devices::id.eq_any(ids))
        .select((devices::id, (devices::name, devices::serial, devices::person)))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// A device by its id.
pub fn find(conn: &mut Conn, id: DeviceId) -> QueryResult<Option<Device>> {
    devices::table.find(id).select(Device::as_select()).first(conn).optional()
}

/// Other enrolled devices with the same serial number, by name.
pub fn with_serial_of(conn: &mut Conn, device: &Device) -> QueryResult<Vec<Device>> {
    if device.serial.is_empty() {
        return Ok(Vec::new());
    }
    devices::table
        .filter(devices::serial.eq(&device.serial))
        .filter(devices::state.eq(DeviceState::Enrolled))
        .filter(devices::id.ne(device.id))
        .order((devices::name, devices::id))
        .limit(20)
        .select(Device::as_select())
        .load(conn)
}

/// All devices, oldest enrolment first.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<Device>> {
    devices::table.order(devices::id).select(Device::as_select()).load(conn)
}

/// Any of a person's devices.
pub fn any_of(conn: &mut Conn, person: &str) -> QueryResult<Option<Device>> {
    devices::table.filter(devices::person.eq(person)).select(Device::as_select()).first(conn).optional()
}

/// Adds a device.
pub fn insert(conn: &mut Conn, device: &Device) -> QueryResult<()> {
    diesel::insert_into(devices::table).values(device).execute(conn).map(drop)
}

/// Writes a new enrolment over an older one of the same device; false when another came first.
pub fn reenroll(conn: &mut Conn, device: &Device, old_generation: i64) -> QueryResult<bool> {
    let changed = diesel::update(devices::table.find(device.id).filter(devices::generation.eq(old_generation)))
        .set((
            (
                devices::name.eq(&device.name),
                devices::person.eq(&device.person),
                devices::team_id.eq(device.team_id),
                devices::platform.eq(device.platform),
                devices::model.eq(&device.model),
                devices::serial.eq(&device.serial),
                devices::os_version.eq(&device.os_version),
                devices::ownership.eq(device.ownership),
                devices::state.eq(device.state),
                devices::generation.eq(device.generation),
            ),
            (devices::enrolled_at.eq(device.enrolled_at), devices::erased_at.eq(device.erased_at)),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Records which operating system a device says it runs.
pub fn set_os_version(conn: &mut Conn, id: DeviceId, os_version: &str) -> QueryResult<()> {
    diesel::update(devices::table.find(id)).set(devices::os_version.eq(os_version)).execute(conn).map(drop)
}

/// Moves a device of one generation from one state to another; false when it was not in `from`.
///
/// `erased_at` is set only by a wipe or a removal of company data that left nothing.
pub fn set_state(
    conn: &mut Conn,
    id: DeviceId,
    generation: i64,
    (from, to): (DeviceState, DeviceState),
    now: Time,
) -> QueryResult<bool> {
    let which = devices::table.find(id).filter(devices::generation.eq(generation)).filter(devices::state.eq(from));
    let changed = match to {
        DeviceState::Wiped | DeviceState::CompanyDataRemoved => {
            diesel::update(which).set((devices::state.eq(to), devices::erased_at.eq(Some(now)))).execute(conn)?
        }
        DeviceState::Enrolled | DeviceState::WipeFailed | DeviceState::RemovalFailed | DeviceState::Removed => {
            diesel::update(which).set(devices::state.eq(to)).execute(conn)?
        }
    };
    Ok(changed == 1)
}

/// Writes what people call a device.
pub fn set_names(conn: &mut Conn, id: DeviceId, name: &str, person: &str, team: Option<TeamId>) -> QueryResult<()> {
    diesel::update(devices::table.find(id))
        .set((devices::name.eq(name), devices::person.eq(person), devices::team_id.eq(team)))
        .execute(conn)
        .map(drop)
}
