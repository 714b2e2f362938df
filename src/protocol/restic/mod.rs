//! The door for backups: the restic REST protocol, versions 1 and 2, so that an
//! unmodified restic or rustic is a full client (`docs/protocol/restic.md`).
//!
//! A device appends. It overwrites nothing, removes nothing except its locks, and adds no key; the ledger says
//! what is there.
mod access;
mod answer;
mod in_flight;
mod object;
pub mod path;
pub mod range;
mod upload;

use crate::blob::BlobStore;
use crate::store::Store;
use crate::traffic;
use access::Access;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use answer::Refusal;
use clock::Clock;
use domain::object::{ObjectKind, ObjectName};
use in_flight::InFlight;
use path::Target;
use std::sync::Arc;

/// What the door needs. One for the whole server, so that its limits apply to all of it.
#[derive(Clone)]
pub struct Door {
    store: Store,
    blobs: Arc<dyn BlobStore>,
    clock: Clock,
    in_flight: InFlight,
}

impl Door {
    pub fn new(store: Store, blobs: Arc<dyn BlobStore>, clock: Clock) -> Self {
        Self { store, blobs, clock, in_flight: InFlight::default() }
    }

    /// Whether devices are sending at the moment.
    pub fn is_receiving(&self) -> bool {
        self.in_flight.is_any()
    }
}

/// Everything under `/restic/`. Needs `Data<Door>`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/restic/{path:.*}", web::route().to(serve));
}

async fn serve(request: HttpRequest, door: Data<Door>, payload: Payload) -> HttpResponse {
    answer(&request, &door, payload).await.unwrap_or_else(|refusal| refusal.error_response())
}

async fn answer(request: &HttpRequest, door: &Data<Door>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let unknown =
        || Refusal::new(StatusCode::UNAUTHORIZED, "the user name is the repository's id, the password its token");
    let shown = access::credentials(request).ok_or_else(unknown)?;
    let named = path::parse(request.uri().path());
    let asked = named.as_ref().and_then(|(_, target)| key_of(target.as_ref()?));
    let now = door.clock.now();
    let found = door.store.read(move |conn| {
        let Some(access) = access::find(conn, &shown, now)? else { return Ok(None) };
        let known = match &asked {
            Some((kind, name)) => object::Known::find(conn, access.repository.id, *kind, name)?,
            None => object::Known::default(),
        };
        Ok::<_, crate::error::Error>(Some((access, known)))
    });
    // Before anything is said about the path: without a token, all of them look the same.
    let (access, known) = found.await?.ok_or_else(unknown)?;
    traffic::is_of_device(request, access.repository.device_id);
    let (repository, target) = named.ok_or_else(Refusal::not_found)?;
    if repository != access.repository.id {
        return Err(Refusal::forbidden("this token opens another repository"));
    }
    let target = target.ok_or_else(Refusal::not_found)?;
    let asking = Asking { door: door.get_ref().clone(), access, known };
    dispatch(request, asking, target, payload).await
}

/// A request that has presented its token.
struct Asking {
    door: Door,
    access: Access,
    /// What the ledger says about the named object.
    known: object::Known,
}

fn key_of(target: &Target) -> Option<(ObjectKind, ObjectName)> {
    match target {
        Target::Repository | Target::List(_) => None,
        Target::Config => Some((ObjectKind::Config, ObjectName::config())),
        Target::Object(kind, name) => Some((*kind, name.clone())),
    }
}

async fn dispatch(
    request: &HttpRequest,
    asking: Asking,
    target: Target,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    match (target, request.method().as_str()) {
        (Target::Repository, "POST") => create(request, &asking),
        (Target::Config | Target::Object(..), "GET" | "HEAD") => object::read(request, asking).await,
        (Target::Config, "POST") | (Target::Object(ObjectKind::Keys, _), "POST") => {
            Err(Refusal::forbidden("the server creates keys and config; ask an admin for another password"))
        }
        (Target::Object(kind, name), "POST") => upload::receive(request, asking, kind, name, payload).await,
        (Target::Object(ObjectKind::Locks, name), "DELETE") => object::unlock(asking, name).await,
        (Target::Config | Target::Object(..) | Target::Repository, "DELETE") => {
            Err(Refusal::forbidden("this repository is append-only; the server removes what its rules allow"))
        }
        (Target::List(kind), "GET") => object::list(request, asking, kind).await,
        (Target::Repository, _) => Ok(wrong_method("POST")),
        (Target::List(_), _) => Ok(wrong_method("GET")),
        (Target::Config | Target::Object(..), _) => Ok(wrong_method("GET, HEAD, POST, DELETE")),
    }
}

fn wrong_method(allowed: &'static str) -> HttpResponse {
    let mut response = HttpResponse::MethodNotAllowed().finish();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// `POST ?create=true`: the server created the repository at enrolment, so it exists.
fn create(request: &HttpRequest, asking: &Asking) -> Result<HttpResponse, Refusal> {
    if asking.access.right.until().is_some() {
        return Err(Refusal::forbidden("this ticket can only read"));
    }
    if request.method() != Method::POST || request.query_string() != "create=true" {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "POST here is only for ?create=true"));
    }
    Ok(HttpResponse::Ok().finish())
}
