mod parts;

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
    assert!(bare.contains("There is no backup of this device."), "{bare}");
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

/// Numbers that look random but are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn amount(&mut self) -> Amount {
        let files = if self.chance(50) { 0 } else { i64::try_from(self.below(3_000)).unwrap() };
        Amount { files, bytes: files * 7 }
    }

    fn time(&mut self) -> Time {
        let minutes_ahead = i64::try_from(self.below(6_000)).unwrap() - 5_000;
        Time::from_millis(NOW.millis() + minutes_ahead * 60_000)
    }
}

fn any(random: &mut Random) -> LossFacts {
    let is_mostly_well = random.chance(40);
    let state = DeviceState::ALL[usize::try_from(random.below(6)).unwrap()];
    let grade = Grade::ALL[usize::try_from(random.below(Grade::ALL.len() as u64)).unwrap()];
    let point = |at| Point { id: RestorePointId::generate(at), at };
    let base = LossFacts {
        at: NOW,
        state: if random.chance(85) { DeviceState::Enrolled } else { state },
        grade: if is_mostly_well { Grade::Proven } else { grade },
        is_stored: random.chance(85),
        holds_files: random.chance(85),
        count: random.chance(85).then(|| Count {
            amount: random.amount(),
            measured_at: random.time(),
            until: random.time(),
        }),
        roots_away: if random.chance(85) { Vec::new() } else { vec!["/mnt/disk".to_owned()] },
        is_doubted: random.chance(8),
        last_seen_at: random.chance(90).then(|| random.time()),
        heard_until: random.chance(90).then(|| random.time()),
        newest: random.chance(85).then(|| point(random.time())),
        in_newest: random.chance(80).then(|| random.amount()),
        beyond_proof: random.chance(80).then(|| random.amount()),
        proven: random.chance(70).then(|| point(random.time())),
        damaged: Damaged { amount: if random.chance(90) { NONE } else { random.amount() }, names: Vec::new() },
        store_away_since: random.chance(7).then(|| random.time()),
    };
    if !is_mostly_well {
        return base;
    }
    LossFacts {
        last_seen_at: Some(NOW - minutes(5)),
        heard_until: Some(NOW + minutes(25)),
        count: base.count.map(|it| Count { until: NOW + minutes(25), ..it }),
        ..base
    }
}

/// What must be true of a device before any word may say that nothing is lost, written independently.
fn is_certainly_safe(facts: &LossFacts) -> bool {
    let none = |it: Option<Amount>| it.is_some_and(|it| it.files == 0);
    facts.state == DeviceState::Enrolled
        && facts.grade == Grade::Proven
        && facts.is_stored
        && facts.holds_files
        && facts.roots_away.is_empty()
        && !facts.is_doubted
        && facts.last_seen_at.is_some_and(|at| !is_ahead(at, facts.at))
        && facts.heard_until.is_some_and(|until| until > facts.at)
        && facts.count.is_some_and(|it| it.until > facts.at && it.amount.files == 0)
        && facts.damaged.amount.files == 0
        && facts.store_away_since.is_none()
        && if facts.newest.is_some() { none(facts.beyond_proof) } else { true }
}

#[test]
fn a_hundred_thousand_devices_have_one_answer_in_all_words() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut met = std::collections::BTreeMap::<&'static str, usize>::new();
    for _ in 0..100_000 {
        let facts = any(&mut random);
        let loss = loss(&facts);
        let say = |at: Time| at.iso();
        let (short, headline, sentence) = (loss.short(&say), loss.headline(&say), loss.sentence(&say));
        let (lost, not_proven) = loss.numbers();
        let told = format!("{facts:?}\n{short}\n{headline}\n{sentence}\n{}", loss.consent());

        // "Nothing" everywhere or nowhere, and only if it is certain.
        assert_eq!(loss.is_nothing(), is_certainly_safe(&facts), "{told}");
        for says_nothing in [
            short == "Nothing",
            headline == "Nothing would be lost",
            sentence.starts_with("Nothing would be lost"),
            loss.part() == Some(Part::Restorable),
        ] {
            assert_eq!(says_nothing, loss.is_nothing(), "{told}");
        }
        if loss.is_nothing() {
            assert_eq!(loss.consent(), "0 lost, 0 not proven", "{told}");
        }
        // One part for each enrolled device, none for any other, and no loss is stated for the others.
        assert_eq!(loss.part().is_some(), facts.state == DeviceState::Enrolled, "{told}");
        if let Verdict::Ended(state) = loss.verdict {
            assert_eq!((short.as_str(), headline.as_str()), (state.name(), state.name()), "{told}");
            assert!(!sentence.contains("lost") && (lost, not_proven) == (None, None), "{told}");
        }
        // Every wording says what is not known, since when and why.
        let is_unknown = loss.verdict == Verdict::Unknown;
        for words in [&short, &headline, &sentence] {
            assert_eq!(words.starts_with("Not known"), is_unknown, "{told}");
        }
        assert_eq!(loss.part() == Some(Part::CannotSay), is_unknown || loss.verdict == Verdict::NoData, "{told}");
        if let (true, Some(Unknown::Silent(since))) = (is_unknown, &loss.unknown) {
            for words in [&short, &headline, &sentence] {
                assert!(words.contains(&format!("since {}", since.iso())), "{told}");
            }
        }
        if loss.only_here.is_none() && loss.part().is_some() && loss.verdict != Verdict::Everything {
            assert!(loss.consent().starts_with("unknown lost") && lost.is_none(), "{told}");
        }
        // All wordings show the same numbers.
        let is_told = matches!(loss.verdict, Verdict::Some | Verdict::Unknown | Verdict::Nothing);
        if let (Some(it), true) = (lost.filter(|it| it.files > 0), loss.verdict == Verdict::Some) {
            let files = crate::words::number(it.files);
            assert!(short.contains(&format!("ose {files}")) && headline.starts_with(&files), "{told}");
            assert!(loss.consent().starts_with(&format!("{} lost", it.files)), "{told}");
            assert!(loss.accepted().contains(&format!("losing {files}")), "{told}");
        }
        if let (Some(it), true) = (not_proven.filter(|it| it.files > 0), loss.verdict == Verdict::Some) {
            let files = crate::words::number(it.files);
            assert!(short.contains(&files) && headline.contains(&files), "{told}");
            assert!(loss.consent().ends_with(&format!("{} not proven", it.files)), "{told}");
            assert!(loss.accepted().contains(&files), "{told}");
        }
        assert!(is_told || (lost, not_proven) == (None, None), "{told}");
        // Time alone makes nothing safe again.
        let later = LossFacts { at: NOW + days(30), ..facts.clone() };
        assert!(loss.is_nothing() || !super::loss(&later).is_nothing(), "{told}");
        *met.entry(loss.part().map_or("ended", Part::as_str)).or_default() += 1;
    }
    assert_eq!(met.len(), 5, "{met:?}");
    assert!(met.values().all(|it| *it > 500), "every answer is met: {met:?}");
}
