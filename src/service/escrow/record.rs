//! A record as it is written down: what everybody may read of it, and what only the holders of the shares can.
//!
//! The master key is sealed to the recovery key. That alone would say nothing about who sealed it: whoever can write to the
//! store knows the public half, and could have put a repository of their own in the place of a device's. So the record is
//! encrypted once more with the key that the recovery key's holders have (AES-256-GCM), which authenticates all of it:
//! repository, device, generation and key.
use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::console_copy::HolderKey;
use domain::id::{DeviceId, RepositoryId};
use domain::object::ObjectName;
use domain::time::Time;
use secret::cipher::Cipher;
use serde::{Deserialize, Serialize};

/// What this version writes and reads.
const FORMAT: u32 = 1;

/// The largest record that is read, in bytes: folders that a device protects are the longest part.
pub const MAX_BYTES: usize = 256 << 10;

/// What the key is derived for.
const PURPOSE: &str = "holdfast/escrow-record/1";

/// What everybody may read, with what only the holders can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    format: u32,
    pub repository: RepositoryId,
    pub device: DeviceId,
    pub generation: i64,
    /// The recovery key's name, of which the shares bear the same.
    pub key: String,
    sealed: String,
}

/// What only the holders can read. Later versions may add to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The master key, sealed to the recovery key; as in the database.
    pub master_key: String,
    pub made_at: Time,
    pub created_at: Time,
    /// The SHA-256 of the repository's config, which its name does not say.
    pub config: ObjectName,
    /// The required `aud` of devices' tokens.
    pub audience: Option<String>,
    pub about: DevicePart,
    /// None if the device is not reached through our agent, or enrolled again since.
    pub agent: Option<AgentPart>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("about", &self.about).finish_non_exhaustive()
    }
}

/// What people know a device by, as it was when the record was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePart {
    pub name: String,
    pub person: String,
    pub platform: String,
    pub model: String,
    pub serial: String,
    pub os_version: String,
    pub ownership: String,
    pub enrolled_at: Time,
}

/// How the device proves who it is: public halves and a hash, which open nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPart {
    pub channel: String,
    pub identity: String,
    pub carries: String,
    pub sealing_key: String,
    pub protected_roots: String,
    pub version: String,
    /// Of the agent's token for the door.
    pub token_hash: Option<String>,
}

impl Record {
    /// Encrypts a record for the holders of the shares of `key`.
    ///
    /// # Errors
    /// When it cannot be encrypted, or is too large to be read again.
    pub fn seal(
        holder: &HolderKey,
        (repository, device, generation): (RepositoryId, DeviceId, i64),
        key: &str,
        secret: &Secret,
    ) -> Result<Self> {
        let plain = serde_json::to_vec(secret).context("writing down an escrow record")?;
        ensure!(plain.len() <= MAX_BYTES / 2, "the escrow record of repository {repository} is too large");
        let record =
            Self { format: FORMAT, repository, device, generation, key: key.to_owned(), sealed: String::new() };
        let sealed = BASE64_STANDARD.encode(cipher(holder)?.seal(&record.context(), &plain)?);
        Ok(Self { sealed, ..record })
    }

    /// What the rest is bound to, so that nobody can put it with another device or repository.
    fn context(&self) -> Vec<u8> {
        let Self { format, repository, device, generation, key, sealed: _ } = self;
        format!("holdfast/escrow-record/{format}/{repository}/{device}/{generation}/{key}").into_bytes()
    }

    /// The bytes that are stored.
    ///
    /// # Errors
    /// Never, for a record that was made here.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context("writing down an escrow record")
    }

    /// Reads what is stored, whoever wrote it: nothing in it is believed before [`Record::open`].
    ///
    /// # Errors
    /// When it is no record, or one of a later version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len() <= MAX_BYTES, "it is too large to be an escrow record");
        let record: Self = serde_json::from_slice(bytes).context("it is no escrow record")?;
        ensure!(record.format == FORMAT, "it is of version {}; this program reads {FORMAT}", record.format);
        ensure!(record.generation >= 0 && record.key.len() <= 64, "it is no escrow record");
        Ok(record)
    }

    /// What only the holders can read.
    ///
    /// # Errors
    /// When it was made for another key, for another repository or device, or by somebody who has no key.
    pub fn open(&self, holder: &HolderKey) -> Result<Secret> {
        let sealed = BASE64_STANDARD.decode(&self.sealed).context("reading an escrow record")?;
        let plain = cipher(holder)?.open(&self.context(), &sealed)?;
        serde_json::from_slice(&plain).map_err(|error| anyhow!("reading an escrow record: {error}"))
    }
}

fn cipher(holder: &HolderKey) -> Result<Cipher> {
    let key = zeroize::Zeroizing::new(BASE64_STANDARD.decode(&holder.key).context("reading a holder's key")?);
    Cipher::derive(&key, PURPOSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::console_copy::holder_key;
    use domain::console_copy::Holder;

    fn holder() -> HolderKey {
        let (public, private) = secret::seal::generate().unwrap();
        holder_key(Holder::Recovery, public.as_str(), &private).unwrap()
    }

    fn about() -> Secret {
        let about = DevicePart {
            name: "laptop-01".to_owned(),
            person: String::new(),
            platform: "linux".to_owned(),
            model: String::new(),
            serial: "S-1".to_owned(),
            os_version: String::new(),
            ownership: "company".to_owned(),
            enrolled_at: Time::from_millis(1),
        };
        Secret {
            master_key: "sealed".to_owned(),
            made_at: Time::from_millis(2),
            created_at: Time::from_millis(1),
            config: ObjectName::from_hash(&[1; 32]),
            audience: None,
            about,
            agent: None,
        }
    }

    fn record(holder: &HolderKey) -> Record {
        let (repository, device) =
            (RepositoryId::generate(Time::from_millis(1)), DeviceId::generate(Time::from_millis(1)));
        Record::seal(holder, (repository, device, 1), "ABC123", &about()).unwrap()
    }

    #[test]
    fn a_record_opens_with_its_key_and_tells_nobody_else_anything() {
        let holder = holder();
        let record = record(&holder);
        let bytes = record.bytes().unwrap();
        let read = Record::parse(&bytes).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.open(&holder).unwrap(), about());
        assert!(read.open(&self::holder()).is_err(), "another key");
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("laptop-01") && !text.contains("S-1"), "{text}");
        assert!(!format!("{:?}", about()).contains("sealed"), "a debug line has no key");
    }

    #[test]
    fn no_record_passes_for_another_repository_device_generation_or_key() {
        let holder = holder();
        let record = record(&holder);
        let other = Time::from_millis(9);
        for changed in [
            Record { repository: RepositoryId::generate(other), ..record.clone() },
            Record { device: DeviceId::generate(other), ..record.clone() },
            Record { generation: 2, ..record.clone() },
            Record { key: "ABC124".to_owned(), ..record.clone() },
            Record { sealed: BASE64_STANDARD.encode([0; 64]), ..record.clone() },
            Record { sealed: "AA==".to_owned(), ..record.clone() },
            Record { sealed: "?".to_owned(), ..record.clone() },
        ] {
            assert!(changed.open(&holder).is_err(), "{changed:?}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let good = String::from_utf8(record(&holder()).bytes().unwrap()).unwrap();
        assert!(Record::parse(good.as_bytes()).is_ok());
        let long = " ".repeat(MAX_BYTES);
        for bad in [
            String::new(),
            "null".to_owned(),
            "[".repeat(100_000),
            good.replace("\"format\":1", "\"format\":2"),
            good.replace("\"generation\":1", "\"generation\":-1"),
            good.replace("\"format\":1", "\"format\":1,\"more\":1"),
            good.replace("ABC123", &"A".repeat(65)),
            format!("{good}{long}"),
        ] {
            assert!(Record::parse(bad.as_bytes()).is_err(), "{}", bad.get(..200).unwrap_or(&bad));
        }
    }
}
