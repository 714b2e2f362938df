//! Puts back what is in the trash.
use crate::auth::{Can, Restore};
use crate::service::retention;
use crate::store::Store;
use crate::web::PageResult;
use crate::web::flash::see_other;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, post};
use clock::Clock;
use domain::id::PruneId;

#[post("/prunes/{id}/undos")]
pub async fn undo(
    by: Can<Restore>,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<PruneId>,
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    store.act(move |conn| retention::undo(conn, &acting, id, now)).await?;
    Ok(see_other("/retention", Some("Being put back. It takes a moment until its files are in their places.")))
}
