//! What every request of an Apple device needs.
use crate::config::AppleSettings;
use crate::error::{Error, Result};
use crate::protocol::apple::authority::Opened;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::nonce::Nonces;
use crate::protocol::apple::push_certificate::given;
use crate::protocol::apple::root;
use crate::service::apple::authority::Sealer;
use crate::service::apple::push_certificate::Given;
use crate::service::device_secret::Unsealer;
use crate::store::Store;
use crate::store::device_secret::DeviceSecret;
use anyhow::Context;
use apple::acme::Roots;
use apple::certificate::{Certificate, Strength};
use clock::Clock;
use domain::time::{Time, hours};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// How often the same misuse is written down.
const NOTED_AGAIN: Duration = hours(1);

/// The most misuses that are remembered.
const MOST_NOTED: usize = 10_000;

/// The way in for Apple devices. Cheap to clone.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    settings: AppleSettings,
    /// What devices trust once they enroll.
    roots: Vec<Certificate>,
    /// What the settings say of the push certificate.
    given: Given,
    /// None if its key cannot be opened.
    opened: Option<Opened>,
    /// Whose word is believed about devices.
    attestors: Roots,
    nonces: Nonces,
    /// Certificates that were used in another's name, and when that was last written down.
    noted: Mutex<HashMap<String, Time>>,
}

impl Door {
    /// With the authority of the database, which is made if there is none.
    ///
    /// # Errors
    /// When a file of the settings cannot be read, or there is no randomness.
    pub fn open(
        store: &Store,
        clock: &Clock,
        settings: AppleSettings,
        sealer: Option<&dyn Sealer>,
    ) -> anyhow::Result<Self> {
        let attestors = settings.attestation_root.as_deref().map_or_else(Roots::of_apple, Roots::parse);
        let attestors = attestors.context("reading the roots of attestations (apple-attestation-root)")?;
        let (roots, given) = (root::read(&settings)?, given(&settings)?);
        let opened = match sealer {
            Some(sealer) => Opened::of(store, sealer, clock.now()).map_err(|error| {
                tracing::error!(?error, "the authority for Apple devices cannot be opened: they are not served");
            }),
            None => {
                tracing::error!("without the proof key, Apple devices are not served");
                Err(())
            }
        };
        let (opened, noted, nonces) = (opened.ok(), Mutex::default(), Nonces::new()?);
        let (store, clock) = (store.clone(), clock.clone());
        Ok(Self(Arc::new(Inner { store, clock, settings, roots, given, opened, attestors, nonces, noted })))
    }

    pub fn store(&self) -> &Store {
        &self.0.store
    }

    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    pub fn settings(&self) -> &AppleSettings {
        &self.0.settings
    }

    /// Whose word is believed about devices.
    pub fn attestors(&self) -> &Roots {
        &self.0.attestors
    }

    pub fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    pub fn roots(&self) -> &[Certificate] {
        &self.0.roots
    }

    pub fn given(&self) -> &Given {
        &self.0.given
    }

    /// Encrypts a secret, for a column.
    ///
    /// # Errors
    /// When the authority's key could not be opened at the start.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String> {
        self.keys()?.seal(context, plain)
    }

    /// Decrypts what [`Door::seal`] made.
    ///
    /// # Errors
    /// When it was changed, or the authority's key could not be opened at the start.
    pub fn unseal(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(self.keys()?.unseal(context, sealed)?))
    }

    /// What clients may use that ask for certificates.
    pub fn strength(&self) -> Strength {
        if self.0.settings.takes_weak_scep { Strength::WithLegacy } else { Strength::Modern }
    }

    /// The authority.
    ///
    /// # Errors
    /// When its key could not be opened at the start.
    pub fn opened(&self) -> Result<&Opened, Fault> {
        self.0.opened.as_ref().ok_or_else(|| Error::Busy(hours(1)).into())
    }

    /// What the database keeps encrypted, opened.
    ///
    /// # Errors
    /// When the key could not be opened at the start.
    fn keys(&self) -> Result<&Opened> {
        let opened = self.0.opened.as_ref();
        opened.ok_or_else(|| Error::Refused("the key of the authority for Apple devices is not here".to_owned()))
    }

    /// The authority's certificate, in DER, with which TLS checks those of devices.
    pub fn authority_certificate(&self) -> Option<&[u8]> {
        self.0.opened.as_ref().map(|it| it.authority.certificate().der())
    }

    /// Whether this misuse of a certificate is to be written down: a device could fill the history otherwise.
    pub fn is_news(&self, fingerprint: &str, now: Time) -> bool {
        let mut noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, at| *at + NOTED_AGAIN > now);
        if noted.contains_key(fingerprint) || noted.len() >= MOST_NOTED {
            return false;
        }
        noted.insert(fingerprint.to_owned(), now);
        true
    }
}

impl Unsealer for Door {
    fn unseal(&self, secret: &DeviceSecret) -> Result<String> {
        self.keys()?.unseal_secret(secret)
    }
}
