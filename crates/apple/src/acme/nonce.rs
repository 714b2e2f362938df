//! Numbers that are good once: whoever issues them needs to remember only those that were used, and not for long.
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::{self, SystemRandom};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The operating system provided no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system provided no randomness")]
pub struct NonceError;

/// What tells our nonces from others'.
#[derive(Debug)]
pub struct NonceKey(hmac::Key);

const PERIOD: usize = 8;
const RANDOM: usize = 16;

impl NonceKey {
    /// A new one.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate() -> Result<Self, NonceError> {
        hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).map(Self).map_err(|_unspecified| NonceError)
    }

    /// A nonce that carries when it was issued, in whatever unit its issuer counts.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn issue(&self, period: u64) -> Result<String, NonceError> {
        let mut random = [0; RANDOM];
        rand::fill(&mut random).map_err(|_unspecified| NonceError)?;
        let body = [&period.to_be_bytes()[..], &random].concat();
        let tag = hmac::sign(&self.0, &body);
        Ok(BASE64_URL_SAFE_NO_PAD.encode([&body, tag.as_ref()].concat()))
    }

    /// When a nonce was issued; none if this key did not issue it.
    #[must_use]
    pub fn period(&self, nonce: &str) -> Option<u64> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (body, tag) = bytes.split_at_checked(PERIOD + RANDOM)?;
        hmac::verify(&self.0, body, tag).ok()?;
        Some(u64::from_be_bytes(*body.first_chunk()?))
    }
}
