//! The stored objects of a repository.
use crate::manifest::MAX_STORED_BYTES;
use crate::text::text_enum;
use serde::{Deserialize, Serialize};
use std::fmt;

text_enum! {
    /// A place that has the bytes of objects.
    Location {
        /// Where devices upload to, and what restore tests read.
        Primary = "primary",
        /// The second store, to which the server copies what the first one has.
        Copy = "copy",
    }
}

impl Location {
    /// The one whose bytes replace damaged ones here.
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Copy,
            Self::Copy => Self::Primary,
        }
    }

    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "Backup store",
            Self::Copy => "Second store",
        }
    }
}

text_enum! {
    /// What an object of a repository is: restic's six kinds, and our manifests.
    ObjectKind {
        Config = "config", Keys = "keys", Data = "data", Index = "index",
        Snapshots = "snapshots", Locks = "locks", Manifests = "manifests",
    }
}

impl ObjectKind {
    /// What any restore point received later may need.
    pub const NEEDED: &'static [Self] = &[Self::Config, Self::Data, Self::Index, Self::Snapshots];

    /// What the second store gets, in this order: nothing arrives there before what it needs. Locks are of the moment.
    pub const COPIED: &'static [Self] =
        &[Self::Data, Self::Index, Self::Manifests, Self::Snapshots, Self::Keys, Self::Config];

    /// The largest object of this kind that is accepted, in bytes.
    ///
    /// Restic's packs end at 128 MiB and its index files at 8 MiB; rustic writes larger ones.
    pub const fn max_bytes(self) -> u64 {
        const MIB: u64 = 1 << 20;
        match self {
            Self::Data => 132 * MIB,
            Self::Index => 64 * MIB,
            Self::Manifests => MAX_STORED_BYTES as u64,
            Self::Config | Self::Keys | Self::Snapshots | Self::Locks => MIB,
        }
    }
}

text_enum! {
    /// Whether a repository still accepts backups.
    RepositoryState { Active = "active", ReadOnly = "read_only" }
}

text_enum! {
    /// Whose token opens the backup door: the agent's, or that of a person's own restic client, which reads
    /// or only appends.
    TokenKind { Agent = "agent", OwnClient = "own_client", AppendClient = "append_client" }
}

impl TokenKind {
    /// Whether a token may read what is stored under `kind`. One that only appends gets what a backup needs:
    /// how to encrypt, and which pieces are already there; never a snapshot, a folder or a file.
    pub const fn reads(self, kind: ObjectKind) -> bool {
        match self {
            Self::Agent | Self::OwnClient => true,
            Self::AppendClient => {
                matches!(kind, ObjectKind::Config | ObjectKind::Keys | ObjectKind::Index | ObjectKind::Locks)
            }
        }
    }
}

/// An object's name: 64 lower-case hex digits, the SHA-256 of its bytes.
///
/// Restic's `config` has no such name; its row carries [`ObjectName::config`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(
    feature = "sql",
    derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow),
    diesel(sql_type = diesel::sql_types::Text)
)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName(String);

impl ObjectName {
    /// Reads a name; none for anything but 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = text.len() == 64 && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        is_name.then(|| Self(text.to_owned()))
    }

    /// The name of bytes whose SHA-256 is `hash`.
    pub fn from_hash(hash: &[u8; 32]) -> Self {
        Self(hex::encode(hash))
    }

    /// The one name that is not a hash.
    pub fn config() -> Self {
        Self("config".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that the name spells; none for `config`.
    pub fn hash(&self) -> Option<[u8; 32]> {
        let mut hash = [0; 32];
        hex::decode_to_slice(&self.0, &mut hash).ok().map(|()| hash)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ObjectName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not 64 lower-case hex digits")
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_lower_case_hex_digits_are_a_name() {
        let good = "0123456789abcdef".repeat(4);
        assert!(ObjectName::parse(&good).is_some());
        for bad in [
            "",
            "..",
            "../../etc/passwd",
            &good[1..],
            &good.to_uppercase(),
            &format!("{good}0"),
            &format!("{}/", &good[1..]),
        ] {
            assert!(ObjectName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_name_spells_its_hash() {
        let name = ObjectName::from_hash(&[0xab; 32]);
        assert_eq!((name.as_str(), name.hash()), ("ab".repeat(32).as_str(), Some([0xab; 32])));
        assert_eq!(name.to_string(), name.as_str());
        assert_eq!((ObjectName::config().hash(), ObjectName::config().as_str()), (None, "config"));
    }

    #[test]
    fn all_but_locks_is_copied_and_nothing_before_what_it_needs() {
        let left_out: Vec<_> = ObjectKind::ALL.iter().filter(|it| !ObjectKind::COPIED.contains(it)).collect();
        assert_eq!(left_out, [&ObjectKind::Locks]);
        let place = |kind| ObjectKind::COPIED.iter().position(|it| *it == kind).unwrap();
        assert!(place(ObjectKind::Data) < place(ObjectKind::Index));
        assert!(place(ObjectKind::Index) < place(ObjectKind::Snapshots));
        assert!(place(ObjectKind::Manifests) < place(ObjectKind::Snapshots));
    }

    #[test]
    fn each_location_is_repaired_from_the_other() {
        for location in Location::ALL {
            assert!(location.other() != *location && location.other().other() == *location);
            assert_ne!(location.name(), location.other().name());
        }
    }

    #[test]
    fn limits_are_those_of_the_protocol() {
        let mib = |kind: ObjectKind| kind.max_bytes() / (1 << 20);
        assert_eq!([ObjectKind::Data, ObjectKind::Index, ObjectKind::Snapshots].map(mib), [132, 64, 1]);
        assert_eq!(
            [ObjectKind::Config, ObjectKind::Keys, ObjectKind::Locks].map(ObjectKind::max_bytes),
            [1_048_576; 3]
        );
    }

    #[test]
    fn a_token_that_only_appends_reads_no_content() {
        for kind in ObjectKind::ALL {
            let is_content = matches!(kind, ObjectKind::Data | ObjectKind::Snapshots | ObjectKind::Manifests);
            assert_eq!(TokenKind::AppendClient.reads(*kind), !is_content, "{kind}");
            assert!(TokenKind::Agent.reads(*kind) && TokenKind::OwnClient.reads(*kind), "{kind}");
        }
    }
}
