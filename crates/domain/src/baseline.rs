//! The policy that set-up offers, so that a first device backs up before anybody has written one.
use crate::policy::Requirement;

/// Its name.
pub const NAME: &str = "Baseline";

/// Storage encrypted, a backup every day, a proof of the last 7 days, and a check-in every hour.
pub fn requirements() -> Vec<Requirement> {
    vec![
        Requirement::StorageEncrypted,
        Requirement::BackupEvery { minutes: 24 * 60 },
        Requirement::ProvenRestorePoint { within_minutes: 7 * 24 * 60 },
        Requirement::CheckInWithin { minutes: 60 },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::validate;

    #[test]
    fn the_baseline_is_a_policy_that_the_rules_take_and_that_asks_for_backups() {
        validate(NAME, &requirements()).unwrap();
        let said: Vec<_> = requirements().iter().map(Requirement::sentence).collect();
        assert!(said.iter().any(|it| it.starts_with("Backup every")), "{said:?}");
    }
}
