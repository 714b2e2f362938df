//! Which changes between the agreement and the order go back to the people.
use super::*;
use crate::id::RestorePointId;
use crate::loss::{self as losses, Count};
use crate::time::{hours, minutes};

pub const NOW: Time = losses::tests::NOW;

pub fn facts() -> Facts {
    Facts {
        device_id: DeviceId::generate(NOW),
        name: "laptop-1".to_owned(),
        serial: "SN-1".to_owned(),
        generation: 1,
        ownership: Ownership::Company,
        encryption: Encryption::On,
        encryption_method: "LUKS2".to_owned(),
        encryption_measured_at: Some(NOW),
        known: losses::tests::facts(),
        doubt: Doubt::None,
        shares_serial: false,
        is_damaged: false,
    }
}

/// The same device with nothing to lose.
pub fn safe() -> Facts {
    let mut safe = facts();
    counts(&mut safe, 0, 0);
    safe.known.beyond_proof = Some(Amount::default());
    safe
}

fn counts(facts: &mut Facts, files: i64, bytes: i64) {
    let count = Count { amount: Amount { files, bytes }, measured_at: NOW, until: NOW + minutes(30) };
    facts.known.count = Some(count);
}

/// The device has not been heard from for a day.
fn silent(facts: &Facts) -> Facts {
    let mut later = facts.clone();
    later.known.at = NOW + hours(24);
    later
}

type Change = fn(&mut Facts);

#[test]
fn each_change_for_the_worse_is_seen() {
    let changes: &[(&str, Change)] = &[
        ("one more file", |it| counts(it, 5, 9_000_000)),
        ("more bytes", |it| counts(it, 4, 9_000_001)),
        ("not counted any more", |it| it.known.count = None),
        ("a folder away", |it| it.known.roots_away = vec!["/mnt/disk".to_owned()]),
        ("a file damaged", |it| it.known.damaged.amount.files = 1),
        ("something damaged", |it| it.is_damaged = true),
        ("the store away", |it| it.known.store_away_since = Some(NOW)),
        ("more not proven", |it| it.known.beyond_proof = Some(Amount { files: 93, bytes: 403_000_000 })),
        ("not proven not known", |it| it.known.beyond_proof = None),
        ("proof gone", |it| it.known.proven = None),
        ("proof older", |it| it.known.proven = it.known.proven.map(|p| Point { at: p.at - hours(1), ..p })),
        ("backup gone", |it| it.known.newest = None),
        ("proof out of date", |it| it.known.grade = Grade::OutOfDate),
        ("restore test failed", |it| it.known.grade = Grade::Failed),
        ("not encrypted", |it| it.encryption = Encryption::Off),
        ("encryption unknown", |it| it.encryption = Encryption::Unknown),
        ("another serial", |it| it.serial = "SN-2".to_owned()),
        ("personal", |it| it.ownership = Ownership::Personal),
        ("enrolled again", |it| it.generation = 2),
        ("an older state", |it| it.doubt = Doubt::OlderState),
        ("two machines", |it| it.doubt = Doubt::TwoMachines),
    ];
    for (name, change) in changes {
        let agreed = facts();
        let mut now = agreed.clone();
        change(&mut now);
        assert!(agreed.is_worse(&now), "{name}");
        assert_ne!(agreed.canonical().unwrap(), now.canonical().unwrap(), "{name}");
    }
}

#[test]
fn what_is_better_or_only_newer_is_not_worse() {
    let changes: &[(&str, Change)] = &[
        ("fewer files", |it| counts(it, 3, 1)),
        ("all proven", |it| it.known.beyond_proof = Some(Amount::default())),
        ("newer proof", |it| it.known.proven = it.known.newest),
        ("newer backup", |it| it.known.newest = it.known.newest.map(|p| Point { at: p.at + hours(1), ..p })),
        ("seen again", |it| it.known.heard_until = Some(NOW + hours(1))),
        ("measured again", |it| it.known.count = it.known.count.map(|c| Count { until: NOW + hours(1), ..c })),
    ];
    for (name, change) in changes {
        let agreed = facts();
        let mut now = agreed.clone();
        change(&mut now);
        assert!(!agreed.is_worse(&now), "{name}: {:?}", agreed.differences(&now));
    }
}

#[test]
fn measuring_again_does_not_change_what_was_agreed_to() {
    let agreed = facts();
    let mut later = Facts { encryption_measured_at: None, ..agreed.clone() };
    later.known.at = NOW + minutes(10);
    later.known.last_seen_at = Some(NOW + minutes(10));
    later.known.heard_until = Some(NOW + minutes(40));
    later.known.count =
        later.known.count.map(|it| Count { measured_at: NOW + minutes(10), until: NOW + minutes(40), ..it });
    assert_eq!(agreed.canonical().unwrap(), later.canonical().unwrap());
}

#[test]
fn a_device_that_went_silent_is_shown_as_unknown_and_is_no_worse() {
    let agreed = facts();
    let old = silent(&agreed);
    assert_eq!(old.loss().only_here, None);
    assert_eq!(old.loss().consent(), "unknown lost, 92 not proven");
    assert!(!agreed.is_worse(&old));
    assert_ne!(agreed.canonical().unwrap(), old.canonical().unwrap());
}

#[test]
fn a_device_that_speaks_and_does_not_count_is_worse() {
    let agreed = facts();
    let mut now = silent(&agreed);
    now.known.last_seen_at = Some(now.known.at);
    now.known.heard_until = Some(now.known.at + minutes(30));
    assert!(agreed.is_worse(&now));
}

#[test]
fn where_two_devices_have_one_serial_the_name_is_typed_too() {
    let shared = Facts { shares_serial: true, ..facts() };
    assert_eq!((facts().typed_name().as_str(), shared.typed_name().as_str()), ("SN-1", "SN-1 laptop-1"));
    assert_ne!(facts().canonical().unwrap(), shared.canonical().unwrap());
}

#[test]
fn doubt_about_the_machine_is_consented_to_by_name() {
    let doubted = Facts { doubt: Doubt::TwoMachines, ..facts() };
    assert_eq!(doubted.consent(), "4 lost, 92 not proven, every machine with this identity");
    let older = Facts { doubt: Doubt::OlderState, ..facts() };
    assert!(older.is_worse(&doubted) && !doubted.is_worse(&older));
}

#[test]
fn agreeing_to_the_unknown_covers_any_number() {
    let agreed = silent(&facts());
    let mut now = facts();
    counts(&mut now, 9, 9);
    assert!(!agreed.is_worse(&now));
}

#[test]
fn a_point_is_named_by_its_id_too() {
    let agreed = facts();
    let mut now = agreed.clone();
    now.known.newest = now.known.newest.map(|it| Point { id: RestorePointId::generate(NOW), ..it });
    assert_ne!(agreed.canonical().unwrap(), now.canonical().unwrap());
}

#[test]
fn removing_company_data_loses_no_file() {
    let (facts, action) = (facts(), WipeAction::RemoveCompanyData);
    assert_eq!(facts.lost_by(action, &Time::iso), "The keys, no files");
    assert!(!facts.loss_sentence(action, &Time::iso).contains("lost"));
}

#[test]
fn what_an_action_loses_and_what_is_typed_is_said_in_words() {
    let say: Say<'_> = &|at| at.iso();
    let wipe = facts().loss_sentence(WipeAction::Wipe, say);
    assert_eq!(wipe, facts().loss().sentence(say));
    assert!(wipe.contains("4 files"), "{wipe}");
    let removal = facts().loss_sentence(WipeAction::RemoveCompanyData, say);
    assert!(removal.starts_with("No files on the device"), "{removal}");
    assert_eq!(facts().typed_what(), "serial number");
    assert_eq!(Facts { serial: String::new(), ..facts() }.typed_what(), "name");
    assert_eq!(Facts { shares_serial: true, ..facts() }.typed_what(), "serial number and the name");
}

#[test]
fn each_difference_shows_what_was_and_what_is() {
    let found = |change: Change, what: &str| {
        let (before, mut now) = (facts(), facts());
        now.device_id = before.device_id;
        change(&mut now);
        let difference = before.differences(&now).into_iter().find(|it| it.what == what).unwrap();
        (difference.before, difference.now, difference.is_worse)
    };
    let text = |it: &str| Value::Text(it.to_owned());
    let away: Change = |it| it.known.roots_away = vec!["/a".to_owned(), "/b".to_owned()];
    assert_eq!(found(away, "Folders without their mark"), (text("None"), text("/a, /b"), true));
    let gone: Change = |it| it.known.store_away_since = Some(NOW);
    assert_eq!(found(gone, "Backups can be read"), (text("Yes"), text("No"), true));
}

#[test]
fn a_folder_that_came_back_or_was_away_before_is_no_worse_nor_is_a_store() {
    let with = |roots: &[&str]| {
        let mut it = facts();
        it.known.roots_away = roots.iter().map(|it| (*it).to_owned()).collect();
        it
    };
    let is_worse = |before: &Facts, now: &Facts, what: &str| {
        before.differences(now).into_iter().any(|it| it.what == what && it.is_worse)
    };
    let folders = "Folders without their mark";
    assert!(!is_worse(&with(&["/a", "/b"]), &with(&["/a"]), folders));
    assert!(is_worse(&with(&["/a"]), &with(&["/a", "/b"]), folders));
    assert!(is_worse(&with(&["/a"]), &with(&["/b"]), folders), "another one");
    let mut away = facts();
    away.known.store_away_since = Some(NOW);
    assert!(!is_worse(&away, &facts(), "Backups can be read"));
}

#[test]
fn a_grade_that_can_be_relied_on_less_is_worse() {
    use Grade as G;
    let order =
        [G::Failed, G::Never, G::Unknown, G::Reported, G::Stored, G::OutOfDate, G::Verified, G::Partial, G::Proven];
    for (at, before) in order.iter().enumerate() {
        for (to, now) in order.iter().enumerate() {
            assert_eq!(is_worse_grade(*before, *now), to < at, "{before:?} {now:?}");
        }
    }
    for (before, now, worse) in
        [(Some(4), Some(4), false), (Some(4), Some(5), true), (Some(4), None, true), (None, Some(9), false)]
    {
        assert_eq!(is_more(before, now), worse, "{before:?} {now:?}");
    }
    assert!(!when("Newest backup", Some(NOW), Some(NOW)).is_worse);
    assert!(when("Newest backup", Some(NOW), Some(NOW - hours(1))).is_worse);
}
