//! What every request to the API passes.
use crate::api::error;
use crate::auth;
use crate::error::Error;
use crate::gate;
use crate::problem::HttpError;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{FromRequest, Handler, HttpMessage, HttpResponse, Responder, ResponseError, web};

/// An address that is read.
///
/// A resource of its own with the gate around it, and not one scope: a scope without a prefix would hide the pages'
/// addresses from `match_pattern`.
pub fn get<F, Args>(path: &'static str, handler: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler))
        .default_service(web::to(other_method))
        .wrap(from_fn(admit))
        .wrap(from_fn(answer))
}

/// Every other address that ends like one of the API's: whoever reads it expects data, not a page.
pub fn rest() -> impl HttpServiceFactory + 'static {
    web::resource(["/{path:.*}.json", "/{path:.*}.csv"]).default_service(web::to(not_found)).wrap(from_fn(answer))
}

async fn other_method() -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, HEAD")).finish()
}

async fn not_found() -> Result<HttpResponse, HttpError> {
    Err(Error::NotFound("page").into())
}

/// Recognises who asks, and lets nobody else through.
async fn admit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    // Another method is refused by the address itself, whoever asks.
    if *request.method() == Method::GET {
        match auth::recognise(request.request()).await.and_then(|it| it.ok_or(Error::SignInNeeded)) {
            Ok(who) => {
                request.extensions_mut().insert(who);
            }
            Err(error) => return Ok(request.into_response(HttpError::from(error).error_response())),
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Refuses odd addresses, and gives each answer its protective headers and each refusal its form.
async fn answer(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Ok(id) = gate::request_id() else {
        return Ok(request.into_response(HttpResponse::InternalServerError().finish()));
    };
    gate::head_is_get(&mut request);
    let span = tracing::info_span!("api", id, path = request.path());
    let response = if gate::is_odd(&request) {
        request.into_response(HttpResponse::BadRequest().finish())
    } else {
        tracing::Instrument::instrument(next.call(request), span).await?.map_into_boxed_body()
    };
    let mut response = error::dress(response, &id);
    let nothing = HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, nothing);
    gate::protect(response.headers_mut());
    Ok(response)
}
