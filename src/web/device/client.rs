//! "Use your own restic client": a token that appends, or one that reads for a while, shown once with the exact command.
use super::show::{CLIENT_PASSWORD, ClientTyped, READER_PASSWORD, again};
use crate::auth::{Can, RunBackups};
use crate::blob::BlobStore;
use crate::config::Config;
use crate::error::Error;
use crate::proof::keys::ProofKeys;
use crate::service::backup::{self, Kept};
use crate::service::reach;
use crate::service::repository::{self, ClientDraft};
use crate::store::device::Device;
use crate::store::repository::Repository;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::with_status;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password_in;
use crate::zone::Zone;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path, block};
use actix_web::{HttpResponse, post};
use anyhow::Context;
use askama::Template;
use clock::Clock;
use domain::id::{DeviceId, RepositoryTokenId};
use domain::key_holder::{CLIENT_NEEDS_KEY_FILE, KeyHolder};
use domain::object::ObjectKind;
use domain::role::Permission;
use domain::time::{Time, hours};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "device/client.html")]
struct ClientPage {
    layout: Layout,
    device: Device,
    name: String,
    repository: String,
    /// None where the customer keeps it.
    password: Option<String>,
    /// Until when it can read; none if it can only append.
    reads_until: Option<Time>,
    /// The moment of the past that it reads; none for everything.
    as_of: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClientForm {
    name: String,
    /// "yes" for a token that reads.
    reads: String,
    hours: String,
    reason: String,
    /// A minute in the reader's zone; empty for everything.
    as_of: String,
    password: String,
}

impl ClientForm {
    fn draft(&self, zone: &Zone) -> Result<ClientDraft, Error> {
        let as_of = match self.as_of.trim() {
            "" => None,
            text => Some(zone.start_of(text).ok_or_else(|| Error::invalid("as_of", "Enter a date and a time."))?),
        };
        // Anything that is not a number of hours is refused like one outside the limits.
        let span = hours(self.hours.trim().parse().ok().filter(|it: &u64| *it <= 10_000).unwrap_or(0));
        let reads = (self.reads == "yes").then(|| (span, self.reason.trim().to_owned()));
        Ok(ClientDraft { name: self.name.clone(), reads, as_of })
    }

    fn typed(self) -> ClientTyped {
        ClientTyped { name: self.name, hours: self.hours, reason: self.reason, as_of: self.as_of }
    }
}

#[post("/devices/{id}/repository-tokens")]
pub async fn make(
    by: Can<RunBackups>,
    layout: Layout,
    (store, clock, shared, blobs): (Data<Store>, Data<Clock>, Data<Shared>, Data<dyn BlobStore>),
    (config, keys): (Data<Config>, Data<Option<Arc<ProofKeys>>>),
    (id, form): (Path<DeviceId>, Form<ClientForm>),
) -> PageResult<HttpResponse> {
    let (acting, reach, now, id) = (by.acting(), by.reach().clone(), clock.now(), id.into_inner());
    let form = form.into_inner();
    let draft = match form.draft(&layout.zone) {
        Ok(draft) => draft,
        Err(error) => return again((layout, &store, &reach), id, form.typed(), error).await,
    };
    let field = if draft.reads.is_some() { READER_PASSWORD } else { CLIENT_PASSWORD };
    // Before asking for the password: whoever may not read is not asked for one.
    let reads = by.grants().reach(Permission::ReadContents);
    let looked = reach.clone();
    let team = store.read(move |conn| reach::device(conn, &looked, id)).await?.team_id;
    if draft.reads.is_some() && !reads.is_some_and(|it| it.covers(team)) {
        return Err(Error::Forbidden.into());
    }
    let asked = match draft.check() {
        Ok(()) => require_password_in(field, draft.act(), &by, (&store, &clock, &shared), &form.password).await,
        Err(error) => Err(error),
    };
    if let Err(error) = asked {
        return again((layout, &store, &reach), id, form.typed(), error).await;
    }
    let (device, target) = store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            let active = store::repository::active_of_device(conn, id)?;
            Ok::<_, Error>((device, active))
        })
        .await?;
    let target = target.ok_or_else(|| Error::Refused("this device cannot be backed up at the moment".to_owned()))?;
    let repository_id = target.id;
    let added = match target.key_holder {
        KeyHolder::Server => Some(add_password(target, keys.as_ref().clone(), blobs).await?),
        // It is in the key file.
        KeyHolder::Customer => None,
    };
    let (password, kept) = added.unzip();
    let (name, as_of) = (draft.name.trim().to_owned(), draft.as_of);
    let reads_until = draft.reads.as_ref().map(|(span, _)| now + *span);
    let make = move |conn: &mut Conn| {
        repository::make_client_token(conn, &acting, (repository_id, kept.as_ref()), &draft, now)
    };
    let (_, token) = store.act(make).await?;
    let (scheme, host) = config.public_url.split_once("://").unwrap_or(("http", &config.public_url));
    let page = ClientPage {
        layout,
        device,
        name,
        repository: format!("rest:{scheme}://{repository_id}:{token}@{host}/restic/{repository_id}/"),
        password,
        reads_until,
        as_of: as_of.filter(|_| reads_until.is_some()),
    };
    with_status(&page, StatusCode::OK)
}

/// Makes a password for a repository, and stores the key object that it opens.
async fn add_password(
    target: Repository,
    keys: Option<Arc<ProofKeys>>,
    blobs: Data<dyn BlobStore>,
) -> Result<(String, Kept), Error> {
    let keys = keys.ok_or_else(|| {
        Error::Refused(
            "the key for backups is on another host: a token can be made only where restore tests run".into(),
        )
    })?;
    // Deriving the key of a password takes a while, and so does writing it to the disk.
    block(move || {
        let added = keys.add_password(&target)?;
        let kept = backup::keep(blobs.as_ref(), target.id, ObjectKind::Keys, &added.object)?;
        Ok((added.password, kept))
    })
    .await
    .context("making a password")?
}

#[post("/repository-tokens/{id}/revocations")]
pub async fn revoke(
    by: Can<RunBackups>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<RepositoryTokenId>,
) -> PageResult<HttpResponse> {
    let (acting, now, id) = (by.acting(), clock.now(), id.into_inner());
    let device = store.act(move |conn| repository::revoke_token(conn, &acting, id, now)).await?;
    Ok(see_other(format!("/devices/{}", device.id), Some("The token was revoked: it no longer opens anything.")))
}
