//! What the manifest says about every entry besides a file's content, in little memory.
use crate::proof::check::expected::key_of;
use domain::manifest::{self, Entry, EntryKind, Fault, attribute_bytes};
use repository::{Node, NodeKind};
use secret::sha256;
use std::collections::HashMap;

/// One entry; long values are kept as the start of their SHA-256.
#[derive(Debug, Clone)]
struct Listed {
    key: [u8; 16],
    kind: EntryKind,
    meta: Option<Meta>,
    target: [u8; 8],
    group: Option<u32>,
    is_left_out: bool,
    seen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Meta {
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
    /// Zeros where there are none.
    attributes: [u8; 8],
}

/// All entries of a manifest of version 2.
#[derive(Debug, Default)]
pub struct Listing {
    entries: Vec<Listed>,
    roots: Vec<String>,
    away: Vec<String>,
    /// What the backup has for each group of hard links, and the other way round.
    groups: HashMap<u32, (u64, u64)>,
    links: HashMap<(u64, u64), u32>,
}

/// How an entry in the backup compares with the manifest.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    /// The manifest has no such entry.
    Unlisted,
    /// It is as in the manifest, or the manifest says nothing about it.
    Same,
    /// It is there, but something other than the file's content differs.
    Other(String),
    /// It is a different thing than before.
    Changed(String),
}

impl Listing {
    /// Reads a manifest's stored bytes; none for version 1, which lists only files.
    pub fn read(stored: &[u8]) -> Result<Option<Self>, Fault> {
        let mut entries = Vec::new();
        let header = manifest::entries(stored, |entry| entries.push(Listed::of(&entry)))?;
        if header.version == 1 {
            return Ok(None);
        }
        entries.sort_unstable_by_key(|it| it.key);
        Ok(Some(Self { entries, roots: header.roots, away: header.away, ..Self::default() }))
    }

    /// Compares an entry in the backup with the manifest.
    pub fn meet(&mut self, path: &str, node: &Node) -> Met {
        let key = key_of(path);
        let found = self.entries.binary_search_by_key(&key, |it| it.key).ok();
        let Some(listed) = found.and_then(|at| self.entries.get_mut(at)) else { return Met::Unlisted };
        listed.seen = true;
        if kind_of(&node.kind) != listed.kind {
            return Met::Changed(format!("was {} and came back as {}", listed.kind.name(), kind_of(&node.kind).name()));
        }
        let mut other = listed.differences(node);
        let group = listed.group;
        if !self.is_same_file(group, node.hard_link) {
            other.push("no longer shares its content with the same names");
        }
        if other.is_empty() { Met::Same } else { Met::Other(other.join(", ")) }
    }

    /// Whether the names that are one file in the manifest are one in the backup, and no others.
    fn is_same_file(&mut self, group: Option<u32>, link: Option<(u64, u64)>) -> bool {
        match (group, link) {
            (None, None) => true,
            (Some(group), Some(link)) => {
                *self.groups.entry(group).or_insert(link) == link && *self.links.entry(link).or_insert(group) == group
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// Whether an entry of the manifest was met in the backup; one that the device left out, or could not look
    /// at, does not have to be.
    pub fn is_missing(&self, entry: &Entry) -> bool {
        let key = key_of(&entry.path);
        let found = self.entries.binary_search_by_key(&key, |it| it.key).ok();
        found.and_then(|at| self.entries.get(at)).is_some_and(|it| !it.seen && !it.is_left_out)
            && entry.kind != EntryKind::Unknown
    }

    /// The protected folders that were missing.
    pub fn away(&self) -> &[String] {
        &self.away
    }

    /// Whether a folder is above what was backed up, and so not part of it.
    pub fn is_above(&self, path: &str) -> bool {
        self.roots
            .iter()
            .any(|root| manifest::encode_path(root.as_bytes()).strip_prefix(path).is_some_and(|it| it.starts_with('/')))
    }
}

impl Listed {
    fn of(entry: &Entry) -> Self {
        let digest = |text: &str| {
            let mut hash = [0; 32];
            let _ = hex::decode_to_slice(text, &mut hash);
            start_of(&hash)
        };
        Self {
            key: key_of(&entry.path),
            kind: entry.kind,
            meta: entry.meta.as_ref().map(|it| Meta {
                mode: u16::try_from(it.mode).unwrap_or(u16::MAX),
                uid: it.uid,
                gid: it.gid,
                mtime: it.mtime,
                attributes: it.attributes.as_deref().map(digest).unwrap_or_default(),
            }),
            target: entry.target.as_deref().map(|it| start_of(&sha256(it.as_bytes()))).unwrap_or_default(),
            group: entry.link_group.map(|it| u32::try_from(it).unwrap_or(u32::MAX)),
            is_left_out: entry.left_out.is_some(),
            seen: false,
        }
    }

    /// What a restore would make different.
    fn differences(&self, node: &Node) -> Vec<&'static str> {
        let mut other = Vec::new();
        if let NodeKind::Symlink { target } = &node.kind
            && start_of(&sha256(manifest::encode_path(target).as_bytes())) != self.target
        {
            other.push("points elsewhere");
        }
        let Some(meta) = &self.meta else { return other };
        // No system lets the rights of a link be set, and a restore sets none.
        if self.kind != EntryKind::Symlink && u32::from(meta.mode) != node.mode {
            other.push("has other rights");
        }
        if (Some(meta.uid), Some(meta.gid)) != (node.uid, node.gid) {
            other.push("has a different owner");
        }
        if Some(meta.mtime) != node.modified {
            other.push("has another time");
        }
        let attributes = attribute_bytes(node.attributes.iter().map(|(name, value)| (&name[..], &value[..])));
        if attributes.map(|it| start_of(&sha256(&it))).unwrap_or_default() != meta.attributes {
            other.push("has different attributes");
        }
        other
    }
}

fn start_of(hash: &[u8; 32]) -> [u8; 8] {
    let mut start = [0; 8];
    for (to, from) in start.iter_mut().zip(hash) {
        *to = *from;
    }
    start
}

fn kind_of(kind: &NodeKind) -> EntryKind {
    match kind {
        NodeKind::File { .. } => EntryKind::File,
        NodeKind::Folder { .. } => EntryKind::Folder,
        NodeKind::Symlink { .. } => EntryKind::Symlink,
        NodeKind::Other(name) => match name.as_str() {
            "fifo" => EntryKind::Pipe,
            "socket" => EntryKind::Socket,
            "chardev" => EntryKind::CharDevice,
            "dev" => EntryKind::BlockDevice,
            _ => EntryKind::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::manifest::{Header, Meta as Said, Writer};

    const FOLDER: &str =
        r#"{"name":"d","type":"dir","mode":2147484141,"uid":1,"gid":2,"mtime":"1969-12-31T23:59:59.5Z"}"#;

    fn said() -> Said {
        Said { mode: 0o755, uid: 1, gid: 2, mtime: (-1, 500_000_000), attributes: None, sparse: false }
    }

    fn listing(entries: &[Entry]) -> Listing {
        let roots = vec!["/home/a%".to_owned()];
        let header = Header { version: 2, device_id: String::new(), roots, away: vec![], made_at: 0, file_count: 0 };
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        entries.iter().for_each(|it| writer.entry(it).unwrap());
        Listing::read(&writer.finish().unwrap().0).unwrap().unwrap()
    }

    fn node(json: &str) -> Node {
        Node::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn each_thing_that_comes_back_different_is_named() {
        let folder = |meta| Entry { meta: Some(meta), ..Entry::bare("/d".to_owned(), EntryKind::Folder) };
        let met = |meta, json: &str| listing(&[folder(meta)]).meet("/d", &node(json));
        assert_eq!(met(said(), FOLDER), Met::Same);
        for (meta, why) in [
            (Said { mode: 0o700, ..said() }, "has other rights"),
            (Said { mode: 0o4755, ..said() }, "has other rights"),
            (Said { uid: 9, ..said() }, "has a different owner"),
            (Said { gid: 9, ..said() }, "has a different owner"),
            (Said { mtime: (-1, 500_000_001), ..said() }, "has another time"),
            (Said { attributes: Some("a".repeat(64)), ..said() }, "has different attributes"),
        ] {
            assert_eq!(met(meta, FOLDER), Met::Other(why.to_owned()));
        }
        let pipe = met(said(), r#"{"name":"d","type":"fifo"}"#);
        assert_eq!(pipe, Met::Changed("was a folder and came back as a pipe".to_owned()));
        assert_eq!(listing(&[folder(said())]).meet("/e", &node(FOLDER)), Met::Unlisted);
    }

    #[test]
    fn a_link_is_where_it_points() {
        let link = Entry { target: Some("x%FF".to_owned()), ..Entry::bare("/l".to_owned(), EntryKind::Symlink) };
        let met = |json: &str| listing(std::slice::from_ref(&link)).meet("/l", &node(json));
        assert_eq!(met(r#"{"name":"l","type":"symlink","linktarget":"?","linktarget_raw":"eP8="}"#), Met::Same);
        let elsewhere = met(r#"{"name":"l","type":"symlink","linktarget":"x"}"#);
        assert_eq!(elsewhere, Met::Other("points elsewhere".to_owned()));
    }

    #[test]
    fn hard_links_are_one_file_with_the_same_names_and_no_others() {
        let file = |name: &str, group| Entry {
            link_group: group,
            left_out: Some("x".to_owned()),
            ..Entry::bare(format!("/{name}"), EntryKind::File)
        };
        let linked =
            |inode: u32| node(&format!(r#"{{"name":"a","type":"file","links":2,"inode":{inode},"device_id":1}}"#));
        let alone = node(r#"{"name":"a","type":"file","links":1,"inode":7}"#);
        let entries = [file("a", Some(1)), file("b", Some(1)), file("c", Some(2)), file("d", None)];
        let mut mixed = listing(&entries);
        assert_eq!(mixed.meet("/a", &linked(5)), Met::Same);
        assert!(matches!(mixed.meet("/c", &linked(5)), Met::Other(_)), "it would become a name of the others");
        let mut all = listing(&entries);
        assert_eq!(all.meet("/a", &linked(5)), Met::Same);
        assert_eq!(all.meet("/b", &linked(5)), Met::Same);
        assert!(matches!(all.meet("/b", &linked(6)), Met::Other(_)), "another file");
        assert_eq!(all.meet("/c", &linked(8)), Met::Same);
        assert_eq!(all.meet("/d", &alone), Met::Same);
        assert!(matches!(all.meet("/d", &linked(5)), Met::Other(_)));
        assert!(matches!(all.meet("/a", &alone), Met::Other(_)));
    }

    #[test]
    fn what_was_not_met_is_missing_unless_the_device_left_it_out() {
        let here = Entry::bare("/a".to_owned(), EntryKind::Folder);
        let gone = Entry::bare("/b".to_owned(), EntryKind::Pipe);
        let left = Entry { left_out: Some("x".to_owned()), ..Entry::bare("/c".to_owned(), EntryKind::Folder) };
        let mut all = listing(&[here.clone(), gone.clone(), left.clone()]);
        all.meet("/a", &node(FOLDER));
        assert!(!all.is_missing(&here) && all.is_missing(&gone) && !all.is_missing(&left));
        assert!(all.is_above("/home") && !all.is_above("/home/a%25") && !all.is_above("/ho"));
    }

    #[test]
    fn a_backup_calls_each_kind_by_its_own_name() {
        for (name, kind) in [
            ("fifo", EntryKind::Pipe),
            ("socket", EntryKind::Socket),
            ("chardev", EntryKind::CharDevice),
            ("dev", EntryKind::BlockDevice),
            ("door", EntryKind::Unknown),
        ] {
            assert_eq!(kind_of(&NodeKind::Other(name.to_owned())), kind, "{name}");
        }
    }
}
