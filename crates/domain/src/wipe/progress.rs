//! One wipe request on its way; every step is decided here.
use crate::consent::{Approval, Proposal};
use crate::id::UserId;
use crate::time::{Time, hours, minutes};
use crate::wipe::{WipeRefusal, WipeState};
use std::time::Duration;

/// A clock this far before the approval was set back, and then nothing about the hold is believed.
const CLOCK_TOLERANCE: Duration = minutes(1);

/// The most of a hold that has to pass again after the clock jumped or the server restarted.
const LIVED: Duration = hours(1);

/// The parts of a wipe request that its steps depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub state: WipeState,
    /// Which facts the requester agreed to, and until when nothing was sent.
    pub proposal: Proposal,
    pub approval: Option<Approval>,
    /// When the hold is over.
    pub release_at: Option<Time>,
}

/// What is checked again before a request continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The facts are worse than those agreed to.
    pub is_worse: bool,
    /// It is doubtful which machine would be erased, and nobody agreed to that.
    pub is_doubtful: bool,
    /// The accounts of requester and approver are the same as at the approval, and may still do what they did.
    pub accounts_hold: bool,
    /// The device is enrolled, and its enrolment is the request's.
    pub same_enrollment: bool,
}

/// Why a request is stuck until a person looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Limit,
    /// Files of the device, or parts of its backups, are damaged and intact in no store.
    Damaged,
    ClockWentBack,
    AccountChanged,
    NotApproved,
    Identity,
}

/// What becomes of a request that could continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// Not yet.
    Wait,
    Hold(Hold),
    /// Back to the people: the facts are worse.
    Review,
    /// The device has another enrolment, or none.
    Cancel,
    Expire,
}

impl Hold {
    /// Why, for a person.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Limit => "more wipes were requested within an hour than the limit allows",
            Self::Damaged => {
                "files of this device, or parts of its backups, are damaged in the store, and no backup holds them intact: \
                 a wipe would lose them for good, so a second person has to accept that too"
            }
            Self::ClockWentBack => "the server's clock was set back after the approval",
            Self::AccountChanged => {
                "the account of the requester or of the approver was disabled, changed hands or lost its role since the approval"
            }
            Self::Identity => {
                "two machines may have the identity of this device, and either could be erased: enroll the right one again, or let both people agree to that"
            }
            Self::NotApproved => "there is no valid approval by a second person for these facts",
        }
    }
}

impl Progress {
    /// Approves; the hold begins. [`may_approve`](crate::consent::may_approve) says whether this person may.
    ///
    /// # Errors
    /// When it is not waiting for approval, the approver saw other facts, or is the requester.
    pub fn approve(&self, by: UserId, seen: &str, hold: Duration, now: Time) -> Result<Self, WipeRefusal> {
        if self.state != WipeState::Requested {
            return Err(WipeRefusal::NotWaiting(self.state));
        }
        if self.proposal.is_over(now) {
            return Err(WipeRefusal::NotWaiting(WipeState::Expired));
        }
        let approval = Some(self.proposal.approve(by, seen, now)?);
        Ok(Self { state: WipeState::Cooling, approval, release_at: Some(now + hold), ..self.clone() })
    }

    /// Stops it for good.
    ///
    /// # Errors
    /// When it was delivered, or has ended.
    pub fn stop(&self) -> Result<Self, WipeRefusal> {
        if self.state.is_before_delivery() {
            Ok(Self { state: WipeState::Cancelled, ..self.clone() })
        } else {
            Err(WipeRefusal::TooLate(self.state))
        }
    }

    /// Ends a hold; an approval from before it no longer counts.
    ///
    /// # Errors
    /// When it is not held, or for the requester, who may not end a hold alone.
    pub fn lift(&self, by: UserId) -> Result<Self, WipeRefusal> {
        if self.state != WipeState::Held {
            return Err(WipeRefusal::NotWaiting(self.state));
        }
        self.proposal.require_other(by)?;
        Ok(Self { state: WipeState::Requested, approval: None, release_at: None, ..self.clone() })
    }

    /// The requester agrees to newer facts; everything starts again.
    ///
    /// # Errors
    /// When it is not waiting for review, or for anyone other than the requester.
    pub fn review(&self, by: UserId, digest: &str, expires_at: Time) -> Result<Self, WipeRefusal> {
        if self.state != WipeState::ReviewAgain {
            return Err(WipeRefusal::NotWaiting(self.state));
        }
        if by != self.proposal.by {
            return Err(WipeRefusal::NotRequester);
        }
        let proposal = Proposal { by, digest: digest.to_owned(), expires_at };
        Ok(Self { state: WipeState::Requested, proposal, approval: None, release_at: None })
    }

    /// Whether the hold is over and the order may be queued.
    ///
    /// The hold gives people time to stop it, so time that did not really pass does not count: the clock must
    /// have been steady for as long as the hold, at most an hour.
    pub fn release(&self, check: Check, steady_since: Time, now: Time) -> Verdict {
        if self.state != WipeState::Cooling {
            return Verdict::Wait;
        }
        // The hold as it was at the approval: the setting may be another by now.
        let hold = match (&self.approval, self.release_at) {
            (Some(approval), Some(at)) => at.since(approval.at),
            (None, _) | (_, None) => LIVED,
        };
        let verdict = self.gate(check, now);
        let is_lived = now >= steady_since + hold.min(LIVED);
        if verdict == Verdict::Go && !is_lived { Verdict::Wait } else { verdict }
    }

    /// Whether the order may be handed to the device, possibly again.
    pub fn deliver(&self, check: Check, now: Time) -> Verdict {
        let is_ordered = matches!(self.state, WipeState::Released | WipeState::Delivered);
        if is_ordered { self.gate(check, now) } else { Verdict::Hold(Hold::NotApproved) }
    }

    /// Whether its time is over with nothing sent.
    pub fn is_expired(&self, now: Time) -> bool {
        self.state.is_before_delivery() && self.proposal.is_over(now)
    }

    fn gate(&self, check: Check, now: Time) -> Verdict {
        let approval = self.approval.as_ref().filter(|it| self.proposal.is_met_by(it));
        let (Some(approval), Some(release_at)) = (approval, self.release_at) else {
            return Verdict::Hold(Hold::NotApproved);
        };
        if !check.same_enrollment {
            return Verdict::Cancel;
        }
        if self.is_expired(now) {
            return Verdict::Expire;
        }
        if now + CLOCK_TOLERANCE < approval.at {
            return Verdict::Hold(Hold::ClockWentBack);
        }
        if !check.accounts_hold {
            return Verdict::Hold(Hold::AccountChanged);
        }
        // Before the facts, of which doubt is one: it needs a second person, not only a review.
        if check.is_doubtful {
            return Verdict::Hold(Hold::Identity);
        }
        if check.is_worse {
            return Verdict::Review;
        }
        if now < release_at || now < approval.at { Verdict::Wait } else { Verdict::Go }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::ConsentRefusal;
    use crate::testing::Random;
    use crate::time::days;

    const NOW: Time = Time::from_millis(1_795_356_371_000);
    const HOLD: Duration = minutes(10);
    /// The clock has run steadily for long enough.
    const BEFORE: Time = Time::from_millis(NOW.millis() - 86_400_000);
    const FINE: Check = Check { is_worse: false, is_doubtful: false, accounts_hold: true, same_enrollment: true };

    fn people() -> [UserId; 3] {
        [1, 2, 3].map(|at| UserId::generate(Time::from_millis(at)))
    }

    fn requested(by: UserId) -> Progress {
        Progress {
            state: WipeState::Requested,
            proposal: Proposal { by, digest: "a".to_owned(), expires_at: NOW + days(7) },
            approval: None,
            release_at: None,
        }
    }

    #[test]
    fn it_is_released_when_the_hold_is_over_and_not_before() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();

        assert_eq!(cooling.release(FINE, BEFORE, NOW), Verdict::Wait);
        assert_eq!(cooling.release(FINE, BEFORE, NOW + HOLD - Duration::from_millis(1)), Verdict::Wait);
        assert_eq!(cooling.release(FINE, BEFORE, NOW + HOLD), Verdict::Go);
    }

    #[test]
    fn a_clock_set_back_holds_and_releases_nothing_earlier() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();

        assert_eq!(cooling.release(FINE, BEFORE, NOW - days(365)), Verdict::Hold(Hold::ClockWentBack));
        assert_eq!(cooling.release(FINE, BEFORE, NOW - Duration::from_secs(30)), Verdict::Wait);
        let released = Progress { state: WipeState::Released, ..cooling };
        assert_eq!(released.deliver(FINE, NOW - hours(1)), Verdict::Hold(Hold::ClockWentBack));
        assert_eq!(released.deliver(FINE, NOW + minutes(5)), Verdict::Wait);
    }

    #[test]
    fn doubt_about_the_machine_holds_at_release_and_at_delivery() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();
        let doubtful = Check { is_doubtful: true, is_worse: true, ..FINE };
        assert_eq!(cooling.release(doubtful, BEFORE, NOW + HOLD), Verdict::Hold(Hold::Identity));
        let released = Progress { state: WipeState::Released, ..cooling };
        assert_eq!(released.deliver(doubtful, NOW + HOLD), Verdict::Hold(Hold::Identity));
    }

    #[test]
    fn a_hold_that_nobody_lived_through_is_not_over() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();
        let jumped = NOW + days(1);
        assert_eq!(cooling.release(FINE, jumped, jumped), Verdict::Wait);
        assert_eq!(cooling.release(FINE, jumped, jumped + HOLD), Verdict::Go);
        let long = requested(asker).approve(second, "a", days(2), NOW).unwrap();
        let jumped = NOW + days(3);
        assert_eq!(long.release(FINE, jumped, jumped + minutes(59)), Verdict::Wait);
        assert_eq!(long.release(FINE, jumped, jumped + hours(1)), Verdict::Go);
    }

    #[test]
    fn each_reason_not_to_continue_is_named() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();
        let later = NOW + HOLD;
        let cases = [
            (Check { is_worse: true, ..FINE }, later, Verdict::Review),
            (Check { accounts_hold: false, ..FINE }, later, Verdict::Hold(Hold::AccountChanged)),
            (Check { same_enrollment: false, ..FINE }, later, Verdict::Cancel),
            (FINE, NOW + days(7), Verdict::Expire),
        ];
        for (check, now, expected) in cases {
            assert_eq!(cooling.release(check, BEFORE, now), expected, "{check:?}");
            let released = Progress { state: WipeState::Released, ..cooling.clone() };
            assert_eq!(released.deliver(check, now), expected, "{check:?}");
        }
    }

    #[test]
    fn an_approval_of_other_facts_or_by_the_requester_opens_nothing() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();
        let forged = [
            Progress { proposal: Proposal { digest: "b".to_owned(), ..cooling.proposal.clone() }, ..cooling.clone() },
            Progress { proposal: Proposal { by: second, ..cooling.proposal.clone() }, ..cooling.clone() },
            Progress { approval: None, ..cooling.clone() },
            Progress { release_at: None, ..cooling.clone() },
        ];
        for it in forged {
            assert_eq!(it.release(FINE, BEFORE, NOW + HOLD), Verdict::Hold(Hold::NotApproved), "{it:?}");
            let released = Progress { state: WipeState::Released, ..it };
            assert_eq!(released.deliver(FINE, NOW + HOLD), Verdict::Hold(Hold::NotApproved));
        }
    }

    #[test]
    fn the_requester_can_neither_approve_nor_lift() {
        let [asker, second, _] = people();
        let it = requested(asker);
        assert_eq!(it.approve(asker, "a", HOLD, NOW), Err(ConsentRefusal::OwnRequest.into()));
        assert_eq!(it.approve(second, "b", HOLD, NOW), Err(ConsentRefusal::NotAsShown.into()));
        let held = Progress { state: WipeState::Held, ..it };
        assert_eq!(held.lift(asker), Err(ConsentRefusal::OwnRequest.into()));
        assert_eq!(held.approve(second, "a", HOLD, NOW), Err(WipeRefusal::NotWaiting(WipeState::Held)));
        assert_eq!(held.lift(second).unwrap().state, WipeState::Requested);
    }

    /// What really happened, kept apart from what the request says about itself.
    struct Witness {
        agreed: String,
        /// Since the last request, lift or review.
        approved: Option<(UserId, String, Time)>,
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one walk, read from top to bottom")]
    fn no_walk_reaches_the_device_without_a_second_person_and_the_hold() {
        let [asker, second, third] = people();
        let mut released_count = 0;
        for seed in 1..=20_000 {
            let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
            let mut now = NOW;
            let mut it = requested(asker);
            let mut seen = Witness { agreed: "a".to_owned(), approved: None };
            for _ in 0..40 {
                // Forwards by up to 8 minutes, and at times back by up to an hour.
                now = if random.below(8) == 0 {
                    now - Duration::from_secs(random.below(3600))
                } else {
                    now + Duration::from_secs(random.below(480))
                };
                let who = [asker, second, third][usize::try_from(random.below(3)).unwrap()];
                let digest = ["a", "b"][usize::try_from(random.below(2)).unwrap()];
                let check = Check {
                    is_doubtful: false,
                    is_worse: random.below(12) == 0,
                    accounts_hold: random.below(12) != 0,
                    same_enrollment: random.below(40) != 0,
                };
                let from = it.state;
                match random.below(6) {
                    0 => {
                        if let Ok(next) = it.approve(who, digest, HOLD, now) {
                            seen.approved = Some((who, digest.to_owned(), now));
                            it = next;
                        }
                    }
                    1 => {
                        if let Ok(next) = it.review(who, digest, now + days(7)) {
                            assert_eq!(who, asker);
                            (seen.agreed, seen.approved) = (digest.to_owned(), None);
                            it = next;
                        }
                    }
                    2 => {
                        if let Ok(next) = it.lift(who) {
                            assert_ne!(who, asker);
                            seen.approved = None;
                            it = next;
                        }
                    }
                    3 if random.below(10) == 0 => it = it.stop().unwrap_or(it),
                    _ => {
                        let verdict = if matches!(it.state, WipeState::Released | WipeState::Delivered) {
                            it.deliver(check, now)
                        } else {
                            it.release(check, BEFORE, now)
                        };
                        if verdict == Verdict::Go {
                            released_count += 1;
                            let (by, digest, at) = seen.approved.clone().expect("nobody approved");
                            assert_ne!(by, asker);
                            assert_eq!(digest, seen.agreed);
                            assert!(now >= at + HOLD, "the hold was cut short");
                            assert!(!check.is_worse && check.accounts_hold && check.same_enrollment);
                        }
                        it.state = follow(it.state, verdict);
                    }
                }
                assert!(it.state == from || from.may_become(it.state), "{from} {}", it.state);
            }
        }
        assert!(released_count > 1000, "the walks must get somewhere: {released_count}");
    }

    fn follow(state: WipeState, verdict: Verdict) -> WipeState {
        match (verdict, state) {
            (Verdict::Go, WipeState::Cooling) => WipeState::Released,
            (Verdict::Go, WipeState::Released | WipeState::Delivered) => WipeState::Delivered,
            (Verdict::Hold(_), it) if it.may_become(WipeState::Held) => WipeState::Held,
            (Verdict::Review, it) if it.may_become(WipeState::ReviewAgain) => WipeState::ReviewAgain,
            (Verdict::Cancel, it) if it.may_become(WipeState::Cancelled) => WipeState::Cancelled,
            (Verdict::Expire, it) if it.may_become(WipeState::Expired) => WipeState::Expired,
            (_, it) => it,
        }
    }

    #[test]
    fn what_is_stopped_or_lifted_is_as_it_was_but_for_that() {
        let [asker, second, third] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();
        assert_eq!(cooling.stop().unwrap(), Progress { state: WipeState::Cancelled, ..cooling.clone() });
        let held = Progress { state: WipeState::Held, ..cooling };
        assert_eq!(held.lift(third).unwrap(), requested(asker), "the old approval is gone, and its hold");
    }

    #[test]
    fn a_clock_may_be_a_little_behind_and_no_more() {
        let [asker, second, _] = people();
        let cooling = requested(asker).approve(second, "a", HOLD, NOW).unwrap();
        let released = Progress { state: WipeState::Released, release_at: Some(NOW), ..cooling };
        let tick = Duration::from_millis(1);
        assert_eq!(released.deliver(FINE, NOW - CLOCK_TOLERANCE), Verdict::Wait);
        assert_eq!(released.deliver(FINE, NOW - CLOCK_TOLERANCE - tick), Verdict::Hold(Hold::ClockWentBack));
        assert_eq!(released.deliver(FINE, NOW), Verdict::Go);
        let sooner = Progress { release_at: Some(NOW - minutes(1)), ..released };
        assert_eq!(sooner.deliver(FINE, NOW - tick), Verdict::Wait, "not before it was approved");
        assert_eq!(sooner.deliver(FINE, NOW), Verdict::Go);
    }

    #[test]
    fn each_hold_has_its_reason() {
        for (hold, words) in [
            (Hold::Limit, "than the limit allows"),
            (Hold::Damaged, "no backup holds them intact"),
            (Hold::ClockWentBack, "clock was set back"),
            (Hold::AccountChanged, "account of the requester or of the approver"),
            (Hold::Identity, "two machines"),
            (Hold::NotApproved, "no valid approval"),
        ] {
            assert!(hold.reason().contains(words), "{hold:?}");
        }
    }
}
