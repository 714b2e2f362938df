//! What the agent remembers, one type per file.
use super::Record;
use domain::backup::{LeftOut, RootAway};
use domain::command::CommandKind;
use domain::device::Ownership;
use domain::epoch::KnownEpoch;
use domain::id::{CommandId, DeviceId, RepositoryId, RestoreId};
use domain::object::ObjectName;
use domain::policy::DevicePolicy;
use domain::time::Time;
use domain::wipe::WipedRoot;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wire::{
    BackupReport, CommandResult, Payload, RepositoryCredentials, RestoreOrder, RestoreResult, UndoReport, WipeReport,
};

/// Which server the device belongs to, and as what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrollment {
    /// The server's address, as given at enrolment.
    pub server: String,
    /// The certificates trusted instead of the public ones, PEM.
    pub ca: Option<String>,
    pub device_id: DeviceId,
    pub name: String,
    pub generation: i64,
    /// The `aud` of every later request.
    pub audience: String,
    pub ownership: Ownership,
    pub repository_id: RepositoryId,
    pub repository_path: String,
    pub enrolled_at: Time,
}

/// What opens the device's own repository; the first thing a wipe destroys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credentials(pub RepositoryCredentials);

/// How far the server's clock is ahead of this device's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    pub millis: i64,
}

/// A folder that is backed up, and that a wipe erases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedRoot {
    /// Absolute, without symlinks, as it was at enrolment.
    pub path: String,
    /// What the marker file in the folder says; a folder without it is never wiped.
    pub mark: String,
    pub device: u64,
    pub inode: u64,
}

/// All protected roots.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Roots {
    pub roots: Vec<ProtectedRoot>,
    /// Whether what is mounted in them is backed up with them.
    #[serde(default)]
    pub mounts: bool,
}

/// The marks this agent made, by folder: recorded before they are made, so that it knows them after a kill.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Marks {
    pub marks: BTreeMap<String, String>,
}

/// The policy the device follows, and when it checks in next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub policy: DevicePolicy,
    pub next_check_in_seconds: u32,
}

/// The last check-in that the server answered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Seen {
    pub at: Time,
}

/// Since when the server has given no good answer, and why; written at the first failure and whenever the
/// reason changes, removed at the next answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    pub since: Time,
    /// For a person.
    #[serde(default)]
    pub reason: String,
}

/// What the next check-in brings, so that the server can tell this machine from a copy of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// As handed out in the last answer.
    #[serde(default)]
    pub baton: Option<String>,
    /// Written before the check-in is sent, and unchanged until it is answered, even after a kill: a lost
    /// answer does not look like a copy.
    #[serde(default)]
    pub attempt: Option<String>,
}

/// The last finished backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastBackup {
    pub snapshot: ObjectName,
    pub manifest: ObjectName,
    pub started_at: Time,
    pub finished_at: Time,
    pub file_count: u64,
    pub size_bytes: u64,
    pub excluded_count: u64,
    /// What is not in it, and why.
    #[serde(default)]
    pub left_out: LeftOut,
    /// Protected folders that were not there.
    #[serde(default)]
    pub away: Vec<RootAway>,
}

/// Why the last attempt at a backup failed; removed once one succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    pub at: Time,
    pub reason: String,
}

/// A backup that a person at the device asks the running agent for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequest {
    pub id: String,
}

/// What became of a [`BackupRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupAnswer {
    pub id: String,
    pub outcome: Result<LastBackup, String>,
}

/// Size and times of each file in the last backup, by its path in the manifest's spelling.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct BackupIndex {
    pub files: BTreeMap<String, IndexedFile>,
    /// Whether what is mounted in the protected folders was backed up with them.
    #[serde(default)]
    pub mounts: bool,
}

/// What shows whether a file has changed, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedFile {
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    pub ctime: i64,
}

/// Reports that the server has not acknowledged.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outbox {
    pub backups: Vec<BackupReport>,
    /// The last failed backup, if the server does not know about it.
    #[serde(default)]
    pub failure: Option<LastFailure>,
    /// The newest report, also after it was acknowledged: a server that was brought back from a copy may not have it.
    #[serde(default)]
    pub newest: Option<BackupReport>,
}

/// What became of each command, so that none runs twice and no result is lost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Journal {
    pub commands: Vec<JournalEntry>,
}

/// One command, written before it is acted on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalEntry {
    pub id: CommandId,
    pub kind: CommandKind,
    pub begun_at: Time,
    /// What was ordered, until it is done or has its own record: it is carried out even if the agent was killed
    /// right after writing it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Payload>,
    /// None while it runs, or when the agent was stopped in the middle.
    pub result: Option<CommandResult>,
    /// Whether a check-in with the result was answered.
    pub acknowledged: bool,
}

/// A restore that is not finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreJournal {
    pub command_id: CommandId,
    pub order: RestoreOrder,
    /// Names the target folder, even if the restore continues on another day.
    pub begun_at: Time,
    /// What to tell the server, once everything is written.
    pub result: Option<RestoreResult>,
    /// Why it cannot be done; its result then says what it replaced until it was known.
    #[serde(default)]
    pub refused: Option<String>,
}

/// An undo of a restore that is not finished.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UndoJournal {
    pub command_id: CommandId,
    pub restore_id: RestoreId,
    /// What to tell the server, once it is done.
    pub report: Option<UndoReport>,
}

/// How far a wipe has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WipeStage {
    /// Written before anything is destroyed.
    Ordered,
    /// The repository's password and token are gone.
    KeyDestroyed,
    /// The folders are gone, as far as they may be; the report is waiting for its receipt.
    Erased,
}

/// A wipe, from the order to the receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WipeJournal {
    pub command_id: CommandId,
    pub kind: CommandKind,
    pub generation: i64,
    /// The folders of the order.
    pub roots: Vec<String>,
    pub stage: WipeStage,
    pub ordered_at: Time,
    /// Roots that are done.
    pub wiped: Vec<WipedRoot>,
    /// The root whose erasure has begun: its marker may already be gone.
    pub erasing: Option<String>,
    pub report: Option<WipeReport>,
}

/// All that is left after a wipe or a removal of company data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wiped {
    pub command_id: CommandId,
    pub kind: CommandKind,
    pub wiped_at: Time,
    /// Whether the server said that it has the report.
    pub receipt: bool,
}

impl Wiped {
    /// What was done, as the start of a sentence.
    pub const fn said(&self) -> &'static str {
        if matches!(self.kind, CommandKind::RemoveCompanyData) {
            "company data was removed from this device"
        } else {
            "this device was wiped"
        }
    }
}

macro_rules! records {
    ($($name:ident = $file:literal),+ $(,)?) => { $(impl Record for $name { const FILE: &'static str = $file; })+ };
}

records! {
    Enrollment = "enrollment.json",
    Credentials = "credentials.json",
    ClockOffset = "clock.json",
    Roots = "roots.json",
    Marks = "marks.json",
    Policy = "policy.json",
    Seen = "seen.json",
    Away = "away.json",
    Held = "baton.json",
    KnownEpoch = "epoch.json",
    LastBackup = "backup.json",
    LastFailure = "backup-failure.json",
    BackupRequest = "backup-request.json",
    BackupAnswer = "backup-answer.json",
    BackupIndex = "index.json",
    Outbox = "outbox.json",
    Journal = "journal.json",
    RestoreJournal = "restore.json",
    UndoJournal = "undo.json",
    WipeJournal = "wipe.json",
    Wiped = "wiped.json",
}
