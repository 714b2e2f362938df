//! The proof ladder: what is known about a device's backups, and for how long.
//!
//! Nothing here is green by default: a level is reached through evidence, evidence has an expiry, and unknown
//! is a separate grade.
use crate::key_holder::KeyHolder;
use crate::text::text_enum;
use crate::time::Time;
use crate::words::{counted, number};

text_enum! {
    /// How much of a restore point is proven (recovery design, section 5.1).
    Level {
        /// No backup.
        Never = "never",
        /// The device says it backed up.
        Reported = "reported",
        /// The server holds every object that the restore point needs.
        Stored = "stored",
        /// Every object was read back and hashed.
        Verified = "verified",
        /// Some files were compared and came back equal; too many others were not compared.
        Partial = "partial",
        /// Every file was restored and compared with the device's manifest.
        Proven = "proven",
        /// The second copy alone was restored and compared.
        CopyProven = "copy_proven",
    }
}

impl Level {
    /// The word on the badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::Reported => "Reported",
            Self::Stored => "Stored",
            Self::Verified => "Verified",
            Self::Partial => "Partly proven",
            Self::Proven => "Proven",
            Self::CopyProven => "Copy proven",
        }
    }
}

text_enum! {
    /// How a restore test ended. `unproven` means that it could not be run to its end.
    TestResult { Passed = "passed", Failed = "failed", Partial = "partial", Unproven = "unproven" }
}

text_enum! {
    /// The state of a restore test.
    TestState { Queued = "queued", Running = "running", Finished = "finished" }
}

text_enum! {
    /// Why a restore test runs.
    TestCause {
        NewBackup = "new_backup",
        ProofExpiring = "proof_expiring",
        Asked = "asked",
        /// A stored object was found damaged, or was healed.
        Damage = "damage",
    }
}

text_enum! {
    /// When a restore point that lost its proof to damage is tested again.
    Retest {
        /// In turn: one per device at a time, the newest first.
        Due = "due",
        /// It needs what is damaged: once that is healed.
        OnceHealed = "once_healed",
    }
}

text_enum! {
    /// What a page shows about a device's proof; one badge each.
    Grade {
        Failed = "failed",
        Never = "never",
        Unknown = "unknown",
        Reported = "reported",
        Stored = "stored",
        OutOfDate = "out_of_date",
        Verified = "verified",
        Partial = "partial",
        Proven = "proven",
    }
}

/// The evidence about one device; times are by the server's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When the newest backup of any level was received.
    pub newest_at: Option<Time>,
    /// When the newest restore point with all its objects was received.
    pub stored_at: Option<Time>,
    /// When the newest verified restore point was received, and until when that holds.
    pub verified: Option<Held>,
    /// The newest restore point of which only a part is proven, if it is newer than the proven one.
    pub partial: Option<Held>,
    /// When the newest proven restore point was received, and until when that holds.
    pub proven: Option<Held>,
    /// When the newest restore point failed its test; cleared once the files that failed are proven.
    pub failed_at: Option<Time>,
    /// When the last of this was learned. It is later than now only if a clock is, or was, wrong.
    pub noted_at: Option<Time>,
    /// Since when the store that holds all this cannot be read; none while it can, or if it holds nothing.
    pub store_away_since: Option<Time>,
    /// Who can open the backups: where that is the customer, nothing counts as a proof, whoever wrote it down.
    pub key_holder: KeyHolder,
}

/// A restore point at some level: when it was received, when it was tested, and until when the evidence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub point_at: Time,
    pub tested_at: Time,
    pub until: Time,
}

impl Held {
    fn holds(self, now: Time) -> bool {
        now < self.until && !is_ahead(self.tested_at, now)
    }
}

impl Evidence {
    /// The level at `now`. A failed test leaves what was received, not what was proven before.
    pub fn level(&self, now: Time) -> Level {
        // Nobody knows whether what was stored is still there; but that a backup was made is known.
        if self.store_away_since.is_some() {
            return if self.newest_at.is_some() { Level::Reported } else { Level::Never };
        }
        let holds = |held: Option<Held>| self.failed_at.is_none() && held.is_some_and(|it| it.holds(now));
        let can_prove = self.key_holder.can_prove();
        if can_prove && holds(self.proven) {
            Level::Proven
        } else if can_prove && holds(self.partial) {
            Level::Partial
        } else if holds(self.verified) {
            Level::Verified
        } else if self.stored_at.is_some() {
            Level::Stored
        } else if self.newest_at.is_some() {
            Level::Reported
        } else {
            Level::Never
        }
    }

    /// What a page shows at `now`.
    ///
    /// An expired proof is out of date, never green. If the newest evidence lies in the future, the clock may
    /// be behind it: that is unknown rather than fresh. A test dated by a clock that was ahead counts for
    /// nothing until it is repeated; what came after it, dated by a correct clock, counts at once.
    pub fn grade(&self, now: Time) -> Grade {
        if self.failed_at.is_some() {
            return Grade::Failed;
        }
        if self.store_away_since.is_some() || self.noted_at.is_some_and(|at| is_ahead(at, now)) {
            return Grade::Unknown;
        }
        let level = self.level(now);
        let proven = self.proven.filter(|_| self.key_holder.can_prove());
        let held = [self.verified, self.partial, proven].into_iter().flatten();
        let is_by_a_wrong_clock = { held }.any(|it| is_ahead(it.tested_at, now));
        match (level, proven) {
            (Level::Proven | Level::CopyProven, _) => Grade::Proven,
            (_, _) if is_by_a_wrong_clock => Grade::Unknown,
            (Level::Partial, _) => Grade::Partial,
            (Level::Never, _) => Grade::Never,
            (_, Some(_)) => Grade::OutOfDate,
            (Level::Verified, None) => Grade::Verified,
            (Level::Stored, None) => Grade::Stored,
            (Level::Reported, None) => Grade::Reported,
        }
    }
}

/// "1 of 201 files proven".
pub fn part_in_words(matched: i64, files: i64) -> String {
    format!("{} of {} proven", number(matched), counted(files, "file", "files"))
}

/// Two servers' clocks may differ by this much without alarm.
pub const TOLERANCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Whether something was dated by a clock that was ahead of the correct one.
pub fn is_ahead(at: Time, now: Time) -> bool {
    at > now + TOLERANCE
}

impl Grade {
    /// The word on the badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Never => "Never",
            Self::Unknown => "Unknown",
            Self::Reported => "Reported",
            Self::Stored => "Stored",
            Self::OutOfDate => "Out of date",
            Self::Verified => "Verified",
            Self::Partial => "Partly proven",
            Self::Proven => "Proven",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days, hours};

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn held(age_hours: u64, left_hours: i64) -> Option<Held> {
        let until = Time::from_millis(NOW.millis() + left_hours * 3_600_000);
        Some(Held { point_at: NOW - hours(age_hours), tested_at: NOW - hours(age_hours), until })
    }

    #[test]
    fn each_kind_of_evidence_has_its_grade() {
        let seen = Some(NOW - hours(1));
        let cases = [
            (Evidence::default(), Grade::Never),
            (Evidence { newest_at: seen, ..Evidence::default() }, Grade::Reported),
            (Evidence { newest_at: seen, stored_at: seen, ..Evidence::default() }, Grade::Stored),
            (
                Evidence { newest_at: seen, stored_at: seen, verified: held(1, 5), ..Evidence::default() },
                Grade::Verified,
            ),
            (
                Evidence {
                    newest_at: seen,
                    stored_at: seen,
                    verified: held(1, 5),
                    proven: held(1, 5),
                    ..Evidence::default()
                },
                Grade::Proven,
            ),
            (
                Evidence {
                    newest_at: seen,
                    stored_at: seen,
                    verified: held(1, 5),
                    proven: held(90, -1),
                    ..Evidence::default()
                },
                Grade::OutOfDate,
            ),
            (
                Evidence {
                    newest_at: seen,
                    stored_at: seen,
                    proven: held(1, 5),
                    failed_at: seen,
                    ..Evidence::default()
                },
                Grade::Failed,
            ),
        ];
        for (evidence, expected) in cases {
            assert_eq!(evidence.grade(NOW), expected, "{evidence:?}");
        }
    }

    #[test]
    fn without_the_key_nothing_is_proven_whatever_the_evidence_says() {
        let seen = Some(NOW - hours(1));
        let all = Evidence {
            newest_at: seen,
            stored_at: seen,
            verified: held(1, 5),
            partial: held(1, 5),
            proven: held(1, 5),
            key_holder: KeyHolder::Customer,
            ..Evidence::default()
        };
        assert_eq!((all.level(NOW), all.grade(NOW)), (Level::Verified, Grade::Verified));
        let old = Evidence { verified: held(90, -1), partial: None, proven: held(90, -1), ..all };
        assert_eq!((old.level(NOW), old.grade(NOW)), (Level::Stored, Grade::Stored), "nor was it ever");
        let unread = Evidence { verified: None, ..all };
        assert_eq!((unread.level(NOW), unread.grade(NOW)), (Level::Stored, Grade::Stored));
    }

    #[test]
    fn green_decays_without_any_event() {
        let evidence = Evidence {
            newest_at: Some(NOW),
            stored_at: Some(NOW),
            verified: held(0, 24),
            proven: held(0, 24),
            ..Evidence::default()
        };
        assert_eq!(evidence.grade(NOW), Grade::Proven);
        assert_eq!(evidence.grade(NOW + days(1)), Grade::OutOfDate);
    }

    #[test]
    fn a_clock_set_back_a_year_makes_no_proof_fresh() {
        let evidence =
            Evidence { newest_at: Some(NOW), stored_at: Some(NOW), proven: held(0, 24), ..Evidence::default() };
        assert_eq!(evidence.grade(NOW - days(365)), Grade::Unknown);
    }

    #[test]
    fn a_test_by_a_clock_that_was_ahead_proves_nothing_until_it_is_repeated() {
        let ahead = held(1, 24).map(|it| Held { tested_at: NOW + days(3650), until: NOW + days(3657), ..it });
        let seen = Some(NOW - hours(1));
        for (verified, partial, proven) in [
            (ahead, None, ahead),
            (ahead, None, None),
            (held(1, 24), None, ahead),
            (None, ahead, None),
            (held(1, 24), ahead, None),
            (None, ahead, held(90, -1)),
        ] {
            let evidence =
                Evidence { newest_at: seen, stored_at: seen, verified, partial, proven, ..Evidence::default() };
            assert_eq!(evidence.grade(NOW), Grade::Unknown, "{evidence:?}");
        }
    }

    #[test]
    fn a_new_proof_by_the_right_clock_counts_while_older_evidence_lies_ahead() {
        let ahead = Some(NOW + hours(1));
        let old = held(0, 24).map(|it| Held { tested_at: NOW + hours(1), until: NOW + days(8), ..it });
        let evidence = Evidence { newest_at: ahead, stored_at: ahead, proven: held(0, 24), ..Evidence::default() };
        for it in [evidence, Evidence { verified: old, ..evidence }, Evidence { noted_at: Some(NOW), ..evidence }] {
            assert_eq!(it.grade(NOW), Grade::Proven, "{it:?}");
        }
        // Nothing was learned since that date, so it may be this clock that is wrong.
        assert_eq!(Evidence { noted_at: ahead, ..evidence }.grade(NOW), Grade::Unknown);
    }

    #[test]
    fn a_part_is_not_a_proof_and_hides_none_that_holds() {
        let seen = Some(NOW);
        let part = Evidence {
            newest_at: seen,
            stored_at: seen,
            verified: held(0, 99),
            partial: held(0, 24),
            ..Evidence::default()
        };
        assert_eq!((part.grade(NOW), part.level(NOW)), (Grade::Partial, Level::Partial));
        assert_eq!(part.grade(NOW + hours(24)), Grade::Verified, "its time runs out as that of a proof");
        assert_eq!(Evidence { proven: held(30, 5), ..part }.grade(NOW), Grade::Proven);
        assert_eq!(Evidence { proven: held(300, -5), ..part }.grade(NOW), Grade::Partial);
        assert_eq!(Evidence { failed_at: seen, ..part }.grade(NOW), Grade::Failed);
    }

    #[test]
    fn a_failed_test_demotes_whatever_was_proven_before() {
        let evidence = Evidence {
            newest_at: Some(NOW),
            stored_at: Some(NOW),
            verified: held(0, 24),
            proven: held(0, 24),
            failed_at: Some(NOW),
            ..Evidence::default()
        };
        assert_eq!(evidence.level(NOW), Level::Stored);
    }

    #[test]
    fn a_part_is_said_with_its_whole_and_a_minute_ahead_is_tolerated() {
        assert_eq!(part_in_words(1, 201), "1 of 201 files proven");
        assert!(!is_ahead(NOW + TOLERANCE, NOW));
        assert!(is_ahead(NOW + TOLERANCE + std::time::Duration::from_millis(1), NOW));
    }
}
