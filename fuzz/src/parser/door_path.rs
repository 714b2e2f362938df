//! Paths at the backup door: each object has one spelling, and nothing else names it.
use super::{ID, ONE};
use holdfast::protocol::restic::path::{Target, parse};

pub fn seeds() -> Vec<Vec<u8>> {
    ["", "config", "keys/", "locks/", &format!("data/{ONE}"), &format!("snapshots/{ONE}")]
        .map(|it| format!("/restic/{ID}/{it}").into_bytes())
        .to_vec()
}

pub fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some((repository, Some(target))) = parse(text) else { return false };
    let rest = match target {
        Target::Repository => String::new(),
        Target::Config => "config".to_owned(),
        Target::List(kind) => format!("{kind}/"),
        Target::Object(kind, name) => format!("{kind}/{name}"),
    };
    assert_eq!(text, format!("/restic/{repository}/{rest}"));
    true
}
