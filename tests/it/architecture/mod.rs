//! Keeps the map in ARCHITECTURE.md true: each module uses what it says there, and nothing else.
mod circle;
mod source;
mod via;
mod walkthrough;

use circle::circles;
use source::{Source, production};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use via::decisions;

/// Crates that a module must not know.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "actix_web",
            "diesel::prelude",
            "diesel::r2d2",
            "tokio",
            "std::fs",
            "std::net",
            "SystemTime",
            "Timestamp::now",
        ],
    ),
    ("service", &["actix_web", "diesel::"]),
    ("store", &["dsl::now"]),
    ("auth", &["diesel::"]),
    ("api", &["diesel::", "askama"]),
    ("web", &["diesel::", "tera::", "minijinja::"]),
    ("protocol", &["diesel::"]),
    ("job", &["diesel::"]),
    ("agent", &["diesel::", "actix_web", "crate::store", "crate::service"]),
    ("repository", &["std::fs", "std::net", "actix_web", "tokio"]),
];

/// What ARCHITECTURE.md says that each crate and module knows.
fn map() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let map = text.split("\n## ").find(|it| it.starts_with("Map")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let knows = cells[2].split(',').map(str::trim).filter(|it| *it != "nothing of ours");
        (cells[0].trim_matches('`').to_owned(), knows.map(str::to_owned).collect())
    })
    .collect()
}

fn crates() -> BTreeSet<String> {
    names("crates").into_iter().collect()
}

/// Where the map and the code differ: what is used but not known, and what is known but not used.
fn differences(name: &str, known: &BTreeSet<String>, used: &BTreeSet<String>) -> Vec<String> {
    let more = used.difference(known).map(|it| format!("{name} uses {it}, and the map does not say so"));
    let less = known.difference(used).map(|it| format!("{name} does not use {it}, but the map says so"));
    more.chain(less).collect()
}

#[test]
fn modules_use_exactly_what_the_map_says() {
    let (map, crates, source) = (map(), crates(), Source::read(Path::new("src")));
    let mut faults = Vec::new();
    for top in source.tops() {
        match map.get(&top) {
            Some(known) => faults.extend(differences(&top, known, &source.uses(&top, &crates))),
            None => faults.push(format!("{top} is not on the map")),
        }
    }
    let there: BTreeSet<String> = source.tops().union(&crates).cloned().collect();
    faults.extend(map.keys().filter(|it| !there.contains(*it)).map(|it| format!("the map shows {it}, which is gone")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn crates_know_exactly_what_the_map_says() {
    let (map, crates) = (map(), crates());
    let mut faults = Vec::new();
    for name in &crates {
        let manifest = fs::read_to_string(format!("crates/{name}/Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        let used = dependencies.lines().filter_map(|it| it.split(['.', ' ']).next()).map(str::to_owned);
        let used: BTreeSet<String> = used.filter(|it| crates.contains(it)).collect();
        match map.get(name) {
            Some(known) => faults.extend(differences(name, known, &used)),
            None => faults.push(format!("crates/{name} is not on the map")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_modules_know_each_other() {
    let crates = crates().into_iter().map(|it| format!("crates/{it}/src"));
    let mut faults = Vec::new();
    for root in crates.chain(["src".to_owned()]) {
        faults.extend(circles(&Source::read(Path::new(&root))).into_iter().map(|it| format!("{root}: {it}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn planted(files: &[(&str, &str)]) -> Source {
    Source::of(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
}

#[test]
fn a_planted_circle_is_found_however_it_is_spelt() {
    for back in ["use crate::store::a::X;", "use super::a::X;", "use crate::{error, store::{a, c}};"] {
        let text = format!("{back}\nfn f() {{}}");
        let source = planted(&[
            ("store/mod.rs", "pub mod a;\npub mod b;\npub mod c;"),
            ("store/a.rs", "fn f() { crate::store::c::g() }"),
            ("store/b.rs", &text),
            ("store/c.rs", "use super::b;"),
        ]);
        assert_eq!(circles(&source), ["store::a ↔ store::b ↔ store::c"], "{back}");
    }
    let fine = planted(&[("a/mod.rs", "mod b;\nuse b::X;"), ("a/b.rs", "use super::Y;\nuse crate::c;"), ("c.rs", "")]);
    assert_eq!(circles(&fine), Vec::<String>::new(), "a module and what is inside it are one");
}

#[test]
fn a_planted_breach_and_an_unused_allowance_are_found() {
    let crates = BTreeSet::from(["domain".to_owned(), "repository".to_owned()]);
    let source = planted(&[
        ("domain.rs", ""),
        ("store/mod.rs", "use crate::{error, web::{page, list}};\nuse domain::time::Time;"),
        ("store/repository.rs", "use crate::store::repository;\nfn f() { repository::g() }"),
        ("store/x.rs", "// use crate::app;\nfn f() { crate::job::run() }\n#[cfg(test)]\nmod tests { use crate::cli; }"),
    ]);
    let used = source.uses("store", &crates);
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ["domain", "error", "job", "web"]);

    let known = BTreeSet::from(["domain", "error", "job", "secret"].map(str::to_owned));
    assert_eq!(
        differences("store", &known, &used),
        ["store uses web, and the map does not say so", "store does not use secret, but the map says so"]
    );
}

#[test]
fn modules_name_no_crate_that_is_not_theirs() {
    let mut faults = Vec::new();
    for (module, forbidden) in MUST_NOT_NAME {
        let root = [Path::new("src").join(module), Path::new("crates").join(module)];
        for file in root.iter().flat_map(|it| rust_files(it)) {
            let text = production(&fs::read_to_string(&file).unwrap());
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for name in forbidden.iter().filter(|name| line.contains(**name)) {
                    faults.push(format!("{}:{}: {module} names {name}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn how_an_act_came_in_is_written_and_decides_nothing() {
    let mut faults = Vec::new();
    for file in ["src", "crates"].iter().flat_map(|it| rust_files(Path::new(it))) {
        // Its words for the history and its pages.
        if file.ends_with("domain/src/activity.rs") {
            continue;
        }
        let found = decisions(&fs::read_to_string(&file).unwrap());
        faults.extend(found.into_iter().map(|line| format!("{}: {line}", file.display())));
    }
    assert!(faults.is_empty(), "ask the Author, or the By's presence:\n{}", faults.join("\n"));
}

#[test]
fn a_planted_decision_by_how_an_act_came_in_is_found() {
    for line in ["if by.actor.via == Via::Web {", "match via {", "Via::Web | Via::Api", "Via::Job => Ok(()),"] {
        assert_eq!(decisions(&format!("fn f() {{\n    {line}\n}}")), [line]);
    }
    let fine = "fn f() {\n    // via == Via::Web\n    let actor = Actor { via: Via::Web, ..actor };\n    row.via = actor.via;\n    \
        Ok(it) => it.actor(Via::Agent),\n}";
    assert_eq!(decisions(fine), Vec::<String>::new());
}

#[test]
fn no_file_is_too_long() {
    let too_long: Vec<_> = ["src", "crates"]
        .into_iter()
        .flat_map(|it| rust_files(Path::new(it)))
        .map(|file| (code_lines(&file), file))
        .filter(|(lines, _)| *lines > 350)
        .collect();
    assert!(too_long.is_empty(), "split these: {too_long:?}");
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert_eq!(names("migrations/sqlite"), names("migrations/postgres"));
}

#[test]
fn every_template_folder_belongs_to_a_page_area() {
    for name in names("templates").iter().filter(|it| !it.contains('.') && !["macro", "mail"].contains(&it.as_str())) {
        let area = Path::new("src/web");
        assert!(
            area.join(format!("{name}.rs")).exists() || area.join(name).exists(),
            "templates/{name} has no src/web/{name}"
        );
    }
}

#[test]
fn templates_bypass_no_escaping() {
    let mut faults = Vec::new();
    for file in files(Path::new("templates"), "html") {
        let text = fs::read_to_string(&file).unwrap();
        for (needle, why) in [
            ("|safe", "unescaped output"),
            ("| safe", "unescaped output"),
            (" style=", "inline style"),
            (" onclick=", "inline handler"),
            ("hx-on", "inline handler"),
        ] {
            if text.contains(needle)
                && !ESCAPES_ITSELF.iter().any(|(path, allowed)| file.ends_with(path) && *allowed == needle)
            {
                faults.push(format!("{}: {why} ({needle})", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Templates that may print unescaped, because what they print is made by us.
const ESCAPES_ITSELF: &[(&str, &str)] = &[];

fn code_lines(file: &Path) -> usize {
    production(&fs::read_to_string(file).unwrap())
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

fn names(dir: &str) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    files(dir, "rs")
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found
}
