//! Folders: the JSON of a tree blob.
use crate::{Id, unescape};
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
    /// The bytes of the name; none if its escapes are not readable.
    pub name: Option<Vec<u8>>,
    /// The name as written, for a message.
    pub spelled: String,
    pub kind: NodeKind,
    /// Unix permission bits, setuid, setgid and sticky bit.
    pub mode: u32,
    /// If the device gave it.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Seconds since 1970, negative before, and the nanoseconds after them; if the device gave them.
    pub modified: Option<(i64, u32)>,
    pub accessed: Option<(i64, u32)>,
    /// Extended attributes, access lists among them: name and value.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Device and inode of a file with more than one name: nodes with the same values are one file.
    pub hard_link: Option<(u64, u64)>,
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
    atime: Option<String>,
    #[serde(default)]
    uid: Option<u32>,
    #[serde(default)]
    gid: Option<u32>,
    #[serde(default)]
    inode: Option<u64>,
    #[serde(default)]
    device_id: Option<u64>,
    #[serde(default)]
    links: Option<u64>,
    #[serde(default)]
    extended_attributes: Option<Vec<RawAttribute>>,
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

#[derive(Deserialize)]
struct RawAttribute {
    name: String,
    #[serde(default)]
    value: Option<String>,
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

impl Node {
    /// Reads one node's JSON.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice::<RawNode>(json).map(Self::from)
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
        let attributes = raw.extended_attributes.unwrap_or_default().into_iter().map(RawAttribute::read).collect();
        Self {
            name: unescape(&raw.name),
            spelled: raw.name,
            kind,
            mode: permissions(raw.mode.unwrap_or(0)),
            uid: raw.uid,
            gid: raw.gid,
            modified: raw.mtime.as_deref().and_then(time),
            accessed: raw.atime.as_deref().and_then(time),
            attributes,
            hard_link: raw
                .inode
                .filter(|_| raw.links.is_some_and(|it| it > 1))
                .map(|it| (raw.device_id.unwrap_or(0), it)),
        }
    }
}

impl RawAttribute {
    fn read(self) -> (Vec<u8>, Vec<u8>) {
        let value = self.value.and_then(|it| BASE64_STANDARD.decode(it).ok()).unwrap_or_default();
        (self.name.into_bytes(), value)
    }
}

/// The nanoseconds count forward even before 1970, as the system expects.
fn time(text: &str) -> Option<(i64, u32)> {
    let nanoseconds = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    Some((seconds, u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?))
}

fn target(text: Option<String>, raw: Option<String>) -> Vec<u8> {
    // What is not UTF-8 is only in the raw field.
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
    fn owner_attributes_hard_links_and_times_before_1970_are_read() {
        let tree = Tree::parse(
            br#"{"nodes":[{"name":"a","type":"file","mode":2147484159,"mtime":"1969-12-31T23:59:58.25Z","uid":7,"gid":8,
            "atime":"1901-12-13T20:45:52Z","links":2,"inode":5,"device_id":9,
            "extended_attributes":[{"name":"user.a","value":"AAE="},{"name":"user.none","value":null}]},
            {"name":"b","type":"file","links":1,"inode":6,"mtime":"no time"}]}"#,
        )
        .unwrap();

        let [one, other] = &tree.nodes[..] else { panic!("{tree:?}") };
        assert_eq!((one.uid, one.gid, one.hard_link), (Some(7), Some(8), Some((9, 5))));
        assert_eq!(one.modified, Some((-2, 250_000_000)), "no negative nanoseconds");
        assert_eq!(one.accessed, Some((-2_147_483_648, 0)));
        assert_eq!(one.attributes, [(b"user.a".to_vec(), vec![0, 1]), (b"user.none".to_vec(), vec![])]);
        assert_eq!((other.uid, other.hard_link, other.modified), (None, None, None));
    }

    #[test]
    fn what_is_not_a_folder_is_an_error() {
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
