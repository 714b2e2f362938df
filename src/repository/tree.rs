//! Folders: the JSON of a tree blob.
use crate::repository::{Id, unescape};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// A folder's nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    pub nodes: Vec<Node>,
}

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The bytes of the name; none where its escapes are not readable.
    pub name: Option<Vec<u8>>,
    /// The name as written, for a message.
    pub spelled: String,
    pub kind: NodeKind,
    /// Unix permission bits, setuid, setgid and sticky bit.
    pub mode: u32,
    /// Seconds and nanoseconds since 1970, where the device said.
    pub modified: Option<(i64, i32)>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    File {
        size: u64,
        content: Vec<Id>,
    },
    Folder {
        tree: Option<Id>,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// A device, a socket, a pipe or something newer.
    Other(String),
}

#[derive(Deserialize)]
struct RawTree {
    #[serde(default)]
    nodes: Option<Vec<RawNode>>,
}

#[derive(Deserialize)]
struct RawNode {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    mode: Option<u32>,
    #[serde(default)]
    mtime: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    content: Option<Vec<Id>>,
    #[serde(default)]
    subtree: Option<Id>,
    #[serde(default)]
    linktarget: Option<String>,
    #[serde(default)]
    linktarget_raw: Option<String>,
}

impl Tree {
    /// Reads a tree blob's JSON. Names are not yet checked: a bad one spoils only its own node.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        let raw: RawTree = serde_json::from_slice(json)?;
        Ok(Self { nodes: raw.nodes.unwrap_or_default().into_iter().map(Node::from).collect() })
    }
}

impl From<RawNode> for Node {
    fn from(raw: RawNode) -> Self {
        let kind = match raw.kind.as_str() {
            "file" => NodeKind::File { size: raw.size.unwrap_or(0), content: raw.content.unwrap_or_default() },
            "dir" => NodeKind::Folder { tree: raw.subtree },
            "symlink" => NodeKind::Symlink { target: target(raw.linktarget, raw.linktarget_raw) },
            _ => NodeKind::Other(raw.kind),
        };
        let modified = raw.mtime.and_then(|it| it.parse::<jiff::Timestamp>().ok());
        Self {
            name: unescape(&raw.name),
            spelled: raw.name,
            kind,
            mode: permissions(raw.mode.unwrap_or(0)),
            modified: modified.map(|it| (it.as_second(), it.subsec_nanosecond())),
        }
    }
}

fn target(text: Option<String>, raw: Option<String>) -> Vec<u8> {
    raw.and_then(|it| BASE64_STANDARD.decode(it).ok()).unwrap_or_else(|| text.unwrap_or_default().into_bytes())
}

/// Go's file mode keeps the special bits elsewhere than Unix does.
fn permissions(mode: u32) -> u32 {
    let special = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];
    special.into_iter().filter(|(go, _)| mode & go != 0).fold(mode & 0o777, |mode, (_, unix)| mode | unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_restic_is_read() {
        let tree = Tree::parse(
            br#"{"nodes":[{"name":"a\\nb","type":"file","mode":420,"mtime":"2026-11-22T14:06:11.5+01:00","size":3,
            "content":["0000000000000000000000000000000000000000000000000000000000000001"],"inode":5,"user":"x"},
            {"name":"d","type":"dir","mode":2147484141,"subtree":null,"content":null},
            {"name":"l","type":"symlink","linktarget":"x","linktarget_raw":"/w=="},
            {"name":"p","type":"fifo"}]}"#,
        )
        .unwrap();

        let [file, folder, link, other] = &tree.nodes[..] else { panic!("{tree:?}") };
        assert_eq!(file.name.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(file.mode, 0o644);
        assert_eq!(file.modified, Some((1_795_352_771, 500_000_000)));
        assert!(matches!(&file.kind, NodeKind::File { size: 3, content } if content.len() == 1));
        assert_eq!(folder.kind, NodeKind::Folder { tree: None });
        assert_eq!(link.kind, NodeKind::Symlink { target: vec![0xff] });
        assert_eq!(other.kind, NodeKind::Other("fifo".to_owned()));
    }

    #[test]
    fn what_is_no_folder_is_an_error() {
        for json in [
            &b""[..],
            b"[]x",
            b"{\"nodes\":5}",
            b"{\"nodes\":[{\"name\":\"x\"}]}",
            b"{\"nodes\":[{\"name\":\"x\",\"type\":\"file\",\"content\":[\"zz\"]}]}",
            b"{\"nodes\":[{\"name\":\"x\",\"type\":\"file\",\"size\":-1}]}",
            b"{\"nodes\":[{\"name\":\"x\",\"type\":\"file\",\"size\":99999999999999999999999}]}",
        ] {
            assert!(Tree::parse(json).is_err());
        }
        let deep = "[".repeat(100_000);
        assert!(Tree::parse(format!("{{\"x\":{deep}").as_bytes()).is_err());
        assert_eq!(Tree::parse(b"{\"nodes\":null}").unwrap().nodes, []);
    }
}
