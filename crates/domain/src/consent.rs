//! What people agree to: what stands for it, who may be the second person, and from when somebody's word counts.
use crate::id::UserId;
use crate::time::{Time, hours};
use std::time::Duration;

/// An account younger than this neither requests anything for others to approve nor approves it, and a guard that
/// was loosened does not count before.
pub const SETTLED: Duration = hours(72);

/// In which direction a number loosens a guard.
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

/// Why somebody's agreement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsentRefusal {
    #[error("the facts have changed since this page was shown. Here they are again: look at them, then decide")]
    NotAsShown,
    #[error("you requested this; somebody else must decide")]
    OwnRequest,
    #[error("you created the requester's account, so somebody else must decide")]
    CreatedRequester,
    #[error("the requester created your account, so somebody else must decide")]
    CreatedByRequester,
    #[error(
        "the {0} has not held this account and role for 72 hours; somebody else must decide. Founders are named on the \
         server’s own machine: `holdfast admin founder add ADDRESS`"
    )]
    NewAccount(&'static str),
}

/// What somebody is shown before they agree to it.
pub trait Terms {
    /// The bytes whose digest stands for it: all that counts, and nothing that changes by itself.
    ///
    /// # Errors
    /// None in practice: every part of it is written as JSON.
    fn canonical(&self) -> serde_json::Result<String>;
}

/// Whether the digest of what was shown is that of what is there.
///
/// # Errors
/// When it is not.
pub fn as_shown(seen: &str, current: &str) -> Result<(), ConsentRefusal> {
    if seen == current { Ok(()) } else { Err(ConsentRefusal::NotAsShown) }
}

/// What one person agreed to and asked for, while a second one may agree to it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub by: UserId,
    /// Of the [`Terms`] that they were shown.
    pub digest: String,
    pub expires_at: Time,
}

/// A second person's agreement, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub by: UserId,
    pub digest: String,
    pub at: Time,
}

impl Proposal {
    /// Whether its time has passed.
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.expires_at
    }

    /// Whether this is somebody else than who asked; [`may_approve`] says whether they may be the second person.
    ///
    /// # Errors
    /// For the requester, who decides nothing alone.
    pub fn require_other(&self, by: UserId) -> Result<(), ConsentRefusal> {
        if by == self.by { Err(ConsentRefusal::OwnRequest) } else { Ok(()) }
    }

    /// Approves; `seen` is the digest of what the second person was shown.
    ///
    /// # Errors
    /// For the requester, and when something else was shown.
    pub fn approve(&self, by: UserId, seen: &str, now: Time) -> Result<Approval, ConsentRefusal> {
        self.require_other(by)?;
        as_shown(seen, &self.digest)?;
        Ok(Approval { by, digest: seen.to_owned(), at: now })
    }

    /// Whether this is another person's agreement to exactly this.
    pub fn is_met_by(&self, approval: &Approval) -> bool {
        self.require_other(approval.by).is_ok() && as_shown(&approval.digest, &self.digest).is_ok()
    }
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
    /// The same for somebody who got their role at `since`, maybe later than their account: otherwise one stolen
    /// owner's session could give it to an old, powerless account and hold both ends of every wipe.
    #[must_use]
    pub fn with_role_since(self, since: Time) -> Self {
        Self { in_use_since: self.in_use_since.max(since), ..self }
    }

    /// Whether its word counts: it has been the same person with the same powers for 72 hours, or a founder
    /// since being named one.
    fn is_settled(&self, now: Time) -> bool {
        // Named for whoever had the account then: a link that was used since may make it another person's.
        self.founder_at.is_some_and(|named| self.in_use_since <= named && named <= now)
            || now.since(self.in_use_since) >= SETTLED
    }
}

/// Whether `approver` is a second person to `requester`.
///
/// # Errors
/// When they are the same, one created the other, or one of them is so new that the other may have made it for
/// this purpose.
pub fn may_approve(requester: &Account, approver: &Account, now: Time) -> Result<(), ConsentRefusal> {
    if requester.id == approver.id {
        return Err(ConsentRefusal::OwnRequest);
    }
    if requester.created_by == Some(approver.id) {
        return Err(ConsentRefusal::CreatedRequester);
    }
    if approver.created_by == Some(requester.id) {
        return Err(ConsentRefusal::CreatedByRequester);
    }
    // Otherwise one stolen owner's session could make two accounts and hold both ends of every wipe.
    for (name, account) in [("requester", requester), ("approver", approver)] {
        if !account.is_settled(now) {
            return Err(ConsentRefusal::NewAccount(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days, minutes};

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn account(at: i64, created_by: Option<UserId>, in_use_since: Time) -> Account {
        Account { id: UserId::generate(Time::from_millis(at)), created_by, in_use_since, founder_at: None }
    }

    #[test]
    fn only_another_person_who_was_shown_the_same_approves() {
        let [asker, second] = [1, 2].map(|at| UserId::generate(Time::from_millis(at)));
        let proposal = Proposal { by: asker, digest: "a".to_owned(), expires_at: NOW + days(7) };
        assert_eq!(proposal.approve(asker, "a", NOW), Err(ConsentRefusal::OwnRequest));
        assert_eq!(proposal.approve(second, "b", NOW), Err(ConsentRefusal::NotAsShown));
        assert_eq!(proposal.approve(second, "", NOW), Err(ConsentRefusal::NotAsShown));

        let approval = proposal.approve(second, "a", NOW).unwrap();

        assert!(proposal.is_met_by(&approval));
        assert!(!Proposal { by: second, ..proposal.clone() }.is_met_by(&approval), "by the one who asked");
        assert!(!Proposal { digest: "b".to_owned(), ..proposal.clone() }.is_met_by(&approval), "to something else");
        assert!(proposal.is_over(NOW + days(7)) && !proposal.is_over(NOW + days(6)));
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
            (&asker, &asker, Err(ConsentRefusal::OwnRequest)),
            (&asker, &owner, Err(ConsentRefusal::CreatedRequester)),
            (&owner, &other, Err(ConsentRefusal::CreatedByRequester)),
            (&asker, &made_by_asker, Err(ConsentRefusal::CreatedByRequester)),
            (&made_by_asker, &asker, Err(ConsentRefusal::CreatedRequester)),
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
        assert_eq!(may_approve(&old, &fresh, NOW), Err(ConsentRefusal::NewAccount("approver")));
        assert_eq!(may_approve(&fresh, &old, NOW), Err(ConsentRefusal::NewAccount("requester")));
        assert_eq!(may_approve(&old, &settled, NOW), Ok(()));
        let promoted = settled.with_role_since(NOW - days(1));
        assert_eq!(may_approve(&old, &promoted, NOW), Err(ConsentRefusal::NewAccount("approver")));
        assert_eq!(may_approve(&old, &settled.with_role_since(since), NOW), Ok(()), "a role older than the account");
        // Setting the clock back makes nobody older.
        assert_eq!(may_approve(&old, &fresh, NOW - days(30)), Err(ConsentRefusal::NewAccount("approver")));
        let young = NOW - minutes(30);
        let (one, two) = (account(5, Some(owner.id), young), account(6, Some(owner.id), young));
        assert_eq!(
            may_approve(&one, &two, NOW),
            Err(ConsentRefusal::NewAccount("requester")),
            "the organisation is as young"
        );
    }

    #[test]
    fn a_founder_counts_at_once_as_the_person_and_with_the_power_that_was_named() {
        let (maker, begun) = (UserId::generate(NOW), NOW - minutes(30));
        let named = |at| Account { founder_at: Some(at), ..account(5, Some(maker), begun) };
        let asker = Account { founder_at: Some(NOW), ..account(6, Some(maker), begun) };
        assert_eq!(may_approve(&asker, &named(NOW - minutes(1)), NOW), Ok(()));
        // Somebody signed in with a link, or got the role, after the host had named them.
        assert_eq!(may_approve(&asker, &named(begun - minutes(1)), NOW), Err(ConsentRefusal::NewAccount("approver")));
        assert_eq!(may_approve(&asker, &named(NOW + minutes(1)), NOW), Err(ConsentRefusal::NewAccount("approver")));
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
    fn only_what_loosens_waits() {
        for (loosens, from, to, waits) in [
            (Loosens::Lower, 5, 4, true),
            (Loosens::Lower, 5, 5, false),
            (Loosens::Lower, 5, 6, false),
            (Loosens::Higher, 5, 6, true),
            (Loosens::Higher, 5, 5, false),
            (Loosens::Higher, 5, 4, false),
        ] {
            let expected = if waits { NOW + SETTLED } else { NOW };
            assert_eq!(loosens.in_force_at(from, to, NOW), expected, "{loosens:?} {from} {to}");
        }
    }
}
