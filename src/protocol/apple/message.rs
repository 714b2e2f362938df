//! `PUT /apple/mdm`: every message of a device, from its first words to its last.
use crate::config::Config;
use crate::error::Result;
use crate::protocol::apple::answer::Answer;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::received::Received;
use crate::protocol::apple::redact::without_secrets;
use crate::protocol::apple::shared::Door;
use crate::protocol::apple::{check_in, command, identity};
use crate::service::apple::identity::{IdentityRefusal, Known, recognise, refused};
use crate::service::apple::log::{self, Line};
use crate::store::Conn;
use actix_web::http::header::HeaderValue;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use apple::message::{CheckIn, Content, Message};
use std::net::{IpAddr, Ipv4Addr};

/// Takes a message. What it is decides what is in it, and not how it came: devices leave out or mistake content types.
///
/// # Errors
/// When it is none, or its sender is not who it says.
pub async fn receive(
    request: HttpRequest,
    body: Bytes,
    (door, config): (Data<Door>, Data<Config>),
) -> Result<HttpResponse, Fault> {
    // Who sends it comes before what it says.
    let certificate = identity::of(&request, &body, &door)?;
    let message = Message::parse(&body).map_err(Fault::bad)?;
    let (fingerprint, name) = (hex::encode(certificate.fingerprint()), message.speaker.name.as_str().to_owned());
    let address = address(&request, &config);
    let received = Received { door: Door::clone(&door), message, address, now: door.now() };
    let (now, is_act, kept, from) =
        (received.now, is_act(&received.message), without_secrets(&body), received.address.clone());
    let (by, of) = (fingerprint.clone(), name.clone());
    let work = move |conn: &mut Conn| match recognise(conn, &by, &of, now)? {
        Ok(known) => match fits(&known, &received.message) {
            Ok(()) => answer(conn, &received, known, kept).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        },
        Err(refusal) => Ok(Err(refusal)),
    };
    let answered = match is_act {
        true => door.store().act(work).await?,
        false => door.store().write(work).await?,
    };
    match answered {
        Ok(answer) => Ok(answer.response()),
        Err(refusal) => {
            if is_misuse(refusal) && door.is_news(&fingerprint, now) {
                door.store().act(move |conn| refused(conn, (&fingerprint, refusal), &name, &from, now)).await?;
            }
            Err(refusal.into())
        }
    }
}

/// Whether the device is one that its profile was made for.
fn fits(known: &Known, message: &Message) -> std::result::Result<(), IdentityRefusal> {
    let enrollment = &known.enrollment;
    if enrollment.is_by_account() && !message.speaker.name.is_personal() {
        return Err(IdentityRefusal::NotByAccount);
    }
    match (&enrollment.only_serial, &message.content) {
        (Some(serial), Content::CheckIn(CheckIn::Authenticate(said))) if *serial != said.serial_number => {
            Err(IdentityRefusal::OtherSerial)
        }
        _ => Ok(()),
    }
}

/// Whether somebody has what is another's, which is written down.
fn is_misuse(refusal: IdentityRefusal) -> bool {
    match refusal {
        IdentityRefusal::OtherDevice | IdentityRefusal::OtherSerial => true,
        IdentityRefusal::Unknown
        | IdentityRefusal::Revoked
        | IdentityRefusal::Ended
        | IdentityRefusal::NotByAccount => false,
    }
}

/// Where it came from: the socket's address, or the one a trusted proxy reports.
fn address(request: &HttpRequest, config: &Config) -> String {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.ip());
    let forwarded: Vec<_> = request.headers().get_all("x-forwarded-for").map(HeaderValue::as_bytes).collect();
    config.client_address(peer, forwarded.into_iter()).to_string()
}

/// Whether the message may change who is enrolled: that takes its turn among the acts.
fn is_act(message: &Message) -> bool {
    matches!(message.content, Content::CheckIn(CheckIn::TokenUpdate(_) | CheckIn::CheckOut { .. }))
}

fn answer(conn: &mut Conn, received: &Received, known: Known, kept: String) -> Result<Answer> {
    let Message { content, speaker } = &received.message;
    let heard = Line { is_ours: false, kind: kind(content).to_owned(), body: kept };
    log::keep(conn, known.enrollment.id, &heard, received.now)?;
    let answer = match content {
        // Users of a Mac have no channel of their own.
        Content::CheckIn(CheckIn::UserAuthenticate { .. }) => Answer::Gone,
        _ if speaker.user.is_some() => Answer::Nothing,
        Content::CheckIn(said) => check_in::answer(conn, received, &known, said)?,
        Content::Report(report) => command::answer(conn, received, &known, report)?,
    };
    if let Answer::Plist { kind, bytes } = &answer {
        let said = Line { is_ours: true, kind: (*kind).to_owned(), body: without_secrets(bytes) };
        log::keep(conn, known.enrollment.id, &said, received.now)?;
    }
    Ok(answer)
}

/// What the protocol log calls it.
fn kind(content: &Content) -> &'static str {
    match content {
        Content::CheckIn(said) => match said {
            CheckIn::Authenticate(_) => "Authenticate",
            CheckIn::TokenUpdate(_) => "TokenUpdate",
            CheckIn::CheckOut { .. } => "CheckOut",
            CheckIn::UserAuthenticate { .. } => "UserAuthenticate",
            CheckIn::SetBootstrapToken { .. } => "SetBootstrapToken",
            CheckIn::GetBootstrapToken => "GetBootstrapToken",
            CheckIn::GetToken { .. } => "GetToken",
            CheckIn::DeclarativeManagement { .. } => "DeclarativeManagement",
        },
        Content::Report(report) => report.status.word(),
    }
}
