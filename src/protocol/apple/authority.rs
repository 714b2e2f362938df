//! The authority with its keys, as this process has them.
use crate::error::Result;
use crate::service;
use crate::service::apple::authority::Sealer;
use crate::service::apple::certificate::{self, Issued};
use crate::service::device_secret::Sealed;
use crate::store::apple::authority::AppleAuthority;
use crate::store::device_secret::DeviceSecret;
use crate::store::{self, Store};
use anyhow::{Context, anyhow};
use apple::certificate::{Authority, Leaf, PublicKey, Registrar, Validity};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::device_secret::SecretKind;
use domain::id::{AppleEnrollmentId, DeviceId};
use domain::time::{Time, days};
use jiff::Timestamp;
use secret::cipher::Cipher;
use std::time::Duration;

/// How long the authority is good: whatever it issued ends with it.
const LIFE: Duration = days(20 * 365);

/// What makes certificates, what signs answers, and what encrypts the secrets of enrolments.
#[derive(Debug)]
pub struct Opened {
    pub authority: Authority,
    pub registrar: Registrar,
    cipher: Cipher,
}

impl Opened {
    /// Opens the authority of the database, or makes one.
    ///
    /// # Errors
    /// When its key cannot be opened: it was sealed to another proof key.
    pub fn of(store: &Store, sealer: &dyn Sealer, now: Time) -> Result<Self> {
        if let Some(kept) = store.read_blocking(store::apple::authority::find)? {
            return Self::open(&kept, sealer);
        }
        let made = make(sealer, now)?;
        let kept = store.act_blocking(move |conn| service::apple::authority::keep(conn, &made, now))?;
        Self::open(&kept, sealer)
    }

    fn open(kept: &AppleAuthority, sealer: &dyn Sealer) -> Result<Self> {
        let cipher = sealer.open(&kept.sealed_key)?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).context("reading the Apple authority");
        let key = |text: &str, of: &str| cipher.open(of.as_bytes(), &decode(text)?);
        let authority = Authority::load(&decode(&kept.certificate)?, &key(&kept.authority_key, AUTHORITY)?);
        let registrar = Registrar::load(&decode(&kept.registrar)?, &key(&kept.registrar_key, REGISTRAR)?);
        Ok(Self {
            authority: authority.context("reading the Apple authority")?,
            registrar: registrar.context("reading the Apple registrar")?,
            cipher,
        })
    }

    /// Makes the certificate of an enrolment for a key: it is called by the enrolment's id, whatever the request asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn certify(&self, id: AppleEnrollmentId, public_key: &PublicKey, now: Time) -> Result<Issued> {
        let leaf = Leaf {
            public_key,
            common_name: id.as_str(),
            organization: None,
            names: &[],
            validity: Validity { from: timestamp(now)?, until: timestamp(now + certificate::LIFE)? },
        };
        let made = self.authority.issue_leaf(&leaf).context("making a certificate")?;
        Ok(Issued {
            fingerprint: hex::encode(made.fingerprint()),
            serial: hex::encode(made.serial()),
            not_after: now + certificate::LIFE,
            der: made.der().to_vec(),
        })
    }

    /// Encrypts a secret of an enrolment, for a column.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String> {
        Ok(BASE64_STANDARD.encode(self.cipher.seal(context.as_bytes(), plain)?))
    }

    /// Decrypts what [`Opened::seal`] made.
    ///
    /// # Errors
    /// When it was changed.
    pub fn unseal(&self, context: &str, sealed: &str) -> Result<Vec<u8>> {
        let sealed = BASE64_STANDARD.decode(sealed).context("reading a secret of an Apple device")?;
        Ok(self.cipher.open(context.as_bytes(), &sealed)?)
    }
}

impl Opened {
    /// Encrypts a secret of a device that people may read.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal_secret(&self, (device, kind): (DeviceId, SecretKind), text: &str) -> Result<Sealed> {
        let sealed = self.seal(&secret_context(device, kind), text.as_bytes())?;
        // By kind too: a PIN of six digits is no secret of another device that has the same one.
        let fingerprint = match kind.comes_from_device() {
            true => secret::hash(&format!("{kind}/{text}")),
            false => secret::hash(&sealed),
        };
        Ok(Sealed { kind, sealed, fingerprint })
    }

    /// Decrypts what [`Opened::seal_secret`] made.
    ///
    /// # Errors
    /// When it was changed, or belongs to another device.
    pub fn unseal_secret(&self, secret: &DeviceSecret) -> Result<String> {
        let plain = self.unseal(&secret_context(secret.device_id, secret.kind), &secret.sealed)?;
        Ok(String::from_utf8(plain).context("reading a secret of a device")?)
    }
}

fn secret_context(device: DeviceId, kind: SecretKind) -> String {
    format!("device secret/{device}/{kind}")
}

const AUTHORITY: &str = "authority key";
const REGISTRAR: &str = "registrar key";

fn make(sealer: &dyn Sealer, now: Time) -> Result<AppleAuthority> {
    let cipher = Cipher::generate()?;
    let validity = Validity { from: timestamp(now)?, until: timestamp(now + LIFE)? };
    let authority = Authority::create("Holdfast device authority", validity).context("making an authority")?;
    let registrar = authority.issue_registrar("Holdfast device registrar", validity).context("making a registrar")?;
    let seal = |of: &str, key: &[u8]| cipher.seal(of.as_bytes(), key).map(|it| BASE64_STANDARD.encode(it));
    Ok(AppleAuthority {
        certificate: BASE64_STANDARD.encode(authority.certificate().der()),
        registrar: BASE64_STANDARD.encode(registrar.certificate.der()),
        sealed_key: sealer.seal(&cipher)?,
        authority_key: seal(AUTHORITY, &authority.to_pkcs8())?,
        registrar_key: seal(REGISTRAR, &registrar.key.to_pkcs8())?,
        made_at: now,
    })
}

/// The time as certificates have it.
///
/// # Errors
/// When it is beyond the year 9999.
pub fn timestamp(time: Time) -> Result<Timestamp> {
    Timestamp::from_millisecond(time.millis()).map_err(|error| anyhow!("a time in a certificate: {error}").into())
}
