//! In which restore points a name was.
//!
//! A folder that did not change has the same id in each of them, and is read once: what is below it is kept as a short
//! summary, and as nothing where no name matches. Each point is looked at in its own view, so a summary says for which
//! views it holds.
//!
//! Where the time is over within the first point, or the memory, what was found so far is told, and the place after it: how
//! many nodes were read of each folder on the way. The next search goes on from there.
mod search;
mod seen;

use super::Stop;
use crate::content::message::{self, Bounds, End};
use repository::{Fault, Id, Node, NodeKind, Objects, Repository, View, is_safe, limit};
use search::Search;
use seen::Seen;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Looks for names that contain `text`, in the newest point first. With `from`, it goes on within that one, and ends with it.
pub(super) fn find<O: Objects>(
    repository: &mut Repository<O>,
    points: &[message::Seen],
    (text, from): (&str, &str),
    bounds: Bounds,
) -> Result<End, Stop> {
    let from = parse(from).ok_or(Stop::NotThere)?;
    // Only the rest of the first is searched: of another one, that says nothing.
    let count = if from.is_empty() { points.len() } else { 1 };
    let mut search = Search {
        text: text.to_lowercase(),
        until: Instant::now() + Duration::from_millis(bounds.millis),
        folders: bounds.folders,
        from,
        ..Search::default()
    };
    let mut seen = Seen::default();
    for (at, point) in points.iter().take(count).enumerate() {
        match search.point(repository, (at, point), &mut seen) {
            Ok(true) => {}
            Ok(false) => break,
            // The store is away, and the others cannot be read either.
            Err(fault @ (Fault::Unavailable(_) | Fault::Write(_))) => return Err(fault.into()),
            Err(_unreadable) => {
                seen.unreadable_points += 1;
                seen.unsure.push(at);
            }
        }
        seen.searched = at + 1;
    }
    Ok(End::Hits(seen.hits(search.unreadable, search.has_more)))
}

/// How many nodes were read of each folder on the way: "3.17.2005".
fn parse(from: &str) -> Option<Vec<u64>> {
    if from.is_empty() {
        return Some(Vec::new());
    }
    let counts: Vec<u64> = from.split('.').map(|it| it.parse().ok()).collect::<Option<_>>()?;
    (counts.len() <= limit::DEPTH).then_some(counts)
}

/// What is below one folder, as far as it matches.
#[derive(Default)]
struct Below {
    hits: Vec<(Vec<u8>, Version)>,
    folders: Vec<(Vec<u8>, Id)>,
    /// Part of it could not be read.
    is_broken: bool,
    /// The first view in which all of it can be read like this.
    since: View,
}

/// What is known of a folder, and for which views.
struct Known {
    since: View,
    /// What could not be read in one view may be readable in a later one.
    until: View,
    /// None where nothing matches.
    below: Option<Box<Below>>,
}

/// What is below each folder that was read.
#[derive(Default)]
struct Folders(HashMap<Id, Known>);

impl Folders {
    /// What is below one, where something is.
    fn below(&self, id: &Id) -> Option<&Below> {
        self.0.get(id)?.below.as_deref()
    }
}

/// What a matching name is, so that a change of it shows.
#[derive(Clone, PartialEq, Eq)]
struct Version {
    is_folder: bool,
    size: u64,
    content: [u8; 32],
}

fn folder_of(node: Node) -> Option<(Vec<u8>, Id)> {
    folder_at(node.name.filter(|it| is_safe(it))?, &node.kind)
}

fn folder_at(name: Vec<u8>, kind: &NodeKind) -> Option<(Vec<u8>, Id)> {
    match kind {
        NodeKind::Folder { tree: Some(tree) } => Some((name, *tree)),
        NodeKind::Folder { tree: None } | NodeKind::File { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) => None,
    }
}

impl Below {
    /// Adds a folder that is known.
    fn take(&mut self, name: Vec<u8>, id: Id, known: &Known) {
        self.since = self.since.max(known.since);
        if let Some(below) = &known.below {
            self.is_broken |= below.is_broken;
            self.folders.push((name, id));
        }
    }
}

fn version(kind: &NodeKind) -> Version {
    match kind {
        NodeKind::File { size, content } => {
            let ids: Vec<u8> = content.iter().flat_map(|it| it.0).collect();
            Version { is_folder: false, size: *size, content: secret::sha256(&ids) }
        }
        NodeKind::Folder { .. } => Version { is_folder: true, size: 0, content: [0; 32] },
        NodeKind::Symlink { target } => Version { is_folder: false, size: 0, content: secret::sha256(target) },
        NodeKind::Other(_) => Version { is_folder: false, size: 0, content: [0; 32] },
    }
}
