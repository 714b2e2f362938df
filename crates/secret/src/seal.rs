//! Sealing to a public key: HPKE (RFC 9180) with X25519, HKDF-SHA256 and AES-256-GCM.
//!
//! Used for a repository's master key, which only the proof side can open, and
//! for what the server hands to one device. `context` names the use and the ids, so that a sealed text cannot
//! be used anywhere else.
use crate::cipher::Cipher;
use anyhow::{Context, Result, anyhow, ensure};
use aws_lc_rs::{agreement, hmac};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use zeroize::Zeroizing;

const SUITE: &dyn Hpke = DH_KEM_X25519_HKDF_SHA256_AES_256;
const ENCAPSULATED_BYTES: usize = 32;

/// An X25519 public key, base64 (32 bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

/// An X25519 private key, base64 (32 bytes).
#[derive(Clone)]
pub struct PrivateKey(Zeroizing<String>);

impl PublicKey {
    /// # Errors
    /// When `text` is not the base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = BASE64_STANDARD.decode(text).context("reading an X25519 key")?;
        ensure!(bytes.len() == 32, "an X25519 key has 32 bytes, this has {}", bytes.len());
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PrivateKey {
    pub fn from_text(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// From the 32 bytes themselves.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(BASE64_STANDARD.encode(bytes)))
    }

    /// The 32 bytes themselves.
    ///
    /// # Errors
    /// When this is not the base64 of 32 bytes.
    pub fn bytes(&self) -> Result<Zeroizing<[u8; 32]>> {
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(self.0.as_bytes()).context("reading an X25519 key")?);
        let mut bytes = Zeroizing::new([0; 32]);
        ensure!(decoded.len() == bytes.len(), "an X25519 key has 32 bytes, this has {}", decoded.len());
        bytes.copy_from_slice(&decoded);
        Ok(bytes)
    }

    /// The public half.
    ///
    /// # Errors
    /// As [`PrivateKey::bytes`].
    pub fn public(&self) -> Result<PublicKey> {
        let key = agreement::PrivateKey::from_private_key(&agreement::X25519, &*self.bytes()?)
            .map_err(|error| anyhow!("reading an X25519 key: {error}"))?;
        let public = key.compute_public_key().map_err(|_unspecified| anyhow!("an X25519 key has no public half"))?;
        Ok(PublicKey(BASE64_STANDARD.encode(public.as_ref())))
    }

    /// A secret key that only whoever has this one gets, for one purpose.
    ///
    /// # Errors
    /// As [`PrivateKey::bytes`].
    pub fn derive(&self, purpose: &str) -> Result<Cipher> {
        Cipher::derive(self.bytes()?.as_slice(), purpose)
    }

    /// The key as text, to be kept in a file only its owner can read.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A new key pair.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn generate() -> Result<(PublicKey, PrivateKey)> {
    let (public, private) = SUITE.generate_key_pair().context("making an X25519 key pair")?;
    let public = PublicKey(BASE64_STANDARD.encode(public.0));
    Ok((public, PrivateKey(Zeroizing::new(BASE64_STANDARD.encode(private.secret_bytes())))))
}

/// Seals `plain` to `key`; the result is base64.
///
/// # Errors
/// When the key is not valid.
pub fn seal(key: &PublicKey, context: &str, plain: &[u8]) -> Result<String> {
    let key = HpkePublicKey(BASE64_STANDARD.decode(&key.0).context("reading an X25519 key")?);
    let (encapsulated, sealed) = SUITE.seal(context.as_bytes(), &[], plain, &key).context("sealing")?;
    let mut out = encapsulated.0;
    out.extend(sealed);
    Ok(BASE64_STANDARD.encode(out))
}

/// Opens what was sealed to `key` in the same `context`.
///
/// # Errors
/// When it was sealed to another key, in another context, or was changed.
pub fn open(key: &PrivateKey, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = BASE64_STANDARD.decode(sealed).context("reading a sealed text")?;
    let (encapsulated, sealed) =
        bytes.split_at_checked(ENCAPSULATED_BYTES).ok_or_else(|| anyhow!("the sealed text is too short"))?;
    let key = HpkePrivateKey::from(BASE64_STANDARD.decode(key.0.as_bytes()).context("reading an X25519 key")?);
    let plain = SUITE
        .open(&EncapsulatedSecret(encapsulated.to_vec()), context.as_bytes(), &[], sealed, &key)
        .context("opening a sealed text: it was sealed to another key or changed")?;
    Ok(Zeroizing::new(plain))
}

/// A word that only who has `key` can give for `text`: the hex of an HMAC-SHA256 under a key made from it for this use.
///
/// # Errors
/// As [`PrivateKey::bytes`].
pub fn vouch(key: &PrivateKey, context: &str, text: &str) -> Result<String> {
    Ok(hex::encode(hmac::sign(&voucher_key(key, context)?, text.as_bytes())))
}

/// Whether `voucher` is who has `key`'s word for `text` in this `context`.
///
/// # Errors
/// As [`PrivateKey::bytes`].
pub fn is_vouched_for(key: &PrivateKey, context: &str, text: &str, voucher: &str) -> Result<bool> {
    let Ok(voucher) = hex::decode(voucher) else { return Ok(false) };
    Ok(hmac::verify(&voucher_key(key, context)?, text.as_bytes(), &voucher).is_ok())
}

fn voucher_key(key: &PrivateKey, context: &str) -> Result<hmac::Key> {
    // A key of its own: the sealing key's bytes themselves serve for nothing else.
    let master = hmac::Key::new(hmac::HMAC_SHA256, key.bytes()?.as_slice());
    let derived = hmac::sign(&master, format!("holdfast/voucher/{context}").as_bytes());
    Ok(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_and_context_open() {
        let (public, private) = generate().unwrap();
        let (_, other) = generate().unwrap();

        let sealed = seal(&public, "repository/1", b"secret").unwrap();

        assert_eq!(open(&private, "repository/1", &sealed).unwrap().as_slice(), b"secret");
        assert!(open(&private, "repository/2", &sealed).is_err());
        assert!(open(&other, "repository/1", &sealed).is_err());
        assert!(open(&private, "repository/1", "AAAA").is_err());
    }

    #[test]
    fn a_voucher_holds_for_one_key_context_and_text() {
        let (_, key) = generate().unwrap();
        let (_, other) = generate().unwrap();

        let voucher = vouch(&key, "a", "text").unwrap();

        let holds = |key, context, text, voucher: &str| is_vouched_for(key, context, text, voucher).unwrap();
        assert!(holds(&key, "a", "text", &voucher));
        assert!(!holds(&other, "a", "text", &voucher) && !holds(&key, "b", "text", &voucher));
        assert!(!holds(&key, "a", "texts", &voucher) && !holds(&key, "a", "text", &voucher[2..]));
        assert!(!holds(&key, "a", "text", "") && !holds(&key, "a", "text", "no hex"));
    }

    #[test]
    fn the_public_half_follows_from_the_private_one() {
        let (public, private) = generate().unwrap();

        assert_eq!(private.public().unwrap(), public);
        let again = PrivateKey::from_bytes(&private.bytes().unwrap());
        assert_eq!((again.expose(), again.public().unwrap()), (private.expose(), public));
        assert!(PrivateKey::from_text("AAAA".to_owned()).public().is_err());
    }
}
