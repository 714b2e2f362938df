//! The walkthroughs in ARCHITECTURE.md name files that are there, in an order in which nothing goes back up.
use crate::architecture::source::{Module, Source, module};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files that each step names, by the step's first words.
fn steps(text: &str) -> Vec<(String, Vec<String>)> {
    let section = text.split("\n## ").find(|it| it.starts_with("Three walkthroughs")).unwrap();
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for line in section.lines() {
        let is_step = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        if is_step || line.starts_with("### ") {
            steps.push((line.to_owned(), Vec::new()));
        }
        let files = line.split('`').skip(1).step_by(2).filter(|it| it.ends_with(".rs"));
        if let Some((_, named)) = steps.last_mut() {
            named.extend(files.map(str::to_owned));
        }
    }
    steps
}

/// The folder of a file's crate, and its module there.
fn place(file: &str) -> (PathBuf, Module) {
    let (root, name) = match file.strip_prefix("crates/") {
        Some(rest) => {
            let (name, file) = rest.split_once("/src/").unwrap();
            (format!("crates/{name}/src"), file)
        }
        None => ("src".to_owned(), file.strip_prefix("src/").unwrap()),
    };
    (PathBuf::from(root), module(name))
}

/// Where a step's later file knows an earlier one.
fn goes_up(files: &[String], sources: &mut BTreeMap<PathBuf, Source>) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, later) in files.iter().enumerate() {
        let (root, module) = place(later);
        let source = sources.entry(root.clone()).or_insert_with(|| Source::read(&root));
        let edges = source.edges(&module);
        let known = files[..at].iter().filter(|it| place(it).0 == root && edges.contains(&place(it).1));
        faults.extend(known.map(|earlier| format!("{later} knows {earlier}, which is named before it")));
    }
    faults
}

#[test]
fn each_walkthrough_names_files_that_are_there_and_none_goes_back_up() {
    let steps = steps(&fs::read_to_string("ARCHITECTURE.md").unwrap());
    assert!(steps.iter().filter(|(_, files)| !files.is_empty()).count() >= 15, "{steps:?}");
    let (mut faults, mut sources) = (Vec::new(), BTreeMap::new());
    for (step, files) in &steps {
        let gone: Vec<_> = files.iter().filter(|it| !Path::new(it).is_file()).collect();
        assert!(gone.is_empty(), "{step}: {gone:?}");
        faults.extend(goes_up(files, &mut sources));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_walkthrough_that_goes_back_up_is_found() {
    let text =
        "# x\n## Three walkthroughs\n### A wipe\n1. `src/store/wipe.rs`, then\n   `src/service/wipe/mod.rs`.\n## y";
    let steps = steps(text);
    assert_eq!(steps[1].1, ["src/store/wipe.rs", "src/service/wipe/mod.rs"]);
    let files = steps[1].1.clone();
    assert_eq!(goes_up(&files, &mut BTreeMap::new()).len(), 1);
    let down: Vec<String> = files.into_iter().rev().collect();
    assert!(goes_up(&down, &mut BTreeMap::new()).is_empty());
}
