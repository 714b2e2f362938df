//! Settings that are kept in the database: each has a name and a type, and all but the numbers that owners set are
//! listed here.
use crate::store::Conn;
use crate::store::schema::settings;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::console_copy::{HolderKey, Kept, Stage, StateProof};
use domain::copy::SecondStore;
use domain::copy::lock::Protection;
use domain::epoch::Epoch;
use domain::ground::{Alarm, Away, DatabaseCheck, Disk, Stopped, Undelivered};
use domain::object::Location;
use domain::time::Time;
use domain::verification::{Pass, Survey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::time::Duration;

/// The required `aud` of devices' tokens.
pub const AUDIENCE: Key<String> = Key::new("agent.audience");
/// The address that browsers use.
pub const PUBLIC_URL: Key<String> = Key::new("public_url");
/// Whether this is the demo.
pub const DEMO: Key<bool> = Key::new("demo");
/// Since when everything is frozen.
pub const FROZEN_SINCE: Key<Time> = Key::new("freeze.since");
/// When the last freeze ended.
pub const FROZEN_UNTIL: Key<Time> = Key::new("freeze.until");
/// Whether a mail server has ever accepted a mail of ours: finished mails are forgotten after a while.
pub const MAIL_WORKED: Key<bool> = Key::new("mail.worked");
/// Which life of the server this is, since its database was last restored from a copy.
pub const EPOCH: Key<Epoch> = Key::new("epoch");
/// What checks of copies of the database found.
pub const DATABASE_CHECK: Key<DatabaseCheck> = Key::new("database.check");
/// That no mail is accepted.
pub const UNDELIVERED: Key<Undelivered> = Key::new("mail.undelivered");
/// The public half of the proof key.
pub const PROOF_PUBLIC_KEY: Key<String> = Key::new("proof.public_key");
/// When the proof side looks for repositories that are not sealed to their team's key.
pub const WRAP_AGAIN: Key<Time> = Key::new("team_keys.wrap_again");
/// The public half of the copy of the proof key that was checked last.
pub const PROOF_KEY_COPY: Key<String> = Key::new("proof_key.copy");
/// After how long without a check-in a device is silent.
pub const SILENT: Key<Duration> = Key::new("silent.seconds");
/// This server, as in the backup store's marker.
pub const SERVER_ID: Key<String> = Key::new("server.id");
/// This database, as in the backup store's marker.
pub const DATABASE_ID: Key<String> = Key::new("database.id");
/// That the backup store cannot be read.
pub const AWAY: Key<Away> = Key::new("ground.away");
/// That the backup store accepts no backups.
pub const STOPPED: Key<Stopped> = Key::new("ground.stopped");

/// Which reminder of the end of the push certificate was sent last.
pub const PUSH_REMINDED: Key<String> = Key::new("push.reminded");

/// When people were last told what is in the trash, and what was erased.
pub const TRASH_TOLD: Key<Time> = Key::new("trash.told");

/// Where the backup store stands, as whoever runs the server says; empty if they do not.
pub const LOCATION: Key<String> = Key::new("store.location");
/// The id in the marker of the second store.
pub const COPY_ID: Key<String> = Key::new("copy.id");
/// The second store that the server was started with.
pub const COPY: Key<SecondStore> = Key::new("copy.store");
/// That the second store cannot be used.
pub const COPY_AWAY: Key<Away> = Key::new("copy.away");
/// When the second store was last found to be the right one.
pub const COPY_SEEN: Key<Time> = Key::new("copy.seen");
/// When people were told that copying is late; none while it is not.
pub const COPY_LATE_TOLD: Key<Time> = Key::new("copy.late_told");
/// Whether people were told that the second store cannot be used.
pub const COPY_TOLD: Key<bool> = Key::new("copy.told");
/// What last went wrong while copying, and when; none since something was copied.
pub const COPY_FAILED: Key<String> = Key::new("copy.failed");

/// The other Holdfast that may fetch what is to be copied.
pub const PULLER: Key<Puller> = Key::new("copy.puller");

/// What another Holdfast shows when it asks. Only the token's hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Puller {
    pub name: String,
    pub token_hash: String,
    pub made_at: Time,
    pub made_by: String,
}

/// What the bucket of the second store was found to allow.
pub const COPY_PROTECTION: Key<Protection> = Key::new("copy.protection");
/// Why locks there could not be set, and since when; none while they can.
pub const COPY_LOCK_FAILED: Key<String> = Key::new("copy.lock_failed");

/// When all objects there were last gone through, and each had its lock; none since the bucket's rule is another.
pub const COPY_LOCKED_AT: Key<Time> = Key::new("copy.locked_at");

/// The key that the copies of the console's own state are encrypted with.
pub const STATE_KEY: Key<String> = Key::new("console_copy.key");
/// Who gets that key back.
pub const STATE_HOLDERS: Key<Vec<HolderKey>> = Key::new("console_copy.holders");
/// The state that the second store has.
pub const CONSOLE_KEPT: Key<Kept> = Key::new("console_copy.kept");
/// The state that was last restored from there and compared.
pub const CONSOLE_PROOF: Key<StateProof> = Key::new("console_copy.proof");
/// Why one of both last failed; none since it did not.
pub const fn console_failed(stage: Stage) -> Key<String> {
    match stage {
        Stage::Keep => Key::new("console_copy.failed.keep"),
        Stage::Test => Key::new("console_copy.failed.test"),
    }
}

/// When the escrow records on the second store were last read back.
pub const ESCROWS_READ: Key<Time> = Key::new("escrow.read_at");
/// Why escrow records could not be kept there; none since they were.
pub const ESCROWS_FAILED: Key<String> = Key::new("escrow.failed");

/// When this console was brought back from the second store.
pub const RESTORED_AT: Key<Time> = Key::new("restored.at");

/// Since when the server has run without a gap, and when it was last seen to run.
pub const STEADY: Key<Steady> = Key::new("retention.steady");
/// Restore tests that ended up to then were looked at for something unusual.
pub const LOOKED_UNTIL: Key<Time> = Key::new("retention.looked_until");

/// Since when a server has run without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    pub since: Time,
    pub seen_at: Time,
}

/// What was last told about the room on a disk.
pub const fn told(disk: Disk) -> Key<Alarm> {
    match disk {
        Disk::Database => Key::new("ground.told.database"),
        Disk::Backups => Key::new("ground.told.backups"),
        Disk::Copy => Key::new("ground.told.copy"),
    }
}

/// What the last complete pass over a location found.
pub const fn survey(location: Location) -> Key<Survey> {
    match location {
        Location::Primary => Key::new("verification.survey.primary"),
        Location::Copy => Key::new("verification.survey.copy"),
    }
}

/// How far the pass over a location has come that is under way.
pub const fn pass(location: Location) -> Key<Pass> {
    match location {
        Location::Primary => Key::new("verification.pass.primary"),
        Location::Copy => Key::new("verification.pass.copy"),
    }
}

/// When people were last told that something at a location was found damaged.
pub const fn damage_told(location: Location) -> Key<Time> {
    match location {
        Location::Primary => Key::new("verification.told.primary"),
        Location::Copy => Key::new("verification.told.copy"),
    }
}

/// A setting's name, with the type of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<T> {
    pub name: &'static str,
    of: PhantomData<T>,
}

/// The value of a setting, and when it was written.
#[derive(Debug, Clone)]
pub struct Entry<T> {
    /// None if it cannot be read.
    pub value: Option<T>,
    pub updated_at: Time,
}

impl<T: SettingValue> Key<T> {
    /// The setting of that name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, of: PhantomData }
    }

    /// Its value, whatever it becomes later; none if it is not set or cannot be read.
    pub fn find(&self, conn: &mut Conn) -> QueryResult<Option<T>> {
        Ok(self.entry(conn)?.and_then(|it| it.value))
    }

    /// Its value with the time of it; none if it is not set.
    pub fn entry(&self, conn: &mut Conn) -> QueryResult<Option<Entry<T>>> {
        let row = find(conn, self.name)?;
        Ok(row.map(|it| Entry { value: T::read(&it.value), updated_at: it.updated_at }))
    }

    /// Sets it; any waiting change is dropped.
    pub fn set(&self, conn: &mut Conn, value: &T, now: Time) -> QueryResult<()> {
        let (name, value) = (self.name.to_owned(), value.write()?);
        write(conn, &Setting { name, value, updated_at: now, next_value: None, next_at: None })
    }

    /// Removes it.
    pub fn remove(&self, conn: &mut Conn) -> QueryResult<()> {
        diesel::delete(settings::table.find(self.name)).execute(conn).map(drop)
    }
}

/// A setting as it is kept, and what it becomes if that is not in force yet.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = settings, treat_none_as_default_value = false)]
pub struct Setting {
    pub name: String,
    pub value: String,
    pub updated_at: Time,
    pub next_value: Option<String>,
    pub next_at: Option<Time>,
}

/// A setting with what it becomes.
pub fn find(conn: &mut Conn, name: &str) -> QueryResult<Option<Setting>> {
    settings::table.find(name).select(Setting::as_select()).first(conn).optional()
}

/// Writes a setting with what it becomes.
pub fn write(conn: &mut Conn, setting: &Setting) -> QueryResult<()> {
    diesel::insert_into(settings::table)
        .values(setting)
        .on_conflict_sql(
            "(name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, \
             next_value = excluded.next_value, next_at = excluded.next_at",
        )
        .execute(conn)
        .map(drop)
}

/// A type that a setting may have, and its text in the table.
pub trait SettingValue: Sized {
    /// None if the text is not one of this type.
    fn read(text: &str) -> Option<Self>;

    /// # Errors
    /// When it has no text.
    fn write(&self) -> QueryResult<String>;
}

impl SettingValue for String {
    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn write(&self) -> QueryResult<String> {
        Ok(self.clone())
    }
}

impl SettingValue for bool {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> QueryResult<String> {
        Ok(self.to_string())
    }
}

impl SettingValue for i64 {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> QueryResult<String> {
        Ok(self.to_string())
    }
}

/// In milliseconds.
impl SettingValue for Time {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_millis)
    }

    fn write(&self) -> QueryResult<String> {
        Ok(self.millis().to_string())
    }
}

/// In seconds.
impl SettingValue for Duration {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_secs)
    }

    fn write(&self) -> QueryResult<String> {
        Ok(self.as_secs().to_string())
    }
}

impl SettingValue for Alarm {
    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn write(&self) -> QueryResult<String> {
        Ok(self.as_str().to_owned())
    }
}

/// Values that are kept as JSON.
macro_rules! as_json {
    ($($value:ty),+ $(,)?) => { $(
        impl SettingValue for $value {
            fn read(text: &str) -> Option<Self> {
                from_json(text)
            }

            fn write(&self) -> QueryResult<String> {
                to_json(self)
            }
        }
    )+ };
}

as_json!(
    Away,
    Stopped,
    DatabaseCheck,
    Undelivered,
    Epoch,
    Protection,
    SecondStore,
    Puller,
    Kept,
    StateProof,
    Vec<HolderKey>,
    Survey,
    Pass,
    Steady
);

fn from_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

fn to_json<T: Serialize>(value: &T) -> QueryResult<String> {
    serde_json::to_string(value).map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))
}
