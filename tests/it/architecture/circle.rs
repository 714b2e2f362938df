//! Circles among the modules of one crate.
use crate::architecture::source::{Module, Source};
use std::collections::{BTreeMap, BTreeSet};

/// The groups of modules that all reach each other, in the spelling `a ↔ b ↔ c`.
pub fn circles(source: &Source) -> Vec<String> {
    let edges: BTreeMap<&Module, BTreeSet<Module>> = source.0.keys().map(|it| (it, source.edges(it))).collect();
    let reaches: BTreeMap<&Module, BTreeSet<&Module>> = edges.keys().map(|it| (*it, reached(it, &edges))).collect();
    let mut found = BTreeSet::new();
    for (module, reached) in &reaches {
        if !reached.contains(module) {
            continue;
        }
        let circle: Vec<String> =
            reached.iter().filter(|it| reaches[**it].contains(*module)).map(|it| it.join("::")).collect();
        found.insert(circle.join(" ↔ "));
    }
    found.into_iter().collect()
}

fn reached<'a>(from: &Module, edges: &'a BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&Module> = edges[from].iter().collect();
    while let Some(module) = waiting.pop() {
        if found.insert(module) {
            waiting.extend(&edges[module]);
        }
    }
    found
}
