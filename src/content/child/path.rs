//! Goes to a path.
use super::Stop;
use domain::manifest::{decode_path, encode_path};
use domain::object::ObjectName;
use repository::{Entry, Id, NodeKind, Objects, Repository};

/// What is at a path.
pub(super) enum At {
    /// The folder's own path and its list.
    Folder(Vec<u8>, Id),
    Entry(Box<Entry>),
}

/// The entry at a path; the top for an empty one.
///
/// Each folder on the way is read only as far as the next name.
pub(super) fn go<O: Objects>(repository: &mut Repository<O>, snapshot: &ObjectName, path: &str) -> Result<At, Stop> {
    let wanted = decode_path(path).ok_or(Stop::NotThere)?;
    let mut folder = (Vec::new(), repository.snapshot(snapshot)?.tree);
    if wanted.is_empty() || wanted == b"/" {
        return Ok(At::Folder(folder.0, folder.1));
    }
    if !domain::manifest::is_plain(&wanted) || wanted.len() > repository::limit::PATH {
        return Err(Stop::NotThere);
    }
    loop {
        let entry = step(repository, &folder, &wanted)?;
        let is_whole = entry.path.len() == wanted.len();
        match &entry.node.kind {
            NodeKind::Folder { tree: Some(tree) } => folder = (entry.path, *tree),
            _ if is_whole => return Ok(At::Entry(Box::new(entry))),
            NodeKind::File { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) | NodeKind::Folder { tree: None } => {
                return Err(Stop::NotThere);
            }
        }
        if is_whole {
            return Ok(At::Folder(folder.0, folder.1));
        }
    }
}

/// The entry of a folder that is the wanted one or on the way to it.
fn step<O: Objects>(repository: &mut Repository<O>, folder: &(Vec<u8>, Id), wanted: &[u8]) -> Result<Entry, Stop> {
    let mut walk = repository.walk_below(folder.0.clone(), folder.1);
    while let Some(item) = walk.next(repository) {
        match item {
            Ok(entry) => {
                walk.skip();
                let rest = wanted.strip_prefix(entry.path.as_slice());
                if rest.is_some_and(|it| it.is_empty() || it.starts_with(b"/")) {
                    return Ok(entry);
                }
            }
            // The folder itself, or the store.
            Err(it) if it.fault.is_fatal() || it.path == encode_path(&folder.0) => {
                return Err(Stop::Fault(it.path, it.fault));
            }
            // Another entry.
            Err(_) => {}
        }
    }
    Err(Stop::NotThere)
}
