//! The certificate of a TLS client, as the proxy in front of us passes it on in a header.
use super::{Certificate, CertificateError, MAX_LEN};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 of the largest certificate, its line breaks escaped, and the lines around it.
const MAX_HEADER: usize = 2 * MAX_LEN;

/// How the first and the last line may be escaped: by percent signs, or as forms are.
const BEGIN: [&str; 2] = ["-----BEGIN CERTIFICATE-----", "-----BEGIN+CERTIFICATE-----"];
const END: [&str; 2] = ["-----END CERTIFICATE-----", "-----END+CERTIFICATE-----"];

/// Why a header carries no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("the header is larger than 32 KiB")]
    TooLarge,
    #[error("the header is neither base64 between colons (RFC 9440) nor escaped PEM of one certificate")]
    Form,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The certificate in a header's value: `:base64:` as in RFC 9440, or PEM, URL-escaped as nginx does it.
///
/// Only what a trusted proxy sends may be given to this: anybody can write a header.
///
/// # Errors
/// When there is not exactly one certificate.
pub fn from_header(value: &str) -> Result<Certificate, HeaderError> {
    if value.len() > MAX_HEADER {
        return Err(HeaderError::TooLarge);
    }
    let value = value.trim();
    let der = match value.strip_prefix(':') {
        Some(rest) => rest.strip_suffix(':').and_then(decode),
        None => percent_decoded(value).and_then(|it| pem(&it)),
    };
    Ok(Certificate::parse(&der.ok_or(HeaderError::Form)?)?)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    ANY_PADDING.decode(text).ok()
}

/// The bytes of exactly one certificate in PEM.
fn pem(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let inside = BEGIN.iter().find_map(|it| text.strip_prefix(it))?;
    let inside = END.iter().find_map(|it| inside.strip_suffix(it))?;
    decode(&inside.split_ascii_whitespace().collect::<String>())
}

/// `%41` is `A`; a plus stays one, since it is a letter of base64.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        if !code.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}
