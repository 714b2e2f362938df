//! The forms of one request's page: approving it, ending its hold, agreeing to newer facts, and stopping it.
use super::show::{Typed, refused, refused_as};
use crate::auth::{ApproveWipe, Can, RequestWipe, StopWipe};
use crate::service::wipe::{self, Agreement, Decision, Seen};
use crate::store::Store;
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{Pairs, value};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, post};
use clock::Clock;
use domain::guard::GuardedAct;
use domain::id::WipeRequestId;
use domain::words::counted;
use serde::Deserialize;

/// What the approver's form carries: what was seen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApprovalForm {
    agreed: String,
    current: String,
    password: String,
}

#[post("/wipe-requests/{id}/approvals")]
pub async fn approve(
    by: Can<ApproveWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    id: Path<WipeRequestId>,
    form: Form<ApprovalForm>,
) -> PageResult<HttpResponse> {
    let (id, acting, form, now) = (id.into_inner(), by.acting(), form.into_inner(), clock.now());
    if let Err(error) = require_password(GuardedAct::ApproveWipe, &by, (&store, &clock, &shared), &form.password).await
    {
        return refused(&store, &by, layout, id, error).await;
    }
    let seen = Seen { agreed: form.agreed, current: form.current };
    let said = match store.act(move |conn| wipe::approve(conn, &acting, id, &seen, now)).await {
        Ok(Decision::Approved(_)) => "Approved. The hold begins; anyone can still stop it.",
        Ok(Decision::ReviewAgain(_)) => {
            "Not approved: the facts have got worse since the request. The requester must look at them again."
        }
        Err(error) => return refused(&store, &by, layout, id, error).await,
    };
    Ok(see_other(format!("/wipe-requests/{id}"), Some(said)))
}

#[post("/wipe-requests/{id}/hold-ends")]
pub async fn end_hold(
    by: Can<ApproveWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<WipeRequestId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    if let Err(error) =
        require_password(GuardedAct::EndWipeHold, &by, (&store, &clock, &shared), value(&form, "password")).await
    {
        return refused(&store, &by, layout, id, error).await;
    }
    let consent = value(&form, "consent").to_owned();
    let damage = value(&form, "damage").to_owned();
    match store.act(move |conn| wipe::lift_accepting(conn, &acting, id, (&consent, &damage), now)).await {
        Ok(_) => Ok(see_other(
            format!("/wipe-requests/{id}"),
            Some(
                "The hold was ended. The wipe is waiting \
         for approval.",
            ),
        )),
        Err(error) => refused(&store, &by, layout, id, error).await,
    }
}

/// What the requester's form carries when they look at the facts again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReviewForm {
    facts_token: String,
    serial: String,
    consent: String,
    password: String,
}

#[post("/wipe-requests/{id}/reviews")]
pub async fn review(
    by: Can<RequestWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    id: Path<WipeRequestId>,
    form: Form<ReviewForm>,
) -> PageResult<HttpResponse> {
    let (id, acting, form, now) = (id.into_inner(), by.acting(), form.into_inner(), clock.now());
    let typed = Typed { serial: form.serial.clone(), ..Typed::default() };
    if let Err(error) = require_password(GuardedAct::ReviewWipe, &by, (&store, &clock, &shared), &form.password).await {
        return refused_as((&store, &by, layout), id, typed, error).await;
    }
    let reviewed = store
        .act(move |conn| {
            let ReviewForm { facts_token, serial, consent, .. } = &form;
            wipe::review(conn, &acting, id, Agreement { facts_token, serial, consent }, now)
        })
        .await;
    match reviewed {
        Ok(_) => Ok(see_other(
            format!("/wipe-requests/{id}"),
            Some("You agreed to the facts as they are now. Somebody else decides."),
        )),
        Err(error) => refused_as((&store, &by, layout), id, typed, error).await,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StopForm {
    why: String,
}

#[post("/wipe-requests/{id}/stops")]
pub async fn stop(
    by: Can<StopWipe>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    (id, form): (Path<WipeRequestId>, Form<StopForm>),
) -> PageResult<HttpResponse> {
    let (id, acting, why, now) = (id.into_inner(), by.acting(), form.into_inner().why, clock.now());
    let typed = Typed { why: why.clone(), ..Typed::default() };
    match store.act(move |conn| wipe::stop(conn, &acting, id, &why, now)).await {
        Ok(_) => Ok(see_other(format!("/wipe-requests/{id}"), Some("Stopped. Nothing is sent to the device."))),
        Err(error) => refused_as((&store, &by, layout), id, typed, error).await,
    }
}

#[post("/wipe-requests/stops")]
pub async fn stop_all(by: Can<StopWipe>, (store, clock): (Data<Store>, Data<Clock>)) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    let count = store.act(move |conn| wipe::stop_all(conn, &acting, now)).await?;
    let said = format!("{} stopped.", counted(count, "wipe", "wipes"));
    Ok(see_other("/approvals", Some(&said)))
}
