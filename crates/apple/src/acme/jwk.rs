//! Public keys as JSON writes them (RFC 7517, RFC 7518).
use crate::certificate::{Family, KeyError, PublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Of the largest number in a key: RSA of 4,096 bits.
const MAX_NUMBER: usize = 512;

/// A key as it came.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwk {
    /// The key.
    ///
    /// # Errors
    /// When it is none, of a kind that is not taken, or too weak.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => self.point(Family::P256, 32),
            ("EC", Some("P-384")) => self.point(Family::P384, 48),
            ("RSA", None) => PublicKey::from_modulus(&number(self.n.as_deref())?, &number(self.e.as_deref())?),
            (_, _) => Err(KeyError::Unsupported),
        }
    }

    /// RFC 7518, 6.2.1.2: both have the length of the curve's field, with zeros in front.
    fn point(&self, curve: Family, len: usize) -> Result<PublicKey, KeyError> {
        let (x, y) = (number(self.x.as_deref())?, number(self.y.as_deref())?);
        if x.len() != len || y.len() != len {
            return Err(KeyError::Malformed);
        }
        PublicKey::from_point(curve, &x, &y)
    }
}

fn number(text: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let bytes = text.and_then(|it| BASE64_URL_SAFE_NO_PAD.decode(it).ok()).ok_or(KeyError::Malformed)?;
    if bytes.len() > MAX_NUMBER { Err(KeyError::TooLarge) } else { Ok(bytes) }
}
