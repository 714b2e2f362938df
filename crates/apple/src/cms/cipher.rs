//! Encryption of contents.
use super::CmsError;
use crate::certificate::Strength;
use aws_lc_rs::cipher::{
    AES_128, AES_256, Algorithm, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use der::asn1::{ObjectIdentifier, OctetStringRef};
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

/// A cipher in CBC mode. None of them notices a change: only what is also signed is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Des,
    TripleDes,
    Aes128,
    Aes256,
}

const DES_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.7");
const TRIPLE_DES_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
const AES128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

impl Cipher {
    /// All, the weakest first.
    pub const ALL: [Self; 4] = [Self::Des, Self::TripleDes, Self::Aes128, Self::Aes256];

    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Des => DES_CBC,
            Self::TripleDes => TRIPLE_DES_CBC,
            Self::Aes128 => AES128_CBC,
            Self::Aes256 => AES256_CBC,
        }
    }

    /// The cipher, and its initialization vector.
    pub(crate) fn parse<'a>(
        algorithm: &AlgorithmIdentifierRef<'a>,
        strength: Strength,
    ) -> Result<(Self, &'a [u8]), CmsError> {
        let found = Self::ALL.into_iter().find(|it| it.oid() == algorithm.oid).ok_or(CmsError::Algorithm)?;
        if found == Self::Des && strength == Strength::Modern {
            return Err(CmsError::Weak);
        }
        let parameters = algorithm.parameters.ok_or(CmsError::Malformed)?;
        let iv = parameters.decode_as::<&OctetStringRef>()?.as_bytes();
        if iv.len() == found.block_len() { Ok((found, iv)) } else { Err(CmsError::Malformed) }
    }

    #[expect(deprecated, reason = "old clients send it, and the caller says whether it is taken")]
    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Des => &aws_lc_rs::cipher::DES_FOR_LEGACY_USE_ONLY,
            Self::TripleDes => &aws_lc_rs::cipher::DES_EDE3_FOR_LEGACY_USE_ONLY,
            Self::Aes128 => &AES_128,
            Self::Aes256 => &AES_256,
        }
    }

    pub(crate) fn key_len(self) -> usize {
        match self {
            Self::Des => 8,
            Self::TripleDes => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    fn block_len(self) -> usize {
        match self {
            Self::Des | Self::TripleDes => 8,
            Self::Aes128 | Self::Aes256 => 16,
        }
    }

    fn key(self, bytes: &[u8]) -> Result<UnboundCipherKey, CmsError> {
        UnboundCipherKey::new(self.algorithm(), bytes).map_err(|_unspecified| CmsError::Decrypt)
    }

    /// Encrypts under a new key: the key, the initialization vector, and what came out.
    pub(crate) fn encrypt(self, content: &[u8]) -> Result<Encrypted, CmsError> {
        let random = |_unspecified| CmsError::Random;
        let mut key = Zeroizing::new(vec![0; self.key_len()]);
        rand::fill(&mut key).map_err(random)?;
        let mut iv = vec![0; self.block_len()];
        rand::fill(&mut iv).map_err(random)?;
        let mut bytes = content.to_vec();
        PaddedBlockEncryptingKey::cbc_pkcs7(self.key(&key)?)
            .and_then(|it| it.less_safe_encrypt(&mut bytes, self.encryption(&iv)?))
            .map_err(random)?;
        Ok(Encrypted { key, iv, bytes })
    }

    /// # Errors
    /// Always the same one.
    pub(crate) fn decrypt(self, key: &[u8], iv: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let mut room = Zeroizing::new(bytes.to_vec());
        let opened = PaddedBlockDecryptingKey::cbc_pkcs7(self.key(key)?)
            .and_then(|it| it.decrypt(&mut room, self.decryption(iv)?).map(|it| Zeroizing::new(it.to_vec())));
        opened.map_err(|_unspecified| CmsError::Decrypt)
    }

    fn encryption(self, iv: &[u8]) -> Result<EncryptionContext, aws_lc_rs::error::Unspecified> {
        Ok(match self {
            Self::Des | Self::TripleDes => EncryptionContext::Iv64(FixedLength::try_from(iv)?),
            Self::Aes128 | Self::Aes256 => EncryptionContext::Iv128(FixedLength::try_from(iv)?),
        })
    }

    fn decryption(self, iv: &[u8]) -> Result<DecryptionContext, aws_lc_rs::error::Unspecified> {
        Ok(match self {
            Self::Des | Self::TripleDes => DecryptionContext::Iv64(FixedLength::try_from(iv)?),
            Self::Aes128 | Self::Aes256 => DecryptionContext::Iv128(FixedLength::try_from(iv)?),
        })
    }
}

pub(crate) struct Encrypted {
    pub key: Zeroizing<Vec<u8>>,
    pub iv: Vec<u8>,
    pub bytes: Vec<u8>,
}
