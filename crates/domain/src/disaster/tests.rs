use super::*;
use crate::proof::Held;
use crate::time::{days, hours};

const NOW: Time = Time::from_millis(1_795_356_371_000);

fn means() -> Means {
    let second =
        Second { location: "Lyon".to_owned(), is_bucket: true, place: "s3://company/mdm".to_owned(), is_there: true };
    Means {
        location: "Paris".to_owned(),
        second: Some(second),
        has_spare: false,
        has_key_copy: true,
        shares: Shares::Good,
        has_customers: true,
    }
}

/// Backed up an hour ago, proven in both stores, and sealed to a recovery key.
fn device() -> Backups {
    let at = NOW - hours(1);
    let held = Some(Held { point_at: at, tested_at: at, until: NOW + days(7) });
    let evidence =
        Evidence { newest_at: Some(at), stored_at: Some(at), verified: held, proven: held, ..Evidence::default() };
    Backups {
        evidence,
        copied: Some(at),
        copy: Some((CopyGrade::Proven, Some(at))),
        is_by_shares: true,
        is_by_copy: true,
    }
}

fn fate(event: Event, means: &Means, device: &Backups) -> (Fate, Reason) {
    let outcome = event.outcome(means, device, NOW);
    (outcome.fate, outcome.reason)
}

#[test]
fn what_is_proven_from_what_is_left_comes_back_whatever_one_event_takes() {
    for event in Event::all(&means()) {
        assert_eq!(fate(event, &means(), &device()).0, Fate::ComesBack, "{event:?}");
    }
}

#[test]
fn where_the_customer_keeps_the_key_nothing_is_said_to_come_back_whatever_was_written_down() {
    let evidence = Evidence { key_holder: KeyHolder::Customer, ..device().evidence };
    let device = Backups { evidence, ..device() };
    for event in Event::all(&means()) {
        let is_the_key = event == Event::CustomerKey;
        let lost = (Fate::LosesAll, Reason::CustomerLost);
        let expected = if is_the_key { lost } else { (Fate::CannotSay, Reason::CustomerKeeps) };
        assert_eq!(fate(event, &means(), &device), expected, "{event:?}");
    }
    // Without any state of the console nobody knows whose the bytes are, and no escrow record says so.
    let unknown = Backups { is_by_copy: false, ..device };
    assert_eq!(fate(Event::Location, &means(), &unknown), (Fate::CannotSay, Reason::StateUnknown));
    assert!(!Event::all(&Means { has_customers: false, ..means() }).contains(&Event::CustomerKey));
}

#[test]
fn a_store_that_is_lost_leaves_only_what_the_other_one_has() {
    let lost = |means: &Means, device: Backups| fate(Event::BackupStore, means, &device);
    let none = Means { second: None, ..means() };
    assert_eq!(lost(&none, device()), (Fate::LosesAll, Reason::NoSecondStore));
    assert_eq!(lost(&means(), Backups { copied: None, ..device() }), (Fate::LosesAll, Reason::NotCopied));
    let behind = Backups { copied: Some(NOW - hours(25)), ..device() };
    assert_eq!(lost(&means(), behind), (Fate::LosesRecent, Reason::CopyBehind));
    assert_eq!(Event::BackupStore.outcome(&means(), &behind, NOW).recent, Some(hours(24)));
    let older = Some((CopyGrade::Behind, Some(NOW - days(3))));
    for copy in [None, older, Some((CopyGrade::OutOfDate, None)), Some((CopyGrade::Never, None))] {
        assert_eq!(lost(&means(), Backups { copy, ..device() }), (Fate::CannotSay, Reason::CopyNotProven));
    }
    let failed = Backups { copy: Some((CopyGrade::Failed, None)), ..device() };
    assert_eq!(lost(&means(), failed), (Fate::CannotSay, Reason::TestFailed));
    let second = means().second.map(|it| Second { is_there: false, ..it });
    assert_eq!(lost(&Means { second, ..means() }, device()), (Fate::CannotSay, Reason::CopyAway));
    let never = Backups { evidence: Evidence::default(), ..Backups::default() };
    assert_eq!(lost(&means(), never), (Fate::LosesAll, Reason::NoBackup));
}

#[test]
fn the_second_store_that_is_lost_leaves_what_is_proven_in_the_first() {
    for event in [Event::SecondStore, Event::CopyLocation, Event::CloudAccount] {
        let of = |evidence: Evidence| fate(event, &means(), &Backups { evidence, ..device() });
        let evidence = device().evidence;
        assert_eq!(of(evidence), (Fate::ComesBack, Reason::Proven));
        let newer = Evidence { stored_at: Some(NOW), ..evidence };
        assert_eq!(of(newer), (Fate::CannotSay, Reason::NotProven), "a newer backup was never tested");
        let failed = Evidence { failed_at: Some(NOW), ..evidence };
        assert_eq!(of(failed), (Fate::CannotSay, Reason::TestFailed));
        let away = Evidence { store_away_since: Some(NOW), ..evidence };
        assert_eq!(of(away), (Fate::CannotSay, Reason::StoreAway));
    }
}

#[test]
fn a_key_that_is_lost_takes_what_nothing_else_opens() {
    let paperless = Means { shares: Shares::Never, has_key_copy: false, ..means() };
    let stale = Means { shares: Shares::Old, has_key_copy: false, ..means() };
    for event in [Event::ProofKey, Event::TeamKeys, Event::Location] {
        assert_eq!(fate(event, &paperless, &device()), (Fate::LosesAll, Reason::NoKeyLeft), "{event:?}");
        assert_eq!(fate(event, &stale, &device()), (Fate::CannotSay, Reason::SharesOld), "{event:?}");
        let unsealed = Backups { is_by_shares: false, ..device() };
        let alone = Means { has_key_copy: false, ..means() };
        assert_eq!(fate(event, &alone, &unsealed), (Fate::LosesAll, Reason::NoKeyLeft), "{event:?}");
    }
    let unkept = Backups { is_by_copy: false, ..device() };
    assert_eq!(
        fate(Event::Location, &means(), &unkept),
        (Fate::CannotSay, Reason::RecordUnknown),
        "the database burns too"
    );
    for event in [Event::ProofKey, Event::TeamKeys, Event::BackupStore] {
        assert_eq!(fate(event, &means(), &unkept).0, Fate::ComesBack, "the records are in the database: {event:?}");
    }
    let copy = Means { shares: Shares::Never, ..means() };
    assert_eq!(fate(Event::ProofKey, &copy, &device()).0, Fate::ComesBack, "a copy of it was checked");
    assert_eq!(fate(Event::TeamKeys, &copy, &device()).0, Fate::LosesAll, "which opens no lost team key");
    assert_eq!(fate(Event::Location, &copy, &device()).0, Fate::LosesAll, "and may have been at the same place");
    assert_eq!(fate(Event::RecoveryKey, &means(), &device()).0, Fate::ComesBack);
}

#[test]
fn events_are_only_those_that_can_happen_and_have_their_names() {
    let bare = Means::default();
    assert_eq!(Event::all(&bare), [Event::Location, Event::BackupStore, Event::ProofKey, Event::TeamKeys]);
    assert_eq!(Event::all(&means()).len(), Event::ALL.len());
    assert_eq!(Event::CloudAccount.name(&means()), "the cloud account of s3://company/mdm");
    assert_eq!(Event::Location.name(&means()), "Paris, with this server and its store");
    for event in Event::ALL {
        let note = event.note(&bare).unwrap_or_default();
        assert!(!note.contains("is the second store"), "there is none");
        assert!(!event.name(&bare).is_empty() && !event.name(&means()).is_empty());
    }
}

#[test]
fn the_numbers_add_up_and_the_sentence_never_calls_the_unknown_safe() {
    let mut tally = Tally::default();
    let recent = |count| Outcome { recent: Some(hours(count)), ..Outcome::of(Fate::LosesRecent, Reason::CopyBehind) };
    tally.add(&Outcome::of(Fate::ComesBack, Reason::Proven));
    assert_eq!(tally.sentence(), "Proven to come back from what is left: 1 device, all there are.");
    assert_eq!(tally.recent(), None);
    let known = |lose_all, restorable| Tally { lose_all, restorable, ..Tally::default() }.sentence();
    assert_eq!(known(10, 0), "All 10 devices would lose data.");
    assert_eq!(
        (known(1, 0), known(1, 9)),
        ("1 of 1 device would lose data.".into(), "1 of 10 devices would lose data.".into())
    );
    tally.add(&Outcome::of(Fate::CannotSay, Reason::NotProven));
    assert_eq!(tally.sentence(), "No device of 2 devices is known to lose data; 1 we cannot say.");
    for count in [5, 1, 19] {
        tally.add(&recent(count));
    }
    tally.add(&Outcome::of(Fate::LosesAll, Reason::NoBackup));
    assert_eq!(tally.sentence(), "At least 4 of 6 devices would lose data; 1 we cannot say.");
    assert_eq!(tally.recent(), Some((hours(5), hours(19))));
    assert_eq!(Fate::ALL.iter().map(|it| tally.of(*it)).sum::<i64>(), tally.all());
}

#[test]
fn what_is_said_of_one_administrator_is_what_the_guards_ask() {
    use crate::guard::{GuardedAct, Told, Wait};
    for act in [GuardedAct::RequestWipe, GuardedAct::ShortenRetention, GuardedAct::LiftHold] {
        assert!(act.guard().second.is_some(), "{act}");
    }
    for act in [GuardedAct::InviteUser, GuardedAct::ChangeRoles] {
        let guard = act.guard();
        assert_eq!((guard.wait, guard.told), (Wait::Settles, Told::Overseers), "{act}");
    }
    assert_eq!(crate::consent::SETTLED, hours(72));
}
