//! What each parser of foreign bytes promises for any input, and valid inputs to begin from.
//!
//! libFuzzer runs them (`fuzz/run`), and so does every `cargo test`, on the seeds and some changes to them
//! (`tests/it/fuzz.rs`).
mod access_list;
mod baton;
mod certificate;
mod cms;
mod content;
mod device_service;
mod door_path;
mod escrow;
mod forwarded;
mod frame;
mod index;
mod jwt;
mod list;
mod machine_info;
mod manifest;
mod message;
mod name;
mod pack;
mod pull;
mod range;
mod scep;
mod share;
mod snapshot;
mod state;
mod tree;
mod versions;

/// A parser under test.
pub struct Parser {
    pub name: &'static str,
    /// Whether these bytes are valid. Panics when a promise is broken.
    pub check: fn(&[u8]) -> bool,
    /// Valid inputs, always the same.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! parsers {
    ($($name:ident),+) => {
        &[$(Parser { name: stringify!($name), check: $name::check, seeds: $name::seeds }),+]
    };
}

/// Every parser of what devices and strangers send.
pub const ALL: &[Parser] = parsers![
    access_list,
    baton,
    certificate,
    cms,
    content,
    device_service,
    door_path,
    escrow,
    forwarded,
    frame,
    index,
    jwt,
    list,
    machine_info,
    manifest,
    message,
    name,
    pack,
    pull,
    range,
    scep,
    share,
    snapshot,
    state,
    tree,
    versions
];

/// An id, a time in seconds and two names of objects, as seeds have them.
const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
const NOW: i64 = 1_795_356_371;
const ONE: &str = "abababababababababababababababababababababababababababababababab";
const TWO: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

fn bytes<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.map(|it| it.as_bytes().to_vec()).to_vec()
}

fn json<const N: usize>(values: [serde_json::Value; N]) -> Vec<Vec<u8>> {
    values.map(|it| it.to_string().into_bytes()).to_vec()
}
