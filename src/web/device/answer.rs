//! The three answers at the top of a device's page.
use crate::store::backup_attempt::BackupAttempt;
use crate::store::device_proof::DeviceProof;
use crate::store::device_status::DeviceStatus;
use crate::store::restore_point::RestorePoint;
use crate::web::filter::count;
use crate::web::layout::Layout;
use domain::device::{DeviceState, Encryption};
use domain::fact::{EncryptionNow, Fact, Facts};
use domain::key_holder::{CAPPED, KeyHolder, VERIFIED};
use domain::policy::{Finding, Requirement};
use domain::proof::{Evidence, Grade};
use domain::time::Time;
use domain::words::counted;

/// One answer: its colour, its icon, its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// "t-proven", "t-dated", "t-lost", or "" if it is not known.
    pub tone: &'static str,
    pub icon: &'static str,
    pub headline: String,
    pub lines: Vec<String>,
}

impl Answer {
    /// The colour of a note that says the same: "proven", "dated", "lost" or "".
    pub fn note(&self) -> &'static str {
        self.tone.strip_prefix("t-").unwrap_or_default()
    }
}

/// "Encrypted?"
pub fn encrypted(facts: &Facts, status: &DeviceStatus, state: DeviceState, layout: &Layout) -> Answer {
    let Some((value, fact)) = facts.encryption() else {
        let why = match status.last_seen_at {
            None => "This device has never checked in.",
            Some(_) if status.doubt.stands() => {
                "It is not clear which machine speaks for this device, so no word on this counts."
            }
            Some(_) => "The device cannot tell.",
        };
        return Answer { tone: "", icon: "circle-help", headline: "Unknown".to_owned(), lines: vec![why.to_owned()] };
    };
    let known = EncryptionNow::of(value.state, Some(fact.measured_at), state, layout.now);
    let (tone, icon, word) = match (known.state, known.is_old) {
        (Encryption::On, false) => ("t-proven", "lock", "Yes"),
        (Encryption::On, true) => ("", "lock", "Yes, when last measured"),
        (Encryption::Off, _) => ("t-lost", "lock-open", "No"),
        (Encryption::Unknown, _) => ("", "circle-help", "Unknown"),
    };
    let method = match (value.state, value.method.as_str()) {
        (Encryption::Unknown, _) => "The device cannot tell".to_owned(),
        (_, "") => "Storage of the protected folders".to_owned(),
        (_, method) => method.to_owned(),
    };
    Answer { tone, icon, headline: word.to_owned(), lines: vec![format!("{method}, {}.", said(fact, layout))] }
}

/// "reported by the device 22 Nov 14:02 (dm-crypt)".
pub fn said(fact: &Fact, layout: &Layout) -> String {
    format!("reported by the device {} ({})", layout.zone.short(fact.measured_at), fact.source)
}

/// The facts behind the second answer.
pub struct ProofFacts<'a> {
    pub evidence: Evidence,
    pub proof: Option<&'a DeviceProof>,
    pub newest: Option<&'a RestorePoint>,
    pub findings: &'a [Finding],
    pub state: DeviceState,
    /// Whether an order to back up can reach it.
    pub can_back_up: bool,
    /// The device's last attempt at a backup.
    pub attempt: Option<&'a BackupAttempt>,
}

/// "Proven restorable"
pub fn proven(facts: &ProofFacts<'_>, layout: &Layout) -> Answer {
    let grade = facts.evidence.grade(layout.now);
    let as_of = |at: Time| format!("Data as of {}", layout.zone.short(at));
    let proven_at = facts.evidence.proven.map(|it| it.point_at);
    let (tone, icon, headline) = match (grade, proven_at) {
        (Grade::Proven, Some(at)) => ("t-proven", "shield-check", as_of(at)),
        (Grade::OutOfDate, Some(at)) => ("t-dated", "history", as_of(at)),
        (Grade::Partial, _) => ("t-dated", "circle-dashed", facts.part(layout.now)),
        (Grade::Failed, _) => ("t-lost", "circle-x", "Restore test failed".to_owned()),
        (Grade::Never, _) => ("t-lost", "circle-x", "Never: no backup yet".to_owned()),
        (Grade::Unknown, _) => ("", "circle-help", "Cannot say".to_owned()),
        (Grade::Reported, _) => ("", "scroll-text", "Reported, not received".to_owned()),
        (Grade::Verified, _) => ("", "eye", "Verified, not proven".to_owned()),
        (Grade::Stored | Grade::Proven | Grade::OutOfDate, _) => ("", "archive", "Stored, not proven".to_owned()),
    };
    Answer { tone, icon, headline, lines: proof_lines(facts, grade, layout) }
}

fn proof_lines(facts: &ProofFacts<'_>, grade: Grade, layout: &Layout) -> Vec<String> {
    let mut lines = Vec::new();
    match grade {
        Grade::Unknown if let Some(since) = facts.evidence.store_away_since => lines.push(format!(
            "The backup store has been unreadable since {}, so nobody can say whether the proven data is still there.",
            layout.zone.short(since)
        )),
        Grade::Unknown => lines.push(
            "The server’s clock is behind this evidence, or was ahead when it was made. The restore point will \
             be tested again; check the clock."
                .to_owned(),
        ),
        Grade::Reported => lines.push(
            "The device says it backed up, but the server has not received the \
         backup."
                .to_owned(),
        ),
        // Do not promise a first backup that cannot happen; the reason is given below.
        Grade::Never if facts.attempt.is_some_and(|it| it.failing_since.is_some()) => {}
        Grade::Never if facts.state == DeviceState::Enrolled => lines.push(first_backup(facts)),
        Grade::Partial => lines.extend(part_line(facts, layout)),
        Grade::Never | Grade::Failed | Grade::Stored | Grade::OutOfDate | Grade::Verified | Grade::Proven => {}
    }
    if facts.evidence.key_holder == KeyHolder::Customer && facts.evidence.newest_at.is_some() {
        lines.extend([CAPPED, VERIFIED].map(str::to_owned));
    }
    if let (Some(proven), Some(row)) = (facts.evidence.proven, facts.proof) {
        let before = if matches!(grade, Grade::Failed | Grade::Partial) {
            format!("Before that, data as of {} was proven. ", layout.zone.short(proven.point_at))
        } else {
            String::new()
        };
        lines.push(if layout.is_ahead(proven.point_at) {
            format!("{before}It was received while the server’s clock was ahead, so its age is not known.")
        } else {
            format!("{before}{} old{}.", layout.ago(proven.point_at), allowed(facts.findings))
        });
        if let Some(tested) = row.proven_tested_at {
            lines.push(format!(
                "Restored and compared {}: {} of {} came back the same.",
                layout.zone.short(tested),
                count(row.matched_count),
                layout.files(row.file_count)
            ));
        }
        if grade == Grade::OutOfDate {
            lines.push(format!("The proof expired {}; the test was not repeated.", layout.zone.short(proven.until)));
        }
    } else if let (Some(row), Grade::Verified) = (facts.proof, grade)
        && let Some(at) = row.verified_at
    {
        lines
            .push(format!("Every stored byte of the backup of {} was read back and re-hashed.", layout.zone.short(at)));
    }
    lines.extend(newest_line(facts, layout));
    lines.extend(attempt_line(facts, layout));
    lines
}

/// Why backups fail at the moment, in the device's words.
fn attempt_line(facts: &ProofFacts<'_>, layout: &Layout) -> Option<String> {
    let attempt = facts.attempt.filter(|_| facts.state == DeviceState::Enrolled)?;
    let since = layout.zone.short(attempt.failing_since?);
    let tries = counted(attempt.failed_count, "try has", "tries have");
    Some(format!(
        "Backups have failed since {since}: {tries} failed, the last {}. The device says: {}",
        layout.zone.short(attempt.tried_at),
        attempt.reason
    ))
}

impl ProofFacts<'_> {
    fn part(&self, now: Time) -> String {
        self.proof.and_then(|it| it.part(now)).unwrap_or_else(|| Grade::Partial.name().to_owned())
    }
}

/// How much of the newest tested backup was compared, if only a part was.
fn part_line(facts: &ProofFacts<'_>, layout: &Layout) -> Option<String> {
    let partial = facts.evidence.partial?;
    Some(format!(
        "The backup of {} was restored {}. The other files changed during the backup, could not be read, or are not in \
         the device’s list: they were not compared.",
        layout.zone.short(partial.point_at),
        layout.zone.short(partial.tested_at)
    ))
}

/// What starts the first backup. The agent's schedule comes from a policy: without one, nothing starts by
/// itself.
fn first_backup(facts: &ProofFacts<'_>) -> String {
    let word = facts.evidence.key_holder.back_up();
    if !facts.can_back_up {
        "This device cannot be backed up from here: its platform, or the way it is enrolled, does not allow it."
            .to_owned()
    } else if facts.findings.iter().any(|it| matches!(it.requirement, Requirement::BackupEvery { .. })) {
        format!("The first backup starts after the next check-in, or when you choose {word}.")
    } else {
        format!("No policy requires backups of this device. {word} starts the first one.")
    }
}

/// What a policy allows: "; policy allows 3 d".
fn allowed(findings: &[Finding]) -> String {
    let tightest = findings.iter().filter_map(|it| match &it.requirement {
        Requirement::ProvenRestorePoint { within_minutes } => Some((*within_minutes, it)),
        Requirement::StorageEncrypted
        | Requirement::CopyProven { .. }
        | Requirement::BackupEvery { .. }
        | Requirement::CheckInWithin { .. }
        | Requirement::MinimumOsVersion { .. }
        | Requirement::PasscodeSet => None,
    });
    tightest.min_by_key(|it| it.0).map(|(_, it)| format!("; policy asks for one {}", it.limit)).unwrap_or_default()
}

fn newest_line(facts: &ProofFacts<'_>, layout: &Layout) -> Option<String> {
    let newest = facts.newest?;
    let at = layout.zone.short(newest.received_at);
    if layout.is_ahead(newest.received_at) {
        return Some(format!("The newest backup, {at}, was received while the server’s clock was ahead."));
    }
    if newest.proven_at.is_some() || newest.partial_at.is_some() {
        return None;
    }
    Some(match (newest.failed_at, newest.verified_at, &newest.manifest_name) {
        (Some(_), ..) => format!("The newest backup, {at}, failed its restore test."),
        (None, Some(_), None) => {
            format!(
                "The newest backup, {at}, came without an agent’s manifest, so it cannot go beyond \
             Verified."
            )
        }
        (None, Some(_), Some(_)) => format!("The newest backup, {at}, is verified, not proven."),
        (None, None, _) if newest.stored_at.is_none() => format!("The newest backup, {at}, is only reported."),
        (None, None, _) => format!("The newest backup, {at}, is stored, not proven."),
    })
}
