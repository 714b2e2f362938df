//! Encrypting with a secret key: AES-256-GCM (NIST SP 800-38D), a random nonce before what it makes.
//!
//! For what the server itself writes and reads again. Random nonces of 96 bits allow 2³² messages to a key.
use anyhow::{Context, Result, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt;
use zeroize::Zeroizing;

/// A key of 32 bytes.
pub struct Cipher {
    bytes: Zeroizing<[u8; 32]>,
    key: LessSafeKey,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(hidden)")
    }
}

impl Cipher {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self> {
        Self::of(Zeroizing::new(crate::bytes::<32>()?))
    }

    /// Reads what [`Cipher::expose`] wrote.
    ///
    /// # Errors
    /// When `text` is not the base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).context("reading a secret key")?);
        let bytes =
            <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_unspecified| anyhow!("a secret key has 32 bytes"))?;
        Self::of(Zeroizing::new(bytes))
    }

    /// The key that `secret` gives for a purpose (HKDF-SHA256, RFC 5869): whoever has `secret` gets it again, and it says
    /// nothing about `secret` or the key of another purpose.
    ///
    /// # Errors
    /// When it cannot be derived, which no input causes.
    pub fn derive(secret: &[u8], purpose: &str) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        let from = Salt::new(HKDF_SHA256, &[]).extract(secret);
        let parts = [purpose.as_bytes()];
        let derived = from.expand(&parts, HKDF_SHA256).and_then(|it| it.fill(bytes.as_mut_slice()));
        derived.map_err(|_unspecified| anyhow!("deriving a key failed"))?;
        Self::of(bytes)
    }

    fn of(bytes: Zeroizing<[u8; 32]>) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice())
            .map_err(|_unspecified| anyhow!("a secret key has 32 bytes"))?;
        Ok(Self { bytes, key: LessSafeKey::new(key) })
    }

    /// The key as base64, to be sealed or kept where only its owner can read it.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.bytes.as_slice()))
    }

    /// Encrypts `plain`; what is made opens only with the same `context`, which stays readable elsewhere.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = crate::bytes::<NONCE_LEN>()?;
        let mut out = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        out.extend(nonce);
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .map_err(|_unspecified| anyhow!("encrypting failed"))?;
        out.extend(body);
        Ok(out)
    }

    /// Decrypts what [`Cipher::seal`] made.
    ///
    /// # Errors
    /// When it was made with another key or context, or was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, body) =
            sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(|| anyhow!("what is encrypted is too short"))?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut body)
            .map_err(|_unspecified| anyhow!("it was encrypted with another key, or changed"))?
            .len();
        body.truncate(plain);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_what_nobody_changed() {
        let (one, other) = (Cipher::generate().unwrap(), Cipher::generate().unwrap());

        let sealed = one.seal(b"context", b"plain").unwrap();

        assert_eq!(one.open(b"context", &sealed).unwrap(), b"plain");
        assert!(one.open(b"another", &sealed).is_err());
        assert!(other.open(b"context", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(one.open(b"context", &changed).is_err(), "{at}");
            assert!(one.open(b"context", &sealed[..at]).is_err(), "{at}");
        }
        assert_ne!(one.seal(b"context", b"plain").unwrap(), sealed, "a nonce is never used twice");
    }

    #[test]
    fn a_derived_key_is_the_same_each_time_and_another_for_each_purpose() {
        let derive = |secret: &[u8], purpose| Cipher::derive(secret, purpose).unwrap().expose().to_string();
        assert_eq!(derive(b"secret", "a"), derive(b"secret", "a"));
        assert_ne!(derive(b"secret", "a"), derive(b"secret", "b"));
        assert_ne!(derive(b"secret", "a"), derive(b"other", "a"));
    }

    #[test]
    fn a_key_is_read_back_and_nothing_else_is_one() {
        let key = Cipher::generate().unwrap();
        let sealed = key.seal(b"", b"plain").unwrap();
        assert_eq!(Cipher::parse(&key.expose()).unwrap().open(b"", &sealed).unwrap(), b"plain");
        for text in ["", "AAAA", "not base64!", &BASE64_STANDARD.encode([0; 33])] {
            assert!(Cipher::parse(text).is_err(), "{text}");
        }
        assert!(!format!("{key:?}").contains(key.expose().as_str()));
    }
}
