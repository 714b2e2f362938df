//! `/apple/acme/…`: how a device gets its certificate with Apple's word for it (RFC 8555).
//!
//! An account is whoever has its key: its address carries the key, and nothing of it is kept.
mod account;
mod order;
mod reply;

use crate::config::AppleSettings;
use crate::error::Error;
use crate::protocol::apple::shared::Door;
use account::Asked;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path, PayloadConfig, ServiceConfig, get, head, post, scope};
use apple::acme::{Directory, MAX_LEN, Problem, ProblemKind};
use domain::id::AppleOrderId;
use reply::Reply;
use std::time::Duration;

/// Where a client finds everything.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        scope("/acme")
            .app_data(PayloadConfig::new(MAX_LEN))
            .route("/directory", get().to(directory))
            .route("/nonce", head().to(nonce))
            .route("/nonce", get().to(nonce))
            .route("/{place:.*}", post().to(answer)),
    );
}

/// The address that a profile names.
pub fn directory_url(settings: &AppleSettings) -> String {
    url(settings, "directory")
}

fn url(settings: &AppleSettings, place: &str) -> String {
    format!("{}/apple/acme/{place}", settings.url)
}

/// What a request is about, by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    NewAccount,
    Account,
    NewOrder,
    Order(AppleOrderId),
    Authorization(AppleOrderId),
    Challenge(AppleOrderId),
    Finalize(AppleOrderId),
    Certificate(AppleOrderId),
}

impl Place {
    fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let (kind, of, more) = (parts.next()?, parts.next(), parts.next());
        let id = || AppleOrderId::parse(of?);
        match (kind, of, more, parts.next()) {
            ("account", None, None, None) => Some(Self::NewAccount),
            ("account", Some(_), None, None) => Some(Self::Account),
            ("order", None, None, None) => Some(Self::NewOrder),
            ("order", Some(_), None, None) => id().map(Self::Order),
            ("order", Some(_), Some("finalize"), None) => id().map(Self::Finalize),
            ("authorization", Some(_), None, None) => id().map(Self::Authorization),
            ("challenge", Some(_), None, None) => id().map(Self::Challenge),
            ("certificate", Some(_), None, None) => id().map(Self::Certificate),
            _ => None,
        }
    }
}

async fn directory(door: Data<Door>) -> HttpResponse {
    let at = |place| url(door.settings(), place);
    let directory = Directory { new_nonce: at("nonce"), new_account: at("account"), new_order: at("order") };
    Reply::json(200, &directory).response(&door)
}

async fn nonce(door: Data<Door>, request: actix_web::HttpRequest) -> HttpResponse {
    // RFC 8555, 7.2.
    let status = if request.method() == actix_web::http::Method::HEAD { 200 } else { 204 };
    Reply::empty(status).response(&door)
}

async fn answer(body: Bytes, door: Data<Door>, path: Path<String>) -> HttpResponse {
    let owned = Door::clone(&door);
    // Signatures take a while.
    let done = actix_web::web::block(move || process(&owned, &path, &body)).await;
    let stopping = |_| Err(Error::Busy(Duration::from_secs(2)).into());
    done.unwrap_or_else(stopping).unwrap_or_else(|problem| Reply::problem(&problem)).response(&door)
}

fn process(door: &Door, path: &str, body: &[u8]) -> Result<Reply, Problem> {
    let place = Place::parse(path).ok_or_else(|| Problem::new(ProblemKind::NotFound, "there is nothing here"))?;
    let asked = Asked::open(door, (&place, path), body)?;
    match place {
        Place::NewAccount => account::new(door, &asked),
        Place::Account => account::show(&asked),
        Place::NewOrder => order::new(door, &asked),
        Place::Order(id) => order::show(door, &asked, id),
        Place::Authorization(id) => order::authorization(door, &asked, id),
        Place::Challenge(id) => order::challenge(door, &asked, id),
        Place::Finalize(id) => order::finalize(door, &asked, id),
        Place::Certificate(id) => order::certificate(door, &asked, id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_place_or_none() {
        let text = "0190163d-8694-739b-aea5-966c26f8ad91";
        let id = AppleOrderId::parse(text).unwrap();
        let parse = |path: &str| Place::parse(&path.replace("ID", text));
        assert_eq!(parse("account"), Some(Place::NewAccount));
        assert_eq!(parse("account/abc"), Some(Place::Account));
        assert_eq!(parse("order/ID"), Some(Place::Order(id)));
        assert_eq!(parse("order/ID/finalize"), Some(Place::Finalize(id)));
        for wrong in
            ["", "orders", "order/", "order/x", "order/ID/", "order/ID/finalize/", "challenge", "certificate/ID/x"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
