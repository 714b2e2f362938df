//! What a person types for a policy.
use super::team_name;
use crate::service::policy::{self, Draft};
use crate::store::policy::Policy;
use crate::store::team::Team;
use crate::web::device::parse_team;
use crate::web::span::{minutes_of, split};
use domain::fields::FieldErrors;
use domain::policy::Requirement;
use serde::Deserialize;

/// A requirement with a span, as the form shows it.
pub struct Span {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) is_on: bool,
    pub(super) number: String,
    pub(super) unit: String,
}

impl Span {
    pub(super) fn is_in(&self, unit: &str) -> bool {
        self.unit == unit
    }
}

/// What a person types for a policy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PolicyForm {
    pub(super) name: String,
    pub(super) team: String,
    pub(super) version: String,
    pub(super) encrypted: String,
    pub(super) passcode: String,
    pub(super) proven: String,
    pub(super) proven_number: String,
    pub(super) proven_unit: String,
    pub(super) copy_proven: String,
    pub(super) copy_proven_number: String,
    pub(super) copy_proven_unit: String,
    pub(super) backup: String,
    pub(super) backup_number: String,
    pub(super) backup_unit: String,
    pub(super) check_in: String,
    pub(super) check_in_number: String,
    pub(super) check_in_unit: String,
    pub(super) os: String,
    pub(super) os_version: String,
    /// For changes to what guards data; never shown again.
    pub(super) password: String,
}

impl PolicyForm {
    pub(super) fn new() -> Self {
        let text = ToOwned::to_owned;
        Self {
            proven_number: text("7"),
            proven_unit: text("d"),
            copy_proven_number: text("90"),
            copy_proven_unit: text("d"),
            backup_number: text("24"),
            backup_unit: text("h"),
            check_in_number: text("1"),
            check_in_unit: text("d"),
            ..Self::default()
        }
    }

    pub(super) fn of(policy: &Policy, requirements: &[Requirement], teams: &[Team]) -> Self {
        let mut form = Self {
            name: policy.name.clone(),
            team: policy.team_id.map(|it| it.to_string()).unwrap_or_default(),
            version: policy::shown(policy, requirements, team_name(teams, policy)).version(),
            ..Self::new()
        };
        let on = || "on".to_owned();
        for requirement in requirements {
            match requirement {
                Requirement::StorageEncrypted => form.encrypted = on(),
                Requirement::PasscodeSet => form.passcode = on(),
                Requirement::ProvenRestorePoint { within_minutes } => {
                    form.proven = on();
                    (form.proven_number, form.proven_unit) = split(*within_minutes);
                }
                Requirement::CopyProven { within_minutes } => {
                    form.copy_proven = on();
                    (form.copy_proven_number, form.copy_proven_unit) = split(*within_minutes);
                }
                Requirement::BackupEvery { minutes } => {
                    form.backup = on();
                    (form.backup_number, form.backup_unit) = split(*minutes);
                }
                Requirement::CheckInWithin { minutes } => {
                    form.check_in = on();
                    (form.check_in_number, form.check_in_unit) = split(*minutes);
                }
                Requirement::MinimumOsVersion { version } => {
                    form.os = on();
                    form.os_version.clone_from(version);
                }
            }
        }
        form
    }

    pub(super) fn parse(&self) -> Result<Draft, FieldErrors> {
        let mut errors = FieldErrors::new();
        let team_id = parse_team(&self.team, &mut errors);
        let mut requirements = Vec::new();
        if !self.encrypted.is_empty() {
            requirements.push(Requirement::StorageEncrypted);
        }
        if !self.proven.is_empty() {
            let within_minutes = minutes_of(&self.proven_number, &self.proven_unit, &mut errors);
            requirements.push(Requirement::ProvenRestorePoint { within_minutes });
        }
        if !self.copy_proven.is_empty() {
            let within_minutes = minutes_of(&self.copy_proven_number, &self.copy_proven_unit, &mut errors);
            requirements.push(Requirement::CopyProven { within_minutes });
        }
        if !self.backup.is_empty() {
            let minutes = minutes_of(&self.backup_number, &self.backup_unit, &mut errors);
            requirements.push(Requirement::BackupEvery { minutes });
        }
        if !self.check_in.is_empty() {
            let minutes = minutes_of(&self.check_in_number, &self.check_in_unit, &mut errors);
            requirements.push(Requirement::CheckInWithin { minutes });
        }
        if !self.os.is_empty() {
            requirements.push(Requirement::MinimumOsVersion { version: self.os_version.trim().to_owned() });
        }
        if !self.passcode.is_empty() {
            requirements.push(Requirement::PasscodeSet);
        }
        errors.into_result()?;
        Ok(Draft { name: self.name.clone(), team_id, requirements })
    }

    pub(super) fn spans(&self) -> [Span; 4] {
        let span = |name, label, help, is_on: &str, number: &str, unit: &str| Span {
            name,
            label,
            help,
            is_on: !is_on.is_empty(),
            number: number.to_owned(),
            unit: unit.to_owned(),
        };
        [
            span(
                "proven",
                "A proven restore point no older than",
                "Restored and compared file by file.",
                &self.proven,
                &self.proven_number,
                &self.proven_unit,
            ),
            span(
                "copy_proven",
                "A restore point proven from the second copy alone no older than",
                "Three people with recovery shares prove it, on the server: holdfast dr prove.",
                &self.copy_proven,
                &self.copy_proven_number,
                &self.copy_proven_unit,
            ),
            span(
                "backup",
                "A backup every",
                "The agent’s schedule follows it.",
                &self.backup,
                &self.backup_number,
                &self.backup_unit,
            ),
            span(
                "check_in",
                "A check-in at least every",
                "The agent checks in twice in this time.",
                &self.check_in,
                &self.check_in_number,
                &self.check_in_unit,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_in_the_largest_unit_that_has_it_whole() {
        for (minutes, number, unit) in [(1, "1", "min"), (90, "90", "min"), (120, "2", "h"), (4320, "3", "d")] {
            assert_eq!(split(minutes), (number.to_owned(), unit.to_owned()));
        }
    }
}
