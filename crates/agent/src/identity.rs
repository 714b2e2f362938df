//! The device's own keys: Ed25519 for signing, X25519 for what is sealed to it. Both are made here and never
//! leave the state directory.
use super::state::Record;
use anyhow::{Context, Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secret::seal::{self, PrivateKey, PublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use wire::Claims;
use zeroize::Zeroize;

/// The keys as stored.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// PKCS#8, base64.
    signing_key: String,
    sealing_public: String,
    sealing_private: String,
}

impl Record for Identity {
    const FILE: &'static str = "identity.json";
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.signing_key.zeroize();
        self.sealing_private.zeroize();
    }
}

impl Identity {
    /// Makes new keys.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|error| anyhow!("making a signing key: {error}"))?;
        let (public, private) = seal::generate()?;
        Ok(Self {
            signing_key: BASE64_STANDARD.encode(pkcs8.as_ref()),
            sealing_public: public.as_str().to_owned(),
            sealing_private: private.expose().to_owned(),
        })
    }

    /// The public half of the signing key, in the form the server keeps.
    ///
    /// # Errors
    /// When the key is damaged.
    pub fn signing_public(&self) -> Result<String> {
        let pair =
            Ed25519KeyPair::from_pkcs8(&self.pkcs8()?).map_err(|error| anyhow!("reading the signing key: {error}"))?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()))
    }

    /// The public half of the sealing key.
    ///
    /// # Errors
    /// When the key is damaged.
    pub fn sealing_public(&self) -> Result<PublicKey> {
        PublicKey::parse(&self.sealing_public)
    }

    /// Opens what was sealed to this device.
    ///
    /// # Errors
    /// When it was sealed to another device or for another use.
    pub fn open(&self, context: &str, sealed: &str) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        seal::open(&PrivateKey::from_text(self.sealing_private.clone()), context, sealed)
    }

    /// Signs the claims of one request.
    ///
    /// # Errors
    /// When the key is damaged.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(claims.sub.clone());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8()?)).context("signing a request")
    }

    fn pkcs8(&self) -> Result<Vec<u8>> {
        BASE64_STANDARD.decode(&self.signing_key).context("reading the signing key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    #[test]
    fn what_is_signed_is_verified_by_the_public_half() {
        let identity = Identity::generate().unwrap();
        let claims = Claims {
            sub: "d".to_owned(),
            aud: "a".to_owned(),
            iat: 1,
            exp: 60,
            jti: "j".to_owned(),
            htm: "POST".to_owned(),
            htu: "/x".to_owned(),
            body_sha256: String::new(),
        };

        let token = identity.sign(&claims).unwrap();

        let key = DecodingKey::from_ed_components(&identity.signing_public().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["a"]);
        let read = jsonwebtoken::decode::<Claims>(&token, &key, &validation).unwrap();
        assert_eq!(read.claims.jti, "j");
        assert_eq!(read.header.kid.as_deref(), Some("d"));
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Identity::generate().unwrap()), "Identity");
    }
}
