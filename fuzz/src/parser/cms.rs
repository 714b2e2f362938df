//! Signed messages, envelopes and lists of certificates, as anybody may send them. OpenSSL made the valid ones.
use apple::certificate::{Certificate, PrivateKey, Strength};
use apple::cms::{self, CmsError};
use std::sync::LazyLock;

const BODY: &[u8] = br#"<plist version="1.0"><dict><key>Status</key><string>Idle</string></dict></plist>"#;
const SIGNED: &[u8] = include_bytes!("seed/signed.der");

/// Who signed the valid messages, and whose key nobody has any more.
static SIGNER: LazyLock<Certificate> =
    LazyLock::new(|| cms::verify(SIGNED, None, Strength::Modern).expect("the first seed").signer);
/// To whom the envelope is, but with a key that does not open it.
static RECIPIENT: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::parse(include_bytes!("seed/certificate.der")).expect("a certificate"));
static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate_rsa().expect("randomness"));

pub fn seeds() -> Vec<Vec<u8>> {
    let streamed = include_bytes!("seed/streamed.der").to_vec();
    let envelope = include_bytes!("seed/envelope.der").to_vec();
    vec![SIGNED.to_vec(), streamed, envelope, include_bytes!("seed/list.der").to_vec()]
}

pub fn check(bytes: &[u8]) -> bool {
    let signed = cms::verify(bytes, None, Strength::WithLegacy);
    if let Ok(signed) = &signed {
        assert_eq!(signed.content, BODY, "nobody can sign another content");
        assert_eq!(signed.signer.public_key(), SIGNER.public_key(), "nobody else signed");
        assert!(cms::verify(bytes, Some(b"other"), Strength::WithLegacy).is_err(), "not this content");
    }
    let certificates = cms::read_certificates(bytes);
    if let Ok(read) = &certificates {
        let written = cms::write_certificates(&read.iter().collect::<Vec<_>>()).expect("what was read can be written");
        assert_eq!(cms::read_certificates(&written).expect("what is written can be read").len(), read.len());
    }
    let opened = cms::decrypt(bytes, &RECIPIENT, &KEY, Strength::WithLegacy);
    signed.is_ok() || certificates.is_ok() || matches!(opened, Ok(_) | Err(CmsError::Decrypt))
}
