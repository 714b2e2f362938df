//! What is required of devices, and whether a device meets it.
mod evaluate;
mod schedule;
#[cfg(test)]
mod tests;
mod version;

pub use evaluate::{Applied, Compliance, CopyKnown, Finding, Known, Value, evaluate, overall};
pub use schedule::{DevicePolicy, PolicyName, Schedule};

use crate::fields::FieldErrors;
use crate::name;
use crate::text::text_enum;
pub(crate) use evaluate::at_least;
use serde::{Deserialize, Serialize};
use version::Version;

/// One requirement of a policy, with its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "require", rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    StorageEncrypted,
    /// A proven restore point received within this many minutes.
    ProvenRestorePoint {
        within_minutes: u32,
    },
    /// A restore point received within this many minutes that came back from the second copy alone, with recovery shares.
    CopyProven {
        within_minutes: u32,
    },
    /// A backup within this many minutes; the agent's schedule follows it.
    BackupEvery {
        minutes: u32,
    },
    CheckInWithin {
        minutes: u32,
    },
    /// Such as `14.2`, compared part by part as numbers.
    MinimumOsVersion {
        version: String,
    },
    PasscodeSet,
}

text_enum! {
    /// What a requirement is about, whatever its limit.
    RequirementKind {
        StorageEncrypted = "storage_encrypted",
        ProvenRestorePoint = "proven_restore_point",
        CopyProven = "copy_proven",
        BackupEvery = "backup_every",
        CheckInWithin = "check_in_within",
        MinimumOsVersion = "minimum_os_version",
        PasscodeSet = "passcode_set",
    }
}

impl RequirementKind {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StorageEncrypted => "Storage encrypted",
            Self::ProvenRestorePoint => "Proven restore point",
            Self::CopyProven => "Proven from the second copy",
            Self::BackupEvery => "Backup",
            Self::CheckInWithin => "Check-in",
            Self::MinimumOsVersion => "Minimum OS version",
            Self::PasscodeSet => "Passcode set",
        }
    }
}

/// The longest span that a requirement may allow: a year.
const MAX_MINUTES: u32 = 366 * 24 * 60;

impl Requirement {
    /// What it is about.
    pub const fn kind(&self) -> RequirementKind {
        match self {
            Self::StorageEncrypted => RequirementKind::StorageEncrypted,
            Self::ProvenRestorePoint { .. } => RequirementKind::ProvenRestorePoint,
            Self::CopyProven { .. } => RequirementKind::CopyProven,
            Self::BackupEvery { .. } => RequirementKind::BackupEvery,
            Self::CheckInWithin { .. } => RequirementKind::CheckInWithin,
            Self::MinimumOsVersion { .. } => RequirementKind::MinimumOsVersion,
            Self::PasscodeSet => RequirementKind::PasscodeSet,
        }
    }

    /// The name that people use.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The limit in words, such as `within 24 h`.
    pub fn limit(&self) -> String {
        match self {
            Self::StorageEncrypted => "encrypted".to_owned(),
            Self::ProvenRestorePoint { within_minutes: count }
            | Self::CopyProven { within_minutes: count }
            | Self::CheckInWithin { minutes: count } => format!("within {}", span(*count)),
            Self::BackupEvery { minutes: count } => format!("every {}", span(*count)),
            Self::MinimumOsVersion { version } => format!("{version} or newer"),
            Self::PasscodeSet => "set".to_owned(),
        }
    }

    /// The whole requirement, such as "Proven restore point within 24 h".
    pub fn sentence(&self) -> String {
        match self {
            Self::StorageEncrypted | Self::PasscodeSet => self.name().to_owned(),
            Self::ProvenRestorePoint { .. }
            | Self::CopyProven { .. }
            | Self::BackupEvery { .. }
            | Self::CheckInWithin { .. }
            | Self::MinimumOsVersion { .. } => format!("{} {}", self.name(), self.limit()),
        }
    }

    /// Whether data depends on it: that backups arrive, that they are proven, and that silence is noticed.
    pub const fn guards_data(&self) -> bool {
        match self {
            Self::ProvenRestorePoint { .. }
            | Self::CopyProven { .. }
            | Self::BackupEvery { .. }
            | Self::CheckInWithin { .. } => true,
            Self::StorageEncrypted | Self::MinimumOsVersion { .. } | Self::PasscodeSet => false,
        }
    }

    /// Whether it asks for at least as much as `other`.
    fn is_as_strict_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ProvenRestorePoint { within_minutes: new }, Self::ProvenRestorePoint { within_minutes: old })
            | (Self::CopyProven { within_minutes: new }, Self::CopyProven { within_minutes: old })
            | (Self::BackupEvery { minutes: new }, Self::BackupEvery { minutes: old })
            | (Self::CheckInWithin { minutes: new }, Self::CheckInWithin { minutes: old }) => new <= old,
            (Self::MinimumOsVersion { version: new }, Self::MinimumOsVersion { version: old }) => {
                at_least(new, old) == Compliance::Compliant
            }
            (new, old) => new == old,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::ProvenRestorePoint { within_minutes: count }
            | Self::CopyProven { within_minutes: count }
            | Self::BackupEvery { minutes: count }
            | Self::CheckInWithin { minutes: count } => match count {
                1..=MAX_MINUTES => Ok(()),
                _ => Err("the span must be 1 minute to 366 days"),
            },
            Self::MinimumOsVersion { version } => match Version::parse(version) {
                Some(_) if version.len() <= 40 => Ok(()),
                _ => Err("a version consists of numbers and dots, such as 14.2"),
            },
            Self::StorageEncrypted | Self::PasscodeSet => Ok(()),
        }
    }
}

/// Checks a policy's name and requirements as they were typed.
///
/// # Errors
/// Each wrong field with what is wrong: `name` or `requirements`.
pub fn validate(text: &str, requirements: &[Requirement]) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::new();
    match text.trim().chars().count() {
        0 => errors.add("name", "give the policy a name"),
        1..=80 if !name::is_plain(text) => errors.add("name", name::NOT_PLAIN),
        1..=80 => {}
        _ => errors.add("name", "a name has at most 80 characters"),
    }
    if requirements.is_empty() {
        errors.add("requirements", "choose at least one requirement");
    }
    for (at, requirement) in requirements.iter().enumerate() {
        if let Err(why) = requirement.check() {
            errors.add("requirements", format!("{}: {why}", requirement.name()));
        }
        if requirements.iter().take(at).any(|it| it.name() == requirement.name()) {
            errors.add("requirements", format!("{} appears twice", requirement.name()));
        }
    }
    errors.into_result()
}

/// What a change weakens in a policy that guards data, in words.
///
/// Empty if it weakens nothing, or if the policy guards no data. `new` is none if the policy is removed;
/// `is_for_fewer` is set if it no longer applies to all the devices it applied to.
pub fn loosened(old: &[Requirement], new: Option<&[Requirement]>, is_for_fewer: bool) -> Vec<String> {
    if !old.iter().any(Requirement::guards_data) {
        return Vec::new();
    }
    let Some(new) = new else { return vec!["the policy is removed".to_owned()] };
    let mut said = Vec::new();
    for was in old {
        let same = new.iter().find(|it| it.name() == was.name());
        match same {
            Some(is) if is.is_as_strict_as(was) => {}
            Some(is) => said.push(format!("{}, which was {}", is.sentence(), was.limit())),
            None => said.push(format!("{} is no longer required", was.sentence())),
        }
    }
    if is_for_fewer {
        said.push("it no longer applies to the same devices".to_owned());
    }
    said
}

fn span(count: u32) -> String {
    match count {
        _ if count > 0 && count.is_multiple_of(24 * 60) => format!("{} d", count / (24 * 60)),
        _ if count > 0 && count.is_multiple_of(60) => format!("{} h", count / 60),
        _ => format!("{count} min"),
    }
}
