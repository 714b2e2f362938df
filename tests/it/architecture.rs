//! Keeps the layers in ARCHITECTURE.md true: no module may use one above it.
use std::fs;
use std::path::{Path, PathBuf};

/// Each module, with the modules it may use besides itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain", "error", "secret"]),
    ("service", &["store", "domain", "mail", "blob", "seal", "secret", "error"]),
    ("repository", &["domain", "error", "secret"]),
    (
        "proof",
        &["repository", "service", "store", "blob", "seal", "secret", "domain", "error", "clock", "wake", "protocol"],
    ),
    ("agent", &["repository", "domain", "seal", "secret", "error", "clock", "protocol"]),
    (
        "protocol",
        &[
            "service", "store", "blob", "domain", "error", "clock", "secret", "seal", "wake", "config", "traffic",
            "program",
        ],
    ),
    (
        "web",
        &[
            "service", "store", "domain", "error", "clock", "secret", "wake", "config", "proof", "blob", "seal",
            "program",
        ],
    ),
    ("job", &["service", "store", "domain", "mail", "error", "clock", "wake"]),
    ("traffic", &["domain", "web"]),
    ("mail", &["domain", "error"]),
    ("blob", &["domain", "error"]),
];

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
    ("web", &["diesel::", "tera::", "minijinja::"]),
    ("protocol", &["diesel::"]),
    ("job", &["diesel::"]),
    ("agent", &["diesel::", "actix_web", "crate::store", "crate::service"]),
    ("repository", &["std::fs", "std::net", "actix_web", "tokio"]),
];

#[test]
fn modules_use_only_the_layers_below_them() {
    let mut faults = Vec::new();
    for (module, allowed) in MAY_USE {
        for file in rust_files(&Path::new("src").join(module)) {
            let text = production(&file);
            for (number, line) in text.lines().enumerate() {
                for used in line.split("crate::").skip(1) {
                    let used: String = used.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
                    if !used.is_empty() && used != *module && !allowed.contains(&used.as_str()) {
                        faults.push(format!("{}:{}: {module} uses {used}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn modules_name_no_crate_that_is_not_theirs() {
    let mut faults = Vec::new();
    for (module, forbidden) in MUST_NOT_NAME {
        for file in rust_files(&Path::new("src").join(module)) {
            let text = production(&file);
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
fn no_file_is_too_long() {
    let too_long: Vec<_> = rust_files(Path::new("src"))
        .into_iter()
        .filter(|file| !file.ends_with("schema.rs"))
        .map(|file| (code_lines(&file), file))
        .filter(|(lines, _)| *lines > 400)
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

/// The file without its inline tests.
fn production(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned()
}

fn code_lines(file: &Path) -> usize {
    production(file).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
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
