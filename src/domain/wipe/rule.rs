//! Who may ask, who may approve, how many, and what we would do instead.
use crate::domain::device::{DeviceState, Encryption, Ownership};
use crate::domain::fields::FieldErrors;
use crate::domain::id::UserId;
use crate::domain::time::{Time, days, hours};
use crate::domain::wipe::{Facts, WipeAction, WipeState};
use std::time::Duration;

/// An account that is younger than this asks for no wipe that others approve, and approves none.
pub const SETTLED: Duration = hours(72);

/// The accounts made this soon after the organisation's first are its founders, whom the wait would only stop from
/// beginning.
pub const FOUNDING: Duration = days(3);

/// In which direction a number gives wipes more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loosens {
    Lower,
    Higher,
}

impl Loosens {
    /// When a change is in force: a loosening only when whoever it was not meant by had time to see it. Else a stolen
    /// session would raise the limit and wipe on the same day.
    pub fn in_force_at(self, from: i64, to: i64, now: Time) -> Time {
        let is_looser = match self {
            Self::Lower => to < from,
            Self::Higher => to > from,
        };
        if is_looser { now + SETTLED } else { now }
    }
}

/// Why somebody may not do what they ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the device is “{}”: there is nothing to wipe", .0.name())]
    NotEnrolled(DeviceState),
    #[error("this is a personal device: it has no full wipe. Remove company data instead")]
    PersonalDevice,
    #[error("another wipe of this device is under way: stop it, or follow it")]
    AlreadyOpen,
    #[error("the facts changed since this page was shown. They are shown again: look at them, then decide")]
    FactsChanged,
    #[error("you requested this wipe; somebody else must decide")]
    OwnRequest,
    #[error("only the requester can look at this request again; anyone can stop it and make a new one")]
    NotRequester,
    #[error("you created the requester's account, so somebody else must decide")]
    CreatedRequester,
    #[error("the requester created your account, so somebody else must decide")]
    CreatedByRequester,
    #[error("the {0} does not have this account and this role for 72 hours yet; somebody else must decide")]
    NewAccount(&'static str),
    #[error("this wipe waits for no decision: it is “{}”", .0.name())]
    NotWaiting(WipeState),
    #[error("too late to stop: the wipe is “{}”", .0.name())]
    TooLate(WipeState),
    #[error("the limit of {0} an hour is reached; the hold can be ended later")]
    LimitReached(i64),
}

/// An account as far as its word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    pub created_by: Option<UserId>,
    /// When it was made, when it got its role, or when somebody last came in by a one-time link: from then on it may
    /// be another person, or another power.
    pub in_use_since: Time,
}

/// What is typed and ticked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    pub action: WipeAction,
    pub ticket: &'a str,
    pub serial: &'a str,
    /// The value of the box of consent; empty when it was not ticked.
    pub consent: &'a str,
}

/// How many wipes pass within an hour before the others are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub per_hour: i64,
}

/// How many passed within the last hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    pub by_actor: i64,
    pub by_all: i64,
}

/// Whether this device can be wiped in this way at all.
///
/// # Errors
/// When it is not enrolled, or is personal and all of it was asked for.
pub fn may_request(facts: &Facts, state: DeviceState, action: WipeAction) -> Result<(), Refusal> {
    if state != DeviceState::Enrolled {
        return Err(Refusal::NotEnrolled(state));
    }
    if facts.ownership == Ownership::Personal && action == WipeAction::Wipe {
        return Err(Refusal::PersonalDevice);
    }
    Ok(())
}

/// What is wrong with what was typed and ticked, held against the real numbers.
pub fn check_form(facts: &Facts, asked: &Asked<'_>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if asked.serial.trim() != facts.typed_name() {
        let what = if facts.serial.is_empty() { "name" } else { "serial number" };
        errors.add("serial", format!("Type the {what} exactly: {}", facts.typed_name()));
    }
    let loss = facts.loss();
    if !loss.is_nothing() && asked.consent != loss.consent() {
        errors.add("consent", "Tick this box if you accept this loss.");
    }
    if asked.ticket.len() > 200 || asked.ticket.chars().any(char::is_control) {
        errors.add("ticket", "Use at most 200 bytes, on one line.");
    }
    errors
}

/// Whether `approver` is a second person to `requester`.
///
/// `organisation_since` is when the first account was made.
///
/// # Errors
/// When they are the same, one created the other, or one of them is so new that the other may have made it for this.
pub fn may_approve(
    requester: &Account,
    approver: &Account,
    organisation_since: Time,
    now: Time,
) -> Result<(), Refusal> {
    if requester.id == approver.id {
        return Err(Refusal::OwnRequest);
    }
    if requester.created_by == Some(approver.id) {
        return Err(Refusal::CreatedRequester);
    }
    if approver.created_by == Some(requester.id) {
        return Err(Refusal::CreatedByRequester);
    }
    // Else one stolen owner's session makes two accounts and has both ends of every wipe.
    for (name, account) in [("requester", requester), ("approver", approver)] {
        let is_founder = account.in_use_since <= organisation_since + FOUNDING;
        if !is_founder && now.since(account.in_use_since) < SETTLED {
            return Err(Refusal::NewAccount(name));
        }
    }
    Ok(())
}

/// Whether one more request is held.
pub fn held_by_limits(limits: Limits, recent: Recent) -> bool {
    recent.by_actor >= limits.per_hour || recent.by_all >= limits.per_hour
}

/// What we would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Encrypted, nothing lost: a wipe is safe, and a lock is enough.
    SafeToWipe,
    /// As before, but the device is away: the lock is queued first.
    QueueLockAndWipe,
    /// Encrypted, something would be lost: lock and back up.
    LockInstead,
    /// As before, but the device is away.
    LockWhenSeen,
    /// Not encrypted, nothing lost.
    WipeNow,
    /// Not encrypted, and something would be lost: exposure against loss.
    Conflict,
}

/// Weighs exposure against loss. Encryption that is not known is taken for none: nobody can say that it protects.
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
    use super::super::facts::tests::{NOW, facts};
    use super::*;
    use crate::domain::time::minutes;
    use crate::domain::wipe::Amount;

    fn account(at: i64, created_by: Option<UserId>, in_use_since: Time) -> Account {
        Account { id: UserId::generate(Time::from_millis(at)), created_by, in_use_since }
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
    fn serial_and_consent_are_held_against_the_real_ones() {
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
        let none = Some(Amount::default());
        let safe = Facts { serial: String::new(), only_here: none, not_proven: none, ..facts() };
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
            assert_eq!(may_approve(requester, approver, since, NOW), expected, "{requester:?} {approver:?}");
        }
    }

    #[test]
    fn accounts_made_yesterday_decide_nothing_but_at_the_beginning() {
        let since = NOW - days(400);
        let owner = account(1, None, since);
        let old = account(2, Some(owner.id), since + days(1));
        let fresh = account(3, Some(owner.id), NOW - days(1));
        let settled = account(4, Some(owner.id), NOW - SETTLED);
        assert_eq!(may_approve(&old, &fresh, since, NOW), Err(Refusal::NewAccount("approver")));
        assert_eq!(may_approve(&fresh, &old, since, NOW), Err(Refusal::NewAccount("requester")));
        assert_eq!(may_approve(&old, &settled, since, NOW), Ok(()));
        // A clock that was set back makes nobody older.
        assert_eq!(may_approve(&old, &fresh, since, NOW - days(30)), Err(Refusal::NewAccount("approver")));
        let young = NOW - minutes(30);
        let (one, two) = (account(5, Some(owner.id), young), account(6, Some(owner.id), young));
        assert_eq!(may_approve(&one, &two, young - minutes(5), NOW), Ok(()));
    }

    #[test]
    fn the_limit_counts_by_person_and_by_all() {
        let limits = Limits { per_hour: 5 };
        let cases = [(0, 0, false), (4, 4, false), (5, 5, true), (0, 5, true), (200, 200, true)];
        for (by_actor, by_all, held) in cases {
            assert_eq!(held_by_limits(limits, Recent { by_actor, by_all }), held, "{by_actor} {by_all}");
        }
        assert!(held_by_limits(Limits { per_hour: 0 }, Recent::default()), "a limit of none holds all");
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
        let none = Some(Amount::default());
        let lossy = facts();
        let safe = Facts { only_here: none, not_proven: none, ..facts() };
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
