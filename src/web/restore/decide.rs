//! The second person's decision on a restore to another device.
use super::show::show_again;
use crate::auth::{ApproveRestore, Can};
use crate::service::restore::{self, Decision};
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
use domain::id::RestoreId;

#[post("/restores/{id}/approvals")]
pub async fn approve(
    by: Can<ApproveRestore>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<RestoreId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    let desk = (&**store, &**clock, &**shared);
    if let Err(error) = require_password(GuardedAct::ApproveRestore, &by, desk, value(&form, "password")).await {
        return show_again((&by, by.reach().clone()), (layout, &store), id, error).await;
    }
    let seen = value(&form, "seen").to_owned();
    let said = match store.act(move |conn| restore::approve(conn, &acting, id, &seen, now)).await {
        Ok(Decision::Approved(_)) => "Approved. It begins when the device checks in.",
        Ok(Decision::Ended(_)) => "Not approved: something has changed since it was requested, so it ended.",
        Err(error) => return show_again((&by, by.reach().clone()), (layout, &store), id, error).await,
    };
    Ok(see_other(format!("/restores/{id}"), Some(said)))
}

#[post("/restores/{id}/refusals")]
pub async fn refuse(
    by: Can<ApproveRestore>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<RestoreId>,
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    match store.act(move |conn| restore::refuse(conn, &acting, id, now)).await {
        Ok(_) => Ok(see_other(format!("/restores/{id}"), Some("Refused. Nothing was sent."))),
        Err(error) => show_again((&by, by.reach().clone()), (layout, &store), id, error).await,
    }
}
