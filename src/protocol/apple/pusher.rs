//! What wakes devices at the moment: with the certificate that was put in here, else with that of the settings.
use crate::error::Result;
use crate::protocol::apple::push::Apns;
use crate::protocol::apple::push_certificate::one_certificate;
use crate::protocol::apple::shared::Door;
use crate::service::apple::push_certificate::{Keys, Made};
use crate::store;
use crate::store::apple::push_certificate::StoredPushCertificate;
use anyhow::Context;
use apple::certificate::{PrivateKey, pem, push_request};
use domain::push_certificate::Offered;
use domain::time::Time;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// For what a key is encrypted.
const KEY: &str = "push key";

/// Wakes devices. Cheap to clone.
#[derive(Clone)]
pub struct Pusher(Arc<Inner>);

struct Inner {
    door: Door,
    /// Trusted beside those that everybody trusts.
    root: Option<Vec<u8>>,
    of_settings: Option<Apns>,
    /// The last client that was made for a certificate of the database, with that certificate.
    made: Mutex<Option<(String, Apns)>>,
}

impl Pusher {
    /// # Errors
    /// When the file of the settings cannot be used.
    pub fn open(door: &Door, root: Option<&[u8]>) -> anyhow::Result<Self> {
        let of_settings = Apns::open(door.settings(), root)?;
        let (door, root) = (door.clone(), root.map(<[u8]>::to_vec));
        Ok(Self(Arc::new(Inner { door, root, of_settings, made: Mutex::default() })))
    }

    /// What wakes devices now: another certificate takes effect at once. None if there is none.
    ///
    /// # Errors
    /// When the database refuses, or its certificate cannot be used.
    pub fn current(&self) -> Result<Option<Apns>> {
        let inner = &self.0;
        let Some(stored) = inner.door.store().read_blocking(store::apple::push_certificate::find)? else {
            return Ok(inner.of_settings.clone());
        };
        let mut made = inner.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, apns)) = made.as_ref().filter(|(of, _)| *of == stored.certificate) {
            return Ok(Some(apns.clone()));
        }
        let apns = self.make(&stored)?;
        *made = Some((stored.certificate, apns.clone()));
        Ok(Some(apns))
    }

    fn make(&self, stored: &StoredPushCertificate) -> Result<Apns> {
        let inner = &self.0;
        let key = inner.door.unseal(KEY, &stored.key)?;
        let identity = Zeroizing::new(format!("{}\n{}", stored.certificate, *pem("PRIVATE KEY", &key)));
        Ok(Apns::new(identity.as_bytes(), &inner.door.settings().push_url, inner.root.as_deref())?)
    }
}

impl Keys for Door {
    fn make(&self) -> Result<Made> {
        let key = PrivateKey::generate_rsa().context("making a push key")?;
        let request = push_request(&key).context("making a push request")?;
        let request = pem("CERTIFICATE REQUEST", &request).to_string();
        Ok(Made { key: self.seal(KEY, &key.to_pkcs8())?, request })
    }

    fn read(&self, text: &str, key: &str) -> Result<Option<Offered>> {
        let Some(certificate) = one_certificate(text) else { return Ok(None) };
        let key = PrivateKey::from_pkcs8(&self.unseal(KEY, key)?).context("reading the push key")?;
        Ok(Some(Offered {
            topic: certificate.user_id().map(str::to_owned),
            from: Time::from_millis(certificate.not_before().as_millisecond()),
            until: Time::from_millis(certificate.not_after().as_millisecond()),
            is_for_our_key: certificate.public_key().as_ref() == Ok(key.public()),
        }))
    }
}
