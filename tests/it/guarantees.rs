//! `docs/guarantees.md` names every badge, and tests that there are.
use domain::copy_proof::CopyGrade;
use domain::device::DeviceState;
use domain::loss::Part;
use domain::proof::{Grade, Level};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/guarantees.md");

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    PAGE.lines().filter_map(|it| it.strip_prefix("| ")).map(|it| it.split(" | ").collect())
}

/// Every function that is a test, of the program and of `tests/it`.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // A test that a step of its own runs is marked in between.
            let lines: Vec<_> = text.lines().map(str::trim).filter(|it| !it.starts_with("#[ignore")).collect();
            for pair in lines.windows(2).filter(|it| it[0].ends_with("test]")) {
                let name = pair[1].trim_start_matches("async ").strip_prefix("fn ").and_then(|it| it.split('(').next());
                found.extend(name.map(str::to_owned));
            }
        }
    }
}

#[test]
fn every_badge_and_part_has_a_row() {
    let first: Vec<_> = rows().flat_map(|it| it[0].split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    let badges = Grade::ALL.iter().map(|it| it.name());
    let levels = Level::ALL.iter().map(|it| it.name());
    let states = DeviceState::ALL.iter().filter(|it| **it != DeviceState::Enrolled).map(|it| it.name());
    let copies = CopyGrade::ALL.iter().map(|it| it.name());
    for name in badges.chain(levels).chain(states).chain(copies) {
        assert!(first.iter().any(|it| it == name), "no row of {name}");
    }
    let overview = fs::read_to_string("templates/overview/show.html").unwrap();
    for part in Part::ALL {
        let title = overview.split(&format!("/devices?view={part}\">")).nth(1).and_then(|it| it.split('<').next());
        let title = title.unwrap_or_else(|| panic!("the overview has no tile of {part}"));
        assert!(first.iter().any(|it| it == title), "no row of {title}");
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let mut tests = BTreeSet::new();
    tests_in(Path::new("tests/it"), &mut tests);
    tests_in(Path::new("src"), &mut tests);
    tests_in(Path::new("crates"), &mut tests);
    assert!(tests.len() > 700, "only {} were found", tests.len());
    let mut named = 0;
    for row in rows() {
        for name in row.last().unwrap().split('`').skip(1).step_by(2) {
            assert!(tests.contains(name), "there is no test {name}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} tests are named");
}
