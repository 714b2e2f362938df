//! What a wipe loses, in the words of pages, mails and the history.
use crate::domain::time::Time;
use crate::domain::wipe::{Amount, WipeAction};
use crate::domain::words::{bytes as size, capital, counted, files, number};

/// The three layers of what a wipe loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Exists only on the device.
    pub only_here: Option<Amount>,
    /// Is in a backup that has never been restored.
    pub not_proven: Option<Amount>,
    /// Everything up to here was restored and compared, once.
    pub proven_at: Option<Time>,
    /// Whether that proof still holds.
    pub holds: bool,
    pub has_backup: bool,
}

impl Loss {
    /// Whether everything was restored and compared, and nothing changed since.
    pub fn is_nothing(&self) -> bool {
        let none = Some(0);
        self.holds && self.only_here.map(|it| it.files) == none && self.not_proven.map(|it| it.files) == none
    }

    /// Whether the device counted files that exist only on it.
    pub fn counts_some_only_here(&self) -> bool {
        self.only_here.is_some_and(|it| it.files > 0)
    }

    /// What the box of consent is sent as: the numbers themselves, so that old ones are not taken for new ones.
    pub fn consent(&self) -> String {
        let number = |it: Option<Amount>| it.map_or_else(|| "unknown".to_owned(), |it| it.files.to_string());
        format!("{} lost, {} not proven", number(self.only_here), number(self.not_proven))
    }

    /// What is agreed to, after "I accept". That a device counted no file is its own word, so what is missing is named
    /// instead.
    pub fn accepted(&self) -> String {
        let lost = match self.only_here {
            Some(it) if it.files == 0 => None,
            Some(it) => Some(format!("losing {}", files(it.files))),
            None => Some("losing an unknown number of files".to_owned()),
        };
        let risked = match self.not_proven {
            Some(it) if it.files == 0 => None,
            Some(it) => {
                Some(format!("risking {}", counted(it.files, "file that is not proven", "files that are not proven")))
            }
            None => Some("risking an unknown number of files that are not proven".to_owned()),
        };
        match (lost, risked) {
            (Some(lost), Some(risked)) => format!("{lost}, and {risked}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) if self.has_backup => "that no proof of its backups holds".to_owned(),
            (None, None) => "that it has no backup: whatever it did not count is lost".to_owned(),
        }
    }

    /// In few words, for a list: "4 lost, 92 not proven". Where no number says it, what is missing is named: a device
    /// that counted nothing may still lose everything.
    pub fn short(&self, action: WipeAction) -> String {
        if action == WipeAction::RemoveCompanyData {
            return "The keys, no file".to_owned();
        }
        if self.is_nothing() {
            return "Nothing".to_owned();
        }
        if !self.has_backup {
            return "Everything: there is no backup".to_owned();
        }
        let part = |it: Option<Amount>, what: &str| match it {
            Some(it) if it.files == 0 => None,
            Some(it) => Some(format!("{} {what}", number(it.files))),
            None => Some(format!("unknown number {what}")),
        };
        let parts = [part(self.only_here, "lost"), part(self.not_proven, "not proven")];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "No proof holds".to_owned() } else { capital(&parts.join(", ")) }
    }

    /// All three layers in plain words, times in UTC; for mails and the history.
    pub fn sentence(&self, action: WipeAction) -> String {
        if action == WipeAction::RemoveCompanyData {
            return "No file on the device; it can read its backups no more.".to_owned();
        }
        if self.is_nothing() {
            let at = self.proven_at.map(Time::iso).unwrap_or_default();
            return format!("Nothing would be lost: all data up to {at} was restored and compared.");
        }
        let here = match self.only_here {
            Some(it) if it.files == 0 => "The device counted no file that exists only on it.".to_owned(),
            Some(it) => {
                let verb = if it.files == 1 { "exists" } else { "exist" };
                format!("{} ({}) {verb} only on the device and will be lost.", files(it.files), size(it.bytes))
            }
            None => "How many files exist only on the device is not known.".to_owned(),
        };
        let not_proven = match self.not_proven {
            _ if !self.has_backup => " There is no backup.".to_owned(),
            Some(it) if it.files == 0 => String::new(),
            Some(it) => {
                let verb = if it.files == 1 { "is" } else { "are" };
                format!(" {} ({}) {verb} in a backup that is not proven.", files(it.files), size(it.bytes))
            }
            None => " How much of the newest backup is not proven is not known.".to_owned(),
        };
        let proven = match (self.proven_at, self.holds) {
            (Some(at), true) => format!(" Everything up to {} is proven.", at.iso()),
            (Some(at), false) => format!(" Everything up to {} was proven once; that proof does not hold.", at.iso()),
            (None, _) => " Nothing is proven.".to_owned(),
        };
        format!("{here}{not_proven}{proven}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::*;
    use crate::domain::proof::Grade;
    use crate::domain::wipe::Facts;

    #[test]
    fn what_is_agreed_to_names_only_what_there_is() {
        let accepted = |only_here: Option<i64>, not_proven: Option<i64>| {
            let amount = |files: Option<i64>| files.map(|files| Amount { files, bytes: 1 });
            Facts { only_here: amount(only_here), not_proven: amount(not_proven), ..facts() }.loss().accepted()
        };

        assert_eq!(accepted(Some(4), Some(92)), "losing 4 files, and risking 92 files that are not proven");
        assert_eq!(accepted(Some(0), Some(1)), "risking 1 file that is not proven");
        assert_eq!(accepted(Some(1), Some(0)), "losing 1 file");
        assert!(accepted(None, None).starts_with("losing an unknown number of files, and risking an unknown"));
    }

    #[test]
    fn only_a_complete_and_current_proof_loses_nothing() {
        let none = Some(Amount::default());
        let safe = Facts { only_here: none, not_proven: none, ..facts() };
        assert!(safe.loss().is_nothing());
        for other in [
            Facts { grade: Grade::OutOfDate, ..safe.clone() },
            Facts { grade: Grade::Verified, ..safe.clone() },
            Facts { grade: Grade::Failed, ..safe.clone() },
            Facts { only_here: None, ..safe.clone() },
            Facts { measure_holds: false, ..safe.clone() },
            Facts { not_proven: None, ..safe.clone() },
            Facts { only_here: Some(Amount { files: 1, bytes: 0 }), ..safe.clone() },
        ] {
            assert!(!other.loss().is_nothing(), "{other:?}");
        }
    }

    #[test]
    fn without_numbers_the_missing_proof_or_backup_is_agreed_to() {
        let none = Some(Amount::default());
        let lapsed = Facts { only_here: none, not_proven: none, grade: Grade::OutOfDate, ..facts() };
        let bare = Facts { newest: None, proven: None, grade: Grade::Never, ..lapsed.clone() };
        assert!(!lapsed.loss().is_nothing() && !bare.loss().is_nothing());
        assert_eq!(lapsed.loss().accepted(), "that no proof of its backups holds");
        assert_eq!(bare.loss().accepted(), "that it has no backup: whatever it did not count is lost");
    }

    #[test]
    fn few_words_never_say_less_than_is_lost() {
        let none = Some(Amount::default());
        let lapsed = Facts { only_here: none, not_proven: none, grade: Grade::OutOfDate, ..facts() };
        let bare = Facts { newest: None, proven: None, grade: Grade::Never, ..lapsed.clone() };
        let short = |it: &Facts| it.loss().short(WipeAction::Wipe);

        assert_eq!(short(&facts()), "4 lost, 92 not proven");
        assert_eq!(short(&Facts { only_here: None, ..facts() }), "Unknown number lost, 92 not proven");
        assert_eq!(short(&Facts { grade: Grade::Proven, ..lapsed.clone() }), "Nothing");
        assert_eq!(short(&lapsed), "No proof holds");
        assert_eq!(short(&bare), "Everything: there is no backup");
        assert!(bare.loss().sentence(WipeAction::Wipe).contains("There is no backup."));
    }

    #[test]
    fn removing_company_data_loses_no_file() {
        let loss = facts().loss();

        assert_eq!(loss.short(WipeAction::RemoveCompanyData), "The keys, no file");
        assert!(!loss.sentence(WipeAction::RemoveCompanyData).contains("lost"));
    }

    #[test]
    fn the_sentence_names_all_three_layers() {
        let sentence = facts().loss().sentence(WipeAction::Wipe);
        assert!(sentence.starts_with("4 files (9.0 MB) exist only on the device and will be lost."));
        assert!(sentence.contains("92 files (403 MB) are in a backup that is not proven."), "{sentence}");
        assert!(sentence.ends_with("is proven."), "{sentence}");
        let one = Some(Amount { files: 1, bytes: 10 });
        let single = Facts { only_here: one, not_proven: one, ..facts() }.loss().sentence(WipeAction::Wipe);
        assert!(single.starts_with("1 file (10 B) exists only on the device"), "{single}");
        assert!(single.contains(" 1 file (10 B) is in a backup"), "{single}");
        let never = Facts { proven: None, only_here: None, grade: Grade::Never, ..facts() };
        let never = never.loss().sentence(WipeAction::Wipe);
        assert!(never.contains("is not known") && never.ends_with("Nothing is proven."), "{never}");
    }
}
