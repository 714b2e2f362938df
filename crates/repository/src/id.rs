//! Ids: SHA-256 in 32 bytes.
use domain::object::ObjectName;
use serde::{Deserialize, Deserializer};
use std::fmt;

/// The SHA-256 of a pack's bytes or a blob's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        ObjectName::parse(text)?.hash().map(Self)
    }

    /// The object with this name.
    pub fn name(&self) -> ObjectName {
        ObjectName::from_hash(&self.0)
    }

    /// The first digits.
    pub fn short(&self) -> String {
        hex::encode(self.0.iter().take(5).copied().collect::<Vec<_>>())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl serde::de::Visitor<'_> for Hex {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
                let mut id = [0; 32];
                hex::decode_to_slice(text, &mut id).map(|()| Id(id)).map_err(|_why| E::custom("not an id"))
            }
        }
        deserializer.deserialize_str(Hex)
    }
}
