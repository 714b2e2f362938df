//! Reads Rust files as far as the layers need it: which paths a module names.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path without `crate`, such as `["store", "device_list", "filter"]`; empty for the root.
pub type Module = Vec<String>;

/// The modules of one crate, each with its text without comments and inline tests.
pub struct Source(pub BTreeMap<Module, String>);

impl Source {
    /// Reads all files below `root`.
    pub fn read(root: &Path) -> Self {
        let files = super::rust_files(root).into_iter().map(|file| {
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&file).unwrap())
        });
        Self::of(files)
    }

    /// From names below the root, such as `store/mod.rs`, and texts.
    pub fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let modules =
            files.into_iter().filter(|(name, _)| !name.ends_with("tests.rs") && !name.ends_with("testing.rs"));
        Self(modules.map(|(name, text)| (module(&name), production(&text))).collect())
    }

    /// The modules that `module` names, other than those around and inside it.
    pub fn edges(&self, module: &Module) -> BTreeSet<Module> {
        let mut found = BTreeSet::new();
        for path in paths(&self.0[module]) {
            let Some(path) = absolute(module, &path) else { continue };
            let known = (1..=path.len()).rev().map(|len| &path[..len]).find(|it| self.0.contains_key(*it));
            if let Some(known) = known
                && !known.starts_with(module)
                && !module.starts_with(known)
            {
                found.insert(known.to_vec());
            }
        }
        found
    }

    /// What the modules below `top` name outside it: modules of this crate, and `crates`.
    pub fn uses(&self, top: &str, crates: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (module, text) in self.0.iter().filter(|(module, _)| module.first().is_some_and(|it| it == top)) {
            let local = local_names(text);
            for path in paths(text) {
                let name = match absolute(module, &path) {
                    Some(absolute) => absolute.first().cloned(),
                    None => path.first().filter(|it| crates.contains(*it) && !local.contains(*it)).cloned(),
                };
                found.extend(name.filter(|it| it != top && !it.is_empty()));
            }
        }
        found
    }

    /// The modules right below the root.
    pub fn tops(&self) -> BTreeSet<String> {
        self.0.keys().filter_map(|it| it.first().cloned()).collect()
    }
}

/// The module of a file's name below its crate's root.
pub fn module(name: &str) -> Module {
    let name = name.strip_suffix(".rs").unwrap();
    let mut parts: Module = name.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|it| ["mod", "lib", "main"].contains(&it.as_str())) {
        parts.pop();
    }
    parts
}

/// The text without its inline tests and with its comments left empty.
pub fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = code.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// A path that begins with `crate` or `super`, from the root; none for any other.
fn absolute(module: &Module, path: &[String]) -> Option<Module> {
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => {
            let ups = path.iter().take_while(|it| *it == "super").count();
            let base = module.len().checked_sub(ups)?;
            Some(module[..base].iter().chain(&path[ups..]).cloned().collect())
        }
        _ => None,
    }
}

/// Names that a file gives to something of its own or imports from further down: no crates.
fn local_names(text: &str) -> BTreeSet<String> {
    let declared = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("pub ").strip_prefix("mod ")?;
        Some(line.trim_end_matches([';', '{', ' ']).to_owned())
    });
    let imported = statements(text).into_iter().flat_map(|it| expand(&it)).filter(|it| it.len() > 1);
    declared.chain(imported.filter_map(|it| it.last().cloned())).collect()
}

/// The trees of all `use` statements.
fn statements(text: &str) -> Vec<String> {
    let is_visibility = |it: &str| matches!(it.trim(), "" | "pub") || it.trim().starts_with("pub(");
    let starts = text.match_indices("use ").filter(|(at, _)| is_visibility(text[..*at].rsplit('\n').next().unwrap()));
    starts.map(|(at, _)| text[at + 4..].split(';').next().unwrap().to_owned()).collect()
}

/// Every path that a text names, in `use` trees and in between: those of at least two parts.
pub fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = statements(text).into_iter().flat_map(|it| expand(&it)).collect();
    let is_name = |it: char| it.is_alphanumeric() || it == '_';
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let head: String = rest[..at].chars().rev().take_while(|it| is_name(*it)).collect();
        let head: String = head.chars().rev().collect();
        let begins = at - head.len();
        let tail = &rest[at..];
        let len = tail.find(|it: char| !is_name(it) && it != ':').unwrap_or(tail.len());
        let whole = format!("{head}{}", &tail[..len]);
        // A method's or a path's own tail begins no path.
        let is_begin = !rest[..begins].ends_with(['.', ':', '$', '\'']);
        if !head.is_empty() && is_begin {
            found.push(whole.split("::").filter(|it| !it.is_empty()).map(str::to_owned).collect());
        }
        rest = &tail[len.max(2)..];
    }
    found
}

/// The paths of one `use` tree: `crate::{a::b, c}` is `crate::a::b` and `crate::c`.
pub fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        let renamed = tree.split(" as ").map(str::trim).collect::<Vec<_>>();
        let mut path: Vec<String> =
            renamed[0].split("::").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        if path.last().is_some_and(|it| it == "self") {
            path.pop();
        }
        if let Some(alias) = renamed.get(1) {
            path.push((*alias).to_owned());
        }
        return vec![path];
    };
    let before: Vec<String> =
        before.split("::").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let inside = inside.rsplit_once('}').map_or(inside, |it| it.0);
    let (mut depth, mut item, mut items) = (0_usize, String::new(), Vec::new());
    for it in inside.chars() {
        match it {
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {
                depth = if it == '{' { depth + 1 } else { depth - usize::from(it == '}') };
                item.push(it);
            }
        }
    }
    items.push(item);
    let items = items.iter().filter(|it| !it.trim().is_empty());
    items.flat_map(|it| expand(it)).map(|it| before.iter().cloned().chain(it).collect()).collect()
}
