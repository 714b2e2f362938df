//! Who gets a certificate: whoever has an enrolment's one-time password, or its current certificate.
use crate::error::Result;
use crate::service::apple::identity;
use crate::store::apple::certificate::AppleCertificate;
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::{self, Conn};
use domain::certification::Certification;
use domain::id::AppleEnrollmentId;
use domain::time::{Time, days};
use std::time::Duration;

/// How long a certificate is good.
pub const LIFE: Duration = days(398);

/// How long before its end the device is given another.
pub const RENEW_BEFORE: Duration = days(60);

/// How many certificates an enrolment may have that are not revoked: the one in use, and some that were lost on their way.
const MOST_OPEN: i64 = 4;

/// What entitles somebody to a certificate.
#[derive(Debug, Clone)]
pub enum Entitled {
    /// What the one-time password hashes to.
    Challenge(String),
    /// The same, with Apple's word for the device.
    Attested { challenge: String, hardware: Hardware },
    /// The SHA-256 of a certificate whose key the sender has, hex.
    Holder(String),
}

/// Which device Apple says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    pub serial: String,
    pub udid: String,
}

impl Entitled {
    fn hardware(&self) -> Option<&Hardware> {
        match self {
            Self::Attested { hardware, .. } => Some(hardware),
            Self::Challenge(_) | Self::Holder(_) => None,
        }
    }
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
    let Some(enrollment) = enrollment(conn, entitled, now)? else { return Ok(None) };
    if !identity::stands(conn, &enrollment)? || !is_shown(conn, &enrollment, entitled.hardware())? {
        return Ok(None);
    }
    match entitled {
        Entitled::Challenge(hash) | Entitled::Attested { challenge: hash, .. } => {
            if !store::apple::challenge::take(conn, hash, now)? {
                return Ok(None);
            }
        }
        Entitled::Holder(_) if store::apple::certificate::open_count(conn, enrollment.id)? >= MOST_OPEN => {
            return Ok(None);
        }
        Entitled::Holder(_) => {}
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
        attested_serial: entitled.hardware().map(|it| it.serial.clone()),
        attested_udid: entitled.hardware().map(|it| it.udid.clone()),
    };
    store::apple::certificate::insert(conn, &certificate)?;
    Ok(Some(issued.der))
}

fn enrollment(conn: &mut Conn, entitled: &Entitled, now: Time) -> Result<Option<AppleEnrollment>> {
    let id = match entitled {
        Entitled::Challenge(hash) | Entitled::Attested { challenge: hash, .. } => {
            store::apple::challenge::open(conn, hash, now)?
        }
        Entitled::Holder(fingerprint) => {
            let found = store::apple::certificate::find(conn, fingerprint)?;
            return Ok(found.filter(|(certificate, _)| certificate.revoked_at.is_none()).map(|(_, it)| it));
        }
    };
    Ok(id.map(|it| store::apple::enrollment::find(conn, it)).transpose()?.flatten())
}

/// Whether the device was attested where it has to be, and is the one that it was before: whoever took the profile of such an
/// enrolment gets nothing with it by the other way.
fn is_shown(conn: &mut Conn, enrollment: &AppleEnrollment, hardware: Option<&Hardware>) -> Result<bool> {
    let Some(hardware) = hardware else { return Ok(enrollment.certification == Certification::Scep) };
    if enrollment.certification != Certification::Acme {
        return Ok(false);
    }
    let before = store::apple::certificate::of_enrollment(conn, enrollment.id)?;
    Ok(before.iter().all(|it| it.is_of(&hardware.serial, Some(&hardware.udid))))
}
