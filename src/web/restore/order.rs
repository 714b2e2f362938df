//! The last step of a restore: the form that orders it, or requests it if the data leaves its device.
use super::Choice;
use super::wizard::preview::preview_page;
use crate::auth::{Can, Restore};
use crate::blob::BlobStore;
use crate::error::{Error, Result};
use crate::proof::keys::ProofKeys;
use crate::service::{guard, restore};
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{Pairs, refusal, value, with_status};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, post, web};
use anyhow::Context;
use clock::Clock;
use domain::guard::GuardedAct;
use domain::id::DeviceId;
use domain::restore::RestoreState;
use domain::words::sentence;
use std::sync::Arc;

/// None if the proof side is on another host.
type Keys = Data<Option<Arc<ProofKeys>>>;

#[post("/devices/{id}/restores")]
pub async fn create(
    by: Can<Restore>,
    layout: Layout,
    (store, blobs, keys): (Data<Store>, Data<dyn BlobStore>, Keys),
    (clock, shared): (Data<Clock>, Data<Shared>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, choice, now) = (id.into_inner(), Choice::of(&form), clock.now());
    let draft = choice.draft(id, value(&form, "request_key"))?;
    let (acting, asked) = (by.acting(), draft.clone());
    let ordered = match store.read(move |conn| restore::plan(conn, &acting, &asked)).await {
        Ok(plan) => {
            match signed(&by, (&store, &clock, &shared), (plan.act(), &draft), value(&form, "password")).await {
                Ok(()) => order(&by, (&store, blobs.clone(), keys), (plan, draft), now).await,
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    };
    match ordered {
        Ok(restore) => {
            let said = if restore.state == RestoreState::Requested {
                "Restore requested. Nothing is sent until somebody else approves."
            } else {
                "Restore ordered. It begins when the device checks in."
            };
            Ok(see_other(format!("/restores/{}", restore.id), Some(said)))
        }
        Err(Error::Refused(why) | Error::Conflict(why)) => {
            let mut page = preview_page(&by, layout, (&store, blobs), id, choice).await?;
            page.refusal = sentence(&why);
            with_status(&page, StatusCode::CONFLICT)
        }
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            let mut page = preview_page(&by, layout, (&store, blobs), id, choice).await?;
            page.errors = errors;
            refusal.again(&page)
        }
    }
}

/// Requires what the table of guards requires: a reason, and a recently entered password.
async fn signed(
    by: &Can<Restore>,
    desk: (&Store, &Clock, &Shared),
    (act, draft): (GuardedAct, &restore::Draft),
    password: &str,
) -> Result<()> {
    guard::reason(act, &draft.reason)?;
    require_password(act, by, desk, password).await
}

async fn order(
    by: &Can<Restore>,
    (store, blobs, keys): (&Store, Data<dyn BlobStore>, Keys),
    (plan, draft): (restore::Plan, restore::Draft),
    now: domain::time::Time,
) -> Result<store::restore::Restore> {
    let Some(keys) = keys.as_ref().clone() else {
        let why = "the key that opens backups is on another host: order this restore where `holdfast prove` runs";
        return Err(Error::Refused(why.to_owned()));
    };
    let blobs = blobs.into_inner();
    let selection = draft.selection.clone();
    let prepared = web::block(move || {
        let manifest = restore::manifest(&*blobs, &plan.repository, &plan.manifest)?;
        restore::prepare(&plan, &manifest, &selection, &*keys, now)
    })
    .await
    .context("preparing a restore")??;
    let acting = by.acting();
    store.act(move |conn| restore::request(conn, &acting, &draft, prepared, now)).await
}
