//! A change is asked for by a page of this server, in the browser that got the page.
use crate::auth::Identity;
use crate::auth::cookie::{self, SESSION};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::web::visitor::Visitor;
use actix_web::HttpRequest;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::web::Data;

/// The hidden value of a form: only the browser that holds the cookie gets it right.
pub fn token(cookie: &str) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    hex::encode(hmac::sign(&key, b"holdfast/form"))
}

/// The hidden value of the forms of a session; none without its cookie.
pub(super) fn of_session(request: &HttpRequest) -> Option<String> {
    cookie::read(request, SESSION).map(|it| token(&it))
}

/// Refuses a change that was not asked for by one of our pages.
pub(super) async fn check(request: &mut ServiceRequest, who: Option<&Identity>) -> Result<()> {
    check_origin(request)?;
    check_form(request, who).await
}

/// A change must be requested by a page of this server, not of another.
fn check_origin(request: &ServiceRequest) -> Result<()> {
    let text = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
    let is_host = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|it| !it.is_empty() && text("host") == Some(it))
    };
    // A proxy may not pass on the host that the browser asked for, so the server's configured address counts
    // too.
    let is_public = |origin: &str| request.app_data::<Data<Config>>().is_some_and(|it| it.origin() == origin);
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_host(origin) || is_public(origin),
        (None, None) => false,
    };
    if is_ours { Ok(()) } else { Err(foreign("The form was sent from another site.")) }
}

/// A change carries the hidden value that only this browser's page has.
async fn check_form(request: &mut ServiceRequest, who: Option<&Identity>) -> Result<()> {
    let expected = match who {
        Some(_) => of_session(request.request()).ok_or(Error::Forbidden)?,
        None => match Visitor::of(request.request()).visit {
            Some(visit) => token(&visit),
            None => {
                return Err(foreign(
                    "The browser sent no cookie: allow cookies for this site, and load the page again.",
                ));
            }
        },
    };
    let sent = match request.headers().get("x-csrf-token").and_then(|it| it.to_str().ok()) {
        Some(sent) => sent.to_owned(),
        None => hidden_value(request, if who.is_some() { MAX_FORM } else { MAX_VISITOR_FORM }).await?,
    };
    if secret::is_equal(&sent, &expected) {
        Ok(())
    } else {
        Err(foreign("The form was made for another sign-in. Load the page again and repeat what you did."))
    }
}

fn foreign(why: &str) -> Error {
    Error::invalid("form", why)
}

/// The most bytes of a form by somebody who is signed in: a restore may name many files.
pub const MAX_FORM: usize = 2 << 20;
/// The most bytes of a visitor's form, which holds no more than an account.
const MAX_VISITOR_FORM: usize = 16 << 10;

/// Reads the form for its hidden value, and puts it back for the handler.
async fn hidden_value(request: &mut ServiceRequest, limit: usize) -> Result<String> {
    let cut = || Error::invalid("form", "It is more than a page accepts, or it did not arrive complete.");
    let payload = request.extract::<actix_web::web::Payload>().await.map_err(|_none| cut())?;
    let body = payload.to_bytes_limited(limit).await.map_err(|_too_long| cut())?.map_err(|_broken_off| cut())?;
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    if fields.iter().any(|(_, value)| value.contains('\0')) {
        return Err(Error::invalid("form", "A text contains a NUL character."));
    }
    let payload = futures_util::stream::once(std::future::ready(Ok(body)));
    request.set_payload(Payload::Stream { payload: Box::pin(payload) });
    Ok(fields.into_iter().find(|(name, _)| name == "csrf").map(|(_, value)| value).unwrap_or_default())
}
