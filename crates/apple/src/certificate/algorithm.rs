//! Which algorithms are known, and how strong they have to be.
use aws_lc_rs::digest;
use der::asn1::ObjectIdentifier;
use spki::AlgorithmIdentifierRef;

/// Whether the forms that old clients still send are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// SHA-256 or better, triple DES or better.
    Modern,
    /// SHA-1 and single DES too.
    WithLegacy,
}

/// A hash function, as signatures use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

impl Digest {
    /// Of all, the known ones.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    pub(crate) fn parse(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.oid() == algorithm.oid && has_no_parameters(algorithm))
    }

    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => SHA1,
            Self::Sha256 => SHA256,
            Self::Sha384 => SHA384,
            Self::Sha512 => SHA512,
        }
    }

    /// The digest of `data`.
    #[must_use]
    pub fn of(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }

    /// Whether signatures with it are taken.
    #[must_use]
    pub fn is_taken(self, strength: Strength) -> bool {
        self != Self::Sha1 || strength == Strength::WithLegacy
    }
}

/// What a signature algorithm's name says: the kind of key, and the digest where the name has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheme {
    pub is_rsa: bool,
    pub digest: Option<Digest>,
}

/// In signatures, a bare `rsaEncryption` leaves the digest to be named elsewhere.
pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
pub(crate) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
pub(crate) const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

impl Scheme {
    pub fn parse(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<Self> {
        let (is_rsa, digest) = match algorithm.oid {
            RSA => (true, None),
            RSA_SHA1 => (true, Some(Digest::Sha1)),
            RSA_SHA256 => (true, Some(Digest::Sha256)),
            RSA_SHA384 => (true, Some(Digest::Sha384)),
            RSA_SHA512 => (true, Some(Digest::Sha512)),
            ECDSA_SHA256 => (false, Some(Digest::Sha256)),
            ECDSA_SHA384 => (false, Some(Digest::Sha384)),
            ECDSA_SHA512 => (false, Some(Digest::Sha512)),
            _ => return None,
        };
        has_no_parameters(algorithm).then_some(Self { is_rsa, digest })
    }
}

/// Absent and NULL mean the same, and both are sent.
pub(crate) fn has_no_parameters(algorithm: &AlgorithmIdentifierRef<'_>) -> bool {
    algorithm.parameters.is_none_or(der::AnyRef::is_null)
}
