//! `GET /apple/enroll/{token}`: the profile that makes a device ours, for whoever has an enrolment token.
use crate::error::Error;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::profile;
use crate::protocol::apple::shared::Door;
use crate::service::apple::enrollment::begin;
use crate::service::apple::push_certificate::topic;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, REFERRER_POLICY};
use actix_web::web::{Data, Path, Query};
use domain::certification::Certification;
use domain::push_certificate::NO_TOPIC;
use serde::Deserialize;

/// What may follow `?` in the address.
#[derive(Deserialize)]
pub struct Chosen {
    /// How the device gets its certificate; by SCEP unless it says otherwise.
    by: Option<Certification>,
}

/// Hands out a profile: it gives one certificate, and the token is used once a device comes with it.
///
/// # Errors
/// When the token lets nobody in.
pub async fn profile(door: Data<Door>, token: Path<String>, chosen: Query<Chosen>) -> Result<HttpResponse, Fault> {
    let (now, token) = (door.now(), token.into_inner());
    door.opened()?;
    let by = chosen.by.unwrap_or(Certification::Scep);
    if by == Certification::Acme && !door.settings().offers_acme {
        return Err(Fault::forbidden("this server does not offer certificates with attestation (--apple-acme)"));
    }
    let given = door.given().clone();
    let begun = door
        .store()
        .write(move |conn| {
            let topic = topic(conn, &given)?.ok_or_else(|| Error::Refused(NO_TOPIC.to_owned()))?;
            begin(conn, &token, (&topic, by), &profile::rights, now)
        })
        .await?;
    let begun = begun.map_err(Fault::forbidden)?;
    let whose = (&begun.enrollment, begun.ownership);
    let signed = profile::signed(&door, door.opened()?, whose, &begun.challenge, now)?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-apple-aspen-config")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"holdfast.mobileconfig\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(signed))
}
