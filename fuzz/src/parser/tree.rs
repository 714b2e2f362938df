//! Folders as a device may write them.
use super::{ONE, TWO};
use repository::{Tree, TreeReader, encode_name, unescape};
use serde_json::json;

pub fn seeds() -> Vec<Vec<u8>> {
    let nodes = json!([
        {"name": "a\\x41", "type": "file", "mode": 420, "mtime": "2026-11-29T10:00:00.5+01:00", "uid": 0, "gid": 0,
            "size": 3, "content": [ONE], "inode": 5, "links": 2, "device_id": 9,
            "extended_attributes": [{"name": "user.a", "value": "AAE="}]},
        {"name": "d", "type": "dir", "mode": 2_147_484_141_u32, "subtree": TWO, "content": null},
        {"name": "l", "type": "symlink", "linktarget": "x", "linktarget_raw": "/w=="},
    ]);
    super::json([json!({"nodes": nodes}), json!({"nodes": null})])
}

pub fn check(json: &[u8]) -> bool {
    let mut reader = TreeReader::plain(json.to_vec());
    let streamed: Result<Vec<_>, _> = std::iter::from_fn(|| reader.next_node()).collect();
    if let Ok(text) = std::str::from_utf8(json) {
        let _ = unescape(text);
    }
    let Ok(tree) = Tree::parse(json) else { return false };
    // What is a folder when it is read whole is the same folder node by node.
    if let Ok(nodes) = &streamed {
        assert_eq!(nodes, &tree.nodes);
    }
    for name in tree.nodes.into_iter().filter_map(|it| it.name) {
        assert_eq!(unescape(&encode_name(&name)), Some(name));
    }
    true
}
