//! Folders as a device may write them.
#![no_main]
use holdfast::repository::{Tree, encode_name, unescape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Ok(tree) = Tree::parse(json) {
        for node in tree.nodes {
            if let Some(name) = node.name {
                assert_eq!(unescape(&encode_name(&name)), Some(name));
            }
        }
    }
    if let Ok(text) = std::str::from_utf8(json) {
        let _ = unescape(text);
    }
});
