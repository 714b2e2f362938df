//! One device in a list.
use crate::error::Result;
use crate::service::copy_proof;
use crate::service::loss::{self, Moment};
use crate::store::Conn;
use crate::store::device_list::ListedDevice;
use domain::copy_proof::CopyGrade;
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::id::DeviceId;
use domain::key_holder::KeyHolder;
use domain::loss::{Amount, Part};
use domain::policy::CopyKnown;
use domain::proof::{Evidence, Grade};
use domain::time::Time;
use serde::Serialize;

/// One device in a list. Times are ISO 8601 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceRow {
    pub id: DeviceId,
    pub name: String,
    pub person: String,
    pub team: Option<String>,
    pub platform: Platform,
    pub model: String,
    pub serial: String,
    pub os_version: String,
    pub ownership: Ownership,
    pub state: DeviceState,
    pub encryption: Encryption,
    /// `never`, `reported`, `stored`, `verified`, `partial`, `proven`; `failed` after a failed restore test,
    /// `unknown` if the server's clock is behind the evidence.
    pub proof: &'static str,
    /// What the badge says: `proof`, or `out_of_date` if a proof has expired.
    pub grade: Grade,
    /// If only a part is proven, how much: "1 of 201 files proven".
    pub part: Option<String>,
    /// When the newest proven data was received.
    pub proven_as_of: Option<String>,
    pub proven_until: Option<String>,
    pub newest_backup_at: Option<String>,
    pub last_seen_at: Option<String>,
    /// What a wipe would lose now, in words.
    pub if_wiped_now: String,
    /// The part of "If we lost…" that the device is in; none if it is not enrolled.
    pub if_lost: Option<Part>,
    /// What exists nowhere else; none if that is not known, or if it would be nothing but no proof holds
    /// either.
    pub lost: Option<Amount>,
    /// What is backed up but not proven, if known. If no proof holds, it is all of the newest backup.
    pub not_proven: Option<Amount>,
    pub enrolled_at: String,
    /// How it stands to the loss of everything but the second store and the recovery shares.
    pub copy_proof: CopyGrade,
    /// When the newest data that is proven from the second store alone was received; none while none is.
    pub copy_proven_as_of: Option<String>,
    /// Who can open its backups: where that is `customer`, `verified` is the most that is ever said of them.
    pub key_holder: KeyHolder,
}

pub(super) fn iso(at: Option<Time>) -> Option<String> {
    at.map(Time::iso)
}

/// The word of recovery design 5.1 for the evidence of a device at `now`.
pub fn proof_word(evidence: &Evidence, now: Time) -> &'static str {
    match evidence.grade(now) {
        Grade::Failed => "failed",
        Grade::Unknown => "unknown",
        Grade::Never
        | Grade::Reported
        | Grade::Stored
        | Grade::OutOfDate
        | Grade::Verified
        | Grade::Partial
        | Grade::Proven => evidence.level(now).as_str(),
    }
}

impl DeviceRow {
    /// The row of a device at that moment, with what is known of its second copy.
    pub fn new(listed: &ListedDevice, moment: &Moment, copy: CopyKnown) -> Self {
        let (device, evidence, loss, now) =
            (&listed.device, loss::evidence(listed), loss::of(listed, moment), moment.now);
        let (lost, not_proven) = loss.numbers();
        Self {
            id: device.id,
            name: device.name.clone(),
            person: device.person.clone(),
            team: listed.team.clone(),
            platform: device.platform,
            model: device.model.clone(),
            serial: device.serial.clone(),
            os_version: device.os_version.clone(),
            ownership: device.ownership,
            state: device.state,
            encryption: listed.status.as_ref().map_or(Encryption::Unknown, |it| it.encryption),
            proof: proof_word(&evidence, now),
            grade: evidence.grade(now),
            part: listed.proof.as_ref().and_then(|it| it.part(now)),
            proven_as_of: iso(evidence.proven.map(|it| it.point_at)),
            proven_until: iso(evidence.proven.map(|it| it.until)),
            newest_backup_at: iso(evidence.newest_at),
            last_seen_at: iso(listed.status.as_ref().and_then(|it| it.last_seen_at)),
            if_wiped_now: loss.short(&Time::iso),
            if_lost: loss.part(),
            lost,
            not_proven,
            enrolled_at: device.enrolled_at.iso(),
            copy_proof: copy.grade,
            copy_proven_as_of: iso(copy.point_at),
            key_holder: evidence.key_holder,
        }
    }
}

/// The names of the columns of [`DeviceRow::csv`].
pub const CSV_COLUMNS: [&str; 27] = [
    "id",
    "name",
    "person",
    "team",
    "platform",
    "model",
    "serial",
    "os_version",
    "ownership",
    "state",
    "encryption",
    "proof",
    "grade",
    "part",
    "proven_as_of",
    "proven_until",
    "newest_backup_at",
    "last_seen_at",
    "if_wiped_now",
    "lost_files",
    "not_proven_files",
    "not_proven_bytes",
    "enrolled_at",
    "if_lost",
    "copy_proof",
    "copy_proven_as_of",
    "key_holder",
];

impl DeviceRow {
    /// The row as fields of a CSV file; what a spreadsheet would run as a formula is turned into text.
    pub fn csv(&self) -> [String; 27] {
        let text = |it: &Option<String>| it.clone().unwrap_or_default();
        let number = |it: Option<i64>| it.map(|it| it.to_string()).unwrap_or_default();
        [
            self.id.to_string(),
            harmless(&self.name),
            harmless(&self.person),
            harmless(&text(&self.team)),
            self.platform.to_string(),
            harmless(&self.model),
            harmless(&self.serial),
            harmless(&self.os_version),
            self.ownership.to_string(),
            self.state.to_string(),
            self.encryption.to_string(),
            self.proof.to_owned(),
            self.grade.to_string(),
            text(&self.part),
            text(&self.proven_as_of),
            text(&self.proven_until),
            text(&self.newest_backup_at),
            text(&self.last_seen_at),
            harmless(&self.if_wiped_now),
            number(self.lost.map(|it| it.files)),
            number(self.not_proven.map(|it| it.files)),
            number(self.not_proven.map(|it| it.bytes)),
            self.enrolled_at.clone(),
            self.if_lost.map(|it| it.to_string()).unwrap_or_default(),
            self.copy_proof.to_string(),
            text(&self.copy_proven_as_of),
            self.key_holder.to_string(),
        ]
    }
}

/// The rows of these devices at that moment.
///
/// # Errors
/// When the database refuses.
pub fn rows(conn: &mut Conn, listed: &[ListedDevice], moment: &Moment) -> Result<Vec<DeviceRow>> {
    let ids: Vec<_> = listed.iter().map(|it| it.device.id).collect();
    let copies = copy_proof::known(conn, &ids, moment.now)?;
    let copy = |it: &ListedDevice| copies.get(&it.device.id).copied().unwrap_or(CopyKnown::NOTHING);
    Ok(listed.iter().map(|it| DeviceRow::new(it, moment, copy(it))).collect())
}

/// A text that no spreadsheet takes for a formula.
pub fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text.to_owned() }
}
