//! Certificates that devices trust from their profile on: of servers whose own is not one that everybody trusts.
use crate::config::AppleSettings;
use anyhow::{Context, anyhow};
use apple::certificate::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The certificates of the settings' file; none without one.
///
/// # Errors
/// When the file cannot be read, or holds no certificate, or one that cannot be read.
pub fn read(settings: &AppleSettings) -> anyhow::Result<Vec<Certificate>> {
    settings.root.as_deref().map_or_else(|| Ok(Vec::new()), from_file)
}

fn from_file(file: &Path) -> anyhow::Result<Vec<Certificate>> {
    let of = || format!("reading apple-root {}", file.display());
    let all: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow!("{error}"))
        .with_context(of)?;
    if all.is_empty() {
        return Err(anyhow!("there is no certificate in PEM")).with_context(of);
    }
    all.iter().map(|it| Certificate::parse(it).with_context(of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn pem() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn of(text: &str) -> anyhow::Result<Vec<Certificate>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.pem");
        std::fs::write(&file, text).unwrap();
        from_file(&file)
    }

    #[test]
    fn every_certificate_of_the_file_counts_and_no_key() {
        let ((one, key), (two, _)) = (pem(), pem());
        let all = of(&format!("a note\n{one}{key}{two}")).unwrap();
        assert_eq!(all.len(), 2);
        assert_ne!(all.first(), all.last());
    }

    #[test]
    fn a_file_that_says_something_else_than_it_should_is_refused_with_its_name() {
        let (one, key) = pem();
        let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "rubbish", &key, rubbish, &format!("{one}{rubbish}"), "-----BEGIN CERTIFICATE-----\nAAAA"] {
            let why = format!("{:#}", of(text).unwrap_err());
            assert!(why.contains("root.pem"), "{why}");
        }
        assert!(from_file(Path::new("/nowhere/root.pem")).is_err());
    }
}
