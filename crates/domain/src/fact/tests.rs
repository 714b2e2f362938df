use super::value::{MAX_PATH, MAX_TEXT};
use super::*;
use crate::device::MAX_ROOTS;

const NOW: Time = Time::from_millis(1_795_356_371_000);

fn said(kind: FactKind, value: FactValue) -> Reported {
    Reported { kind, value, source: "statvfs".to_owned(), measured_at: NOW }
}

fn encryption(state: Encryption, method: &str) -> FactValue {
    FactValue::Encryption(EncryptionFact { state, method: method.to_owned() })
}

fn good(kind: FactKind) -> FactValue {
    match kind {
        FactKind::Encryption => encryption(Encryption::On, "LUKS2"),
        FactKind::PasscodeSet
        | FactKind::CloudBackup
        | FactKind::Supervised
        | FactKind::LostMode
        | FactKind::ActivationLock
        | FactKind::RecoveryKeySet => FactValue::Flag(true),
        FactKind::OsVersion | FactKind::Model | FactKind::Serial => FactValue::Text("Debian 13".to_owned()),
        FactKind::FreeBytes | FactKind::LastCloudBackup => FactValue::Number(0),
        FactKind::BatteryPercent => FactValue::Number(100),
        FactKind::Changes => FactValue::Changes(Changes { files: 1, bytes: 2 }),
        FactKind::RootsAway => FactValue::Paths(vec!["/mnt/disk".to_owned()]),
    }
}

#[test]
fn a_word_on_encryption_is_relied_on_while_it_is_recent_and_its_device_enrolled() {
    let relied_on = |said, at, device| EncryptionNow::of(said, Some(at), device, NOW).relied_on();
    for said in Encryption::ALL {
        assert_eq!(relied_on(*said, NOW - days(6), DeviceState::Enrolled), *said);
    }
    for (at, device) in [
        (NOW - days(8), DeviceState::Enrolled),
        (NOW + days(2), DeviceState::Enrolled),
        (NOW - days(1), DeviceState::Wiped),
    ] {
        assert_eq!(relied_on(Encryption::On, at, device), Encryption::Unknown);
        assert_eq!(relied_on(Encryption::Off, at, device), Encryption::Off, "that it was not is no less true");
    }
}

#[test]
fn a_fact_is_dated_by_a_clock_that_can_be_right() {
    let moment = Duration::from_millis(1);
    for (measured_at, is_well) in [
        (NOW, true),
        (NOW + CLOCK_SKEW, true),
        (NOW + CLOCK_SKEW + moment, false),
        (FIRST_MEASURED, true),
        (FIRST_MEASURED - moment, false),
        (Time::from_millis(i64::MIN), false),
        (Time::from_millis(i64::MAX), false),
    ] {
        let fact = Reported { measured_at, ..said(FactKind::FreeBytes, FactValue::Number(1)) };
        let faults: Vec<_> = fact.faults(NOW).into_iter().map(|(part, _)| part).collect();
        assert_eq!(faults, if is_well { vec![] } else { vec![Part::MeasuredAt] }, "{measured_at:?}");
    }
}

#[test]
fn what_reads_as_the_demos_source_is_the_demos() {
    for (source, is_demo) in [
        (DEMO_SOURCE, true),
        (" Demo  Scenario ", true),
        ("DEMO\u{a0}SCENARIO", true),
        ("demo", false),
        ("dm-crypt", false),
        ("", false),
    ] {
        let fact = Reported { source: source.to_owned(), ..said(FactKind::FreeBytes, FactValue::Number(1)) };
        assert_eq!(fact.is_demo(), is_demo, "{source:?}");
    }
}

#[test]
fn each_kind_takes_its_own_value_and_no_other() {
    for kind in FactKind::ALL {
        assert!(said(*kind, good(*kind)).faults(NOW).is_empty(), "{kind}");
        for other in FactKind::ALL {
            let is_alike = std::mem::discriminant(&good(*kind)) == std::mem::discriminant(&good(*other));
            assert_eq!(kind.check(&good(*other)).is_ok(), is_alike, "{kind} with the value of {other}");
        }
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    let long = "x".repeat(MAX_TEXT + 1);
    for (kind, value) in [
        (FactKind::Encryption, encryption(Encryption::On, &long)),
        (FactKind::Encryption, encryption(Encryption::On, "a\nb")),
        (FactKind::OsVersion, FactValue::Text(long.clone())),
        (FactKind::Model, FactValue::Text("\u{202e}".to_owned())),
        (FactKind::FreeBytes, FactValue::Number(-1)),
        (FactKind::BatteryPercent, FactValue::Number(-1)),
        (FactKind::BatteryPercent, FactValue::Number(101)),
        (FactKind::Changes, FactValue::Changes(Changes { files: -1, bytes: 0 })),
        (FactKind::Changes, FactValue::Changes(Changes { files: 0, bytes: -1 })),
        (FactKind::RootsAway, FactValue::Paths(vec![String::new()])),
        (FactKind::RootsAway, FactValue::Paths(vec!["/a\nb".to_owned()])),
        (FactKind::RootsAway, FactValue::Paths(vec!["x".repeat(MAX_PATH + 1)])),
        (FactKind::RootsAway, FactValue::Paths(vec!["/a".to_owned(); MAX_ROOTS + 1])),
    ] {
        assert_eq!(said(kind, value.clone()).faults(NOW).len(), 1, "{kind} {value:?}");
    }
    let fact = Reported { source: long, ..said(FactKind::FreeBytes, FactValue::Number(1)) };
    assert_eq!(fact.faults(NOW).first().map(|it| it.0), Some(Part::Source));
}

#[test]
fn since_when_changes_only_with_what_is_said() {
    let later = NOW + days(1);
    let first = Facts::default().with([said(FactKind::Encryption, encryption(Encryption::On, "LUKS1"))], NOW);

    let same = first.with([said(FactKind::Encryption, encryption(Encryption::On, "LUKS2"))], later);
    let other = first.with([said(FactKind::Encryption, encryption(Encryption::Off, ""))], later);

    let since = |facts: &Facts| facts.get(FactKind::Encryption).map(|it| it.since);
    assert_eq!((since(&first), since(&same), since(&other)), (Some(NOW), Some(NOW), Some(later)));
    assert_eq!(same.encryption().map(|it| it.0.method.as_str()), Some("LUKS2"), "the newer word is kept");

    let version = |text: &str| said(FactKind::OsVersion, FactValue::Text(text.to_owned()));
    let first = Facts::default().with([version("12")], NOW);
    let since = |facts: &Facts| facts.get(FactKind::OsVersion).map(|it| it.since);
    assert_eq!(since(&first.with([version("12")], later)), Some(NOW));
    assert_eq!(since(&first.with([version("13")], later)), Some(later));
}

#[test]
fn what_is_not_reported_again_stays_except_folders_that_were_looked_at_again() {
    let all = Facts::default().with(FactKind::ALL.iter().map(|it| said(*it, good(*it))), NOW);

    let counted = all.with([said(FactKind::Changes, good(FactKind::Changes))], NOW + days(1));
    let battery = all.with([said(FactKind::BatteryPercent, FactValue::Number(7))], NOW + days(1));

    assert_eq!(all.roots_away(), ["/mnt/disk"]);
    assert!(counted.roots_away().is_empty(), "whoever counts has found the folders");
    assert_eq!(battery.roots_away(), ["/mnt/disk"]);
    assert_eq!(battery.changes(), Some((Changes { files: 1, bytes: 2 }, NOW)));
    assert_eq!(battery.os_version(), Some("Debian 13"));
}

#[test]
fn while_nobody_knows_the_machine_nothing_that_decides_is_known() {
    let all = Facts::default().with(FactKind::ALL.iter().map(|it| said(*it, good(*it))), NOW);

    let facts = all.of_an_unknown_machine();

    for kind in FactKind::ALL {
        let decides = matches!(kind, FactKind::Encryption | FactKind::PasscodeSet | FactKind::OsVersion);
        assert_eq!(facts.get(*kind).is_none(), decides, "{kind}");
    }
}

#[test]
fn history_is_what_changed_and_what_is_no_longer_known() {
    let all = Facts::default().with(FactKind::ALL.iter().map(|it| said(*it, good(*it))), NOW);
    let changed: Vec<_> = all.changes_from(&Facts::default()).map(|it| it.0).collect();
    let kept: Vec<_> = FactKind::ALL.iter().copied().filter(|it| it.has_history()).collect();
    assert_eq!(changed, kept, "all are new, but for what never stands still");

    let again = all.with([said(FactKind::BatteryPercent, FactValue::Number(7))], NOW + days(1));
    assert_eq!(again.changes_from(&all).count(), 0);
    let method = all.with([said(FactKind::Encryption, encryption(Encryption::On, "LUKS1"))], NOW);
    assert_eq!(method.changes_from(&all).map(|it| it.0).collect::<Vec<_>>(), [FactKind::Encryption]);
    let unknown = all.clone().of_an_unknown_machine();
    assert!(unknown.changes_from(&all).all(|(_, now)| now.is_none()));
    assert_eq!(unknown.changes_from(&all).count(), 3);
}

#[test]
fn facts_are_kept_as_they_were() {
    let all = Facts::default().with(FactKind::ALL.iter().map(|it| said(*it, good(*it))), NOW);

    let text = serde_json::to_string(&all).unwrap();

    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), all);
    for paths in [vec!["off", "/a"], vec!["on", "x"], vec![]] {
        let paths = FactValue::Paths(paths.into_iter().map(str::to_owned).collect());
        let text = serde_json::to_string(&paths).unwrap();
        assert_eq!(serde_json::from_str::<FactValue>(&text).unwrap(), paths, "a list is never a struct");
    }
    let newer = text.replacen('{', r#"{"of_a_newer_program":{"value":[1,{"x":null}],"source":"s"},"#, 1);
    assert_eq!(serde_json::from_str::<Facts>(&newer).unwrap(), all, "what is not known hides nothing else");
    assert!(text.contains(r#""free_bytes":{"value":0,"source":"statvfs","measured_at""#), "{text}");
}

#[test]
fn values_at_the_limit_are_taken() {
    for (kind, value) in [
        (FactKind::Encryption, encryption(Encryption::On, &"x".repeat(MAX_TEXT))),
        (FactKind::FreeBytes, FactValue::Number(i64::MAX)),
        (FactKind::BatteryPercent, FactValue::Number(0)),
        (FactKind::Changes, FactValue::Changes(Changes { files: 0, bytes: 0 })),
        (FactKind::RootsAway, FactValue::Paths(vec!["x".repeat(MAX_PATH); MAX_ROOTS])),
    ] {
        assert_eq!(said(kind, value).faults(NOW), [], "{kind}");
    }
}

#[test]
fn the_parts_of_a_report_are_named_as_in_the_message() {
    assert_eq!([Part::Value, Part::Source, Part::MeasuredAt].map(Part::as_str), ["value", "source", "measured_at"]);
}

#[test]
fn facts_are_an_object_by_kind() {
    let error = serde_json::from_str::<Facts>("1").unwrap_err().to_string();
    assert!(error.contains("facts by their kind"), "{error}");
}

#[test]
fn a_value_is_read_by_its_form_and_what_is_none_is_refused() {
    let read = serde_json::from_str::<FactValue>;
    let on = r#"{"of_a_newer_program":[{}],"method":"LUKS2","state":"on"}"#;
    assert_eq!(read(on).unwrap(), encryption(Encryption::On, "LUKS2"));
    let counted = r#"{"bytes":2,"files":-1}"#;
    assert_eq!(read(counted).unwrap(), FactValue::Changes(Changes { files: -1, bytes: 2 }));
    assert_eq!(read("9223372036854775807").unwrap(), FactValue::Number(i64::MAX));

    for none in ["null", "1.5", "9223372036854775808", "[1]", "{}"] {
        assert!(read(none).is_err(), "{none}");
    }
    for half in [r#"{"state":"on"}"#, r#"{"method":"x"}"#, r#"{"files":1}"#, r#"{"bytes":1,"state":"on"}"#] {
        assert!(read(half).unwrap_err().to_string().contains("state and method, or files and bytes"), "{half}");
    }
    assert!(read(r#"{"state":"perhaps","method":"x"}"#).is_err());
    assert!(read("null").unwrap_err().to_string().contains("the value of a fact"));
}
