//! What a person asks of one device.
use super::show::{ClientTyped, ENROLL_PASSWORD, again};
use crate::auth::{Can, EnrollDevices, Grant, LockDevices, RunBackups};
use crate::error::Error;
use crate::service::command::{self, Ask};
use crate::service::enrollment;
use crate::service::{proof, reach};
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::enrollment::{Made, made_page};
use crate::web::flash::see_other;
use crate::web::form::{Pairs, value};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password_in;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, post};
use clock::Clock;
use domain::command::Order;
use domain::guard::GuardedAct;
use domain::id::DeviceId;
use domain::key_holder::{CAPPED, KeyHolder};

#[post("/devices/{id}/lock-commands")]
pub async fn lock(
    by: Can<LockDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    queue(&by, (&store, &clock), id.into_inner(), &form, Order::lock()).await
}

#[post("/devices/{id}/backup-commands")]
pub async fn back_up(
    by: Can<RunBackups>,
    store: Data<Store>,
    clock: Data<Clock>,
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    queue(&by, (&store, &clock), id.into_inner(), &form, Order::BackUpNow).await
}

async fn queue<P: Grant>(
    by: &Can<P>,
    (store, clock): (&Store, &Clock),
    id: DeviceId,
    form: &Pairs,
    order: Order,
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    let asked = order;
    let key: String = value(form, "request_key").chars().take(80).collect();
    let text = store
        .act(move |conn| {
            let key = Some(format!("{key}/{}", asked.kind())).filter(|_| !key.is_empty());
            command::queue_one(conn, &acting, id, Ask { order: &asked, request_key: key.as_deref() }, now)?;
            Ok::<_, Error>(said(&asked, store::repository::key_holder_of(conn, id)?))
        })
        .await?;
    Ok(see_other(format!("/devices/{id}"), Some(&text)))
}

#[post("/devices/{id}/restore-tests")]
pub async fn prove(
    by: Can<RunBackups>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (acting, now, id) = (by.acting(), clock.now(), id.into_inner());
    store.act(move |conn| proof::ask(conn, &acting, id, now)).await?;
    Ok(see_other(format!("/devices/{id}"), Some("Restore test of the newest backup queued.")))
}

/// A token with which only this device can enroll again.
#[post("/devices/{id}/enrollment-tokens")]
pub async fn enroll_again(
    by: Can<EnrollDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
    config: Data<crate::config::Config>,
) -> PageResult<HttpResponse> {
    let (acting, reach, now, id) = (by.acting(), by.reach().clone(), clock.now(), id.into_inner());
    // Whoever has the token takes the device's place.
    let desk = (&**store, &**clock, &**shared);
    if let Err(error) =
        require_password_in(ENROLL_PASSWORD, GuardedAct::EnrollAgain, &by, desk, value(&form, "password")).await
    {
        return again((layout, &store, &reach), id, ClientTyped::default(), error).await;
    }
    let (token, text, protect, key_holder) = store
        .act(move |conn| {
            let (token, text) = enrollment::make_token_again(conn, &acting, id, now)?;
            let device = reach::device(conn, &reach, id)?;
            let protect = store::agent_enrollment::roots(conn, id, device.generation)?;
            Ok::<_, Error>((token, text, protect, store::team::key_holder(conn, device.team_id)?))
        })
        .await?;
    let (server, apple) = (config.public_url.clone(), config.apple.as_ref().map(|it| it.url.clone()));
    made_page(layout, Made { token, text, server, protect, key_holder, apple, account: String::new() }).await
}

fn said(order: &Order, holder: KeyHolder) -> String {
    match order {
        Order::BackUpNow if holder.can_prove() => "Backup queued. A restore test follows automatically.".to_owned(),
        Order::BackUpNow => format!("Backup queued. {CAPPED}"),
        Order::Lock { .. }
        | Order::Wipe { .. }
        | Order::RemoveCompanyData
        | Order::Restore(_)
        | Order::UndoRestore { .. }
        | Order::LostModeOn { .. }
        | Order::LostModeOff
        | Order::PlaySound
        | Order::Locate
        | Order::ClearPasscode
        | Order::Restart
        | Order::ShutDown
        | Order::RotateRecoveryKey
        | Order::SetRecoveryLock
        | Order::FetchBypassCode => format!("{} queued.", order.kind().name()),
    }
}
