//! Private keys, of which only the operations leave this module, and the key itself for whoever stores it.
use super::algorithm::{Digest, ECDSA_SHA256, ECDSA_SHA384, RSA};
use super::public_key::{KeyError, PublicKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use der::asn1::{AnyRef, ObjectIdentifier};
use spki::AlgorithmIdentifierRef;
use std::fmt;
use zeroize::Zeroizing;

/// RSA of 2048 bits or more, P-256 or P-384.
pub struct PrivateKey {
    kind: Kind,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

enum Kind {
    Rsa { signing: RsaKeyPair, opening: Pkcs1PrivateDecryptingKey },
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

impl PrivateKey {
    /// A new RSA key of 2048 bits.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate_rsa() -> Result<Self, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_unspecified| KeyError::Malformed)?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_unspecified| KeyError::Malformed)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// A new key on the curve P-256.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate_p256() -> Result<Self, KeyError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Self::from_pkcs8(made.map_err(|_unspecified| KeyError::Malformed)?.as_ref())
    }

    /// From PKCS#8 in DER.
    ///
    /// # Errors
    /// When it is none, of a kind that is not known, or too weak.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let (kind, public) = if let Ok(signing) = RsaKeyPair::from_pkcs8(pkcs8) {
            let opening = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_rejected| KeyError::Malformed)?;
            let opening = Pkcs1PrivateDecryptingKey::new(opening).map_err(|_unspecified| KeyError::Malformed)?;
            let public = public_of(signing.public_key())?;
            (Kind::Rsa { signing, opening }, public)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
            let public = public_of(pair.public_key())?;
            (Kind::P256(pair), public)
        } else if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8) {
            let public = public_of(pair.public_key())?;
            (Kind::P384(pair), public)
        } else {
            return Err(KeyError::Unsupported);
        };
        Ok(Self { kind, pkcs8: Zeroizing::new(pkcs8.to_vec()), public })
    }

    /// The key itself, as PKCS#8 in DER, to be sealed by whoever stores it.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// Its other half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The digest it signs with.
    pub(crate) fn digest(&self) -> Digest {
        match self.kind {
            Kind::Rsa { .. } | Kind::P256(_) => Digest::Sha256,
            Kind::P384(_) => Digest::Sha384,
        }
    }

    /// What the signatures are called in CMS: for RSA the plain key, because one client accepts nothing else.
    pub(crate) fn signature_algorithm(&self) -> AlgorithmIdentifierRef<'static> {
        let plain = |oid: ObjectIdentifier| AlgorithmIdentifierRef { oid, parameters: None };
        match self.kind {
            Kind::Rsa { .. } => AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) },
            Kind::P256(_) => plain(ECDSA_SHA256),
            Kind::P384(_) => plain(ECDSA_SHA384),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Rsa { signing, .. } => {
                let mut signature = vec![0; signing.public_modulus_len()];
                signing
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(|_unspecified| KeyError::Signature)?;
                Ok(signature)
            }
            Kind::P256(pair) | Kind::P384(pair) => {
                let signature = pair.sign(&random, message).map_err(|_unspecified| KeyError::Signature)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    /// The content key of `len` bytes that was encrypted to this key by RSA with PKCS#1 v1.5 padding.
    ///
    /// Whoever sends a wrong one gets another key, always the same for the same bytes, so that nothing tells
    /// them whether the padding was right (Bleichenbacher).
    ///
    /// # Errors
    /// Only when this is no RSA key.
    pub(crate) fn open_content_key(&self, sent: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let Kind::Rsa { opening, .. } = &self.kind else { return Err(KeyError::Unsupported) };
        let secret = digest::digest(&digest::SHA256, &self.pkcs8);
        let substitute = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref()), sent);
        let mut room = Zeroizing::new(vec![0; opening.min_output_size()]);
        let found = match opening.decrypt(sent, &mut room) {
            Ok(opened) => Zeroizing::new(opened.to_vec()),
            Err(_unspecified) => Zeroizing::new(Vec::new()),
        };
        let mask = if found.len() == len { u8::MAX } else { 0 };
        let found = found.iter().copied().chain(std::iter::repeat(0));
        let chosen = found.zip(substitute.as_ref()).take(len).map(|(ours, other)| (ours & mask) | (other & !mask));
        Ok(Zeroizing::new(chosen.collect()))
    }
}

fn public_of(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<PublicKey, KeyError> {
    PublicKey::parse(key.as_der().map_err(|_unspecified| KeyError::Malformed)?.as_ref())
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl rcgen::PublicKeyData for PrivateKey {
    fn der_bytes(&self) -> &[u8] {
        match &self.kind {
            Kind::Rsa { signing, .. } => signing.public_key().as_ref(),
            Kind::P256(pair) | Kind::P384(pair) => pair.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.kind {
            Kind::Rsa { .. } => &rcgen::PKCS_RSA_SHA256,
            Kind::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            Kind::P384(_) => &rcgen::PKCS_ECDSA_P384_SHA384,
        }
    }
}

impl rcgen::SigningKey for PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Self::sign(self, message).map_err(|_failed| rcgen::Error::RingUnspecified)
    }
}
