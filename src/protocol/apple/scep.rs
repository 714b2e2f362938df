//! `/apple/scep`: how a device gets its certificate.
use crate::error::Error;
use crate::protocol::apple::authority::{Opened, timestamp};
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::shared::Door;
use crate::service::apple::certificate::{Entitled, issue};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use anyhow::{Context, anyhow};
use apple::certificate::Certificate;
use apple::scep::{FailInfo, Kind, Message, Operation, Outcome, Request, authority_certificates, capabilities, reply};
use domain::time::Time;

/// Answers a request of a SCEP client.
///
/// # Errors
/// When it is none; a request that is refused is an answer.
pub async fn answer(request: HttpRequest, body: Bytes, door: Data<Door>) -> Result<HttpResponse, Fault> {
    let opened = door.opened()?;
    match Operation::parse(request.query_string(), &body).map_err(Fault::bad)? {
        Operation::Capabilities => Ok(text(capabilities(door.strength()))),
        Operation::Certificates => {
            let both = authority_certificates(&opened.registrar, opened.authority.certificate());
            Ok(bytes("application/x-x509-ca-ra-cert", both.context("writing certificates").map_err(Error::from)?))
        }
        Operation::Message(message) => {
            let door = Door::clone(&door);
            // Opening an envelope takes a private key: long enough to keep others waiting.
            let done = actix_web::web::block(move || process(&door, &message)).await;
            let answer = done.map_err(|_stopping| Error::Busy(std::time::Duration::from_secs(2)))??;
            Ok(bytes("application/x-pki-message", answer))
        }
    }
}

fn text(text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body(text)
}

fn bytes(kind: &'static str, bytes: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).body(bytes)
}

fn process(door: &Door, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let (opened, now) = (door.opened()?, door.now());
    let message = Message::parse(bytes, door.strength()).map_err(Fault::bad)?;
    let say = |outcome: &Outcome<'_>| {
        let written = reply(&message, &opened.registrar, outcome).context("writing an answer to a SCEP client");
        written.map_err(|it| Fault::from(Error::from(it)))
    };
    let request = match message.request(&opened.registrar) {
        Ok(request) => request,
        Err(why) => {
            tracing::info!(%why, "a request for a certificate was refused");
            return say(&Outcome::Failed(why.fail_info()));
        }
    };
    let Some(entitled) = entitled(opened, &message, &request, now)? else {
        return say(&Outcome::Failed(FailInfo::BadRequest));
    };
    match certify(door, &entitled, &request, now)? {
        Some(certificate) => say(&Outcome::Issued(&certificate, &request)),
        None => say(&Outcome::Failed(FailInfo::BadRequest)),
    }
}

fn entitled(opened: &Opened, message: &Message, request: &Request, now: Time) -> Result<Option<Entitled>, Fault> {
    if let Some(challenge) = &request.challenge {
        return Ok(Some(Entitled::Challenge(secret::hash(challenge))));
    }
    if message.kind != Kind::Renew {
        return Ok(None);
    }
    // The message was signed with the key of this certificate.
    let current = opened.authority.check(Some(message.requester.der()), timestamp(now)?);
    Ok(current.ok().map(|it| Entitled::Holder(hex::encode(it.fingerprint()))))
}

fn certify(door: &Door, entitled: &Entitled, request: &Request, now: Time) -> Result<Option<Certificate>, Fault> {
    let (owned, entitled, key) = (door.clone(), entitled.clone(), request.public_key.clone());
    let der = door.store().write_blocking(move |conn| {
        let make = |id| {
            let opened = owned.opened().map_err(|fault| anyhow!("{fault}"))?;
            opened.certify(id, &key, now)
        };
        issue(conn, &entitled, make, now)
    })?;
    let certificate = der.map(|it| Certificate::parse(&it)).transpose().context("reading a certificate");
    Ok(certificate.map_err(Error::from)?)
}
