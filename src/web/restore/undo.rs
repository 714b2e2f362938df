//! The order to undo a restore.
use super::show::show_again;
use crate::auth::{Can, Restore};
use crate::service::restore;
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

#[post("/restores/{id}/undos")]
pub async fn undo(
    by: Can<Restore>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<RestoreId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    let desk = (&**store, &**clock, &**shared);
    if let Err(error) = require_password(GuardedAct::UndoRestore, &by, desk, value(&form, "password")).await {
        return show_again((&by, by.reach().clone()), (layout, &store), id, error).await;
    }
    match store.act(move |conn| restore::undo(conn, &acting, id, now)).await {
        Ok(_) => Ok(see_other(format!("/restores/{id}"), Some("Undo ordered. It begins when the device checks in."))),
        Err(error) => show_again((&by, by.reach().clone()), (layout, &store), id, error).await,
    }
}
