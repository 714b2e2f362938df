//! A state as it is written down: what everybody may read of it, and what only the holders of its key can.
use super::key::{self, StateKey, Wrapped};
use super::piece::MAX_PAGE;
use crate::error::Result;
use crate::store::console_copy::Counts;
use anyhow::{Context, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::console_copy::HolderKey;
use domain::object::ObjectName;
use domain::time::Time;
use secret::cipher::Cipher;
use serde::{Deserialize, Serialize};

/// What this version writes and reads.
const FORMAT: u32 = 1;

/// How large pages may be in all that are kept in the record itself, encrypted: an object more would cost more.
pub const INLINE: usize = 256 << 10;

/// What a state is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The pages of the SQLite database.
    Sqlite,
    /// A file that `pg_dump` made, in pages.
    Dump,
}

/// What everybody may read of a state: enough to order them, and to get its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    format: u32,
    /// Of which database; only its own states are put together.
    pub database: String,
    pub sequence: i64,
    pub taken_at: Time,
    /// The record of the state whose pages this one changes; none if this one has all of its own.
    pub previous: Option<ObjectName>,
    pub keys: Vec<Wrapped>,
}

/// Some pages, as an object of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub name: ObjectName,
    pub size: u64,
}

/// What only the holders can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub source: Source,
    pub page_size: u32,
    /// How many bytes the whole is.
    pub length: u64,
    pub pieces: Vec<Piece>,
    /// A small piece, in base64.
    pub inline: Option<String>,
    /// What was counted when it was taken; none of a dump.
    pub counts: Option<Counts>,
    /// The version of the program that took it.
    pub program: String,
}

/// A state as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    #[serde(flatten)]
    pub head: Head,
    sealed: String,
}

impl Head {
    /// The head of the next state.
    pub fn new(database: &str, sequence: i64, taken_at: Time, previous: Option<ObjectName>, key: &StateKey) -> Self {
        let (database, keys) = (database.to_owned(), key.wrapped.clone());
        Self { format: FORMAT, database, sequence, taken_at, previous, keys }
    }

    /// What the body is bound to, so that nobody can put another head before it.
    fn context(&self) -> Vec<u8> {
        let previous = self.previous.as_ref().map_or("", |it| it.as_str());
        let (sequence, taken) = (self.sequence, self.taken_at.millis());
        format!("holdfast/console-copy/{}/{}/{sequence}/{taken}/{previous}", self.format, self.database).into_bytes()
    }
}

impl Record {
    /// Encrypts a body for whoever its head names.
    ///
    /// # Errors
    /// When it cannot be encrypted.
    pub fn seal(head: Head, body: &Body, cipher: &Cipher) -> Result<Self> {
        let text = serde_json::to_vec(body).context("writing down a state")?;
        let sealed = BASE64_STANDARD.encode(cipher.seal(&head.context(), &text)?);
        Ok(Self { head, sealed })
    }

    /// The bytes that are stored.
    ///
    /// # Errors
    /// Never, for a record that was made here.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self).context("writing down a state")?)
    }

    /// Reads what is stored, whoever wrote it: nothing in it is believed before [`Record::open`].
    ///
    /// # Errors
    /// When it is no record, or one of a later version.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let record: Self = serde_json::from_slice(bytes).context("it is no record of a state")?;
        ensure!(record.head.format == FORMAT, "it is of version {}; this program reads {FORMAT}", record.head.format);
        ensure!(record.head.sequence >= 0 && record.head.keys.len() <= 16, "it is no record of a state");
        Ok(record)
    }

    /// Its key and its body, by one of the holders.
    ///
    /// # Errors
    /// When none of them opens it, or it was changed.
    pub fn open(&self, holders: &[HolderKey]) -> anyhow::Result<(Cipher, Body)> {
        let cipher = holders.iter().find_map(|it| key::unwrap(it, &self.head.keys));
        let cipher = cipher.ok_or_else(|| anyhow!("these keys do not open it"))?;
        let sealed = BASE64_STANDARD.decode(&self.sealed).context("reading a state")?;
        let text = cipher.open(&self.head.context(), &sealed)?;
        let body: Body = serde_json::from_slice(&text).context("reading a state")?;
        let page = body.page_size;
        ensure!((512..=MAX_PAGE).contains(&page) && page.is_power_of_two(), "its pages have {page} bytes");
        ensure!(body.length.div_ceil(u64::from(page)) <= u64::from(u32::MAX), "it has too many pages");
        Ok((cipher, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::console_copy::Holder;

    fn holder() -> HolderKey {
        let (public, private) = secret::seal::generate().unwrap();
        key::holder_key(Holder::Recovery, public.as_str(), &private).unwrap()
    }

    fn body() -> Body {
        let program = "0".to_owned();
        Body {
            source: Source::Sqlite,
            page_size: 4096,
            length: 8192,
            pieces: vec![],
            inline: None,
            counts: None,
            program,
        }
    }

    fn record(holder: &HolderKey) -> Record {
        let key = StateKey::made_for(std::slice::from_ref(holder)).unwrap();
        let head = Head::new("database", 3, Time::from_millis(5), None, &key);
        Record::seal(head, &body(), &key.cipher).unwrap()
    }

    #[test]
    fn a_record_is_read_by_its_holders_only_and_with_its_own_head() {
        let mine = holder();
        let record = record(&mine);

        let read = Record::parse(&record.bytes().unwrap()).unwrap();

        assert_eq!(read.open(std::slice::from_ref(&mine)).unwrap().1, body());
        assert!(read.open(&[holder()]).is_err());
        for change in [
            (|it: &mut Head| it.sequence = 4) as fn(&mut Head),
            |it| it.taken_at = Time::from_millis(6),
            |it| it.database = "another".to_owned(),
            |it| it.previous = Some(ObjectName::from_hash(&[1; 32])),
        ] {
            let mut changed = read.clone();
            change(&mut changed.head);
            assert!(changed.open(std::slice::from_ref(&mine)).is_err(), "{:?}", changed.head);
        }
    }

    #[test]
    fn whoever_only_writes_to_the_store_makes_no_state_of_this_console() {
        let mine = holder();
        let forged = record(&holder());
        // The public half is no secret, and nothing of the rest is needed to write a record.
        let mut posing = Record::parse(&forged.bytes().unwrap()).unwrap();
        for key in &mut posing.head.keys {
            *key = key.clone().posing_as(&mine.public);
        }
        assert!(posing.open(&[mine]).is_err());
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        let text = |it: &str| Record::parse(it.as_bytes());
        for hostile in ["", "{}", "[]", "null", "{\"format\":1}", &"[".repeat(100_000)] {
            assert!(text(hostile).is_err(), "{}", &hostile[..hostile.len().min(20)]);
        }
        let mut later = record(&holder());
        later.head.format = 2;
        assert!(Record::parse(&later.bytes().unwrap()).unwrap_err().to_string().contains("version 2"));
        for page_size in [0, 1, 511, 4095, 131_072] {
            let mine = holder();
            let key = StateKey::made_for(std::slice::from_ref(&mine)).unwrap();
            let head = Head::new("database", 3, Time::from_millis(5), None, &key);
            let record = Record::seal(head, &Body { page_size, ..body() }, &key.cipher).unwrap();
            assert!(record.open(&[mine]).is_err(), "{page_size}");
        }
    }
}
