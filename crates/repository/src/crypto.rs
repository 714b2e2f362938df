//! The master key and what it opens.
use crate::Problem;
use aes256ctr_poly1305aes::aead::AeadInPlace;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce, Tag};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::Read;
use zeroize::Zeroizing;

const NONCE: usize = 16;
const TAG: usize = 16;

/// What an encrypted piece has besides its content.
pub(crate) const OVERHEAD: usize = NONCE + TAG;

/// A repository's master key: 32 bytes AES-256, then 16 bytes k and 16 bytes r of Poly1305-AES.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 64]>);

impl MasterKey {
    /// From its 64 bytes; none for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 64]>::try_from(bytes).ok().map(|it| Self(Zeroizing::new(it)))
    }

    /// From base64, as a restore order carries it.
    pub fn from_base64(text: &str) -> Option<Self> {
        Self::from_bytes(&Zeroizing::new(BASE64_STANDARD.decode(text).ok()?))
    }

    /// The 64 bytes.
    pub fn expose(&self) -> &[u8; 64] {
        &self.0
    }

    /// The key as base64, for sealing.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.0.as_slice()))
    }

    /// Checks and decrypts one piece, `nonce ‖ ciphertext ‖ tag`, into `plain`, which is emptied first.
    pub(crate) fn open(&self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), Problem> {
        plain.clear();
        let (nonce, rest) = sealed.split_at_checked(NONCE).ok_or(Problem::Mac)?;
        let (text, tag) = rest.split_at_checked(rest.len().wrapping_sub(TAG)).ok_or(Problem::Mac)?;
        plain.extend_from_slice(text);
        Aes256CtrPoly1305Aes::new(Key::from_slice(self.0.as_slice()))
            .decrypt_in_place_detached(Nonce::from_slice(nonce), &[], plain, Tag::from_slice(tag))
            .map_err(|_why| Problem::Mac)
    }

    /// Encrypts `plain` under a nonce that was never used before.
    ///
    /// # Errors
    /// When there is more than the cipher can take.
    pub fn seal(&self, nonce: [u8; NONCE], plain: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut sealed = plain.to_vec();
        let tag = Aes256CtrPoly1305Aes::new(Key::from_slice(self.0.as_slice()))
            .encrypt_in_place_detached(Nonce::from_slice(&nonce), &[], &mut sealed)
            .map_err(|_why| Problem::TooLarge(wide(plain.len())))?;
        Ok([&nonce[..], &sealed, &tag].concat())
    }

    /// Opens a file that is not a pack: byte 2 and zstd, or plain JSON.
    ///
    /// # Errors
    /// When it was not made with this key, or is larger than `limit` bytes.
    pub fn open_file(&self, sealed: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
        let mut plain = Vec::new();
        self.open(sealed, &mut plain)?;
        match plain.split_first() {
            Some((2, packed)) => unzstd(packed, limit),
            Some((b'{' | b'[', _)) => Ok(plain),
            Some(_) | None => Err(Problem::Encoding),
        }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Decompresses data of unknown size.
fn unzstd(packed: &[u8], limit: usize) -> Result<Vec<u8>, Problem> {
    let decoder = zstd::Decoder::with_buffer(packed).map_err(|_why| Problem::Zstd)?;
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    decoder.take(most.saturating_add(1)).read_to_end(&mut plain).map_err(|_why| Problem::Zstd)?;
    if plain.len() > limit { Err(Problem::TooLarge(most)) } else { Ok(plain) }
}

/// Decompresses a blob whose size the index gives: never a byte more is written.
pub(crate) struct Unpacker(zstd::bulk::Decompressor<'static>);

impl Unpacker {
    pub fn new() -> Result<Self, Problem> {
        zstd::bulk::Decompressor::new().map(Self).map_err(|_why| Problem::Zstd)
    }

    /// Decompresses `packed`, which must give exactly `size` bytes.
    pub fn unpack(&mut self, packed: &[u8], size: usize, plain: &mut Vec<u8>) -> Result<(), Problem> {
        plain.clear();
        plain.reserve_exact(size);
        let had = self.0.decompress_to_buffer(packed, plain).map_err(|_why| Problem::Zstd)?;
        if had == size { Ok(()) } else { Err(Problem::Size { said: wide(size), had: wide(had) }) }
    }
}

pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub fn key() -> MasterKey {
        MasterKey::from_bytes(&[7; 64]).unwrap()
    }

    /// Encrypts as a device does.
    pub fn seal(key: &MasterKey, plain: &[u8]) -> Vec<u8> {
        key.seal([9; NONCE], plain).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{key, seal};
    use super::*;

    #[test]
    fn only_what_the_key_sealed_opens() {
        let mut sealed = seal(&key(), b"content");
        let mut plain = Vec::new();

        key().open(&sealed, &mut plain).unwrap();
        assert_eq!(plain, b"content");

        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert_eq!(key().open(&sealed, &mut plain), Err(Problem::Mac), "byte {at}");
            sealed[at] ^= 1;
        }
        for short in 0..OVERHEAD {
            assert_eq!(key().open(&sealed[..short], &mut plain), Err(Problem::Mac));
        }
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = zstd::encode_all(std::io::repeat(0).take(64 << 20), 1).unwrap();
        let file = seal(&key(), &[&[2][..], &bomb].concat());
        assert_eq!(key().open_file(&file, 1 << 20), Err(Problem::TooLarge(1 << 20)));

        let mut plain = Vec::new();
        assert_eq!(Unpacker::new().unwrap().unpack(&bomb, 1000, &mut plain), Err(Problem::Zstd));
        assert!(plain.capacity() < 2000);
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        for plain in [&b""[..], b"\x03x", b"plain"] {
            assert_eq!(key().open_file(&seal(&key(), plain), 1000), Err(Problem::Encoding));
        }
        assert_eq!(key().open_file(&seal(&key(), b"\x02not zstd"), 1000), Err(Problem::Zstd));
    }
}
