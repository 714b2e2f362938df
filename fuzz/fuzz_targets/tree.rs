//! Folders as a device may write them.
#![no_main]
use repository::{Tree, TreeReader, encode_name, unescape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let mut reader = TreeReader::plain(json.to_vec());
    let streamed: Result<Vec<_>, _> = std::iter::from_fn(|| reader.next_node()).collect();
    if let Ok(tree) = Tree::parse(json) {
        // What is a folder when it is read whole is the same folder node by node.
        if let Ok(nodes) = &streamed {
            assert_eq!(nodes, &tree.nodes);
        }
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
