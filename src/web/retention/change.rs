//! A change of what is kept: shown first, then asked for, then decided by a second person.
use super::show::{Typed, page};
use crate::auth::{ApproveRemoval, Can, ManageSettings, ViewDevices};
use crate::error::{Error, FieldErrors};
use crate::service::retention::{self, Draft};
use crate::store::{Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{self, Pairs, value};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::{require_password, require_password_in};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, post};
use clock::Clock;
use domain::guard::GuardedAct;
use domain::id::RetentionChangeId;
use domain::retention::{ChangeState, Keep};

#[post("/retention/previews")]
pub async fn preview(
    _: Can<ManageSettings>,
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let typed = Typed::read(&form);
    match typed.keep() {
        Ok(keep) => {
            let page = page(&by, layout, &store, (Some(typed), Some(keep)), FieldErrors::new()).await?;
            form::with_status(&page, StatusCode::OK)
        }
        Err(error) => again((by, layout, &store), typed, error).await,
    }
}

#[post("/retention")]
pub async fn change(
    by: Can<ManageSettings>,
    seeing: Can<ViewDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let (typed, acting, now) = (Typed::read(&form), by.acting(), clock.now());
    let asked = match typed.keep() {
        Ok(keep) => {
            let act = store.read(move |conn| act_of(conn, keep)).await?;
            require_password(act, &by, (&store, &clock, &shared), value(&form, "password")).await.map(|()| keep)
        }
        Err(error) => Err(error),
    };
    let done = match asked {
        Ok(keep) => {
            let draft = Draft { keep, reason: typed.reason.clone() };
            store.act(move |conn| retention::request(conn, &acting, &draft, now)).await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(change) if change.state == ChangeState::InForce => {
            Ok(see_other("/retention", Some("Changed. It counts from now on.")))
        }
        Ok(_) => Ok(see_other("/retention", Some("Asked for. A second person must agree; a week later it counts."))),
        Err(error) => again((seeing, layout, &store), typed, error).await,
    }
}

fn act_of(conn: &mut Conn, keep: Keep) -> crate::error::Result<GuardedAct> {
    let before = retention::current(conn)?.unwrap_or(Keep::Everything);
    let is_shorter = keep.is_shorter_than(&before);
    Ok(if is_shorter { GuardedAct::ShortenRetention } else { GuardedAct::LengthenRetention })
}

/// The page with what was typed, what that would end, and what is wrong.
async fn again(
    (by, layout, store): (Can<ViewDevices>, Layout, &Store),
    typed: Typed,
    error: Error,
) -> PageResult<HttpResponse> {
    let (errors, refusal) = form::refusal(error)?;
    let previewed = typed.keep().ok();
    refusal.again(&page(&by, layout, store, (Some(typed), previewed), errors).await?)
}

#[post("/retention/{id}/approvals")]
pub async fn approve(
    by: Can<ApproveRemoval>,
    seeing: Can<ViewDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<RetentionChangeId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now, seen) = (id.into_inner(), by.acting(), clock.now(), value(&form, "seen").to_owned());
    let desk = (&**store, &**clock, &**shared);
    let asked = require_password_in(
        "approve-password",
        GuardedAct::ApproveShorterRetention,
        &by,
        desk,
        value(&form, "password"),
    )
    .await;
    let done = match asked {
        Ok(()) => store.act(move |conn| retention::approve(conn, &acting, id, &seen, now)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => {
            Ok(see_other("/retention", Some("Agreed. It counts a week from now; until then it can be taken back.")))
        }
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&page(&seeing, layout, &store, (None, None), errors).await?)
        }
    }
}

#[post("/retention/{id}/cancellations")]
pub async fn cancel(
    by: Can<ApproveRemoval>,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<RetentionChangeId>,
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    store.act(move |conn| retention::cancel(conn, &acting, id, now)).await?;
    Ok(see_other("/retention", Some("Taken back. What is kept stays as it is.")))
}
