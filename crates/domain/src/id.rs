//! Ids: UUIDv7 as text, one type per noun, so that one cannot be mistaken for another.
use crate::time::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::{NoContext, Timestamp, Uuid};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(
            feature = "sql",
            derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow),
            diesel(sql_type = diesel::sql_types::Text)
        )]
        pub struct $name([u8; 36]);

        impl $name {
            /// A new id that sorts by `now`.
            pub fn generate(now: Time) -> Self {
                Self::from_uuid(new_uuid(now))
            }

            fn from_uuid(uuid: Uuid) -> Self {
                let mut text = [0; 36];
                uuid.hyphenated().encode_lower(&mut text);
                Self(text)
            }

            /// Reads an id in any spelling of a UUID; none for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self::from_uuid)
            }

            /// The id as 36 lower-case characters.
            pub fn as_str(&self) -> &str {
                // The bytes come from `encode_lower`, which writes ASCII only.
                std::str::from_utf8(&self.0).unwrap_or_default()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an id"))
            }
        }
        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> { Self::parse(text).ok_or(NotAnId) }
        }
    )+
        /// Calls a macro once with every id type.
        #[cfg(feature = "sql")]
        macro_rules! for_each_id { ($call:ident) => { $call! { $($name),+ } } }
        #[cfg(feature = "sql")]
        pub(crate) use for_each_id;
    };
}

/// A text that is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

fn new_uuid(now: Time) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, millis / 1000, nanos))
}

ids! {
    UserId, TeamId, LinkId, ApiTokenId,
    DeviceId, EnrollmentTokenId, PolicyId,
    RepositoryId, RepositoryTokenId, RestorePointId, RestoreTestId, CopyTestId,
    CommandId, WipeRequestId, RestoreId, RecoveryKeyId, TeamKeyId, ContentReadId,
    ActivityId, MailId,
    RetentionChangeId, HoldId, PruneId,
    AppleEnrollmentId, AppleOrderId, DeviceSecretId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let older = DeviceId::generate(Time::from_millis(1_700_000_000_000));
        let newer = DeviceId::generate(Time::from_millis(1_700_000_000_001));
        assert!(older < newer);
    }

    #[test]
    fn a_text_that_is_not_a_uuid_is_not_an_id() {
        for text in ["", "x", "../../etc/passwd", "0190163d-8694-739b-aea5-966c26f8ad9"] {
            assert_eq!(DeviceId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_begins_with_the_time_it_was_made() {
        let id = DeviceId::generate(Time::from_millis(1_795_356_371_123));
        let begin = format!("{:012x}", 1_795_356_371_123_i64);
        assert!(id.as_str().replace('-', "").starts_with(&begin), "{id}");
    }
}
