//! How far the master keys are sealed to the keys of their teams, in words.
use crate::words::{counted, number};

/// What waits to be sealed to the key in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Repositories whose master key is sealed to a key that is in use.
    pub wrapped: i64,
    /// All repositories.
    pub total: i64,
}

impl Progress {
    /// Whether nothing waits.
    pub const fn is_done(self) -> bool {
        self.wrapped == self.total
    }

    /// How far it is; while it is under way, each repository can be opened all the same.
    pub fn sentence(self) -> String {
        match self {
            Self { total: 0, .. } => "There are no backups yet.".to_owned(),
            Self { total: 1, wrapped: 1 } => "The one repository is sealed to the key in use.".to_owned(),
            Self { total: 1, .. } => {
                "The one repository is not sealed to the key in use yet; that follows, and it can be opened all the \
                 same."
                    .to_owned()
            }
            it if it.is_done() => {
                format!("All {} are sealed to the keys in use.", counted(it.total, "repository", "repositories"))
            }
            it => format!(
                "{} of {} are sealed to the keys in use; the others follow, and can be opened all the same.",
                number(it.wrapped),
                counted(it.total, "repository", "repositories")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_said_in_numbers() {
        for (wrapped, total, said) in [
            (0, 0, "There are no backups yet."),
            (
                0,
                1,
                "The one repository is not sealed to the key in use yet; that follows, and it can be opened all the same.",
            ),
            (1, 1, "The one repository is sealed to the key in use."),
            (1_283, 1_283, "All 1,283 repositories are sealed to the keys in use."),
            (
                0,
                2,
                "0 of 2 repositories are sealed to the keys in use; the others follow, and can be opened all the same.",
            ),
        ] {
            assert_eq!(Progress { wrapped, total }.sentence(), said);
        }
    }
}
