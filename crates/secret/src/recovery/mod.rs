//! Recovery keys: an X25519 key pair whose private half exists only on paper, in [`SHARES`] shares of which any
//! [`NEEDED`] give it back.
//!
//! Shamir's scheme over GF(256), byte by byte: fewer shares fit every key equally well. What each share looks like is
//! [`Share`]. What is sealed to the public half opens without any server:
//!
//! ```
//! # fn main() -> anyhow::Result<()> {
//! use holdfast_secret::recovery::{RecoveryKey, Share};
//! let key = RecoveryKey::make()?;
//! let printed: Vec<String> = key.shares()?.iter().map(|it| it.text().to_string()).collect();
//! // Later, elsewhere, from what somebody typed:
//! let typed = printed[1..4].iter().map(|it| Share::parse(it)).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(RecoveryKey::from_shares(&typed)?.public(), key.public());
//! # Ok(())
//! # }
//! ```
pub mod age;
mod share;

pub use share::{LENGTH, Share, ShareError};

use crate::seal::{self, PrivateKey, PublicKey};
use anyhow::{Context, Result, anyhow, ensure};
use rand_core::{TryCryptoRng, TryRng};
use share::name;
use std::convert::Infallible;
use vsss_rs::Gf256;
use zeroize::{Zeroize, Zeroizing};

/// How many shares a key is split into.
pub const SHARES: usize = 5;

/// How many of them give it back.
pub const NEEDED: usize = 3;

/// What a line with a whole key begins with.
pub const WHOLE: &str = "holdfast-recovery-key-";

/// A line that begins as a whole key does and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this line begins as a whole recovery key does, but was cut off or altered")]
pub struct WholeError;

/// Both halves of a recovery key, for the moment in which they are needed.
pub struct RecoveryKey {
    public: PublicKey,
    private: PrivateKey,
}

impl RecoveryKey {
    /// A new key.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn make() -> Result<Self> {
        let (public, private) = seal::generate()?;
        Ok(Self { public, private })
    }

    /// The key of at least [`NEEDED`] different shares, in any order.
    ///
    /// # Errors
    /// When there are too few, one is there twice, they are of different keys, or one was altered so that its check
    /// digits fit.
    pub fn from_shares(shares: &[Share]) -> Result<Self, ShareError> {
        let first = shares.first().ok_or(ShareError::TooFew(0))?;
        for (at, share) in shares.iter().enumerate() {
            share.refuse_beside(shares.get(..at).unwrap_or_default())?;
        }
        if shares.len() < NEEDED {
            return Err(ShareError::TooFew(shares.len()));
        }
        let altered = || ShareError::Altered { key: first.key().to_owned() };
        let mut parts: Vec<Vec<u8>> = shares.iter().map(Share::point).collect();
        let combined = Gf256::combine_array(&parts);
        parts.zeroize();
        let bytes = Zeroizing::new(combined.map_err(|_field| altered())?);
        let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_length| altered())?;
        let private = PrivateKey::from_bytes(bytes);
        let public = private.public().map_err(|_curve| altered())?;
        if name(&public) != first.key() {
            return Err(altered());
        }
        Ok(Self { public, private })
    }

    /// Reads what [`RecoveryKey::whole`] wrote.
    ///
    /// # Errors
    /// When it is no whole key, or was altered.
    pub fn parse_whole(text: &str) -> Result<Self, WholeError> {
        let rest = text.trim().strip_prefix(WHOLE).ok_or(WholeError)?;
        let (name, digits) = rest.split_once('-').ok_or(WholeError)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_digits| WholeError)?;
        let private = PrivateKey::from_bytes(&bytes);
        let public = private.public().map_err(|_curve| WholeError)?;
        let key = Self { public, private };
        if key.name() == name { Ok(key) } else { Err(WholeError) }
    }

    /// The whole key in one line, which begins with [`WHOLE`]: whoever has it needs no shares.
    ///
    /// # Errors
    /// When it is no X25519 key.
    pub fn whole(&self) -> Result<Zeroizing<String>> {
        let digits = Zeroizing::new(hex::encode(self.private.bytes()?.as_slice()));
        Ok(Zeroizing::new(format!("{WHOLE}{}-{}", self.name(), *digits)))
    }

    /// To which everything is sealed that must come back.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// What opens it.
    pub fn private(&self) -> &PrivateKey {
        &self.private
    }

    /// What people call this key: six characters made from its public half, which each of its shares bears.
    pub fn name(&self) -> String {
        name(&self.public)
    }

    /// The shares, 1 to [`SHARES`]: other ones at each call.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn shares(&self) -> Result<Vec<Share>> {
        let mut entropy = Entropy { is_gone: false };
        let split = Gf256::split_array(NEEDED, SHARES, self.private.bytes()?.as_slice(), &mut entropy);
        let mut parts = split.map_err(|error| anyhow!("splitting a key: {error}"))?;
        let shares = parts.iter().map(|it| Share::of_point(&self.name(), it)).collect::<Option<Vec<_>>>();
        parts.zeroize();
        ensure!(!entropy.is_gone, "the operating system provided no randomness");
        shares.context("splitting a key")
    }
}

/// What people call the recovery key with this public half; as [`RecoveryKey::name`].
pub fn key_name(public: &PublicKey) -> String {
    name(public)
}

/// The operating system's randomness, for a library that cannot be told that there is none: who uses this looks
/// afterwards.
struct Entropy {
    is_gone: bool,
}

impl Entropy {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        crate::bytes().unwrap_or_else(|_error| {
            self.is_gone = true;
            [0; N]
        })
    }
}

impl TryRng for Entropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.take()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.take()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            let [taken] = self.take();
            *byte = taken;
        }
        Ok(())
    }
}

impl TryCryptoRng for Entropy {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn shares_of(key: &RecoveryKey) -> Vec<Share> {
        let shares = key.shares().unwrap();
        // Through what is on the paper.
        shares.iter().map(|it| Share::parse(&it.text()).unwrap()).collect()
    }

    fn picked(shares: &[Share], numbers: &[usize]) -> Vec<Share> {
        numbers.iter().map(|it| shares[it - 1].clone()).collect()
    }

    #[test]
    fn any_three_of_five_shares_give_the_key_back() {
        let key = RecoveryKey::make().unwrap();
        let shares = shares_of(&key);
        assert_eq!(shares.iter().map(Share::number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let mut tried = 0;
        for all in 0_u8..32 {
            let numbers: Vec<usize> = (1..=5).filter(|it| all >> (it - 1) & 1 == 1).collect();
            let found = RecoveryKey::from_shares(&picked(&shares, &numbers));
            match numbers.len() {
                0..NEEDED => assert_eq!(found.err(), Some(ShareError::TooFew(numbers.len()))),
                _ => {
                    let found = found.unwrap();
                    assert_eq!((found.public(), found.private().expose()), (key.public(), key.private().expose()));
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 16);
        assert!(RecoveryKey::from_shares(&picked(&shares, &[5, 1, 3])).is_ok(), "in any order");
    }

    #[test]
    fn two_shares_fit_every_key_equally_well() {
        let key = RecoveryKey::make().unwrap();
        let points: Vec<Vec<u8>> = key.shares().unwrap().iter().map(Share::point).collect();
        for at in 1..=32 {
            let possible: BTreeSet<u8> = (0..=255)
                .map(|guess| {
                    let mut third = points[2].clone();
                    third[at] = guess;
                    Gf256::combine_array([points[0].clone(), points[1].clone(), third]).unwrap()[at - 1]
                })
                .collect();
            assert_eq!(possible.len(), 256, "byte {at}");
        }
    }

    #[test]
    fn shares_that_do_not_belong_together_are_refused_each_with_its_reason() {
        let (one, other) = (RecoveryKey::make().unwrap(), RecoveryKey::make().unwrap());
        let (of_one, of_other) = (shares_of(&one), shares_of(&other));
        let again = shares_of(&one);

        let mixed = [of_one[0].clone(), of_one[1].clone(), of_other[2].clone()];
        assert_eq!(
            RecoveryKey::from_shares(&mixed).err(),
            Some(ShareError::OtherKey { number: 3, found: other.name(), expected: one.name() })
        );
        let twice = picked(&of_one, &[1, 2, 2]);
        assert_eq!(RecoveryKey::from_shares(&twice).err(), Some(ShareError::Twice(2)));
        let two_thirds = [of_one[0].clone(), of_one[2].clone(), again[2].clone()];
        assert_eq!(RecoveryKey::from_shares(&two_thirds).err(), Some(ShareError::Rival(3)));
        // Split twice: each share is whole, and they make no key.
        let two_sets = [of_one[0].clone(), of_one[1].clone(), again[2].clone()];
        assert_eq!(RecoveryKey::from_shares(&two_sets).err(), Some(ShareError::Altered { key: one.name() }));
    }

    #[test]
    fn each_split_is_another() {
        let key = RecoveryKey::make().unwrap();
        assert_ne!(key.shares().unwrap()[0].text(), key.shares().unwrap()[0].text());
    }
}
