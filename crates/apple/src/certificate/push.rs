//! What a server needs to wake devices: a certificate of Apple's for a key of its own.
use super::authority::AuthorityError;
use super::private_key::PrivateKey;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, DnType};
use zeroize::Zeroizing;

/// Asks Apple for a push certificate for this key (PKCS#10, DER). What it asks to be called is not read there.
///
/// # Errors
/// When it cannot be signed.
pub fn push_request(key: &PrivateKey) -> Result<Vec<u8>, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Holdfast push certificate");
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// Bytes as files have them, under a label such as `CERTIFICATE`.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut out = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
