//! One answer, whatever is known of a device.
use super::*;
use crate::testing::Random;

impl Random {
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
        key_holder: KeyHolder::Server,
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
