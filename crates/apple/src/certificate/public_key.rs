//! Public keys of others, no weaker than we take.
use super::algorithm::{Digest, EC, RSA, Scheme, Strength, has_no_parameters};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA512_ASN1, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// RSA below this many bits is refused.
const RSA_LEAST_BITS: usize = 2048;
/// Larger keys only cost time.
const RSA_MOST_BITS: usize = 4096;

/// What is wrong with a key, or with what it is said to have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the public key cannot be read")]
    Malformed,
    #[error("the key is neither RSA nor on the curve P-256 or P-384")]
    Unsupported,
    #[error("the RSA key is weaker than 2048 bits")]
    Weak,
    #[error("the RSA key is larger than 4096 bits")]
    TooLarge,
    #[error("the signature algorithm is unknown, or not one for this key")]
    Algorithm,
    #[error("the digest algorithm is too weak")]
    Digest,
    #[error("the signature is wrong")]
    Signature,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Rsa,
    P256,
    P384,
}

/// RSA of 2048 to 4096 bits, or a point on P-256 or P-384.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    family: Family,
    der: Vec<u8>,
}

impl PublicKey {
    /// From a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// When it is malformed, unknown, or too weak.
    pub fn parse(der: &[u8]) -> Result<Self, KeyError> {
        let read = SubjectPublicKeyInfoRef::from_der(der).map_err(|_malformed| KeyError::Malformed)?;
        let family = match read.algorithm.oid {
            RSA if has_no_parameters(&read.algorithm) => Family::Rsa,
            EC => match read.algorithm.parameters_oid() {
                Ok(P256) => Family::P256,
                Ok(P384) => Family::P384,
                Ok(_) | Err(_) => return Err(KeyError::Unsupported),
            },
            _ => return Err(KeyError::Unsupported),
        };
        match family {
            Family::Rsa => check_rsa(der)?,
            Family::P256 => check_point(&ECDSA_P256_SHA256_ASN1, der)?,
            Family::P384 => check_point(&ECDSA_P384_SHA384_ASN1, der)?,
        }
        Ok(Self { family, der: der.to_vec() })
    }

    /// From a point's two coordinates, each as long as the curve's field.
    pub(crate) fn from_point(curve: Family, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let curve = match curve {
            Family::P256 => &P256,
            Family::P384 => &P384,
            Family::Rsa => return Err(KeyError::Unsupported),
        };
        let algorithm = AlgorithmIdentifierRef { oid: EC, parameters: Some(AnyRef::from(curve)) };
        // Uncompressed.
        Self::of(algorithm, &[&[4], x, y].concat())
    }

    /// From RSA's modulus and exponent, most significant byte first.
    pub(crate) fn from_modulus(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let number = |bytes| UintRef::new(bytes).map_err(|_malformed| KeyError::Malformed);
        let key = RsaKey { modulus: number(modulus)?, exponent: number(exponent)? };
        let der = key.to_der().map_err(|_malformed| KeyError::Malformed)?;
        Self::of(AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) }, &der)
    }

    fn of(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Self, KeyError> {
        let subject_public_key = BitStringRef::from_bytes(key).map_err(|_malformed| KeyError::Malformed)?;
        let whole = SubjectPublicKeyInfoRef { algorithm, subject_public_key };
        Self::parse(&whole.to_der().map_err(|_malformed| KeyError::Malformed)?)
    }

    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// As `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether the key signed the message.
    ///
    /// # Errors
    /// When it did not, or nobody can tell.
    pub fn verify(&self, digest: Digest, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        UnparsedPublicKey::new(self.algorithm(digest)?, &self.der)
            .verify(message, signature)
            .map_err(|_unspecified| KeyError::Signature)
    }

    /// As [`Self::verify`], with the digest that goes with the key and the signature as JSON carries it (RFC 7518, 3): on
    /// curves two numbers of a fixed length.
    pub(crate) fn verify_plain(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let algorithm: &'static dyn VerificationAlgorithm = match self.family {
            Family::Rsa => &RSA_PKCS1_2048_8192_SHA256,
            Family::P256 => &ECDSA_P256_SHA256_FIXED,
            Family::P384 => &ECDSA_P384_SHA384_FIXED,
        };
        UnparsedPublicKey::new(algorithm, &self.der)
            .verify(message, signature)
            .map_err(|_unspecified| KeyError::Signature)
    }

    /// As [`Self::verify`], with the digest that the signature algorithm's name has, or `beside` it.
    pub(crate) fn verify_by(
        &self,
        scheme: Option<Scheme>,
        beside: Option<Digest>,
        strength: Strength,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeyError> {
        let scheme = scheme.ok_or(KeyError::Algorithm)?;
        let digest = match (scheme.digest, beside) {
            (Some(one), Some(other)) if one != other => return Err(KeyError::Algorithm),
            (one, other) => one.or(other).ok_or(KeyError::Algorithm)?,
        };
        if scheme.is_rsa != (self.family == Family::Rsa) {
            return Err(KeyError::Algorithm);
        }
        if !digest.is_taken(strength) {
            return Err(KeyError::Digest);
        }
        self.verify(digest, message, signature)
    }

    fn algorithm(&self, digest: Digest) -> Result<&'static dyn VerificationAlgorithm, KeyError> {
        Ok(match (self.family, digest) {
            (Family::Rsa, Digest::Sha1) => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (Family::Rsa, Digest::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
            (Family::Rsa, Digest::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
            (Family::Rsa, Digest::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
            (Family::P256, Digest::Sha256) => &ECDSA_P256_SHA256_ASN1,
            (Family::P256, Digest::Sha384) => &ECDSA_P256_SHA384_ASN1,
            (Family::P256, Digest::Sha512) => &ECDSA_P256_SHA512_ASN1,
            (Family::P384, Digest::Sha256) => &ECDSA_P384_SHA256_ASN1,
            (Family::P384, Digest::Sha384) => &ECDSA_P384_SHA384_ASN1,
            (Family::P384, Digest::Sha512) => &ECDSA_P384_SHA512_ASN1,
            (Family::P256 | Family::P384, Digest::Sha1) => return Err(KeyError::Digest),
        })
    }
}

#[derive(Sequence)]
struct RsaKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn check_rsa(der: &[u8]) -> Result<(), KeyError> {
    let key = match PublicEncryptingKey::from_der(der) {
        Ok(key) => key,
        Err(why) if why.to_string() == "TooSmall" => return Err(KeyError::Weak),
        Err(_malformed) => return Err(KeyError::Malformed),
    };
    match key.key_size_bits() {
        ..RSA_LEAST_BITS => Err(KeyError::Weak),
        RSA_LEAST_BITS..=RSA_MOST_BITS => Ok(()),
        _ => Err(KeyError::TooLarge),
    }
}

fn check_point(algorithm: &'static dyn VerificationAlgorithm, der: &[u8]) -> Result<(), KeyError> {
    ParsedPublicKey::new(algorithm, der).map_err(|_not_on_the_curve| KeyError::Malformed)?;
    Ok(())
}
