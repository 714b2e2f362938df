//! `GET /apple/enroll/{token}`: the profile that makes a device ours, for whoever has an enrolment token.
use crate::protocol::apple::authority::Opened;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::profile;
use crate::protocol::apple::shared::Door;
use crate::service::apple::enrollment::{Begun, begin};
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, REFERRER_POLICY};
use actix_web::web::{Data, Path};
use domain::time::Time;

/// Hands out a profile: it gives one certificate, and the token is used once a device comes with it.
///
/// # Errors
/// When the token lets nobody in.
pub async fn profile(door: Data<Door>, token: Path<String>) -> Result<HttpResponse, Fault> {
    let (now, token) = (door.now(), token.into_inner());
    let opened = door.opened()?;
    let topic = door.settings().topic.clone();
    let begun = door.store().write(move |conn| begin(conn, &token, &topic, &profile::rights, now)).await?;
    handed_out(&door, opened, &begun.map_err(Fault::forbidden)?, now)
}

/// The profile of an enrolment that has just begun.
///
/// # Errors
/// When it cannot be written or signed.
pub fn handed_out(door: &Door, opened: &Opened, begun: &Begun, now: Time) -> Result<HttpResponse, Fault> {
    let whose = (&begun.enrollment, begun.ownership);
    let signed = profile::signed(door.settings(), opened, whose, &begun.challenge, now)?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-apple-aspen-config")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"holdfast.mobileconfig\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(signed))
}
