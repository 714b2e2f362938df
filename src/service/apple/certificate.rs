//! Who gets a certificate: whoever has an enrolment's one-time password, or its current certificate.
use crate::error::Result;
use crate::service::apple::identity;
use crate::store::apple::certificate::AppleCertificate;
use crate::store::{self, Conn};
use domain::id::AppleEnrollmentId;
use domain::time::{Time, days};
use std::time::Duration;

/// How long a certificate is good.
pub const LIFE: Duration = days(398);

/// How long before its end the device is given another.
pub const RENEW_BEFORE: Duration = days(60);

/// What entitles somebody to a certificate.
#[derive(Debug, Clone)]
pub enum Entitled {
    /// What the one-time password hashes to.
    Challenge(String),
    /// The SHA-256 of a certificate whose key the sender has, hex.
    Holder(String),
}

/// A certificate that was just made.
#[derive(Debug, Clone)]
pub struct Issued {
    pub der: Vec<u8>,
    pub fingerprint: String,
    pub serial: String,
    pub not_after: Time,
}

/// Issues a certificate for the enrolment that the sender is entitled to, and for nothing else: what the request asks to be
/// called is not even given to this. None if the sender is entitled to none.
///
/// # Errors
/// When `make` fails, or the database refuses.
pub fn issue(
    conn: &mut Conn,
    entitled: &Entitled,
    make: impl FnOnce(AppleEnrollmentId) -> Result<Issued>,
    now: Time,
) -> Result<Option<Vec<u8>>> {
    let id = match entitled {
        Entitled::Challenge(hash) => store::apple::challenge::take(conn, hash, now)?,
        Entitled::Holder(fingerprint) => store::apple::certificate::find(conn, fingerprint)?
            .filter(|(certificate, _)| certificate.revoked_at.is_none())
            .map(|(_, enrollment)| enrollment.id),
    };
    let Some(enrollment) = id.map(|it| store::apple::enrollment::find(conn, it)).transpose()?.flatten() else {
        return Ok(None);
    };
    if !identity::stands(conn, &enrollment)? {
        return Ok(None);
    }
    let issued = make(enrollment.id)?;
    let certificate = AppleCertificate {
        fingerprint: issued.fingerprint,
        enrollment_id: enrollment.id,
        serial: issued.serial,
        issued_at: now,
        not_after: issued.not_after,
        used_at: None,
        revoked_at: None,
    };
    store::apple::certificate::insert(conn, &certificate)?;
    Ok(Some(issued.der))
}
