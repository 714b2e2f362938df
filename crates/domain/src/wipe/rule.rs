//! Who may request, who may approve, how many, and what we advise instead.
use crate::device::{DeviceState, Encryption, Ownership};
use crate::fields::FieldErrors;
use crate::id::UserId;
use crate::name;
use crate::time::{Time, hours};
use crate::wipe::{Facts, WipeAction, WipeState};
use std::time::Duration;

/// An account younger than this cannot request a wipe for others to approve, nor approve one.
pub const SETTLED: Duration = hours(72);

/// In which direction a number gives wipes more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loosens {
    Lower,
    Higher,
}

impl Loosens {
    /// When a change takes effect: a loosening only after the people who did not intend it had time to notice.
    /// Otherwise a stolen session could raise the limit and wipe on the same day.
    pub fn in_force_at(self, from: i64, to: i64, now: Time) -> Time {
        let is_looser = match self {
            Self::Lower => to < from,
            Self::Higher => to > from,
        };
        if is_looser { now + SETTLED } else { now }
    }
}

/// Why somebody may not do what they ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the device is “{}”: there is nothing to wipe", .0.name())]
    NotEnrolled(DeviceState),
    #[error("this is a personal device: it has no full wipe. Remove company data instead")]
    PersonalDevice,
    #[error("another wipe of this device is under way: stop it, or follow it")]
    AlreadyOpen,
    #[error("the facts have changed since this page was shown. Here they are again: look at them, then decide")]
    FactsChanged,
    #[error("you requested this; somebody else must decide")]
    OwnRequest,
    #[error("only the requester can review this request; anyone can stop it and make a new one")]
    NotRequester,
    #[error("you created the requester's account, so somebody else must decide")]
    CreatedRequester,
    #[error("the requester created your account, so somebody else must decide")]
    CreatedByRequester,
    #[error(
        "the {0} has not held this account and role for 72 hours; somebody else must decide. Founders are named on the \
         server’s own machine: `holdfast admin founder add ADDRESS`"
    )]
    NewAccount(&'static str),
    #[error("this wipe is not waiting for a decision: it is “{}”", .0.name())]
    NotWaiting(WipeState),
    #[error("too late to stop: the wipe is “{}”", .0.name())]
    TooLate(WipeState),
    #[error("the limit of {most} per hour {whose} has been reached; the hold can be ended later")]
    LimitReached { most: i64, whose: &'static str },
}

/// The parts of an account that decide whether its word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    pub created_by: Option<UserId>,
    /// When it was made, when it got its role, or when somebody last signed in with a one-time link: from then
    /// on it may be another person, or have other powers.
    pub in_use_since: Time,
    /// When they were named a founder on the server's own machine; none if they were not.
    pub founder_at: Option<Time>,
}

impl Account {
    /// Whether its word counts: it has been the same person with the same powers for 72 hours, or a founder
    /// since being named one.
    fn is_settled(&self, now: Time) -> bool {
        self.founder_at.is_some_and(|named| self.in_use_since <= named && named <= now)
            || now.since(self.in_use_since) >= SETTLED
    }
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
        (self.per_hour + 1) / 2
    }

    /// Which limit is reached, if one is, as its refusal.
    pub fn reached(self, recent: Recent) -> Option<Refusal> {
        let share = self.share();
        if recent.by_all >= self.per_hour {
            Some(Refusal::LimitReached { most: self.per_hour, whose: "for everyone" })
        } else if recent.by_actor >= share {
            Some(Refusal::LimitReached { most: share, whose: "for one person" })
        } else if recent.by_team >= share {
            Some(Refusal::LimitReached { most: share, whose: "for one team" })
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
pub fn may_request(facts: &Facts, state: DeviceState, action: WipeAction) -> Result<(), Refusal> {
    if state != DeviceState::Enrolled {
        return Err(Refusal::NotEnrolled(state));
    }
    if facts.ownership == Ownership::Personal && action == WipeAction::Wipe {
        return Err(Refusal::PersonalDevice);
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

/// Whether `approver` is a second person to `requester`.
///
/// # Errors
/// When they are the same, one created the other, or one of them is so new that the other may have made it for
/// this purpose.
pub fn may_approve(requester: &Account, approver: &Account, now: Time) -> Result<(), Refusal> {
    if requester.id == approver.id {
        return Err(Refusal::OwnRequest);
    }
    if requester.created_by == Some(approver.id) {
        return Err(Refusal::CreatedRequester);
    }
    if approver.created_by == Some(requester.id) {
        return Err(Refusal::CreatedByRequester);
    }
    // Otherwise one stolen owner's session could make two accounts and hold both ends of every wipe.
    for (name, account) in [("requester", requester), ("approver", approver)] {
        if !account.is_settled(now) {
            return Err(Refusal::NewAccount(name));
        }
    }
    Ok(())
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
    use super::super::agreed::tests::{NOW, facts, safe};
    use super::*;
    use crate::time::{days, minutes};

    fn account(at: i64, created_by: Option<UserId>, in_use_since: Time) -> Account {
        Account { id: UserId::generate(Time::from_millis(at)), created_by, in_use_since, founder_at: None }
    }

    #[test]
    fn a_personal_device_has_no_full_wipe() {
        let personal = Facts { ownership: Ownership::Personal, ..facts() };
        let enrolled = DeviceState::Enrolled;
        assert_eq!(may_request(&personal, enrolled, WipeAction::Wipe), Err(Refusal::PersonalDevice));
        assert_eq!(may_request(&personal, enrolled, WipeAction::RemoveCompanyData), Ok(()));
        assert_eq!(may_request(&facts(), enrolled, WipeAction::Wipe), Ok(()));
        for state in [DeviceState::Wiped, DeviceState::Removed] {
            assert_eq!(may_request(&facts(), state, WipeAction::Wipe), Err(Refusal::NotEnrolled(state)));
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
    fn a_second_person_is_another_whom_the_first_did_not_make() {
        let since = NOW - days(400);
        let owner = account(1, None, since);
        let asker = account(2, Some(owner.id), since + days(1));
        let other = account(3, Some(owner.id), since + days(1));
        let made_by_asker = account(4, Some(asker.id), since + days(100));
        let cases = [
            (&asker, &other, Ok(())),
            (&asker, &asker, Err(Refusal::OwnRequest)),
            (&asker, &owner, Err(Refusal::CreatedRequester)),
            (&owner, &other, Err(Refusal::CreatedByRequester)),
            (&asker, &made_by_asker, Err(Refusal::CreatedByRequester)),
            (&made_by_asker, &asker, Err(Refusal::CreatedRequester)),
            (&made_by_asker, &other, Ok(())),
        ];
        for (requester, approver, expected) in cases {
            assert_eq!(may_approve(requester, approver, NOW), expected, "{requester:?} {approver:?}");
        }
    }

    #[test]
    fn accounts_made_yesterday_decide_nothing_not_even_at_the_beginning() {
        let since = NOW - days(400);
        let owner = account(1, None, since);
        let old = account(2, Some(owner.id), since + days(1));
        let fresh = account(3, Some(owner.id), NOW - days(1));
        let settled = account(4, Some(owner.id), NOW - SETTLED);
        assert_eq!(may_approve(&old, &fresh, NOW), Err(Refusal::NewAccount("approver")));
        assert_eq!(may_approve(&fresh, &old, NOW), Err(Refusal::NewAccount("requester")));
        assert_eq!(may_approve(&old, &settled, NOW), Ok(()));
        // Setting the clock back makes nobody older.
        assert_eq!(may_approve(&old, &fresh, NOW - days(30)), Err(Refusal::NewAccount("approver")));
        let young = NOW - minutes(30);
        let (one, two) = (account(5, Some(owner.id), young), account(6, Some(owner.id), young));
        assert_eq!(may_approve(&one, &two, NOW), Err(Refusal::NewAccount("requester")), "the organisation is as young");
    }

    #[test]
    fn a_founder_counts_at_once_as_the_person_and_with_the_power_that_was_named() {
        let (maker, begun) = (UserId::generate(NOW), NOW - minutes(30));
        let named = |at| Account { founder_at: Some(at), ..account(5, Some(maker), begun) };
        let asker = Account { founder_at: Some(NOW), ..account(6, Some(maker), begun) };
        assert_eq!(may_approve(&asker, &named(NOW - minutes(1)), NOW), Ok(()));
        // Somebody signed in with a link, or got the role, after the host had named them.
        assert_eq!(may_approve(&asker, &named(begun - minutes(1)), NOW), Err(Refusal::NewAccount("approver")));
        assert_eq!(may_approve(&asker, &named(NOW + minutes(1)), NOW), Err(Refusal::NewAccount("approver")));
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
    fn only_what_gives_wipes_more_room_waits() {
        let later = NOW + SETTLED;
        for (loosens, from, to, expected) in [
            (Loosens::Lower, 600, 60, later),
            (Loosens::Lower, 600, 599, later),
            (Loosens::Lower, 600, 1200, NOW),
            (Loosens::Higher, 5, 6, later),
            (Loosens::Higher, 5, 1, NOW),
        ] {
            assert_eq!(loosens.in_force_at(from, to, NOW), expected, "{loosens:?} {from} {to}");
        }
    }

    #[test]
    fn a_refusal_names_states_as_the_pages_do() {
        for (refusal, said) in [
            (Refusal::NotWaiting(WipeState::Cooling), "“Waiting”"),
            (Refusal::TooLate(WipeState::ReviewAgain), "“Review again”"),
            (Refusal::NotEnrolled(DeviceState::WipeFailed), "“Wipe failed”"),
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
}
