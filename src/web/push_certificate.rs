//! The certificate with which Apple devices are woken: how it stands, a request for one, and putting it in.
use crate::auth::{Can, ManageSettings};
use crate::error::{Error, FieldErrors};
use crate::service::apple::push_certificate::{self, Given, Keys, Known};
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form::{self, Pairs};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{Data, Form, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::guard::GuardedAct;
use domain::push_certificate::{PushStanding, RENEWAL, VENDOR};
use domain::role::Permission;
use std::sync::Arc;

pub const AREA: Area = Area {
    place: Place::Settings { href: PAGE, label: "Apple push", needs: Some(Permission::ManageSettings) },
    pages_with_forms: &[PAGE],
    forms: &[("/push-certificate/requests", PAGE)],
    ..Area::new(routes, &["push-certificate"])
};

const PAGE: &str = "/push-certificate";

fn routes(config: &mut ServiceConfig) {
    config.service(show).service(request).service(make_request).service(put_in);
}

/// Who has the keys; none if Apple devices are not served.
type KeyHolder = Option<Arc<dyn Keys>>;

#[derive(Template, WebTemplate)]
#[template(path = "push_certificate/show.html")]
struct PushCertificatePage {
    layout: Layout,
    known: Known,
    standing: PushStanding,
    /// Whether a request can be made here.
    has_keys: bool,
    /// What was typed.
    certificate: String,
    errors: FieldErrors,
}

impl PushCertificatePage {
    fn sentence(&self) -> String {
        self.standing.sentence(&|at| self.layout.zone.full(at))
    }

    /// Class and icon of the badge. That it is in date does not say that Apple takes it.
    const fn look(&self) -> (&'static str, &'static str) {
        match self.standing {
            PushStanding::Good { .. } => ("", "circle-check"),
            PushStanding::Ends { .. } | PushStanding::Absent => ("dated", "triangle-alert"),
            PushStanding::Ended { .. } => ("lost", "circle-x"),
        }
    }
}

async fn page(
    layout: Layout,
    (store, given, keys): (&Store, &Given, &KeyHolder),
    certificate: String,
    errors: FieldErrors,
) -> PageResult<PushCertificatePage> {
    let given = given.clone();
    let known = store.read(move |conn| push_certificate::known(conn, &given)).await?;
    let standing = PushStanding::of(known.certificate.as_ref(), layout.now);
    Ok(PushCertificatePage { layout, known, standing, has_keys: keys.is_some(), certificate, errors })
}

#[get("/push-certificate")]
async fn show(
    _: Can<ManageSettings>,
    layout: Layout,
    (store, given, keys): (Data<Store>, Data<Given>, Data<KeyHolder>),
) -> PageResult<impl Responder> {
    page(layout, (&store, &given, &keys), String::new(), FieldErrors::new()).await
}

#[get("/push-certificate/request")]
async fn request(_: Can<ManageSettings>, store: Data<Store>) -> PageResult<HttpResponse> {
    let found = store.read(|conn| Ok::<_, Error>(store::apple::push_certificate::find_request(conn)?)).await?;
    let request = found.ok_or(Error::NotFound("request"))?.request;
    Ok(HttpResponse::Ok()
        .content_type("application/pkcs10")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"holdfast-push.csr\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(request))
}

#[post("/push-certificate/requests")]
async fn make_request(
    by: Can<ManageSettings>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (given, keys, form): (Data<Given>, Data<KeyHolder>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (acting, now, password) = (by.acting(), clock.now(), form::value(&form, "password"));
    let asked = require_password(GuardedAct::ChangePushCertificate, &by, (&store, &clock, &shared), password).await;
    let made = match asked.and_then(|()| holder(&keys)) {
        // Making an RSA key takes long enough to keep others waiting.
        Ok(keys) => {
            actix_web::web::block(move || keys.make()).await.map_err(anyhow::Error::from).map_err(Error::from)?
        }
        Err(error) => Err(error),
    };
    let done = match made {
        Ok(made) => store.act(move |conn| push_certificate::request(conn, &acting, &made, now)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(see_other(PAGE, Some("The request was made. Download it, and have it signed."))),
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&page(layout, (&store, &given, &keys), String::new(), errors).await?)
        }
    }
}

#[post("/push-certificate")]
async fn put_in(
    by: Can<ManageSettings>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (given, keys, form): (Data<Given>, Data<KeyHolder>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (acting, now, password) = (by.acting(), clock.now(), form::value(&form, "password"));
    let typed = form::value(&form, "certificate").to_owned();
    let asked = require_password(GuardedAct::ChangePushCertificate, &by, (&store, &clock, &shared), password).await;
    let done = match asked.and_then(|()| holder(&keys)) {
        Ok(keys) => {
            let pem = typed.clone();
            store.act(move |conn| push_certificate::put_in(conn, &acting, &*keys, &pem, now)).await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(see_other(PAGE, Some("The certificate is in use from now on."))),
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&page(layout, (&store, &given, &keys), typed, errors).await?)
        }
    }
}

fn holder(keys: &KeyHolder) -> crate::error::Result<Arc<dyn Keys>> {
    let refusal = "Apple devices are not served: start the server with --apple-listen and the proof key";
    keys.clone().ok_or_else(|| Error::Refused(refusal.to_owned()))
}
