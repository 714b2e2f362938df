//! A request for a certificate, from the identifier in the profile to the certificate.
use super::account::Asked;
use super::reply::Reply;
use super::url;
use crate::error::Error;
use crate::protocol::apple::authority::timestamp;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::shared::Door;
use crate::service::apple::order::{self, OrderRefusal, Wanted};
use crate::store;
use crate::store::apple::order::{AppleOrder, Attested};
use anyhow::{Context, anyhow};
use apple::acme::{
    Attestation, Authorization, Challenge, Identifier, Order, Problem, ProblemKind, Status, answer, new_order,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::certification::OrderState;
use domain::id::AppleOrderId;
use domain::time::Time;

impl From<OrderRefusal> for Problem {
    fn from(refusal: OrderRefusal) -> Self {
        let kind = match refusal {
            OrderRefusal::Identifier => ProblemKind::RejectedIdentifier,
            OrderRefusal::NotReady => ProblemKind::OrderNotReady,
            OrderRefusal::OtherKey => ProblemKind::BadCsr,
            OrderRefusal::Entitlement => ProblemKind::Unauthorized,
            OrderRefusal::Unknown => ProblemKind::NotFound,
        };
        Self::new(kind, refusal)
    }
}

/// Begins one for the identifier of a profile.
pub fn new(door: &Door, asked: &Asked) -> Result<Reply, Problem> {
    let identifier = new_order(&asked.payload)?;
    let challenge = secret::hash(&identifier);
    let opened = door.opened().map_err(unavailable)?;
    let wanted = Wanted {
        account: asked.account(),
        identifier: opened.seal(&context(&challenge), identifier.as_bytes())?,
        challenge,
        token: secret::generate("").map_err(Error::from)?,
    };
    let now = door.now();
    let order = door.store().write_blocking(move |conn| order::begin(conn, wanted, now))??;
    let address = address(door, "order", order.id);
    Ok(Reply::json(201, &shown(door, &order)?).at(address))
}

pub fn show(door: &Door, asked: &Asked, id: AppleOrderId) -> Result<Reply, Problem> {
    Ok(Reply::json(200, &shown(door, &find(door, asked, id)?)?))
}

pub fn authorization(door: &Door, asked: &Asked, id: AppleOrderId) -> Result<Reply, Problem> {
    let order = find(door, asked, id)?;
    let shown = Authorization {
        status: of_challenge(&order),
        expires: timestamp(order.expires_at)?,
        identifier: identifier(door, &order)?,
        challenges: [challenge_of(door, &order)?],
    };
    Ok(Reply::json(200, &shown))
}

/// Takes an attestation. One that is not believed ends the request, not the one-time password: the device may begin again.
pub fn challenge(door: &Door, asked: &Asked, id: AppleOrderId) -> Result<Reply, Problem> {
    let (mut order, now) = (find(door, asked, id)?, door.now());
    if order.state == OrderState::Pending && !asked.payload.is_empty() {
        let shown = attested(door, &order, &asked.payload, now);
        if let Some(problem) = shown.as_ref().err().filter(|it| it.kind != ProblemKind::BadAttestationStatement) {
            return Err(problem.clone());
        }
        let (account, kept) = (asked.account(), shown.clone().map_err(|it| it.detail));
        order = door.store().write_blocking(move |conn| order::answer(conn, (&account, id), &kept, now))??;
        shown?;
    }
    let above = address(door, "authorization", id);
    Ok(Reply::json(200, &challenge_of(door, &order)?).below(above))
}

fn attested(door: &Door, order: &AppleOrder, payload: &[u8], now: Time) -> Result<Attested, Problem> {
    let object = answer(payload)?;
    let found = Attestation::verify(&object, &order.token, door.attestors(), timestamp(now)?)?;
    Ok(Attested {
        public_key: BASE64_STANDARD.encode(found.public_key.der()),
        attested_serial: found.serial,
        attested_udid: found.udid,
        attested_at: now,
    })
}

/// Makes the certificate.
pub fn finalize(door: &Door, asked: &Asked, id: AppleOrderId) -> Result<Reply, Problem> {
    let (key, account, now) = (apple::acme::finalize(&asked.payload)?, asked.account(), door.now());
    door.opened().map_err(unavailable)?;
    let owned = door.clone();
    let order = door.store().write_blocking(move |conn| {
        let wanted = BASE64_STANDARD.encode(key.der());
        let make = |enrollment| owned.opened().map_err(|fault| anyhow!("{fault}"))?.certify(enrollment, &key, now);
        order::finalize(conn, (&account, id), &wanted, make, now)
    })??;
    Ok(Reply::json(200, &shown(door, &order)?).at(address(door, "order", id)))
}

/// The certificate, and that of the authority.
pub fn certificate(door: &Door, asked: &Asked, id: AppleOrderId) -> Result<Reply, Problem> {
    let order = find(door, asked, id)?;
    let made = order.certificate.ok_or(OrderRefusal::NotReady)?;
    let above = BASE64_STANDARD.encode(door.opened().map_err(unavailable)?.authority.certificate().der());
    let pem = |it: &str| format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines(it));
    Ok(Reply::certificates(pem(&made) + &pem(&above)))
}

/// 64 characters each, as RFC 7468 asks of who writes PEM.
fn lines(base64: &str) -> String {
    let mut lines = String::with_capacity(base64.len() + base64.len() / 64 + 1);
    for (at, letter) in base64.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines + "\n"
}

fn find(door: &Door, asked: &Asked, id: AppleOrderId) -> Result<AppleOrder, Problem> {
    let (account, now) = (asked.account(), door.now());
    let order = door.store().read_blocking(move |conn| store::apple::order::find(conn, &account, id, now))?;
    Ok(order.ok_or(OrderRefusal::Unknown)?)
}

fn address(door: &Door, kind: &str, id: AppleOrderId) -> String {
    url(door.settings(), &format!("{kind}/{id}"))
}

fn context(challenge: &str) -> String {
    format!("acme identifier/{challenge}")
}

fn identifier(door: &Door, order: &AppleOrder) -> Result<Identifier, Problem> {
    let opened = door.opened().map_err(unavailable)?;
    let bytes = opened.unseal(&context(&order.challenge), &order.identifier)?;
    let text = String::from_utf8(bytes).context("reading the identifier of an order").map_err(Error::from)?;
    Ok(Identifier::permanent(text))
}

fn shown(door: &Door, order: &AppleOrder) -> Result<Order, Problem> {
    let id = order.id;
    Ok(Order {
        status: match order.state {
            OrderState::Pending => Status::Pending,
            OrderState::Ready => Status::Ready,
            OrderState::Valid => Status::Valid,
            OrderState::Invalid => Status::Invalid,
        },
        expires: timestamp(order.expires_at)?,
        identifiers: [identifier(door, order)?],
        authorizations: [address(door, "authorization", id)],
        finalize: format!("{}/finalize", address(door, "order", id)),
        certificate: order.certificate.as_ref().map(|_| address(door, "certificate", id)),
    })
}

fn challenge_of(door: &Door, order: &AppleOrder) -> Result<Challenge, Problem> {
    let mut shown = Challenge::new(address(door, "challenge", order.id), order.token.clone());
    shown.status = of_challenge(order);
    shown.validated = order.attested_at.map(timestamp).transpose()?;
    let is_refused = shown.status == Status::Invalid;
    shown.error = is_refused.then(|| Problem::new(ProblemKind::BadAttestationStatement, &order.detail));
    Ok(shown)
}

/// Once the device has shown what it is, that stands, whatever becomes of the order.
fn of_challenge(order: &AppleOrder) -> Status {
    match (order.attested_at, order.state) {
        (Some(_), _) => Status::Valid,
        (None, OrderState::Pending) => Status::Pending,
        (None, OrderState::Ready | OrderState::Valid | OrderState::Invalid) => Status::Invalid,
    }
}

fn unavailable(fault: Fault) -> Problem {
    Problem::new(ProblemKind::Unavailable, fault)
}
