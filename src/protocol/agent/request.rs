//! What every request can reach, and what it says before its body.
use crate::error::Error;
use crate::protocol::agent::fault::Fault;
use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use anyhow::anyhow;
use clock::Clock;
use domain::time::Time;
use wire::ErrorCode;

/// Something that every request can reach.
///
/// # Errors
/// When the server was built without it.
pub fn data<T: ?Sized + 'static>(request: &HttpRequest) -> Result<&Data<T>, Fault> {
    let missing = || Error::Internal(anyhow!("the server was started without {}", std::any::type_name::<T>()));
    Ok(request.app_data::<Data<T>>().ok_or_else(missing)?)
}

/// The value of the `Authorization` header; empty if there is none.
///
/// # Errors
/// When it is not text.
pub fn authorization(request: &HttpRequest) -> Result<&str, Fault> {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok("") };
    header.to_str().map_err(|_not_text| Fault::new(ErrorCode::BadSignature, "the `Authorization` header is not text"))
}

/// The server's clock.
pub fn now(request: &HttpRequest) -> Time {
    request.app_data::<Data<Clock>>().map_or_else(|| Clock::System.now(), |clock| clock.now())
}
