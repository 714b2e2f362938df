//! The devices that a form for many means: those that were ticked, or all that a list shows.
use crate::error::{Error, Result};
use crate::query::device::DeviceQuery;
use crate::service::{command, reach};
use crate::store::Conn;
use crate::store::device::Device;
use crate::store::device_list::{self, From, Query, Sort};
use crate::web::form::{Pairs, value, values};
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::role::{Permission, Reach};
use domain::time::Time;
use domain::words::{counted, number};

/// The most devices at once: people still read a page that names this many.
pub(super) const MOST: usize = 500;

/// Which devices a form means.
pub(super) struct Chosen {
    pub ids: Vec<DeviceId>,
    /// The list's address, for all that match.
    pub query: Option<DeviceQuery>,
    /// How many devices the person was told it would be.
    expected: i64,
    pub request_key: String,
    /// The digest of the devices that the page named; empty before it was shown.
    pub confirmed: String,
    pub password: String,
    pub back: String,
}

impl Chosen {
    pub fn parse(form: &Pairs, permission: Permission) -> Result<Self> {
        // For each permission the page counts the devices within reach.
        let expected = if permission == Permission::LockDevices { "expected_lock" } else { "expected_run" };
        let text = value(form, "query");
        let query: DeviceQuery =
            serde_urlencoded::from_str(text).map_err(|_not_ours| Error::invalid("query", "load the list again"))?;
        let all = value(form, "scope") == "all";
        let ids: Vec<DeviceId> = values(form, "id").filter_map(DeviceId::parse).collect();
        if !all && ids.is_empty() {
            return Err(Error::invalid("id", "tick at least one device"));
        }
        if ids.len() > MOST {
            return Err(Error::invalid("id", format!("choose at most {} at once", devices_of(MOST))));
        }
        Ok(Self {
            expected: value(form, expected).parse().unwrap_or(-1),
            request_key: value(form, "request_key").chars().take(80).collect(),
            confirmed: value(form, "confirmed").to_owned(),
            password: value(form, "password").to_owned(),
            back: format!("/devices?{}", query.with(&[])),
            query: all.then_some(query),
            ids,
        })
    }

    /// The devices: all within reach and enrolled, and as many as the person was told.
    pub fn load(&self, conn: &mut Conn, reach: &Reach, now: Time) -> Result<Vec<Device>> {
        let ids = match &self.query {
            None => self.ids.clone(),
            Some(query) => self.matching(conn, query, reach, now)?,
        };
        let mut devices = Vec::with_capacity(ids.len());
        for id in ids {
            let device = reach::device(conn, reach, id)?;
            if device.state != DeviceState::Enrolled {
                return Err(command::takes_none(&device));
            }
            devices.push(device);
        }
        Ok(devices)
    }

    fn matching(&self, conn: &mut Conn, query: &DeviceQuery, reach: &Reach, now: Time) -> Result<Vec<DeviceId>> {
        let Some(filter) = query.filter(conn, reach, now)?.taking_commands() else {
            return Err(Error::Refused("none of these devices accepts commands".to_owned()));
        };
        let is = device_list::count(conn, &filter, reach, now)?;
        if is != self.expected {
            return Err(Error::Conflict(format!(
                "{} that you may do this with now; the page said {}. Nothing was done: check the list again",
                devices_of(is),
                number(self.expected)
            )));
        }
        if usize::try_from(is).unwrap_or(usize::MAX) > MOST {
            return Err(Error::Refused(format!(
                "{} match; filter the list to at most {} at once",
                devices_of(is),
                number(MOST)
            )));
        }
        let query = Query {
            filter,
            reach: reach.clone(),
            sort: Sort::Worst,
            is_descending: false,
            from: From::Start,
            limit: MOST,
        };
        Ok(device_list::ids(conn, &query, now)?)
    }
}

/// A digest of the devices that somebody agreed to, independent of their order.
pub(super) fn digest(devices: &[Device]) -> String {
    let mut ids: Vec<_> = devices.iter().map(|it| it.id.to_string()).collect();
    ids.sort_unstable();
    hex::encode(secret::sha256(ids.join(" ").as_bytes()))
}

pub(super) fn devices_of(number: impl TryInto<i64>) -> String {
    counted(number, "device", "devices")
}
