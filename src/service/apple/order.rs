//! Requests for certificates with Apple's word for the device: who may ask, what it showed, and what it gets.
use crate::error::{Error, Result};
use crate::service::apple::certificate::{Entitled, Hardware, Issued, issue};
use crate::service::apple::identity;
use crate::store::apple::order::{AppleOrder, Attested};
use crate::store::{self, Conn};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::certification::{Certification, OrderState};
use domain::id::{AppleEnrollmentId, AppleOrderId};
use domain::time::{Time, minutes};
use std::time::Duration;

/// How long a request is kept.
const LIFE: Duration = minutes(60);

/// How many an enrolment may have in that time: a device tries again when it was cut off.
const MOST: i64 = 10;

/// What somebody asks with.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// SHA-256 of the key that the messages are signed with, hex.
    pub account: String,
    /// What the one-time password hashes to.
    pub challenge: String,
    /// The one-time password itself, encrypted.
    pub identifier: String,
    /// What the attestation has to be made for.
    pub token: String,
}

/// Why there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    #[error(
        "the identifier is none of this server’s, has expired or was used, or is not for this way to a certificate"
    )]
    Identifier,
    #[error("the device has not shown what it is")]
    NotReady,
    #[error("the key of the request is not the one that was attested")]
    OtherKey,
    #[error("the identifier has expired or was used, or another device had it before")]
    Entitlement,
    #[error("there is no such order of this account")]
    Unknown,
}

/// Begins a request; the one-time password is used up only once the certificate is made.
///
/// # Errors
/// When there are too many of this enrolment, or the database refuses. A refusal is a value.
pub fn begin(conn: &mut Conn, wanted: Wanted, now: Time) -> Result<std::result::Result<AppleOrder, OrderRefusal>> {
    let id = store::apple::challenge::open(conn, &wanted.challenge, now)?;
    let Some(enrollment) = id.map(|it| store::apple::enrollment::find(conn, it)).transpose()?.flatten() else {
        return Ok(Err(OrderRefusal::Identifier));
    };
    if enrollment.certification != Certification::Acme || !identity::stands(conn, &enrollment)? {
        return Ok(Err(OrderRefusal::Identifier));
    }
    if store::apple::order::count(conn, enrollment.id, now)? >= MOST {
        return Err(Error::TooMany(LIFE));
    }
    let order = AppleOrder {
        id: AppleOrderId::generate(now),
        enrollment_id: enrollment.id,
        account: wanted.account,
        challenge: wanted.challenge,
        identifier: wanted.identifier,
        token: wanted.token,
        state: OrderState::Pending,
        detail: String::new(),
        public_key: None,
        attested_serial: None,
        attested_udid: None,
        attested_at: None,
        certificate: None,
        made_at: now,
        expires_at: now + LIFE,
    };
    store::apple::order::insert(conn, &order)?;
    Ok(Ok(order))
}

/// Makes the certificate of a request, for the key that was attested and no other.
///
/// # Errors
/// When `make` fails, or the database refuses. A refusal is a value.
pub fn finalize(
    conn: &mut Conn,
    (account, id): (&str, AppleOrderId),
    public_key: &str,
    make: impl FnOnce(AppleEnrollmentId) -> Result<Issued>,
    now: Time,
) -> Result<std::result::Result<AppleOrder, OrderRefusal>> {
    let Some(order) = store::apple::order::find(conn, account, id, now)? else { return Ok(Err(OrderRefusal::Unknown)) };
    let (OrderState::Ready, Some(serial), Some(udid)) = (order.state, order.attested_serial, order.attested_udid)
    else {
        return Ok(Err(OrderRefusal::NotReady));
    };
    if order.public_key.as_deref() != Some(public_key) {
        return Ok(Err(OrderRefusal::OtherKey));
    }
    let entitled = Entitled::Attested { challenge: order.challenge, hardware: Hardware { serial, udid } };
    let refusal = OrderRefusal::Entitlement;
    let Some(der) = issue(conn, &entitled, make, now)? else {
        store::apple::order::refuse(conn, id, &refusal.to_string())?;
        return Ok(Err(refusal));
    };
    store::apple::order::certify(conn, id, &BASE64_STANDARD.encode(der))?;
    Ok(store::apple::order::find(conn, account, id, now)?.ok_or(OrderRefusal::Unknown))
}

/// Keeps what a device showed, or why it is not believed; the request as it is then.
///
/// # Errors
/// When the database refuses.
pub fn answer(
    conn: &mut Conn,
    (account, id): (&str, AppleOrderId),
    shown: &std::result::Result<Attested, String>,
    now: Time,
) -> Result<std::result::Result<AppleOrder, OrderRefusal>> {
    if store::apple::order::find(conn, account, id, now)?.is_none() {
        return Ok(Err(OrderRefusal::Unknown));
    }
    match shown {
        Ok(attested) => store::apple::order::attest(conn, id, attested)?,
        Err(detail) => store::apple::order::refuse(conn, id, detail)?,
    }
    Ok(store::apple::order::find(conn, account, id, now)?.ok_or(OrderRefusal::Unknown))
}
