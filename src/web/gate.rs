//! What every request of a person passes.
//!
//! Odd addresses are refused, the person is recognised, forms from other sites are refused, and the answer gets
//! its protective headers and, if something went wrong, its error page.
use crate::config::Config;
use crate::error::{Error, Result};
use crate::problem::HttpError;
use crate::web::area::Areas;
use crate::web::error;
use crate::web::health::HEALTH;
use crate::web::nonce::Nonce;
use crate::web::session::{self, Identity, Visitor, csrf_token};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpResponse, ResponseError};
use std::sync::Arc;

/// The middleware around all pages.
///
/// # Errors
/// None of its own: whatever goes wrong becomes an answer.
pub async fn gate(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (Ok(nonce), Ok(id)) = (secret::bytes::<16>().map(hex::encode), secret::bytes::<8>().map(hex::encode)) else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()));
    };
    // HEAD is GET without the body, which the protocol's encoder leaves out by itself (RFC 9110, 9.3.2).
    if *request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    request.extensions_mut().insert(Nonce(nonce.clone()));
    let span = tracing::info_span!("page", id, path = request.path());
    // No text typed by a person contains a NUL, and PostgreSQL accepts none.
    let has_nul = request.uri().query().is_some_and(|it| it.contains("%00"));
    // Gets its page below, like every bare status.
    let refusal = if has_nul || is_odd(request.uri().path()) {
        Some(HttpResponse::BadRequest().finish())
    } else {
        other_methods(&request)
            .map(|allowed| HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, allowed)).finish())
    };
    let response = if let Some(refusal) = refusal {
        // Only for the frame around it: somebody who is signed in is not asked to sign in.
        if let Ok(Some(who)) = session::recognise(request.request()).await {
            request.extensions_mut().insert(who);
        }
        request.into_response(refusal)
    } else {
        match admit(&mut request).await {
            Ok(()) => tracing::Instrument::instrument(next.call(request), span).await?.map_into_boxed_body(),
            Err(error) => request.into_response(HttpError::from(error).error_response()),
        }
    };
    let mut response = error::dress(response, &id).await;
    protect(response.headers_mut(), &nonce);
    Ok(response)
}

/// Decides whether a request goes on to its handler.
async fn admit(request: &mut ServiceRequest) -> Result<()> {
    let pattern = request.match_pattern();
    if pattern.as_deref().is_some_and(|it| it.starts_with("/static/") || it == HEALTH) {
        return Ok(());
    }
    let who = session::recognise(request.request()).await?;
    if let Some(who) = &who {
        request.extensions_mut().insert(Arc::clone(who));
    }
    // An address without a page needs no guard; somebody who is signed in keeps the frame around the page that
    // says so.
    let Some(pattern) = pattern else { return Ok(()) };
    if who.is_none() && !Areas::in_use(request.app_data()).public().any(|it| it == pattern) {
        return Err(Error::SignInNeeded);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        check_origin(request)?;
        check_form(request, who.as_deref()).await?;
    }
    Ok(())
}

/// The methods an address accepts, if it does not accept the one sent. Opening a form's address leads to its
/// page instead.
fn other_methods(request: &ServiceRequest) -> Option<&'static str> {
    let pattern = request.match_pattern()?;
    let areas = Areas::in_use(request.app_data());
    let allowed = if areas.page_behind(request.path(), Some(&pattern)).is_some() {
        "POST"
    } else if areas.is_page_with_form(&pattern) {
        "GET, HEAD, POST"
    } else {
        "GET, HEAD"
    };
    let method = request.method();
    let is_taken = *method == Method::GET || (*method == Method::POST && allowed.ends_with("POST"));
    (!is_taken).then_some(allowed)
}

/// Spellings of a path that servers and proxies read differently.
fn is_odd(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    ["//", "/./", "/../", "%2f", "%5c", "%00", "%2e", "%25", ";", "\\"].iter().any(|it| lower.contains(it))
        || lower.ends_with("/..")
        || lower.ends_with("/.")
        || !path.is_ascii()
        || !is_utf8_when_decoded(path)
}

fn is_utf8_when_decoded(path: &str) -> bool {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let Some((pair, tail)) = rest.split_at_checked(2) else { return false };
        let Ok(byte) = hex::decode(pair) else { return false };
        bytes.extend(byte);
        rest = tail;
    }
    std::str::from_utf8(&bytes).is_ok()
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
        Some(who) if who.session.is_none() => return Err(Error::Forbidden),
        Some(who) => who.csrf.clone(),
        None => match Visitor::of(request.request()).visit {
            Some(visit) => csrf_token(&visit),
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

/// The headers that isolate a page.
fn protect(headers: &mut HeaderMap, nonce: &str) {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with that, browsers send `Origin: null` with forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, of_a_page) in [(header::VARY, session::REFRESH), (header::CACHE_CONTROL, "no-store")] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(of_a_page));
        }
    }
}

/// The answer for an address with nothing at it.
///
/// # Errors
/// Always.
pub async fn not_found() -> std::result::Result<HttpResponse, HttpError> {
    Err(Error::NotFound("page").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_spellings_of_a_path_are_found() {
        for path in [
            "//devices",
            "/devices//",
            "/a/../b",
            "/a/..",
            "/a/./b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a;b",
            "/a%2e%2e/b",
            "/a%252e",
            "/%ff",
            "/%zz",
            "/a%2",
        ] {
            assert!(is_odd(path), "{path}");
        }
        for path in
            ["/", "/devices", "/devices.csv", "/devices/0190163d-8694-739b-aea5-966c26f8ad91", "/static/a/js/x.min.js"]
        {
            assert!(!is_odd(path), "{path}");
        }
    }
}
