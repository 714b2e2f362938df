//! The messages of the agent protocol, as used by both sides.
//!
//! All are JSON. Unknown fields are ignored, so that an older side can talk to
//! a newer one; a wrong type is an error that names the field. Times are UTC
//! milliseconds, spans are whole seconds.
mod fact;

use domain::backup::{LeftOut, RootAway};
use domain::command::CommandKind;
use domain::continuity::Brought;
use domain::device::{Ownership, Platform};
use domain::epoch::Epoch;
use domain::id::{CommandId, DeviceId, RepositoryId, RestoreId};
use domain::manifest::ManifestFile;
use domain::object::ObjectName;
use domain::policy::DevicePolicy;
use domain::restore::{Conflict, Landing, RestoreFailure};
use domain::shortfall::Shortfall;
use domain::time::Time;
use domain::wipe::WipedRoot;
use serde::{Deserialize, Serialize};

/// What an undo did: the body of `POST` [`RESTORES`]`/{id}/undone`.
pub use domain::restore::UndoReport;
pub use fact::{DeviceFacts, Fact};

/// `POST`: joins a device. Not signed by a known key: `proof` shows that the sender holds the new one.
pub const ENROLL: &str = "/agent/v1/enroll";
/// `POST`: facts and results in, policy and commands out.
pub const CHECK_IN: &str = "/agent/v1/check-in";
/// `GET`: answers as soon as a command waits, or after `seconds` (query, at most 50) with none.
pub const WAIT: &str = "/agent/v1/wait";
/// `POST`: the stored bytes of a manifest (`application/octet-stream`).
pub const MANIFESTS: &str = "/agent/v1/manifests";
/// `POST`: what a finished backup was.
pub const BACKUPS: &str = "/agent/v1/backups";
/// `POST`: that a backup failed, and why.
pub const BACKUP_FAILURES: &str = "/agent/v1/backup-failures";
/// `POST`: how a wipe went; the answer is the receipt.
pub const WIPE_REPORTS: &str = "/agent/v1/wipe-reports";
/// `POST`, followed by `/{id}/progress`, `/{id}/result` or `/{id}/undone`.
pub const RESTORES: &str = "/agent/v1/restores";

/// The header with which a sender asks that a copy of its request gets the answer to the first; its value is
/// the `jti`.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The claims of the JWT that each request carries as `Authorization: Bearer`.
///
/// Signed with the device's Ed25519 key (`alg` `EdDSA`, `kid` the device's id).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The device's id; at enrolment the word `enroll`.
    pub sub: String,
    /// The `audience` that the server gave at enrolment; at enrolment its public URL as given to the agent.
    pub aud: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// At most 120 s after `iat`.
    pub exp: i64,
    /// A fresh random id: a request is accepted once.
    pub jti: String,
    /// The HTTP method, upper case.
    pub htm: String,
    /// The path, without the query.
    pub htu: String,
    /// The SHA-256 of the body in hex.
    pub body_sha256: String,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    pub error: ErrorCode,
    /// For a person: what is wrong and what to do.
    pub message: String,
    /// The field that is wrong, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The server's clock, so that an agent whose clock is off can sign again.
    pub server_time: Time,
}

/// What an agent can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    BadMessage,
    BadSignature,
    WrongAlgorithm,
    ClockOff,
    Replayed,
    UnknownDevice,
    /// The device was wiped; only its report is accepted.
    DeviceWiped,
    OldGeneration,
    TokenRefused,
    TooLarge,
    NotFound,
    Conflict,
    Refused,
    Busy,
    Full,
    Internal,
}

/// Joins a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enroll {
    /// The enrolment token, `hf_enroll_…`.
    pub token: String,
    pub name: String,
    #[serde(default)]
    pub person: String,
    pub platform: Platform,
    pub model: String,
    pub serial: String,
    pub os_version: String,
    pub agent_version: String,
    /// Ed25519 public key, base64url without padding (32 bytes), as `x` of RFC 8037.
    pub signing_key: String,
    /// X25519 public key, base64 (32 bytes).
    pub sealing_key: String,
    /// Absolute paths of the folders that are backed up, and that a wipe erases.
    pub protected_roots: Vec<String>,
    /// The words of the orders it carries out; without it, those that every agent does.
    #[serde(default)]
    pub orders: Vec<String>,
    /// The device this machine was until now, on this server or another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Which of its enrolments: a machine that another one replaced joins as a separate device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_generation: Option<i64>,
    /// The repository it made, where the customer keeps the key: then the answer has no password, and nobody but the
    /// device and whoever has its key file opens what it backs up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_repository: Option<OwnRepository>,
}

/// The first two objects of a repository that the device itself made. To the server they are only bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OwnRepository {
    /// The stored bytes of `config`, base64; at most 4,096.
    pub config: String,
    /// The stored bytes of the first of `keys/`, base64; at most 4,096.
    pub key: String,
}

/// The answer to [`Enroll`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolled {
    pub device_id: DeviceId,
    /// Grows with each enrolment of the same device; commands of an older one are never delivered.
    pub generation: i64,
    /// The required `aud` from now on.
    pub audience: String,
    pub ownership: Ownership,
    pub server_time: Time,
    pub repository_id: RepositoryId,
    /// The path of the backup door for this repository, such as `/restic/{id}/`.
    pub repository_path: String,
    /// [`RepositoryCredentials`] as JSON, sealed to `sealing_key` with [`credentials_context`].
    pub sealed_credentials: String,
    pub policy: DevicePolicy,
    pub next_check_in_seconds: u32,
}

/// What opens a device's own repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RepositoryCredentials {
    /// The password for the backup door; the user name is the repository's id.
    pub token: String,
    /// The password of the repository's key; empty where the device made the repository.
    pub password: String,
}

/// The sealing context of [`Enrolled::sealed_credentials`].
pub fn credentials_context(device: DeviceId, generation: i64) -> String {
    format!("holdfast/credentials/{device}/{generation}")
}

/// What a device says at a check-in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckIn {
    pub generation: i64,
    pub agent_version: String,
    pub facts: DeviceFacts,
    /// Answers to commands, the device's own; repeated until a check-in is acknowledged.
    #[serde(default)]
    pub results: Vec<CommandResult>,
    /// The policy version the device holds.
    #[serde(default)]
    pub policy_version: String,
    /// The words of the orders it carries out; without it, those that every agent does.
    #[serde(default)]
    pub orders: Vec<String>,
    /// Shows that it is the machine that was answered last; an agent without it cannot be distinguished from
    /// its copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuity: Option<Brought>,
}

/// How a command ended on the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    pub id: CommandId,
    pub done: bool,
    /// What happened, for a person; with `done: false` the reason.
    pub detail: String,
    pub finished_at: Time,
}

/// The answer to a [`CheckIn`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckInAnswer {
    pub server_time: Time,
    /// Only if it differs from what the device holds.
    pub policy: Option<DevicePolicy>,
    pub commands: Vec<Command>,
    pub next_check_in_seconds: u32,
    /// What the next check-in must bring; written to disk before anything else in this answer is acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baton: Option<String>,
    /// Which life of the server this is; none from a server that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// One command; delivered again until its result arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub id: CommandId,
    pub kind: CommandKind,
    pub generation: i64,
    pub expires_at: Time,
    pub payload: Payload,
}

/// What a command needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    None,
    Restore(RestoreOrder),
    /// The folders as recorded at enrolment; the agent erases only those that are also in its own record.
    Wipe {
        roots: Vec<String>,
    },
    /// What a restore made and replaced is known only to the agent that ran it.
    UndoRestore {
        restore_id: RestoreId,
    },
}

/// The answer of [`WAIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Whether a check-in would bring a command.
    pub command_waits: bool,
}

/// The answer to an upload of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestStored {
    pub name: ObjectName,
    /// What is stored is damaged: the backup that follows must not rely on it, and sends everything again.
    #[serde(default)]
    pub damaged: bool,
}

/// What a finished backup was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    pub generation: i64,
    pub snapshot: ObjectName,
    pub manifest: ObjectName,
    pub file_count: u64,
    pub size_bytes: u64,
    /// Files whose size, mtime or ctime changed while they were read, and files that could not be
    /// read, in the manifest's spelling: left out of the comparison, counted against the coverage.
    pub excluded: Vec<String>,
    /// What a wipe may erase but the backup does not hold, with the reasons.
    #[serde(default)]
    pub left_out: LeftOut,
    /// Protected folders that could not be backed up because they were missing.
    #[serde(default)]
    pub away: Vec<RootAway>,
    pub started_at: Time,
    pub finished_at: Time,
}

/// A backup that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    pub generation: i64,
    /// When it ended, by the server's clock as far as the device knows it.
    pub at: Time,
    /// For a person: what was wrong.
    pub reason: String,
}

/// What a device is to restore. Everything secret is in `sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOrder {
    pub restore_id: RestoreId,
    pub repository_id: RepositoryId,
    /// The path of the backup door for that repository.
    pub repository_path: String,
    pub snapshot: ObjectName,
    /// [`RestoreSecret`] as JSON, sealed to the target's key with [`restore_context`].
    pub sealed: String,
    /// Paths in the manifest's spelling; a folder means everything below it. Empty means everything.
    pub selection: Vec<String>,
    pub conflict: Conflict,
    /// Where the data goes; beside existing files if an order does not say.
    #[serde(default = "Landing::unsaid")]
    pub landing: Landing,
    pub file_count: u64,
    pub size_bytes: u64,
}

/// What opens another device's repository for reading, for one restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreSecret {
    /// The password for the backup door, valid for reading this repository as it was at the restore point.
    pub ticket: String,
    /// The 64-byte master key, base64: 32 bytes AES-256, 16 bytes Poly1305 k, 16 bytes r. Empty where the customer
    /// keeps it: the device has it in its key file.
    pub master_key: String,
}

/// The sealing context of [`RestoreOrder::sealed`].
pub fn restore_context(restore: RestoreId, target: DeviceId) -> String {
    format!("holdfast/restore/{restore}/{target}")
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreProgress {
    pub restored_count: u64,
    pub file_count: u64,
}

/// What a restore left on the disk: the files as read back from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreResult {
    /// Paths as in the restore point, hashes of what is on the disk now.
    pub files: Vec<ManifestFile>,
    /// Paths, each with what went wrong.
    pub failures: Vec<RestoreFailure>,
    /// Files that were there already and were kept.
    pub kept: Vec<String>,
    /// Files that were there already and were moved away for the restored ones.
    #[serde(default)]
    pub replaced: Vec<String>,
    /// What came back different or was not made, without being a failure.
    #[serde(default)]
    pub shortfalls: Vec<Shortfall>,
}

/// The signed report of a wipe; the request's JWT is the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeReport {
    pub command_id: CommandId,
    pub generation: i64,
    /// Whether the repository's key is gone and every recorded root is empty.
    pub complete: bool,
    pub key_destroyed: bool,
    pub roots: Vec<WipedRoot>,
    pub finished_at: Time,
}

/// The receipt of a [`WipeReport`]: only now may the agent destroy its signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeReceipt {
    pub command_id: CommandId,
    pub received_at: Time,
}
