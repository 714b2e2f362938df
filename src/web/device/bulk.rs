//! One act for many devices. There is no wipe here.
use super::query::ListQuery;
use crate::clock::Clock;
use crate::domain::command::CommandKind;
use crate::domain::device::DeviceState;
use crate::domain::id::DeviceId;
use crate::domain::role::{Permission, Reach};
use crate::domain::time::Time;
use crate::domain::words::{counted, number};
use crate::error::{Error, Result};
use crate::service::command::{self, Ask};
use crate::service::loss;
use crate::service::proof;
use crate::store::device::Device;
use crate::store::device_list::{self, From, Query, Sort};
use crate::store::{self, Conn, Store};
use crate::wake::Wake;
use crate::web::error::PageResult;
use crate::web::form::{Pairs, value, values};
use crate::web::layout::see_other;
use crate::web::session::{Can, Grant, LockDevices, RunBackups};
use actix_web::web::{Data, Form};
use actix_web::{HttpResponse, post};
use std::sync::Arc;

/// At most so many devices at once.
const MOST: usize = 5000;

/// Which devices a form means.
struct Chosen {
    ids: Vec<DeviceId>,
    /// The list's address, for all that match.
    query: Option<ListQuery>,
    /// How many the person was told it would be.
    expected: i64,
    request_key: String,
    back: String,
}

impl Chosen {
    fn parse(form: &Pairs, permission: Permission) -> Result<Self> {
        // The page counts for each permission what it reaches.
        let expected = if permission == Permission::LockDevices { "expected_lock" } else { "expected_run" };
        let text = value(form, "query");
        let query: ListQuery =
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
            back: format!("/devices?{}", query.with(&[])),
            query: all.then_some(query),
            ids,
        })
    }

    /// The devices, all of them within reach and enrolled, and as many as the person was told.
    fn load(&self, conn: &mut Conn, reach: &Reach, now: Time) -> Result<Vec<Device>> {
        let ids = match &self.query {
            None => self.ids.clone(),
            Some(query) => self.matching(conn, query, reach, now)?,
        };
        let mut devices = Vec::with_capacity(ids.len());
        for id in ids {
            let device = super::within(conn, reach, id)?;
            if device.state != DeviceState::Enrolled {
                return Err(command::takes_none(&device));
            }
            devices.push(device);
        }
        Ok(devices)
    }

    fn matching(&self, conn: &mut Conn, query: &ListQuery, reach: &Reach, now: Time) -> Result<Vec<DeviceId>> {
        let filter = query.filter(&loss::all_devices(conn, now)?.0)?;
        let is = device_list::count(conn, &filter, reach, now)?;
        if is != self.expected {
            return Err(Error::Conflict(format!(
                "{} that you may do this with now; the page said {}. Nothing was done: look at the list again",
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

#[post("/devices/lock-commands")]
pub async fn lock(
    by: Can<LockDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    wake: Data<Wake>,
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    queue(&by, &store, &clock, &wake, &form, CommandKind::Lock).await
}

#[post("/devices/backup-commands")]
pub async fn back_up(
    by: Can<RunBackups>,
    store: Data<Store>,
    clock: Data<Clock>,
    wake: Data<Wake>,
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    queue(&by, &store, &clock, &wake, &form, CommandKind::BackUpNow).await
}

async fn queue<P: Grant>(
    by: &Can<P>,
    store: &Store,
    clock: &Clock,
    wake: &Wake,
    form: &Pairs,
    kind: CommandKind,
) -> PageResult<HttpResponse> {
    let chosen = Arc::new(Chosen::parse(form, P::PERMISSION)?);
    let (actor, reach, now, asked) = (by.actor(), by.reach().clone(), clock.now(), Arc::clone(&chosen));
    let devices = store
        .act(move |conn| {
            let devices = asked.load(conn, &reach, now)?;
            for device in &devices {
                let key = format!("{}/{}/{}", asked.request_key, kind, device.id);
                command::queue(conn, &actor, device, Ask::plain(kind, Some(&key)), now)?;
            }
            Ok::<_, Error>(devices)
        })
        .await?;
    for device in &devices {
        wake.device(device.id);
    }
    let text = format!("{} queued for {}.", kind.name(), devices_of(devices.len()));
    Ok(see_other(&chosen.back, Some(&text)))
}

#[post("/devices/restore-tests")]
pub async fn prove(
    by: Can<RunBackups>,
    store: Data<Store>,
    clock: Data<Clock>,
    wake: Data<Wake>,
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let chosen = Arc::new(Chosen::parse(&form, Permission::RunBackups)?);
    let (actor, reach, now, asked) = (by.actor(), by.reach().clone(), clock.now(), Arc::clone(&chosen));
    let (queued, without) = store
        .act(move |conn| {
            let (mut queued, mut without) = (0, 0);
            for device in asked.load(conn, &reach, now)? {
                if store::restore_point::of_device(conn, device.id, 1)?.is_empty() {
                    without += 1;
                    continue;
                }
                proof::ask(conn, &actor, device.id, now)?;
                queued += 1;
            }
            Ok::<_, Error>((queued, without))
        })
        .await?;
    wake.proof();
    let mut text = format!("Restore test queued for {}.", devices_of(queued));
    if without > 0 {
        text.push_str(&format!(" {} without a backup left out.", devices_of(without)));
    }
    Ok(see_other(&chosen.back, Some(&text)))
}

fn devices_of(number: impl TryInto<i64>) -> String {
    counted(number, "device", "devices")
}
