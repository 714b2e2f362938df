//! The bytes of one file, or a folder as an archive.
use super::parts::{Parts, chunk, gone, other_size, wide};
use super::path::{At, go};
use super::{Stop, list, tar};
use crate::content::message::{self, End, Head, Taken};
use domain::object::ObjectName;
use repository::{BlobKind, Fault, Id, NodeKind, Objects, Repository};
use std::io::Write;

pub(super) fn take<O: Objects>(
    repository: &mut Repository<O>,
    snapshot: &ObjectName,
    (path, leaves_out): (&str, bool),
    out: &mut dyn Write,
) -> Result<End, Stop> {
    let entry = match go(repository, snapshot, path)? {
        At::Folder(path, tree) => {
            let head = Head { name: list::last_name(&path), size: None };
            message::head(out, &head).map_err(gone)?;
            return tar::folder(repository, (path, tree), leaves_out, Parts::new(out)).map(End::Taken);
        }
        At::Entry(entry) => entry,
    };
    let NodeKind::File { size, content } = &entry.node.kind else { return Err(Stop::NotAFile) };
    let at = |fault| Stop::Fault(entry.spelled(), fault);
    // What is known to be missing is told before the first byte.
    if let Some(missing) = missing(repository, content) {
        return Err(at(Fault::NotIndexed(missing)));
    }
    let head = Head { name: list::last_name(&entry.path), size: Some(*size) };
    message::head(out, &head).map_err(gone)?;
    let mut parts = Parts::new(out);
    let mut left = *size;
    let mut plain = Vec::new();
    for id in content {
        chunk(repository, id, &mut plain).map_err(at)?;
        left = left.checked_sub(wide(plain.len())).ok_or_else(|| at(other_size()))?;
        parts.write_all(&plain).map_err(gone)?;
    }
    if left > 0 {
        return Err(at(other_size()));
    }
    parts.finish().map_err(gone)?;
    Ok(End::Taken(Taken { files: 1, bytes: *size, ..Taken::default() }))
}

/// The first chunk that is in no index.
fn missing<O: Objects>(repository: &Repository<O>, content: &[Id]) -> Option<Id> {
    content.iter().find(|it| repository.index().find(BlobKind::Data, it).is_none()).copied()
}
