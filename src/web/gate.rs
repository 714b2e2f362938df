//! What every request of a person passes.
//!
//! Odd addresses are refused, the person is recognised, forms from other sites are refused, and the answer gets
//! its protective headers and, if something went wrong, its error page.
use crate::auth::{self, Identity};
use crate::error::{Error, Result};
use crate::gate;
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
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use std::sync::Arc;

/// The middleware around all pages.
///
/// # Errors
/// None of its own: whatever goes wrong becomes an answer.
pub async fn gate(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (Ok(nonce), Ok(id)) = (secret::bytes::<16>().map(hex::encode), gate::request_id()) else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()));
    };
    gate::head_is_get(&mut request);
    request.extensions_mut().insert(Nonce(nonce.clone()));
    let span = tracing::info_span!("page", id, path = request.path());
    // Gets its page below, like every bare status.
    let refusal = if gate::is_odd(&request) {
        Some(HttpResponse::BadRequest().finish())
    } else {
        other_methods(&request)
            .map(|allowed| HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, allowed)).finish())
    };
    let response = if let Some(refusal) = refusal {
        // Only for the frame around it: somebody who is signed in is not asked to sign in.
        if let Ok(Some(who)) = person(request.request()).await {
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

/// The person who sent a request, none for a visitor. An API token opens no page.
async fn person(request: &HttpRequest) -> Result<Option<Arc<Identity>>> {
    match auth::recognise(request).await? {
        Some(who) if who.session.is_none() => Err(Error::Forbidden),
        who => Ok(who),
    }
}

/// Decides whether a request goes on to its handler.
async fn admit(request: &mut ServiceRequest) -> Result<()> {
    let pattern = request.match_pattern();
    if pattern.as_deref().is_some_and(|it| it.starts_with("/static/") || it == HEALTH) {
        return Ok(());
    }
    let who = person(request.request()).await?;
    if let Some(who) = &who {
        request.extensions_mut().insert(Arc::clone(who));
    }
    // An address without a page needs no guard; somebody who is signed in keeps the frame around the page that
    // says so.
    let Some(pattern) = pattern else {
        return if is_read(request.method()) { Ok(()) } else { Err(Error::NotFound("page")) };
    };
    if who.is_none() && !Areas::in_use(request.app_data()).public().any(|it| it == pattern) {
        return Err(Error::SignInNeeded);
    }
    if !is_read(request.method()) {
        csrf::check(request, who.as_deref()).await?;
    }
    Ok(())
}

const fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
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

/// The headers that isolate a page.
fn protect(headers: &mut HeaderMap, nonce: &str) {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    // What a device wrote has a stricter policy of its own.
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY)
        && let Ok(policy) = HeaderValue::from_str(&policy)
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // A page that refreshes itself is answered otherwise than one that a person opens.
    if !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static(auth::REFRESH));
    }
    gate::protect(headers);
}

/// The answer for an address with nothing at it.
///
/// # Errors
/// Always.
pub async fn not_found() -> std::result::Result<HttpResponse, HttpError> {
    Err(Error::NotFound("page").into())
}
