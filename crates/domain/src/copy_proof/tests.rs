use super::*;
use crate::failure_domain::StoreKind;
use crate::ground::AwayCause;
use crate::time::hours;

const NOW: Time = Time::from_millis(1_795_356_371_000);

fn store() -> StoreNow {
    let store = SecondStore {
        kind: StoreKind::Bucket,
        place: "s3://company/mdm".to_owned(),
        location: "Lyon".to_owned(),
        administration: "whoever has the key".to_owned(),
        shares: Vec::new(),
        versions: Some(true),
        opened_at: Some(NOW - days(100)),
    };
    StoreNow { store: Some(store), id: Some("one".to_owned()), away: None }
}

fn test() -> CopyTest {
    CopyTest {
        point_at: NOW - days(2),
        tested_at: NOW - days(1),
        until: Some(NOW - days(1) + HOLDS),
        result: TestResult::Passed,
        level: Level::Proven,
        matched: 41,
        files: 41,
        withdrawn_at: None,
        store: "one".to_owned(),
        key: "7K3Q0M".to_owned(),
        key_retired_at: None,
        is_ended: false,
        is_newest: true,
    }
}

fn grade(now: &StoreNow, test: CopyTest) -> CopyGrade {
    CopyProof { now, test: Some(test), key_holder: KeyHolder::Server }.grade(NOW)
}

#[test]
fn only_the_newest_point_in_a_store_that_is_there_is_copy_proven() {
    let now = store();
    assert_eq!(grade(&now, test()), CopyGrade::Proven);
    assert_eq!(grade(&now, CopyTest { is_newest: false, ..test() }), CopyGrade::Behind);
    assert_eq!(grade(&now, CopyTest { is_newest: false, is_ended: true, ..test() }), CopyGrade::OutOfDate);
    for (level, expected) in [
        (Level::Partial, CopyGrade::Partial),
        (Level::Verified, CopyGrade::Verified),
        (Level::Stored, CopyGrade::Never),
        (Level::Reported, CopyGrade::Never),
    ] {
        assert_eq!(grade(&now, CopyTest { level, ..test() }), expected, "{level:?}");
    }
    assert_eq!(CopyProof { now: &now, test: None, key_holder: KeyHolder::Server }.grade(NOW), CopyGrade::Never);
    assert_eq!(
        CopyProof { now: &StoreNow::default(), test: None, key_holder: KeyHolder::Server }.grade(NOW),
        CopyGrade::NotSetUp
    );
}

#[test]
fn whatever_took_it_away_since_takes_the_badge_down() {
    let there = store();
    let failed = CopyTest { result: TestResult::Failed, level: Level::Stored, ..test() };
    for (changed, expected) in [
        (CopyTest { until: Some(NOW), ..test() }, CopyGrade::OutOfDate),
        (CopyTest { until: None, ..test() }, CopyGrade::OutOfDate),
        (CopyTest { withdrawn_at: Some(NOW - hours(1)), ..test() }, CopyGrade::OutOfDate),
        (CopyTest { key_retired_at: Some(NOW - hours(1)), ..test() }, CopyGrade::OutOfDate),
        (CopyTest { store: "another".to_owned(), ..test() }, CopyGrade::OutOfDate),
        (CopyTest { tested_at: NOW + hours(1), ..test() }, CopyGrade::Unknown),
        (failed.clone(), CopyGrade::Failed),
        (CopyTest { until: None, ..failed }, CopyGrade::Failed),
    ] {
        let proof = CopyProof { now: &there, test: Some(changed.clone()), key_holder: KeyHolder::Server };
        assert_eq!(proof.grade(NOW), expected, "{changed:?}");
        assert_eq!(proof.proven_point(NOW), None);
    }
    let away = Away { cause: AwayCause::Silent, why: "it does not answer".to_owned(), since: NOW - hours(1) };
    let second = there.store.clone().unwrap();
    for gone in [
        StoreNow::default(),
        StoreNow { away: Some(away), ..there.clone() },
        StoreNow { store: Some(SecondStore { opened_at: None, ..second.clone() }), ..there.clone() },
        StoreNow { store: Some(SecondStore { shares: vec!["one disk".to_owned()], ..second }), ..there.clone() },
    ] {
        assert_eq!(grade(&gone, test()), CopyGrade::Unknown, "{gone:?}");
    }
}

#[test]
fn it_goes_out_of_date_by_the_clock_alone() {
    let now = store();
    let proof = CopyProof { now: &now, test: Some(test()), key_holder: KeyHolder::Server };
    let until = NOW - days(1) + HOLDS;
    assert_eq!(proof.grade(until - hours(1)), CopyGrade::Proven);
    assert_eq!(proof.grade(until), CopyGrade::OutOfDate);
    assert_eq!(proof.grade(NOW - days(365)), CopyGrade::Unknown, "a clock set back makes nothing fresh");
}

#[test]
fn each_grade_has_its_sentence_and_only_a_proof_says_nothing_more() {
    let now = store();
    let said = |test: CopyTest| {
        CopyProof { now: &now, test: Some(test), key_holder: KeyHolder::Server }.sentence(NOW, &Time::iso)
    };
    let whole = said(test());
    assert!(whole.ends_with("came back from the second store alone: 41 of 41 files."), "{whole}");
    for (test, end) in [
        (CopyTest { is_newest: false, ..test() }, "Newer backups were not tested from there."),
        (CopyTest { is_ended: true, ..test() }, "the restore point that was tested is kept no longer"),
        (CopyTest { withdrawn_at: Some(NOW), ..test() }, "missing or changed in the second store"),
        (CopyTest { key_retired_at: Some(NOW), ..test() }, "7K3Q0M was retired on"),
        (CopyTest { store: "another".to_owned(), ..test() }, "another store has taken its place"),
        (CopyTest { until: Some(NOW), ..test() }, "it counted until"),
        (CopyTest { level: Level::Partial, ..test() }, "Too many were not compared"),
        (CopyTest { level: Level::Verified, ..test() }, "no list of files"),
        (CopyTest { result: TestResult::Failed, ..test() }, "did not come back"),
        (CopyTest { tested_at: NOW + hours(1), ..test() }, "a clock was, or is, wrong"),
    ] {
        let said = said(test);
        assert!(said.contains(end), "{said}");
    }
    let none = CopyProof { now: &now, test: None, key_holder: KeyHolder::Server }.sentence(NOW, &Time::iso);
    assert!(none.ends_with(DRILL), "{none}");
    let gone = StoreNow::default();
    let said = CopyProof { now: &gone, test: Some(test()), key_holder: KeyHolder::Server }.sentence(NOW, &Time::iso);
    assert!(said.ends_with("Nobody can say whether that still holds: there is no second store."), "{said}");
}

#[test]
fn all_devices_together_are_due_while_one_is_not_proven() {
    let now = store();
    let mut all = CopyProofs::default();
    assert!(all.sentence(NOW, &Time::iso).contains("No backup was ever restored"));
    all.add(&CopyProof { now: &now, test: Some(test()), key_holder: KeyHolder::Server }, NOW);
    all.add(
        &CopyProof { now: &now, test: Some(CopyTest { is_newest: false, ..test() }), key_holder: KeyHolder::Server },
        NOW,
    );
    assert!(!all.is_due());
    let said = all.sentence(NOW, &Time::iso);
    assert!(said.ends_with("2 of 2 devices are proven so, 1 with an older backup than the newest."), "{said}");
    all.add(&CopyProof { now: &now, test: None, key_holder: KeyHolder::Server }, NOW);
    all.add(
        &CopyProof {
            now: &now,
            test: Some(CopyTest { result: TestResult::Failed, ..test() }),
            key_holder: KeyHolder::Server,
        },
        NOW,
    );
    let said = all.sentence(NOW, &Time::iso);
    assert!(all.is_due() && said.contains("The test of 1 device failed.") && said.ends_with(DRILL), "{said}");
}

#[test]
fn a_run_that_was_stopped_says_how_far_it_came() {
    assert_eq!(stopped_at(7, 7), None);
    assert_eq!(
        stopped_at(3, 10).unwrap(),
        "Stopped after 3 of 10 devices: 7 were not tested. The next run begins with what was never tested, or \
         not for the longest time."
    );
    assert_eq!(
        stopped_at(0, 1).unwrap(),
        "Stopped after 0 of 1 device: 1 was not tested. The next run begins with what was never tested, or \
         not for the longest time."
    );
}

#[test]
fn where_the_customer_keeps_the_key_no_test_counts_and_nobody_is_asked_for_shares() {
    let now = store();
    let proof = CopyProof { now: &now, test: Some(test()), key_holder: KeyHolder::Customer };
    assert_eq!((proof.grade(NOW), proof.proven_point(NOW)), (CopyGrade::NoKey, None), "whatever was written down");
    assert!(!proof.grade(NOW).holds());
    let said = proof.sentence(NOW, &Time::iso);
    assert!(said == NOT_FROM_COPY && !said.contains(DRILL), "{said}");

    let mut all = CopyProofs::default();
    all.add(&proof, NOW);
    assert_eq!((all.devices, all.proven, all.customers, all.is_due()), (0, 0, 1, false));
    let said = all.sentence(NOW, &Time::iso);
    assert!(said.starts_with("1 device is left out") && !said.contains(DRILL), "{said}");
    all.add(&CopyProof { now: &now, test: None, key_holder: KeyHolder::Server }, NOW);
    let said = all.sentence(NOW, &Time::iso);
    assert!(all.is_due() && said.contains(DRILL) && said.contains("1 device is left out"), "{said}");
}
