//! "Use your own restic client": a token that reads and appends, shown once with the exact command.
use super::show::{CLIENT_PASSWORD, again};
use crate::blob::BlobStore;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::guard::GuardedAct;
use crate::domain::id::{DeviceId, RepositoryTokenId};
use crate::domain::object::ObjectKind;
use crate::error::Error;
use crate::proof::keys::ProofKeys;
use crate::service::{backup, repository};
use crate::store::device::Device;
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::form::with_status;
use crate::web::hashing::Shared;
use crate::web::layout::{Layout, see_other};
use crate::web::login::require_password_in;
use crate::web::session::{Can, RunBackups};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path, block};
use actix_web::{HttpResponse, post};
use anyhow::Context;
use askama::Template;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "device/client.html")]
struct ClientPage {
    layout: Layout,
    device: Device,
    name: String,
    repository: String,
    password: String,
}

#[derive(Debug, Deserialize)]
pub struct ClientForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

#[post("/devices/{id}/repository-tokens")]
pub async fn make(
    by: Can<RunBackups>,
    layout: Layout,
    (store, clock, shared, blobs): (Data<Store>, Data<Clock>, Data<Shared>, Data<dyn BlobStore>),
    (config, keys): (Data<Config>, Data<Option<Arc<ProofKeys>>>),
    (id, form): (Path<DeviceId>, Form<ClientForm>),
) -> PageResult<HttpResponse> {
    let (actor, reach, now, id) = (by.actor(), by.reach().clone(), clock.now(), id.into_inner());
    let ClientForm { name, password } = form.into_inner();
    let asked = match repository::own_client_name(&name) {
        Ok(_) => {
            require_password_in(
                CLIENT_PASSWORD,
                GuardedAct::MakeReadingToken,
                &by,
                (&store, &clock, &shared),
                &password,
            )
            .await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = asked {
        return again((layout, &store, &reach), id, name, error).await;
    }
    let (device, target) = store
        .read(move |conn| {
            let device = super::within(conn, &reach, id)?;
            let active = store::repository::active_of_device(conn, id)?;
            Ok::<_, Error>((device, active))
        })
        .await?;
    let target = target.ok_or_else(|| Error::Refused("this device takes no backups now".to_owned()))?;
    let keys = keys.as_ref().clone().ok_or_else(|| {
        Error::Refused(
            "the key for backups is on another host: a token can be made only where restore tests run".into(),
        )
    })?;
    let repository_id = target.id;
    // Deriving the key of a password takes a while, and so does writing it to the disk.
    let (password, kept) = block(move || {
        let added = keys.add_password(&target)?;
        let kept = backup::keep(blobs.as_ref(), target.id, ObjectKind::Keys, &added.object)?;
        Ok::<_, Error>((added.password, kept))
    })
    .await
    .context("making a password")??;
    let label = name.clone();
    let (_, token) = store.act(move |conn| repository::make_own_client_token(conn, &actor, &kept, &label, now)).await?;
    let (scheme, host) = config.public_url.split_once("://").unwrap_or(("http", &config.public_url));
    let page = ClientPage {
        layout,
        device,
        name,
        repository: format!("rest:{scheme}://{repository_id}:{token}@{host}/restic/{repository_id}/"),
        password,
    };
    with_status(&page, StatusCode::OK)
}

#[post("/repository-tokens/{id}/revocations")]
pub async fn revoke(
    by: Can<RunBackups>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<RepositoryTokenId>,
) -> PageResult<HttpResponse> {
    let (actor, reach, now, id) = (by.actor(), by.reach().clone(), clock.now(), id.into_inner());
    let device = store
        .act(move |conn| {
            let token = store::repository::token(conn, id)?.ok_or(Error::NotFound("token"))?;
            let owner = store::repository::find(conn, token.repository_id)?.ok_or(Error::NotFound("token"))?;
            super::within(conn, &reach, owner.device_id)?;
            repository::revoke_token(conn, &actor, id, now)?;
            Ok::<_, Error>(owner.device_id)
        })
        .await?;
    Ok(see_other(format!("/devices/{device}"), Some("The token was revoked: it opens nothing any more.")))
}
