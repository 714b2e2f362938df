//! What is in a folder, a page at a time.
use super::path::{At, go};
use super::{Stop, short};
use crate::content::message::{End, Found, Listed, PAGE, Row, RowKind};
use domain::manifest::encode_path;
use domain::object::ObjectName;
use repository::{BlobKind, Entry, Id, NodeKind, Objects, Repository, WalkFault};

/// How many entries beyond a page are counted; further ones are only said to be there.
const COUNTED: u64 = 50_000;

/// How much of a link's target is shown.
const TARGET: usize = 400;

pub(super) fn list<O: Objects>(
    repository: &mut Repository<O>,
    snapshot: &ObjectName,
    (path, filter): (&str, &str),
    from: u64,
) -> Result<End, Stop> {
    let found = match go(repository, snapshot, path)? {
        At::Folder(path, tree) => Found::Folder(page(repository, (&path, tree), &filter.to_lowercase(), from)?),
        At::Entry(entry) => Found::Single(row(repository, &entry)),
    };
    Ok(End::Found(found))
}

fn page<O: Objects>(
    repository: &mut Repository<O>,
    (path, tree): (&[u8], Id),
    filter: &str,
    from: u64,
) -> Result<Listed, Stop> {
    let (own, mut listed, mut met) = (encode_path(path), Listed::default(), 0u64);
    let mut walk = repository.walk_below(path.to_vec(), tree);
    while let Some(item) = walk.next(repository) {
        walk.skip();
        let row = match item {
            Ok(entry) if matches(&last_name(&entry.path), filter) => Some(Ok(entry)),
            Ok(_) => None,
            Err(it) if it.fault.is_fatal() => return Err(Stop::Fault(it.path, it.fault)),
            // The list itself cannot be read, from here on or at all.
            Err(it) if it.path == own => {
                if met == 0 && listed.rows.is_empty() {
                    return Err(Stop::Fault(it.path, it.fault));
                }
                listed.broken = Some(short(&it.fault.to_string()));
                return Ok(listed);
            }
            Err(it) if matches(&it.path, filter) => Some(Err(it)),
            Err(_) => None,
        };
        let Some(row) = row else { continue };
        met += 1;
        if met <= from {
            continue;
        }
        if listed.rows.len() == PAGE {
            listed.has_more = true;
            if met - from > COUNTED {
                return Ok(listed);
            }
            continue;
        }
        listed.rows.push(match row {
            Ok(entry) => self::row(repository, &entry),
            Err(fault) => unusable(fault, own.len() + 1),
        });
    }
    listed.count = Some(met);
    Ok(listed)
}

fn matches(name: &str, filter: &str) -> bool {
    filter.is_empty() || name.to_lowercase().contains(filter)
}

/// The last name of a path, in the manifest's spelling.
pub(super) fn last_name(path: &[u8]) -> String {
    encode_path(path.rsplit(|it| *it == b'/').next().unwrap_or_default())
}

fn unusable(it: WalkFault, before: usize) -> Row {
    let name = it.path.get(before..).unwrap_or_default();
    Row { name: short(name), kind: RowKind::Unusable { why: short(&it.fault.to_string()) }, modified: None, mode: 0 }
}

fn row<O: Objects>(repository: &Repository<O>, entry: &Entry) -> Row {
    let kind = match &entry.node.kind {
        NodeKind::File { size, content } => RowKind::File { size: *size, is_whole: is_whole(repository, content) },
        NodeKind::Folder { tree } => {
            RowKind::Folder { is_there: tree.is_some_and(|it| repository.index().find(BlobKind::Tree, &it).is_some()) }
        }
        NodeKind::Symlink { target } => RowKind::Symlink { target: cut(&encode_path(target)) },
        NodeKind::Other(what) => RowKind::Special { what: what.chars().take(40).collect() },
    };
    let modified = entry.node.modified.map(|it| it.0);
    Row { name: last_name(&entry.path), kind, modified, mode: entry.node.mode }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= TARGET { text.to_owned() } else { text.chars().take(TARGET).chain(['…']).collect() }
}

/// Whether each chunk is in some pack that the server has, as far as index and ledger say.
pub(super) fn is_whole<O: Objects>(repository: &Repository<O>, content: &[Id]) -> bool {
    let index = repository.index();
    let mut last = None;
    content.iter().all(|id| {
        // A long run of one byte is the same chunk over and over.
        if last == Some(id) {
            return true;
        }
        last = Some(id);
        let found = index.find(BlobKind::Data, id);
        found.is_some_and(|it| index.packs(it).any(|(_, pack)| repository.pack_size(&pack).is_some()))
    })
}
