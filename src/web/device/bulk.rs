//! One act for many devices: first a page that names them all and asks, then the act. There is no wipe here.
use super::chosen::{Chosen, devices_of, digest};
use crate::auth::{Can, Grant, LockDevices, RunBackups};
use crate::error::{Error, FieldErrors, Result};
use crate::query::device::DeviceQuery;
use crate::service::{command, proof};
use crate::store::device::Device;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{Pairs, refusal, with_status};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use actix_web::{HttpResponse, post};
use askama::Template;
use clock::Clock;
use domain::command::Order;
use domain::device::Platform;
use domain::guard::GuardedAct;
use domain::key_holder::KeyHolder;
use domain::role::{Permission, Reach};
use domain::time::Time;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "device/bulk.html")]
struct ConfirmPage {
    layout: Layout,
    /// "Lock 12 devices".
    title: String,
    /// Where the form goes.
    action: &'static str,
    /// What it does to each.
    what: &'static str,
    /// By platform, if the act differs between platforms.
    by_platform: Vec<(&'static str, &'static str)>,
    devices: Vec<Device>,
    /// What the first form said, passed on to the second.
    kept: Vec<(&'static str, String)>,
    back: String,
    asks_password: bool,
    /// Whether the devices differ from those the previous page named.
    is_changed: bool,
    errors: FieldErrors,
}

/// What one act is on its pages.
struct Bulk {
    act: GuardedAct,
    name: &'static str,
    action: &'static str,
    what: &'static str,
}

const LOCK: Bulk = Bulk {
    act: GuardedAct::LockMany,
    name: "Lock",
    action: "/devices/lock-commands",
    what: "Each device locks its screen at its next check-in; its person unlocks it with their own password. \
     Everyone who watches these devices is told by mail.",
};
const BACK_UP: Bulk = Bulk {
    act: GuardedAct::BackUpMany,
    name: "Back up",
    action: "/devices/backup-commands",
    what: "Each device backs up at its next check-in, and a restore test follows unless the customer keeps the key.",
};
const PROVE: Bulk = Bulk {
    act: GuardedAct::ProveMany,
    name: "Prove",
    action: "/devices/restore-tests",
    what: "The newest backup of each device is restored and compared.",
};

/// The page that names the devices.
fn confirm(
    bulk: &Bulk,
    layout: Layout,
    chosen: &Chosen,
    devices: Vec<Device>,
    errors: FieldErrors,
) -> Result<ConfirmPage> {
    let digest = digest(&devices);
    let mut kept = vec![("confirmed", digest.clone()), ("request_key", secret::generate("")?)];
    kept.push(("query", chosen.query.as_ref().map_or_else(String::new, DeviceQuery::address)));
    kept.extend(devices.iter().map(|it| ("id", it.id.to_string())));
    Ok(ConfirmPage {
        title: format!("{} {}", bulk.name, devices_of(devices.len())),
        action: bulk.action,
        what: bulk.what,
        by_platform: if bulk.act == GuardedAct::LockMany { lock_sentences(&devices) } else { Vec::new() },
        asks_password: bulk.act.guard().fresh,
        is_changed: !chosen.confirmed.is_empty() && chosen.confirmed != digest,
        back: chosen.back.clone(),
        layout,
        devices,
        kept,
        errors,
    })
}

/// What a lock does on each of the devices' platforms.
fn lock_sentences(devices: &[Device]) -> Vec<(&'static str, &'static str)> {
    let of_some = |it: &&Platform| devices.iter().any(|device| device.platform == **it);
    Platform::ALL.iter().filter(of_some).map(|it| (it.name(), it.lock_sentence())).collect()
}

/// Whether exactly the devices a page named were agreed to; otherwise the page that names them.
async fn agreed<P: Grant>(
    bulk: &Bulk,
    by: &Can<P>,
    layout: Layout,
    desk: (&Store, &Clock, &Shared),
    chosen: &Arc<Chosen>,
) -> PageResult<Option<HttpResponse>> {
    let (asked, reach, now) = (Arc::clone(chosen), by.reach().clone(), desk.1.now());
    let devices = desk.0.read(move |conn| asked.load(conn, &reach, now)).await?;
    if chosen.confirmed != digest(&devices) {
        let page = confirm(bulk, layout, chosen, devices, FieldErrors::new())?;
        return with_status(&page, StatusCode::OK).map(Some);
    }
    match require_password(bulk.act, by, desk, &chosen.password).await {
        Ok(()) => Ok(None),
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            refusal.again(&confirm(bulk, layout, chosen, devices, errors)?).map(Some)
        }
    }
}

/// The devices, read in the transaction of the act: still the ones that were agreed to.
fn load_agreed(conn: &mut Conn, chosen: &Chosen, reach: &Reach, now: Time) -> Result<Vec<Device>> {
    let devices = chosen.load(conn, reach, now)?;
    if digest(&devices) == chosen.confirmed {
        Ok(devices)
    } else {
        Err(Error::Conflict(
            "the devices have changed since the page named them; check the list \
         again"
                .to_owned(),
        ))
    }
}

type Desk = (Data<Store>, Data<Clock>, Data<Shared>);

#[post("/devices/lock-commands")]
pub async fn lock(by: Can<LockDevices>, layout: Layout, desk: Desk, form: Form<Pairs>) -> PageResult<HttpResponse> {
    queue(&LOCK, &by, layout, &desk, &form, Order::lock()).await
}

#[post("/devices/backup-commands")]
pub async fn back_up(by: Can<RunBackups>, layout: Layout, desk: Desk, form: Form<Pairs>) -> PageResult<HttpResponse> {
    queue(&BACK_UP, &by, layout, &desk, &form, Order::BackUpNow).await
}

async fn queue<P: Grant>(
    bulk: &Bulk,
    by: &Can<P>,
    layout: Layout,
    (store, clock, shared): &Desk,
    form: &Pairs,
    order: Order,
) -> PageResult<HttpResponse> {
    let chosen = Arc::new(Chosen::parse(form, P::PERMISSION)?);
    if let Some(page) = agreed(bulk, by, layout, (store, clock, shared), &chosen).await? {
        return Ok(page);
    }
    let (acting, reach, now, asked) = (by.acting(), by.reach().clone(), clock.now(), Arc::clone(&chosen));
    let (act, name) = (bulk.act, order.kind().name());
    let devices = store
        .act(move |conn| {
            let ids: Vec<_> = load_agreed(conn, &asked, &reach, now)?.iter().map(|it| it.id).collect();
            command::queue_many(conn, &acting, (act, &order), (&ids, &asked.request_key), now)
        })
        .await?;
    let text = format!("{} queued for {}.", name, devices_of(devices.len()));
    let batch = serde_urlencoded::to_string([("batch", &chosen.request_key)]).unwrap_or_default();
    Ok(see_other(format!("/commands?{batch}"), Some(&text)))
}

#[post("/devices/restore-tests")]
pub async fn prove(by: Can<RunBackups>, layout: Layout, desk: Desk, form: Form<Pairs>) -> PageResult<HttpResponse> {
    let (store, clock, shared) = &desk;
    let chosen = Arc::new(Chosen::parse(&form, Permission::RunBackups)?);
    if let Some(page) = agreed(&PROVE, &by, layout, (store, clock, shared), &chosen).await? {
        return Ok(page);
    }
    let (acting, reach, now, asked) = (by.acting(), by.reach().clone(), clock.now(), Arc::clone(&chosen));
    let (queued, without, customers) = store
        .act(move |conn| {
            let (mut queued, mut without, mut customers) = (0, 0, 0);
            for device in load_agreed(conn, &asked, &reach, now)? {
                if store::restore_point::of_device(conn, device.id, 1)?.is_empty() {
                    without += 1;
                    continue;
                }
                if store::repository::key_holder_of(conn, device.id)? == KeyHolder::Customer {
                    customers += 1;
                    continue;
                }
                proof::ask(conn, &acting, device.id, now)?;
                queued += 1;
            }
            Ok::<_, Error>((queued, without, customers))
        })
        .await?;
    let mut text = format!("Restore test queued for {}.", devices_of(queued));
    if without > 0 {
        text.push_str(&format!(" {} left out because there is no backup yet.", devices_of(without)));
    }
    if customers > 0 {
        text.push_str(&format!(" {} left out because the customer keeps the key.", devices_of(customers)));
    }
    Ok(see_other(&chosen.back, Some(&text)))
}
