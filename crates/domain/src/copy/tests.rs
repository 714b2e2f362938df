use super::*;
use crate::time::{hours, minutes};

const NOW: Time = Time::from_millis(1_795_356_371_000);

fn store() -> SecondStore {
    SecondStore {
        kind: StoreKind::Bucket,
        place: "s3://holdfast at https://s3.example.com".to_owned(),
        location: "Genève".to_owned(),
        administration: "the account of AKIA".to_owned(),
        shares: Vec::new(),
        versions: None,
        opened_at: Some(NOW - hours(9)),
    }
}

/// A device of which everything was copied.
fn complete() -> CopyFacts {
    let newest = Some(NOW - hours(1));
    CopyFacts { store: Some(store()), newest, point: newest, ..CopyFacts::default() }
}

fn behind() -> CopyFacts {
    let (waiting_since, point) = (Some(NOW - hours(3)), Some(NOW - hours(5)));
    CopyFacts { waiting: 14, waiting_since, point, ..complete() }
}

fn said(facts: &CopyFacts) -> String {
    facts.sentence(NOW, &|at| format!("{} min ago", NOW.since(at).as_secs() / 60))
}

#[test]
fn how_far_the_copy_is_behind_is_one_sentence() {
    for (facts, standing, expected) in [
        (CopyFacts::default(), CopyStanding::NotSetUp, NOT_SET_UP),
        (
            complete(),
            CopyStanding::Complete,
            "The second store (Genève) has everything, up to the backup of 60 min ago.",
        ),
        (
            behind(),
            CopyStanding::Behind,
            "The second store (Genève) is 3 hours behind: it has everything up to the backup of 300 min ago; 14 \
             objects wait since 180 min ago.",
        ),
        (
            CopyFacts { point: None, waiting: 1, ..behind() },
            CopyStanding::Missing,
            "The second store (Genève) has no complete backup of this device yet; 1 object waits since 180 min ago.",
        ),
        (
            CopyFacts { newest: None, point: None, ..complete() },
            CopyStanding::Nothing,
            "There is no backup to copy yet.",
        ),
    ] {
        assert_eq!((facts.standing(), said(&facts).as_str()), (standing, expected));
    }
}

#[test]
fn a_store_that_is_away_or_was_never_reached_says_nothing_about_what_it_has() {
    let why = "it has not answered for 20 s".to_owned();
    let away = Some(Away { cause: AwayCause::Silent, why, since: NOW - minutes(30) });
    let unreached = SecondStore { opened_at: None, ..store() };
    for facts in [
        CopyFacts { away: away.clone(), ..complete() },
        CopyFacts { away, ..behind() },
        CopyFacts { store: Some(unreached.clone()), ..complete() },
        CopyFacts { store: Some(unreached), point: None, ..complete() },
    ] {
        assert_eq!(facts.standing(), CopyStanding::Unknown);
        assert!(said(&facts).contains("Nobody can say what it has now"), "{}", said(&facts));
        assert!(!said(&facts).contains("has everything"), "{}", said(&facts));
    }
}

#[test]
fn a_spare_store_never_passes_for_a_second_copy() {
    let spare = SecondStore { shares: vec!["both are on the machine mdm".to_owned()], ..store() };
    assert!(store().counts() && !spare.counts());
    for facts in [complete(), behind()] {
        let facts = CopyFacts { store: Some(spare.clone()), ..facts };
        let said = said(&facts);
        assert!(said.starts_with("The spare store (Genève)"), "{said}");
        assert!(said.ends_with("It counts as no second copy: both are on the machine mdm."), "{said}");
    }
}

#[test]
fn what_cannot_be_copied_is_said() {
    let facts = CopyFacts { damaged: 1, ..behind() };
    assert!(said(&facts).contains("1 object is damaged in the backup store too, and cannot be copied."));
}

#[test]
fn the_lag_is_the_age_of_the_oldest_object_that_waits() {
    assert_eq!((behind().lag(NOW), complete().lag(NOW)), (Some(hours(3)), None));
    assert_eq!(CopyFacts { store: None, ..behind() }.lag(NOW), None, "nothing is behind where nothing is copied");
}

#[test]
fn each_kind_of_store_has_its_own_advice() {
    for cause in AwayCause::ALL {
        let said: std::collections::BTreeSet<_> = StoreKind::ALL.iter().map(|it| advice(*it, *cause)).collect();
        // What keeps the server from looking is at the server.
        let kinds = if *cause == AwayCause::Unseen { 1 } else { StoreKind::ALL.len() };
        assert!(said.len() == kinds && said.iter().all(|it| it.ends_with('.')), "{cause}: {said:?}");
    }
}

#[test]
fn that_it_was_found_counts_for_an_hour_and_not_before_it_was_found_at_all() {
    let hour = hours(1);
    let found = |opened_at, seen_at| SecondStore { opened_at, ..store() }.unseen(seen_at, NOW).map(|it| it.since);
    for (opened_at, seen_at, since) in [
        (Some(NOW - hours(9)), Some(NOW - minutes(59)), None),
        (Some(NOW - hours(9)), Some(NOW - hour), Some(NOW - hour)),
        (Some(NOW - hours(9)), None, Some(NOW - hours(9))),
        (Some(NOW - minutes(1)), Some(NOW - hours(9)), None),
        // A start says itself that it was not found since.
        (None, Some(NOW - hours(9)), None),
        (Some(NOW - hours(9)), Some(NOW + hours(2)), Some(NOW + hours(2))),
    ] {
        assert_eq!(found(opened_at, seen_at), since, "{opened_at:?} {seen_at:?}");
    }
    let away = store().unseen(None, NOW).unwrap();
    assert_eq!(away.cause, AwayCause::Unseen);
    for kind in [StoreKind::Folder, StoreKind::Bucket, StoreKind::Puller] {
        assert!(advice(kind, away.cause).contains("looks again by itself"));
    }
}
