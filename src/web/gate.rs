//! What every request of a person passes.
//!
//! Odd addresses are refused, the person is recognised, forms from other sites are refused, and the answer gets
//! its protective headers and, if something went wrong, its error page.
use crate::auth;
use crate::error::{Error, Result};
use crate::problem::HttpError;
use crate::web::area::Areas;
use crate::web::csrf;
use crate::web::error;
use crate::web::health::HEALTH;
use crate::web::nonce::Nonce;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
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
        if let Ok(Some(who)) = auth::recognise(request.request()).await {
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
    let who = auth::recognise(request.request()).await?;
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
        csrf::check(request, who.as_deref()).await?;
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
    for (name, of_a_page) in [(header::VARY, auth::REFRESH), (header::CACHE_CONTROL, "no-store")] {
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
