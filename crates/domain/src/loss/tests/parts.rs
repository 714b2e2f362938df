//! The parts of an answer: amounts, numbers and single sentences.
use super::*;

#[test]
fn an_amount_is_known_only_with_both_halves() {
    assert_eq!(Amount::of(Some(4), Some(9)), Some(Amount { files: 4, bytes: 9 }));
    assert_eq!([Amount::of(None, Some(9)), Amount::of(Some(4), None)], [None, None]);
}

#[test]
fn there_are_more_damaged_files_than_names_only_where_there_are() {
    for (named, files, more) in [(2, 3, true), (2, 2, false), (3, 2, false), (0, 0, false)] {
        let amount = Amount { files, bytes: 0 };
        let damaged = Damaged { amount, names: vec!["/a".to_owned(); named] };
        assert_eq!(damaged.has_more(), more, "{named} of {files}");
    }
}

#[test]
fn a_zero_without_a_proof_is_no_number() {
    let [nothing, some] = [0, 4].map(|files| Amount { files, bytes: files * 10 });
    for (grade, files, expected) in [
        (Grade::Proven, 0, Some(nothing)),
        (Grade::Proven, 4, Some(some)),
        (Grade::OutOfDate, 0, None),
        (Grade::OutOfDate, 4, Some(some)),
    ] {
        let (lost, _) = loss(&LossFacts { grade, ..counting(files) }).numbers();
        assert_eq!(lost, expected, "{grade:?} {files}");
    }
}

#[test]
fn each_end_of_a_device_is_said_in_its_own_words() {
    use DeviceState as S;
    for (state, words) in [
        (S::Wiped, "has been wiped"),
        (S::CompanyDataRemoved, "no folder was touched"),
        (S::WipeFailed, "erase it by hand"),
        (S::RemovalFailed, "may still be on the device"),
        (S::Removed, "was removed from the lists"),
    ] {
        let lines = loss(&LossFacts { state, ..facts() }).lines(&|at| at.iso());
        assert!(lines.len() == 1 && lines[0].contains(words), "{lines:?}");
    }
}

#[test]
fn layers_without_anything_in_them_are_not_said() {
    let lines = |facts: &LossFacts| loss(facts).lines(&|at| at.iso()).join(" ");
    let some = LossFacts { count: counting(0).count, ..facts() };
    let said = lines(&some);
    assert!(said.contains("The device counted no files that exist only on it."), "{said}");
    assert!(!said.contains("damaged in the store"), "{said}");
    assert!(said.contains("92 files (403 MB) are in the") && !said.contains("Another"), "{said}");
    let both = lines(&facts());
    assert!(both.contains("4 files") && both.contains("Another 92 files (403 MB) are in the"), "{both}");
    let never = LossFacts { grade: Grade::Never, proven: None, ..fresh(4) };
    assert!(!lines(&never).contains("Nothing is proven."), "all of it is lost anyway: {}", lines(&never));
    let stale = LossFacts { grade: Grade::OutOfDate, ..facts() };
    assert!(lines(&stale).contains("for which no proof holds"), "{}", lines(&stale));
    let same = LossFacts { proven: stale.newest, ..stale };
    assert!(lines(&same).contains("whose proof is out of date"), "{}", lines(&same));
}
