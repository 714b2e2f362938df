//! What a device meets, and what a change weakens.
use super::*;
use crate::device::Encryption;
use crate::fact::{EncryptionFact, Reported};
use crate::fact::{FactKind, FactValue, Facts};
use crate::id::PolicyId;
use crate::proof::Evidence;
use crate::proof::Held;
use crate::time::{Time, minutes};
use crate::time::{days, hours};
use Compliance::{Compliant, NotCompliant, Unknown};
use std::time::Duration;

const NOW: Time = Time::from_millis(1_795_356_371_000);

#[test]
fn what_a_change_takes_from_a_policy_that_guards_data_is_said() {
    let backup = |minutes| Requirement::BackupEvery { minutes };
    let (old, os) =
        ([backup(240), Requirement::PasscodeSet], |it: &str| Requirement::MinimumOsVersion { version: it.to_owned() });
    let gone = "Passcode set is no longer required";
    for (new, is_for_fewer, expected) in [
        (Some(&old[..]), false, vec![]),
        (Some(&[backup(60), Requirement::PasscodeSet, os("12")][..]), false, vec![]),
        (Some(&[backup(1440), Requirement::PasscodeSet]), false, vec!["Backup every 1 d, which was every 4 h"]),
        (Some(&[backup(240)]), false, vec![gone]),
        (Some(&[Requirement::PasscodeSet]), false, vec!["Backup every 4 h is no longer required"]),
        (Some(&old), true, vec!["it no longer applies to the same devices"]),
        (None, false, vec!["the policy is removed"]),
    ] {
        assert_eq!(loosened(&old, new, is_for_fewer), expected);
    }
    assert!(loosened(&[Requirement::PasscodeSet, os("12")], None, true).is_empty(), "it guards no data");
    let with_os = [backup(240), os("12.4")];
    assert!(loosened(&with_os, Some(&[backup(240), os("12.10")]), false).is_empty());
    assert_eq!(loosened(&with_os, Some(&[backup(240), os("12.3")]), false).len(), 1);
}
const ENROLLED: Time = Time::from_millis(1_795_000_000_000);

fn fact(kind: FactKind, value: FactValue, measured_at: Time) -> Facts {
    Facts::default().with([Reported { kind, value, source: "test".to_owned(), measured_at }], ENROLLED)
}

fn judge(
    requirement: Requirement,
    facts: &Facts,
    evidence: Evidence,
    last_seen_at: Option<Time>,
    now: Time,
) -> (Compliance, Option<Time>) {
    let policy = Applied { id: PolicyId::generate(NOW), name: "p".to_owned(), requirements: vec![requirement] };
    let device = Known { facts, evidence, copy: CopyKnown::NOTHING, last_seen_at, enrolled_at: ENROLLED };
    let finding = evaluate(&[policy], &device, now).remove(0);
    (finding.outcome, finding.since)
}

fn by_facts(requirement: Requirement, facts: &Facts, now: Time) -> (Compliance, Option<Time>) {
    judge(requirement, facts, Evidence::default(), None, now)
}

fn encryption(state: Encryption, measured_at: Time) -> Facts {
    let value = EncryptionFact { state, method: String::new() };
    fact(FactKind::Encryption, FactValue::Encryption(value), measured_at)
}

#[test]
fn encryption_and_passcode_are_what_the_device_says_and_only_while_it_is_fresh() {
    for (facts, expected) in [
        (encryption(Encryption::On, NOW), (Compliant, Some(ENROLLED))),
        (encryption(Encryption::Off, NOW), (NotCompliant, Some(ENROLLED))),
        (encryption(Encryption::Unknown, NOW), (Unknown, Some(ENROLLED))),
        (Facts::default(), (Unknown, None)),
        (encryption(Encryption::On, NOW - days(8)), (Unknown, Some(NOW - days(1)))),
        (encryption(Encryption::On, NOW + days(2)), (Unknown, None)),
    ] {
        assert_eq!(by_facts(Requirement::StorageEncrypted, &facts, NOW), expected, "{facts:?}");
    }
    let passcode = |set| fact(FactKind::PasscodeSet, FactValue::Flag(set), NOW);
    assert_eq!(by_facts(Requirement::PasscodeSet, &passcode(true), NOW).0, Compliant);
    assert_eq!(by_facts(Requirement::PasscodeSet, &passcode(false), NOW).0, NotCompliant);
    assert_eq!(by_facts(Requirement::PasscodeSet, &Facts::default(), NOW).0, Unknown);
}

#[test]
fn versions_are_compared_as_numbers() {
    for (is, least, expected) in [
        ("14.2", "14.2", Compliant),
        ("14.2.0", "14.2", Compliant),
        ("14", "14.0", Compliant),
        ("14.10", "14.9", Compliant),
        ("14.1.9", "14.2", NotCompliant),
        ("9", "10", NotCompliant),
        ("Debian GNU/Linux 12.5 (bookworm)", "12", Compliant),
        ("Ubuntu 24.04.1 LTS", "24.10", NotCompliant),
        ("10.0.22631-beta", "10.0.22000", Compliant),
        ("rolling", "1", Unknown),
        ("", "1", Unknown),
        ("99999999999999999999999", "1", Unknown),
    ] {
        let facts = fact(FactKind::OsVersion, FactValue::Text(is.to_owned()), NOW);
        let requirement = Requirement::MinimumOsVersion { version: least.to_owned() };
        assert_eq!(by_facts(requirement, &facts, NOW).0, expected, "{is} against {least}");
    }
}

#[test]
fn a_check_in_counts_from_the_servers_clock() {
    let required = || Requirement::CheckInWithin { minutes: 60 };
    for (seen, expected) in [
        (Some(NOW - minutes(60)), (Compliant, Some(NOW - minutes(60)))),
        (Some(NOW - minutes(61)), (NotCompliant, Some(NOW - minutes(1)))),
        (Some(NOW + hours(1)), (Unknown, None)),
        (None, (NotCompliant, Some(ENROLLED))),
    ] {
        let found = judge(required(), &Facts::default(), Evidence::default(), seen, NOW);
        assert_eq!(found, expected, "{seen:?}");
    }
}

#[test]
fn a_backup_counts_when_the_server_holds_it() {
    let required = || Requirement::BackupEvery { minutes: 60 };
    let at = |stored_at, newest_at| Evidence { stored_at, newest_at, ..Evidence::default() };
    for (evidence, expected) in [
        (at(Some(NOW - minutes(5)), Some(NOW)), Compliant),
        (at(Some(NOW - minutes(90)), Some(NOW)), NotCompliant),
        (at(None, Some(NOW)), NotCompliant),
        (at(None, None), NotCompliant),
    ] {
        let found = judge(required(), &Facts::default(), evidence, Some(NOW), NOW);
        assert_eq!(found.0, expected, "{evidence:?}");
    }
}

#[test]
fn a_proof_counts_while_it_holds_and_its_point_is_new_enough() {
    let required = || Requirement::ProvenRestorePoint { within_minutes: 24 * 60 };
    let held = |age: u64, left: Duration| {
        Some(Held { point_at: NOW - hours(age), tested_at: NOW - hours(age), until: NOW + left })
    };
    let over = Some(Held { point_at: NOW - hours(5), tested_at: NOW - hours(5), until: NOW - hours(1) });
    for (proven, failed_at, expected) in [
        (held(1, hours(1)), None, (Compliant, Some(NOW - hours(1)))),
        (held(25, hours(1)), None, (NotCompliant, Some(NOW - hours(1)))),
        (over, None, (NotCompliant, Some(NOW - hours(1)))),
        (held(1, hours(1)), Some(NOW), (NotCompliant, Some(NOW))),
        (None, None, (NotCompliant, Some(ENROLLED))),
    ] {
        let evidence = Evidence { proven, failed_at, ..Evidence::default() };
        let found = judge(required(), &Facts::default(), evidence, Some(NOW), NOW);
        assert_eq!(found, expected, "{evidence:?}");
    }
}

#[test]
fn a_clock_set_back_a_year_makes_nothing_compliant() {
    let said = |kind, value| Reported { kind, value, source: "test".to_owned(), measured_at: NOW };
    let (passcode, version) = (FactValue::Flag(true), FactValue::Text("12".to_owned()));
    let others = [said(FactKind::PasscodeSet, passcode), said(FactKind::OsVersion, version)];
    let facts = encryption(Encryption::On, NOW).with(others, NOW);
    let held = Some(Held { point_at: NOW, tested_at: NOW, until: NOW + days(7) });
    let evidence =
        Evidence { newest_at: Some(NOW), stored_at: Some(NOW), verified: held, proven: held, ..Evidence::default() };
    for requirement in [
        Requirement::StorageEncrypted,
        Requirement::ProvenRestorePoint { within_minutes: 60 },
        Requirement::BackupEvery { minutes: 60 },
        Requirement::CheckInWithin { minutes: 60 },
        Requirement::MinimumOsVersion { version: "12".to_owned() },
        Requirement::PasscodeSet,
    ] {
        let found = judge(requirement.clone(), &facts, evidence, Some(NOW), NOW - days(365));
        assert_eq!(found.0, Unknown, "{requirement:?}");
    }
}

#[test]
fn the_worst_finding_is_the_devices_and_unknown_is_worse_than_compliant() {
    let policy = |requirements| Applied { id: PolicyId::generate(NOW), name: "p".to_owned(), requirements };
    let facts = encryption(Encryption::On, NOW);
    let device = Known {
        facts: &facts,
        evidence: Evidence::default(),
        copy: CopyKnown::NOTHING,
        last_seen_at: Some(NOW),
        enrolled_at: ENROLLED,
    };
    let of = |requirements: Vec<_>| overall(&evaluate(&[policy(requirements)], &device, NOW));
    assert_eq!(of(vec![]), None);
    assert_eq!(of(vec![Requirement::StorageEncrypted]), Some(Compliant));
    assert_eq!(of(vec![Requirement::StorageEncrypted, Requirement::PasscodeSet]), Some(Unknown));
    let backup = Requirement::BackupEvery { minutes: 1 };
    assert_eq!(of(vec![Requirement::PasscodeSet, backup]), Some(NotCompliant));
}

#[test]
fn wrong_policies_are_refused_with_the_field() {
    let check_in = |minutes| Requirement::CheckInWithin { minutes };
    let version = |text: &str| Requirement::MinimumOsVersion { version: text.to_owned() };
    for (name, requirements, field) in [
        ("", vec![Requirement::PasscodeSet], "name"),
        (&*"x".repeat(81), vec![Requirement::PasscodeSet], "name"),
        ("p", vec![], "requirements"),
        ("p", vec![check_in(0)], "requirements"),
        ("p", vec![check_in(u32::MAX)], "requirements"),
        ("p", vec![version("12.x")], "requirements"),
        ("p", vec![version("")], "requirements"),
        ("p", vec![check_in(1), check_in(2)], "requirements"),
    ] {
        let error = validate(name, &requirements).unwrap_err();
        assert!(error.of(field).is_some(), "{error}");
    }
    assert!(validate("p", &[check_in(1), Requirement::PasscodeSet, version("14.2")]).is_ok());
}

#[test]
fn the_schedule_is_the_tightest_of_all() {
    let policy = |requirements| Applied { id: PolicyId::generate(NOW), name: "p".to_owned(), requirements };
    let schedule = Schedule::tightest(&[
        policy(vec![Requirement::BackupEvery { minutes: 60 }, Requirement::CheckInWithin { minutes: 20 }]),
        policy(vec![Requirement::BackupEvery { minutes: 15 }]),
    ]);
    assert_eq!(schedule.backup_every, Some(minutes(15)));
    assert_eq!(schedule.check_in_every(minutes(15)), minutes(10));
    assert_eq!(Schedule::default().check_in_every(minutes(15)), minutes(15));
    assert_eq!(Schedule::tightest(&[]).backup_every, None);
}

#[test]
fn limits_are_said_in_words() {
    assert_eq!(Requirement::BackupEvery { minutes: 1440 }.limit(), "every 1 d");
    assert_eq!(Requirement::CheckInWithin { minutes: 120 }.limit(), "within 2 h");
    assert_eq!(Requirement::ProvenRestorePoint { within_minutes: 90 }.limit(), "within 90 min");
}

#[test]
fn limits_of_a_policy_are_where_they_are_said_to_be() {
    let os = |version: &str| vec![Requirement::MinimumOsVersion { version: version.to_owned() }];
    let wrong = |name: &str, requirements: &[Requirement]| {
        let errors = validate(name, requirements).err();
        errors.map(|it| it.iter().map(|(field, text)| format!("{field}: {text}")).collect::<Vec<_>>().join("; "))
    };
    let good = os("14.2");
    assert_eq!(wrong("Baseline", &good), None);
    assert_eq!(wrong("", &good).unwrap(), "name: Give the policy a name.");
    assert_eq!(wrong("a\u{202e}b", &good).unwrap(), format!("name: {}", name::NOT_PLAIN));
    assert_eq!(wrong(&"x".repeat(80), &good), None);
    assert_eq!(wrong(&"x".repeat(81), &good).unwrap(), "name: A name has at most 80 characters.");
    assert_eq!(wrong("Baseline", &os(&format!("{}1", "1.".repeat(19)))), None, "39 characters");
    assert!(wrong("Baseline", &os(&format!("{}1", "1.".repeat(20)))).is_some(), "41 characters");
    assert!(at_least("14.2", "14.2") == Compliant && at_least("14.1", "14.2") == NotCompliant);
}

#[test]
fn a_clock_that_is_a_minute_ahead_is_still_believed_and_a_span_of_nothing_is_minutes() {
    let heard = |at| {
        let within = Requirement::CheckInWithin { minutes: 60 };
        judge(within, &Facts::default(), Evidence::default(), Some(at), NOW)
    };
    assert_eq!(heard(NOW + minutes(1)).0, Compliant);
    assert_eq!(heard(NOW + minutes(1) + Duration::from_millis(1)).0, Unknown);
    assert_eq!(heard(NOW - minutes(61)), (NotCompliant, Some(NOW - minutes(1))));
    assert_eq!([0, 60, 90, 1440].map(span), ["0 min", "1 h", "90 min", "1 d"]);
}

#[test]
fn what_only_the_store_can_show_is_not_known_while_it_is_away() {
    let evidence = Evidence { stored_at: Some(NOW), store_away_since: Some(NOW - hours(1)), ..Evidence::default() };
    let backup = Requirement::BackupEvery { minutes: 60 };
    let found = judge(backup, &Facts::default(), evidence, None, NOW);
    assert_eq!(found, (Unknown, Some(NOW - hours(1))));
}
