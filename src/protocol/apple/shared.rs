//! What every request of an Apple device needs.
use crate::config::AppleSettings;
use crate::error::Error;
use crate::protocol::apple::authority::Opened;
use crate::protocol::apple::fault::Fault;
use crate::service::apple::authority::Sealer;
use crate::service::device_secret::Unsealer;
use crate::store::Store;
use crate::store::device_secret::DeviceSecret;
use anyhow::Context;
use apple::certificate::{Certificate, Strength};
use clock::Clock;
use domain::time::{Time, hours};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// None if its key cannot be opened.
    opened: Option<Opened>,
    /// Certificates that were used in another's name, and when that was last written down.
    noted: Mutex<HashMap<String, Time>>,
    /// Of the keys that Apple builds into devices; empty if the settings name none.
    device_roots: Vec<Certificate>,
}

impl Door {
    /// With the authority of the database, which is made if there is none.
    ///
    /// # Errors
    /// When the roots that the settings name cannot be read.
    pub fn open(
        store: &Store,
        clock: &Clock,
        settings: AppleSettings,
        sealer: Option<&dyn Sealer>,
    ) -> anyhow::Result<Self> {
        let device_roots = settings.device_roots.as_deref().map(roots).transpose()?.unwrap_or_default();
        let opened = match sealer {
            Some(sealer) => Opened::of(store, sealer, clock.now()).map_err(|error| {
                tracing::error!(?error, "the authority for Apple devices cannot be opened: they are not served");
            }),
            None => {
                tracing::error!("without the proof key, Apple devices are not served");
                Err(())
            }
        };
        let noted = Mutex::default();
        let (store, clock) = (store.clone(), clock.clone());
        Ok(Self(Arc::new(Inner { store, clock, settings, opened: opened.ok(), noted, device_roots })))
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

    /// The roots of the keys that Apple builds into devices; empty if the settings name none.
    pub fn device_roots(&self) -> &[Certificate] {
        &self.0.device_roots
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
    fn keys(&self) -> crate::error::Result<&Opened> {
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
        if noted.get(fingerprint).is_some_and(|at| *at + NOTED_AGAIN > now) || noted.len() >= MOST_NOTED {
            return false;
        }
        noted.insert(fingerprint.to_owned(), now);
        true
    }
}

/// The certificates in a PEM file.
fn roots(file: &Path) -> anyhow::Result<Vec<Certificate>> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.with_context(|| format!("reading the roots of Apple devices in {}", file.display()))?;
    anyhow::ensure!(!found.is_empty(), "there is no certificate in {}", file.display());
    let parsed = found.iter().map(|it| Certificate::parse(it)).collect::<Result<_, _>>();
    parsed.with_context(|| format!("reading the roots of Apple devices in {}", file.display()))
}

impl Unsealer for Door {
    fn unseal(&self, secret: &DeviceSecret) -> crate::error::Result<String> {
        self.keys()?.unseal_secret(secret)
    }
}
