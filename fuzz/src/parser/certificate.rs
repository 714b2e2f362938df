//! Certificates, and the header in which a proxy passes one on.
use apple::certificate::{Certificate, from_header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const CERTIFICATE: &[u8] = include_bytes!("seed/certificate.der");

pub fn seeds() -> Vec<Vec<u8>> {
    let base64 = BASE64_STANDARD.encode(CERTIFICATE);
    let escaped = base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let pem = |inside: &str| format!("-----BEGIN%20CERTIFICATE-----%0A{inside}%0A-----END%20CERTIFICATE-----%0A");
    vec![CERTIFICATE.to_vec(), format!(":{base64}:").into_bytes(), pem(&escaped).into_bytes()]
}

pub fn check(bytes: &[u8]) -> bool {
    let certificate = Certificate::parse(bytes);
    if let Ok(certificate) = &certificate {
        assert_eq!(certificate.der(), bytes, "it stays as it came");
        let _ = (certificate.public_key(), certificate.is_self_signed());
    }
    let passed_on = std::str::from_utf8(bytes).ok().and_then(|it| from_header(it).ok());
    if let Some(certificate) = &passed_on {
        let again = format!(":{}:", BASE64_STANDARD.encode(certificate.der()));
        assert_eq!(from_header(&again).as_ref(), Ok(certificate));
    }
    certificate.is_ok() || passed_on.is_some()
}
