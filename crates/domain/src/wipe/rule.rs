//! What may be requested, how many, and what we advise instead.
use crate::consent::ConsentRefusal;
use crate::device::{DeviceState, Encryption, Ownership};
use crate::fields::FieldErrors;
use crate::name;
use crate::wipe::{Facts, WipeAction, WipeState};

/// Why somebody may not do what they ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WipeRefusal {
    #[error("the device is “{}”: there is nothing to wipe", .0.name())]
    NotEnrolled(DeviceState),
    #[error("this is a personal device: it has no full wipe. Remove company data instead")]
    PersonalDevice,
    #[error("another wipe of this device is under way: stop it, or follow it")]
    AlreadyOpen,
    #[error(transparent)]
    Consent(#[from] ConsentRefusal),
    #[error("only the requester can review this request; anyone can stop it and make a new one")]
    NotRequester,
    #[error("this wipe is not waiting for a decision: it is “{}”", .0.name())]
    NotWaiting(WipeState),
    #[error("too late to stop: the wipe is “{}”", .0.name())]
    TooLate(WipeState),
    #[error("the limit of {most} per hour {whose} has been reached; the hold can be ended later")]
    LimitReached { most: i64, whose: &'static str },
}

/// What is typed and ticked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    pub action: WipeAction,
    pub ticket: &'a str,
    pub serial: &'a str,
    /// The value of the consent box; empty if it was not ticked.
    pub consent: &'a str,
}

/// How many wipes pass within an hour before the others are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub per_hour: i64,
}

impl Limits {
    /// How much of it one person or one team may use, so that the others always have some left.
    pub const fn share(self) -> i64 {
        // Rounded up: of a limit of one, the share is one.
        (self.per_hour + 1) / 2
    }

    /// Which limit is reached, if one is, as its refusal.
    pub fn reached(self, recent: Recent) -> Option<WipeRefusal> {
        let share = self.share();
        if recent.by_all >= self.per_hour {
            Some(WipeRefusal::LimitReached { most: self.per_hour, whose: "for everyone" })
        } else if recent.by_actor >= share {
            Some(WipeRefusal::LimitReached { most: share, whose: "for one person" })
        } else if recent.by_team >= share {
            Some(WipeRefusal::LimitReached { most: share, whose: "for one team" })
        } else {
            None
        }
    }
}

/// How many passed within the last hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    pub by_actor: i64,
    /// On devices of the same team; 0 for a device without a team, which shares everyone's limit.
    pub by_team: i64,
    pub by_all: i64,
}

/// Whether this device can be wiped in this way at all.
///
/// # Errors
/// When it is not enrolled, or is personal and a full wipe was requested.
pub fn may_request(facts: &Facts, state: DeviceState, action: WipeAction) -> Result<(), WipeRefusal> {
    if state != DeviceState::Enrolled {
        return Err(WipeRefusal::NotEnrolled(state));
    }
    if facts.ownership == Ownership::Personal && action == WipeAction::Wipe {
        return Err(WipeRefusal::PersonalDevice);
    }
    Ok(())
}

/// What is wrong with what was typed and ticked, compared with the real numbers.
pub fn check_form(facts: &Facts, asked: &Asked<'_>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if asked.serial.trim() != facts.typed_name() {
        errors.add("serial", format!("Type the {} exactly: {}", facts.typed_what(), facts.typed_name()));
    }
    let consent = facts.consent();
    if !consent.is_empty() && asked.consent != consent {
        errors.add("consent", "Tick this box if you accept this loss.");
    }
    if asked.ticket.len() > 200 || !name::is_plain(asked.ticket) {
        errors.add("ticket", "Use at most 200 bytes, on one line.");
    }
    errors
}

/// What we advise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Encrypted, nothing lost: a wipe is safe, and a lock is enough.
    SafeToWipe,
    /// The same, but the device is away: the lock is queued first.
    QueueLockAndWipe,
    /// Encrypted, something would be lost: lock and back up.
    LockInstead,
    /// The same, but the device is away.
    LockWhenSeen,
    /// Not encrypted, nothing lost.
    WipeNow,
    /// Not encrypted, and something would be lost: exposure against loss.
    Conflict,
}

/// Weighs exposure against loss. Unknown encryption counts as none: nobody can say that it protects.
pub fn advice(facts: &Facts, reachable: bool) -> Advice {
    let loses_nothing = facts.loss().is_nothing();
    match (facts.encryption, loses_nothing, reachable) {
        (Encryption::On, true, true) => Advice::SafeToWipe,
        (Encryption::On, true, false) => Advice::QueueLockAndWipe,
        (Encryption::On, false, true) => Advice::LockInstead,
        (Encryption::On, false, false) => Advice::LockWhenSeen,
        (Encryption::Off | Encryption::Unknown, true, _) => Advice::WipeNow,
        (Encryption::Off | Encryption::Unknown, false, _) => Advice::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use super::super::agreed::tests::{facts, safe};
    use super::*;

    #[test]
    fn a_personal_device_has_no_full_wipe() {
        let personal = Facts { ownership: Ownership::Personal, ..facts() };
        let enrolled = DeviceState::Enrolled;
        assert_eq!(may_request(&personal, enrolled, WipeAction::Wipe), Err(WipeRefusal::PersonalDevice));
        assert_eq!(may_request(&personal, enrolled, WipeAction::RemoveCompanyData), Ok(()));
        assert_eq!(may_request(&facts(), enrolled, WipeAction::Wipe), Ok(()));
        for state in [DeviceState::Wiped, DeviceState::Removed] {
            assert_eq!(may_request(&facts(), state, WipeAction::Wipe), Err(WipeRefusal::NotEnrolled(state)));
        }
    }

    #[test]
    fn serial_and_consent_are_compared_with_the_real_ones() {
        let good =
            Asked { action: WipeAction::Wipe, ticket: "T-1", serial: " SN-1 ", consent: "4 lost, 92 not proven" };
        assert!(check_form(&facts(), &good).is_empty());
        let cases = [
            (Asked { serial: "SN-2", ..good.clone() }, "serial"),
            (Asked { serial: "", ..good.clone() }, "serial"),
            (Asked { serial: "sn-1", ..good.clone() }, "serial"),
            (Asked { consent: "", ..good.clone() }, "consent"),
            (Asked { consent: "on", ..good.clone() }, "consent"),
            (Asked { consent: "3 lost, 92 not proven", ..good.clone() }, "consent"),
            (Asked { ticket: "a\nb", ..good.clone() }, "ticket"),
        ];
        for (asked, field) in cases {
            let errors = check_form(&facts(), &asked);
            assert!(errors.of(field).is_some(), "{asked:?}");
            assert_eq!(errors.iter().count(), 1, "{asked:?}");
        }
    }

    #[test]
    fn without_a_serial_the_name_is_typed_and_without_loss_nothing_is_ticked() {
        let safe = Facts { serial: String::new(), ..safe() };
        let asked = Asked { action: WipeAction::Wipe, ticket: "", serial: "laptop-1", consent: "" };
        assert!(check_form(&safe, &asked).is_empty());
        assert!(check_form(&safe, &Asked { serial: "", ..asked }).of("serial").is_some());
    }

    #[test]
    fn the_limit_counts_by_person_by_team_and_by_all() {
        let limits = Limits { per_hour: 5 };
        let cases = [
            ((0, 0, 0), None),
            ((2, 2, 4), None),
            ((3, 0, 3), Some("for one person")),
            ((0, 3, 3), Some("for one team")),
            ((0, 0, 5), Some("for everyone")),
            ((200, 200, 200), Some("for everyone")),
        ];
        for ((by_actor, by_team, by_all), expected) in cases {
            let reached = limits.reached(Recent { by_actor, by_team, by_all });
            let whose = reached.map(|it| it.to_string());
            assert_eq!(whose.is_some(), expected.is_some(), "{by_actor} {by_team} {by_all}");
            assert!(whose.zip(expected).is_none_or(|(said, whose)| said.contains(whose)));
        }
        assert!(Limits { per_hour: 0 }.reached(Recent::default()).is_some(), "a limit of none holds all");
        assert_eq!([1, 2, 5, 20].map(|per_hour| Limits { per_hour }.share()), [1, 1, 3, 10]);
    }

    #[test]
    fn a_refusal_names_states_as_the_pages_do() {
        for (refusal, said) in [
            (WipeRefusal::NotWaiting(WipeState::Cooling), "“Waiting”"),
            (WipeRefusal::TooLate(WipeState::ReviewAgain), "“Review again”"),
            (WipeRefusal::NotEnrolled(DeviceState::WipeFailed), "“Wipe failed”"),
        ] {
            assert!(refusal.to_string().contains(said), "{refusal}");
        }
    }

    #[test]
    fn the_advice_follows_the_matrix() {
        let (lossy, safe) = (facts(), safe());
        let with = |facts: &Facts, encryption| Facts { encryption, ..facts.clone() };
        let cases = [
            (with(&safe, Encryption::On), true, Advice::SafeToWipe),
            (with(&safe, Encryption::On), false, Advice::QueueLockAndWipe),
            (with(&lossy, Encryption::On), true, Advice::LockInstead),
            (with(&lossy, Encryption::On), false, Advice::LockWhenSeen),
            (with(&safe, Encryption::Off), true, Advice::WipeNow),
            (with(&safe, Encryption::Off), false, Advice::WipeNow),
            (with(&lossy, Encryption::Off), true, Advice::Conflict),
            (with(&lossy, Encryption::Unknown), false, Advice::Conflict),
            (with(&safe, Encryption::Unknown), true, Advice::WipeNow),
        ];
        for (facts, reachable, expected) in cases {
            assert_eq!(advice(&facts, reachable), expected, "{:?} {reachable}", facts.encryption);
        }
    }

    #[test]
    fn a_ticket_has_as_many_bytes_as_fit() {
        let asked =
            |ticket| Asked { action: WipeAction::Wipe, ticket, serial: "SN-1", consent: "4 lost, 92 not proven" };
        let [fits, not] = [200, 201].map(|count| "x".repeat(count));
        assert!(check_form(&facts(), &asked("")).is_empty() && check_form(&facts(), &asked(&fits)).is_empty());
        assert!(!check_form(&facts(), &asked(&not)).is_empty());
    }
}
