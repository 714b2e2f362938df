//! `/devices/{id}/secrets`: recovery keys, PINs and codes that are kept for a device, each shown only with a reason.
use crate::auth::{Can, ReadContents, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::service::device_secret::{self, Unsealer};
use crate::service::reach;
use crate::store::device::Device;
use crate::store::device_secret::DeviceSecret;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::form::{refusal, with_status};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, get, post};
use askama::Template;
use clock::Clock;
use domain::device_secret::SecretKind;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, DeviceSecretId};
use domain::role::{Permission, Reach};
use serde::Deserialize;
use std::sync::Arc;

/// What is posted; missing fields are empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReadForm {
    reason: String,
    password: String,
}

#[derive(Template)]
#[template(path = "device/secrets.html")]
struct SecretsPage {
    layout: Layout,
    device: Device,
    secrets: Vec<DeviceSecret>,
}

impl SecretsPage {
    fn may_read(&self) -> bool {
        self.layout.may_in(Permission::ReadContents, self.device.team_id)
    }
}

#[derive(Template)]
#[template(path = "device/read_secret.html")]
struct AskPage {
    layout: Layout,
    device: Device,
    secret: DeviceSecret,
    form: ReadForm,
    errors: FieldErrors,
}

#[derive(Template)]
#[template(path = "device/secret.html")]
struct SecretPage {
    layout: Layout,
    device: Device,
    secret: DeviceSecret,
    text: String,
}

#[get("/devices/{id}/secrets")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, secrets) = store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            Ok::<_, Error>((device, store::device_secret::of_device(conn, id)?))
        })
        .await?;
    with_status(&SecretsPage { layout, device, secrets }, StatusCode::OK)
}

fn load(conn: &mut Conn, reach: &Reach, id: DeviceSecretId) -> Result<(Device, DeviceSecret)> {
    let secret = store::device_secret::find(conn, id)?.ok_or(Error::NotFound("secret"))?;
    Ok((reach::device(conn, reach, secret.device_id)?, secret))
}

/// Asks why somebody wants to read one.
#[get("/device-secrets/{id}")]
pub async fn ask(
    by: Can<ReadContents>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceSecretId>,
) -> PageResult<HttpResponse> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, secret) = store.read(move |conn| load(conn, &reach, id)).await?;
    let page = AskPage { layout, device, secret, form: ReadForm::default(), errors: FieldErrors::new() };
    with_status(&page, StatusCode::OK)
}

/// Shows one secret, once.
#[post("/device-secrets/{id}/readings")]
pub async fn read(
    by: Can<ReadContents>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    unsealer: Data<Option<Arc<dyn Unsealer>>>,
    (id, form): (Path<DeviceSecretId>, Form<ReadForm>),
) -> PageResult<HttpResponse> {
    let (id, form, acting, now) = (id.into_inner(), form.into_inner(), by.acting(), clock.now());
    let reach = by.reach().clone();
    // First: whoever does not see the device learns nothing of it.
    store.read(move |conn| load(conn, &reach, id).map(drop)).await?;
    let unsealer = unsealer.as_ref().clone().ok_or_else(|| {
        Error::Refused("the key that opens it is on another host: read it where Apple devices are served".to_owned())
    })?;
    let asked = require_password(GuardedAct::RevealDeviceSecret, &by, (&store, &clock, &shared), &form.password).await;
    let asked = match asked {
        Ok(()) => {
            let reason = form.reason.clone();
            store.act(move |conn| device_secret::reveal(conn, &acting, id, &reason, now)).await
        }
        Err(error) => Err(error),
    };
    let error = match asked {
        Ok((secret, device)) => {
            let text = unsealer.unseal(&secret)?;
            return with_status(&SecretPage { layout, device, secret, text }, StatusCode::OK);
        }
        Err(error) => error,
    };
    let (errors, refusal) = refusal(error)?;
    let reach = by.reach().clone();
    let (device, secret) = store.read(move |conn| load(conn, &reach, id)).await?;
    let form = ReadForm { password: String::new(), ..form };
    refusal.again(&AskPage { layout, device, secret, form, errors })
}
