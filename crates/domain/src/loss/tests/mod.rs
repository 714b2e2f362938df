mod parts;
mod property;

use super::*;
use crate::time::{days, hours, minutes};

pub const NOW: Time = Time::from_millis(1_795_356_371_000);
const NONE: Amount = Amount { files: 0, bytes: 0 };

/// A device with 4 files of its own and 92 beyond its proof, heard from just now.
pub fn facts() -> LossFacts {
    let point = |at| Point { id: RestorePointId::generate(at), at };
    LossFacts {
        at: NOW,
        state: DeviceState::Enrolled,
        grade: Grade::Proven,
        is_stored: true,
        holds_files: true,
        count: Some(Count {
            amount: Amount { files: 4, bytes: 9_000_000 },
            measured_at: NOW,
            until: NOW + minutes(30),
        }),
        roots_away: Vec::new(),
        is_doubted: false,
        last_seen_at: Some(NOW),
        heard_until: Some(NOW + minutes(30)),
        newest: Some(point(NOW - hours(2))),
        in_newest: Some(Amount { files: 1_204, bytes: 1_000_000_000 }),
        beyond_proof: Some(Amount { files: 92, bytes: 403_000_000 }),
        proven: Some(point(NOW - hours(20))),
        damaged: Damaged::default(),
        store_away_since: None,
        key_holder: KeyHolder::Server,
    }
}

fn counting(files: i64) -> LossFacts {
    let count = Count { amount: Amount { files, bytes: files * 10 }, measured_at: NOW, until: NOW + minutes(30) };
    LossFacts { count: Some(count), ..facts() }
}

/// A device that would lose nothing.
fn safe() -> LossFacts {
    LossFacts { beyond_proof: Some(NONE), ..counting(0) }
}

/// Enrolled just now, without a backup.
fn fresh(files: i64) -> LossFacts {
    LossFacts {
        grade: Grade::Never,
        is_stored: false,
        holds_files: false,
        newest: None,
        in_newest: None,
        beyond_proof: None,
        proven: None,
        ..counting(files)
    }
}

fn short(facts: &LossFacts) -> String {
    loss(facts).short(&|at| at.iso())
}

fn headline(facts: &LossFacts) -> String {
    loss(facts).headline(&|at| at.iso())
}

fn sentence(facts: &LossFacts) -> String {
    loss(facts).sentence(&|at| at.iso())
}

#[test]
fn nothing_is_said_only_where_all_of_it_is_known_and_the_proof_holds() {
    assert!(loss(&safe()).is_nothing());
    for grade in Grade::ALL.iter().copied().filter(|it| *it != Grade::Proven) {
        assert!(!loss(&LossFacts { grade, ..safe() }).is_nothing(), "{grade}");
    }
    let damaged = Damaged { amount: Amount { files: 1, bytes: 1 }, names: Vec::new() };
    for other in [
        LossFacts { count: None, ..safe() },
        LossFacts { at: NOW + minutes(30), ..safe() },
        LossFacts { beyond_proof: None, ..safe() },
        LossFacts { beyond_proof: Some(Amount { files: 1, bytes: 0 }), ..safe() },
        LossFacts { roots_away: vec!["/mnt/disk".to_owned()], ..safe() },
        LossFacts { is_doubted: true, ..safe() },
        LossFacts { last_seen_at: None, ..safe() },
        LossFacts { last_seen_at: Some(NOW + days(1)), ..safe() },
        LossFacts { heard_until: None, ..safe() },
        // Not even where the count itself would still hold.
        LossFacts { heard_until: Some(NOW), ..safe() },
        LossFacts { damaged, ..safe() },
        LossFacts { store_away_since: Some(NOW - days(1)), ..safe() },
        LossFacts { state: DeviceState::Wiped, ..safe() },
        LossFacts { beyond_proof: safe().beyond_proof, ..counting(1) },
    ] {
        assert!(!loss(&other).is_nothing(), "{other:?}");
        assert_ne!(loss(&other).part(), Some(Part::Restorable), "{other:?}");
    }
}

#[test]
fn silence_is_not_knowledge() {
    let silent = LossFacts { at: NOW + minutes(30), ..safe() };
    let since = format!("Not known since {}", NOW.iso());
    assert_eq!((short(&silent), headline(&silent)), (since.clone(), since.clone()));
    assert!(sentence(&silent).starts_with(&since), "{}", sentence(&silent));
    assert!(sentence(&silent).contains("it counted 0 files (0 B) that no backup had"), "the past is dated");
    assert_eq!(loss(&silent).consent(), "unknown lost, 0 not proven");
    assert_eq!(loss(&silent).part(), Some(Part::CannotSay));
    // One missed check-in does not count.
    assert!(loss(&LossFacts { at: NOW + minutes(29), ..safe() }).is_nothing());
}

#[test]
fn a_count_never_outlives_the_schedule_it_came_with() {
    // The device is heard from, on a longer schedule or without a count.
    let heard = LossFacts { at: NOW + minutes(30), last_seen_at: Some(NOW + minutes(29)), ..safe() };
    let heard = LossFacts { heard_until: Some(NOW + hours(48)), ..heard };
    assert_eq!(short(&heard), format!("Not known since {}", NOW.iso()));
    assert!(sentence(&heard).contains("has not counted its files since"), "{}", sentence(&heard));
}

#[test]
fn a_folder_that_is_away_is_named() {
    let away = |roots: &[&str]| {
        let roots_away = roots.iter().map(|it| (*it).to_owned()).collect();
        LossFacts { roots_away, ..safe() }
    };
    for (roots, said) in [
        (vec!["/mnt/disk"], "Not known: /mnt/disk does not carry its mark"),
        (vec!["/a", "/b"], "Not known: /a and /b do not carry their marks"),
        (vec!["/a", "/b", "/c"], "Not known: /a and 2 more folders do not carry their marks"),
    ] {
        let facts = away(&roots);
        assert_eq!((short(&facts), headline(&facts)), (said.to_owned(), said.to_owned()));
        assert!(sentence(&facts).contains("the disk may not be mounted there"));
    }
}

#[test]
fn where_no_proof_holds_all_that_the_newest_backup_holds_is_not_proven() {
    for grade in [Grade::OutOfDate, Grade::Failed, Grade::Stored, Grade::Verified] {
        let lapsed = LossFacts { grade, ..facts() };
        assert_eq!(short(&lapsed), "Lose 4, risk all 1,204", "{grade}");
        assert_eq!(headline(&lapsed), "4 files lost, 1,204 not proven", "{grade}");
        assert_eq!(loss(&lapsed).consent(), "4 lost, 1204 not proven", "{grade}");
        assert_eq!(loss(&lapsed).numbers().1, lapsed.in_newest, "{grade}");
        assert!(sentence(&lapsed).contains("Another 1,204 files"), "{}", sentence(&lapsed));
    }
}

#[test]
fn each_loss_has_its_words() {
    for (facts, short_words, headline_words) in [
        (facts(), "Lose 4, risk 92", "4 files lost, 92 not proven"),
        (counting(12_000), "Lose 12,000, risk 92", "12,000 files lost, 92 not proven"),
        (counting(0), "Risk 92", "92 files not proven"),
        (LossFacts { beyond_proof: Some(NONE), ..facts() }, "Lose 4", "4 files lost"),
        (
            LossFacts { beyond_proof: None, ..facts() },
            "Lose 4, risk not known",
            "4 files lost, newest backup not proven",
        ),
        (fresh(4), "Lose everything", "Everything would be lost"),
        (LossFacts { count: None, ..fresh(0) }, "Lose everything", "Everything would be lost"),
        (fresh(0), "No data yet", "No data yet"),
        (
            LossFacts { grade: Grade::Stored, in_newest: None, proven: None, ..counting(0) },
            "Risk all",
            "Nothing in the backup is proven",
        ),
        (
            LossFacts { grade: Grade::Stored, in_newest: Some(NONE), proven: None, ..counting(0) },
            "No proof holds",
            "Nothing in the backup is proven",
        ),
        (LossFacts { grade: Grade::OutOfDate, ..counting(0) }, "Risk all 1,204", "1,204 files not proven"),
        (
            LossFacts { grade: Grade::Unknown, ..safe() },
            "Not known: the server’s clock is wrong",
            "Not known: the server’s clock is wrong",
        ),
        (LossFacts { state: DeviceState::Wiped, ..facts() }, "Wiped", "Wiped"),
        (LossFacts { state: DeviceState::Removed, ..facts() }, "Removed", "Removed"),
    ] {
        assert_eq!((short(&facts), headline(&facts)), (short_words.to_owned(), headline_words.to_owned()));
    }
}

#[test]
fn an_empty_fresh_device_has_no_data_and_a_backup_that_holds_files_is_never_none() {
    let backed_up = LossFacts {
        grade: Grade::Verified,
        is_stored: true,
        newest: facts().newest,
        in_newest: Some(NONE),
        ..fresh(0)
    };
    assert_eq!(loss(&backed_up).verdict, Verdict::NoData);
    assert_eq!(loss(&LossFacts { holds_files: true, ..backed_up }).verdict, Verdict::Some);
    assert_eq!(loss(&LossFacts { holds_files: true, ..fresh(0) }).verdict, Verdict::Everything);
    assert_eq!(loss(&fresh(0)).part(), Some(Part::CannotSay));
    assert!(!loss(&fresh(0)).is_nothing());
}

#[test]
fn damage_is_in_the_first_layer_and_in_what_is_agreed_to() {
    let damaged = Damaged { amount: Amount { files: 2, bytes: 20 }, names: vec!["/a".to_owned()] };
    let facts = LossFacts { damaged, ..safe() };
    assert_eq!((short(&facts), headline(&facts)), ("Lose 2".to_owned(), "2 files lost".to_owned()));
    assert_eq!(loss(&facts).consent(), "2 lost (2 damaged), 0 not proven");
    assert_eq!(loss(&facts).accepted(), "losing 2 files, of which 2 are damaged in the store");
    assert!(sentence(&facts).contains("2 files (20 B) are damaged in the store"), "{}", sentence(&facts));
    let silent = LossFacts { at: NOW + hours(3), ..facts };
    assert_eq!(short(&silent), format!("Lose at least 2, not known since {}", NOW.iso()));
    assert_eq!(loss(&silent).part(), Some(Part::AtRisk));
}

#[test]
fn a_store_that_is_away_leaves_no_level_that_needs_it() {
    let away = LossFacts { store_away_since: Some(NOW - hours(1)), ..safe() };
    assert!(short(&away).starts_with("Not known since"), "{}", short(&away));
    assert_eq!(loss(&away).consent(), "0 lost, unknown not proven");
    assert!(!sentence(&away).contains("is proven."), "{}", sentence(&away));
    assert_eq!(short(&LossFacts { store_away_since: Some(NOW), ..fresh(4) }), "Lose everything");
}

#[test]
fn the_sentence_names_all_three_layers() {
    let all = sentence(&facts());
    assert!(all.starts_with("4 files (9.0 MB) exist only on this device and will be lost."), "{all}");
    assert!(all.contains("Another 92 files (403 MB) are in the") && all.ends_with("is proven."), "{all}");
    let single = LossFacts { beyond_proof: Some(Amount { files: 1, bytes: 10 }), ..counting(1) };
    let single = sentence(&single);
    assert!(single.starts_with("1 file (10 B) exists only on this device"), "{single}");
    assert!(single.contains("Another file (10 B) is in the"), "{single}");
    let bare = sentence(&fresh(4));
    assert!(bare.contains("There is no backup of this device here."), "{bare}");
}

#[test]
fn what_is_agreed_to_names_only_what_there_is() {
    let accepted = |files: Option<i64>, beyond: Option<i64>| {
        let beyond_proof = beyond.map(|files| Amount { files, bytes: 1 });
        let count = files.and_then(|files| counting(files).count);
        loss(&LossFacts { count, beyond_proof, ..facts() }).accepted()
    };
    assert_eq!(accepted(Some(4), Some(92)), "losing 4 files, and risking 92 files that are not proven");
    assert_eq!(accepted(Some(0), Some(1)), "risking 1 file that is not proven");
    assert_eq!(accepted(Some(1), Some(0)), "losing 1 file");
    assert!(accepted(None, None).starts_with("losing an unknown number of files, and risking an unknown"));
    let lapsed = LossFacts { grade: Grade::OutOfDate, in_newest: Some(NONE), ..safe() };
    assert_eq!(loss(&lapsed).accepted(), "that none of its backups has a proof that holds");
    assert_eq!(loss(&fresh(0)).accepted(), "that it has no backup: whatever it did not count is lost");
}
