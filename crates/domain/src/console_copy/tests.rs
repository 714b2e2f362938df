use super::*;
use crate::failure_domain::StoreKind;
use crate::ground::AwayCause;

const NOW: Time = Time::from_millis(1_795_356_371_000);

fn store() -> SecondStore {
    SecondStore {
        kind: StoreKind::Bucket,
        place: "s3://copies".to_owned(),
        location: "Frankfurt".to_owned(),
        administration: "access key A".to_owned(),
        shares: Vec::new(),
        versions: Some(true),
        opened_at: Some(NOW - hours(100)),
    }
}

fn proven() -> ConsoleCopy {
    let (sequence, taken_at) = (7, NOW - minutes(2));
    ConsoleCopy {
        store: Some(store()),
        store_since: Some(NOW - hours(100)),
        kept: Some(Kept { sequence: 9, taken_at: NOW - minutes(1), by_shares: true }),
        proof: Some(StateProof { sequence, taken_at, tested_at: NOW - minutes(1), rows: 40 }),
        ..ConsoleCopy::default()
    }
}

fn said(it: &ConsoleCopy, now: Time) -> String {
    it.sentence(now, &|time| format!("T{}", (time.millis() - NOW.millis()) / 60_000))
}

#[test]
fn only_a_state_that_came_back_within_a_day_is_proven() {
    let it = proven();
    assert_eq!(it.standing(NOW), ConsoleStanding::Proven);
    assert_eq!(
        said(&it, NOW),
        "Proven back to T-2: restored on T-1 and compared, 40 rows. The second store has it up to T-1."
    );
    let until = it.proof.as_ref().unwrap().until();
    assert_eq!(it.standing(until - minutes(1)), ConsoleStanding::Proven);
    assert_eq!(it.standing(until), ConsoleStanding::OutOfDate);
    assert!(said(&it, until).starts_with("Not proven any more: it was last restored on T-1"), "{}", said(&it, until));
    assert_eq!(it.standing(NOW - hours(1)), ConsoleStanding::OutOfDate, "a clock that was set back proves nothing");
}

#[test]
fn a_dump_that_does_not_come_is_wrong_from_the_day_on() {
    let dumped = ConsoleCopy { is_external: true, proof: None, ..proven() };
    let late = NOW + hours(26);
    assert!(dumped.is_wrong(late) && dumped.no_dump(late) == Some(NOW - minutes(1)));
    assert!(said(&dumped, late).ends_with("up to T-1, 26 hours behind."), "{}", said(&dumped, late));
    // None ever: counted from when the second store was first there.
    let never = ConsoleCopy { kept: None, ..dumped.clone() };
    assert!(never.is_wrong(NOW) && never.no_dump(NOW) == Some(NOW - hours(100)));
    assert!(!ConsoleCopy { store_since: Some(NOW), ..never.clone() }.is_wrong(NOW + hours(26)));
    // What this server keeps by itself is nobody's dump, and without a second store there is nowhere to put one.
    assert_eq!(proven().no_dump(late), None);
    assert_eq!(ConsoleCopy { store: None, ..never }.no_dump(late), None);
}

#[test]
fn nothing_else_is_proven() {
    let away = Away { cause: AwayCause::Silent, why: "gone".to_owned(), since: NOW };
    let spare = SecondStore { shares: vec!["both are on this machine".to_owned()], ..store() };
    for (it, standing) in [
        (ConsoleCopy { store: None, ..proven() }, ConsoleStanding::NotSetUp),
        (ConsoleCopy { kept: None, ..proven() }, ConsoleStanding::Never),
        (ConsoleCopy { proof: None, ..proven() }, ConsoleStanding::Kept),
        (ConsoleCopy { away: Some(away), ..proven() }, ConsoleStanding::OutOfDate),
        (ConsoleCopy { store: Some(spare), ..proven() }, ConsoleStanding::OutOfDate),
        (ConsoleCopy { failed: Some(("a page is damaged".to_owned(), NOW)), ..proven() }, ConsoleStanding::Failed),
    ] {
        assert_eq!(it.standing(NOW), standing);
        assert!(!said(&it, NOW).starts_with("Proven"), "{}", said(&it, NOW));
    }
}

#[test]
fn what_a_person_has_to_do_is_said() {
    let only_root = Kept { by_shares: false, ..proven().kept.unwrap() };
    assert!(said(&ConsoleCopy { kept: Some(only_root), ..proven() }, NOW).contains("make a recovery key"));
    assert!(said(&ConsoleCopy { is_external: true, kept: None, ..proven() }, NOW).contains("holdfast dr keep"));
    let late = proven();
    assert!(!late.is_wrong(NOW) && late.is_wrong(NOW + minutes(10)));
    assert!(
        said(&late, NOW + minutes(10)).ends_with("up to T-1, 11 minutes behind."),
        "{}",
        said(&late, NOW + minutes(10))
    );
    let dumped = ConsoleCopy { is_external: true, proof: None, ..proven() };
    assert!(!dumped.is_wrong(NOW + hours(25)) && dumped.no_dump(NOW + hours(25)).is_none(), "made once a day");
    assert!(said(&dumped, NOW).starts_with("Nobody has tested whether the last dump"), "{}", said(&dumped, NOW));
    assert!(proven().is_wrong(NOW + hours(30)));
}
