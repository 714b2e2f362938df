//! In which restore points a name was.
//!
//! A folder that did not change has the same id in each of them, and is read once: what is below it is kept as a short
//! summary, and as nothing where no name matches. Each point is looked at in its own view, so a summary says for which
//! views it holds.
use super::{Stop, short};
use crate::content::message::{self, End, Hit, Hits, Span};
use domain::manifest::encode_path;
use repository::{Fault, Id, Node, NodeKind, Objects, Repository, TreeReader, View, is_safe, limit};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How many paths are told.
const PATHS: usize = 300;
/// How often a path may come and go; older times are not told.
const SPANS: usize = 50;
/// How many matching names are kept over all folders.
const NAMES: usize = 100_000;
/// How many folders are known at once.
const FOLDERS: usize = 1_000_000;

/// Looks for names that contain `text`, in the newest point first, for at most `time`.
pub(super) fn find<O: Objects>(
    repository: &mut Repository<O>,
    points: &[message::Seen],
    text: &str,
    time: Duration,
) -> Result<End, Stop> {
    let mut search = Search { text: text.to_lowercase(), until: Instant::now() + time, ..Search::default() };
    let mut seen = Seen::default();
    for (at, point) in points.iter().enumerate() {
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
    Ok(End::Hits(seen.hits(&search)))
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

/// What a matching name is, so that a change of it shows.
#[derive(Clone, PartialEq, Eq)]
struct Version {
    is_folder: bool,
    size: u64,
    content: [u8; 32],
}

struct Search {
    text: String,
    until: Instant,
    /// What is below each folder that was read.
    known: HashMap<Id, Known>,
    view: View,
    names: usize,
    steps: u32,
    unreadable: u64,
    has_more: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            text: String::new(),
            until: Instant::now(),
            known: HashMap::new(),
            view: 0,
            names: 0,
            steps: 0,
            unreadable: 0,
            has_more: false,
        }
    }
}

struct Open {
    /// Its name in the folder above.
    name: Vec<u8>,
    id: Id,
    nodes: TreeReader,
    below: Below,
}

impl Search {
    /// Looks for the names in one point; false if the time is over.
    fn point<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        (at, point): (usize, &message::Seen),
        seen: &mut Seen,
    ) -> Result<bool, Fault> {
        // Only an odd clock makes an older point's view the later one. Summaries were made for going back.
        if point.view > self.view {
            self.known.clear();
        }
        self.view = point.view;
        repository.look(point.view)?;
        let top = repository.snapshot(&point.snapshot)?.tree;
        Ok(self.learn(repository, top)? && seen.take(self, top, at)?)
    }

    /// Reads a folder and everything below it that is not known yet; false if the time is over.
    fn learn<O: Objects>(&mut self, repository: &mut Repository<O>, top: Id) -> Result<bool, Fault> {
        let (mut open, mut held) = (Vec::<Open>::new(), 0usize);
        let mut next = Some((Vec::new(), top));
        loop {
            if let Some((name, id)) = next.take() {
                self.enter(repository, (&mut open, &mut held), name, id)?;
            }
            if self.is_late() {
                return Ok(false);
            }
            let Some(folder) = open.last_mut() else { return Ok(true) };
            match folder.nodes.next_node() {
                Some(Ok(node)) => next = self.node(&mut folder.below, node),
                // What came before it in the folder is good.
                Some(Err(_)) => {
                    self.unreadable += 1;
                    folder.below.is_broken = true;
                }
                None => self.leave(&mut open, &mut held),
            }
        }
    }

    fn enter<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        (open, held): (&mut Vec<Open>, &mut usize),
        name: Vec<u8>,
        id: Id,
    ) -> Result<(), Fault> {
        if let Some(known) = self.known.get(&id).filter(|it| (it.since..=it.until).contains(&self.view)) {
            if let Some(above) = open.last_mut() {
                above.below.take(name, id, known);
            }
            return Ok(());
        }
        if self.known.len() >= FOLDERS {
            return Err(Fault::Limit("the backups have more folders than a search keeps"));
        }
        if open.len() >= limit::DEPTH {
            return Err(Fault::Limit("the backup's folders are nested deeper than the limit"));
        }
        match repository.tree_since(&id) {
            Ok((nodes, since)) => {
                *held = held.saturating_add(nodes.held());
                if *held > limit::OPEN_TREES {
                    return Err(Fault::Limit("the backup's folders are larger than the limit"));
                }
                open.push(Open { name, id, nodes, below: Below { since, ..Below::default() } });
            }
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(_unreadable) => {
                self.unreadable += 1;
                let known = self.summary(Below { is_broken: true, ..Below::default() });
                if let Some(above) = open.last_mut() {
                    above.below.take(name, id, &known);
                }
                self.known.insert(id, known);
            }
        }
        Ok(())
    }

    /// Looks at one node; gives the folder to open, if it is one.
    fn node(&mut self, below: &mut Below, node: Node) -> Option<(Vec<u8>, Id)> {
        let name = node.name.filter(|it| is_safe(it))?;
        if String::from_utf8_lossy(&name).to_lowercase().contains(&self.text) {
            if self.names < NAMES {
                self.names += 1;
                below.hits.push((name.clone(), version(&node.kind)));
            } else {
                self.has_more = true;
            }
        }
        match node.kind {
            NodeKind::Folder { tree: Some(tree) } => Some((name, tree)),
            NodeKind::Folder { tree: None } | NodeKind::File { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) => {
                None
            }
        }
    }

    fn leave(&mut self, open: &mut Vec<Open>, held: &mut usize) {
        let Some(closed) = open.pop() else { return };
        *held = held.saturating_sub(closed.nodes.held());
        let known = self.summary(closed.below);
        if let Some(above) = open.last_mut() {
            above.below.take(closed.name, closed.id, &known);
        }
        self.known.insert(closed.id, known);
    }

    fn summary(&self, below: Below) -> Known {
        let until = if below.is_broken { self.view } else { View::MAX };
        let something = !below.hits.is_empty() || !below.folders.is_empty() || below.is_broken;
        Known { since: below.since, until, below: something.then(|| Box::new(below)) }
    }

    /// Looked at now and then: asking for the time takes longer than a name.
    fn is_late(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        self.steps.is_multiple_of(1024) && Instant::now() >= self.until
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

/// Where each path was met.
#[derive(Default)]
struct Seen {
    paths: BTreeMap<Vec<u8>, Path>,
    has_more: bool,
    searched: usize,
    unreadable_points: u64,
    /// Points that could not be read to their end: what is not met there does not end a span.
    unsure: Vec<usize>,
}

struct Path {
    newest: Version,
    last: Version,
    versions: u32,
    spans: Vec<Span>,
}

impl Seen {
    /// Goes through the summaries of one point; false if the time is over.
    fn take(&mut self, search: &Search, top: Id, at: usize) -> Result<bool, Fault> {
        let mut steps = 0u32;
        let mut rest = vec![(Vec::new(), top)];
        while let Some((path, id)) = rest.pop() {
            let Some(below) = search.known.get(&id).and_then(|it| it.below.as_ref()) else { continue };
            for (name, version) in &below.hits {
                steps = steps.wrapping_add(1);
                if steps.is_multiple_of(1024) && Instant::now() >= search.until {
                    return Ok(false);
                }
                self.meet([&path[..], b"/", name].concat(), version, at);
            }
            for (name, id) in &below.folders {
                let below = [&path[..], b"/", name].concat();
                if below.len() > limit::PATH {
                    return Err(Fault::Limit("a path is longer than the limit"));
                }
                rest.push((below, *id));
            }
        }
        if search.known.get(&top).and_then(|it| it.below.as_ref()).is_some_and(|it| it.is_broken) {
            self.unsure.push(at);
        }
        Ok(true)
    }

    fn meet(&mut self, path: Vec<u8>, version: &Version, at: usize) {
        if let Some(known) = self.paths.get_mut(&path) {
            let is_sure = |it: usize| self.unsure.binary_search(&it).is_err();
            let is_full = known.spans.len() >= SPANS;
            match known.spans.last_mut() {
                Some(span) if !(span.oldest + 1..at).any(is_sure) => span.oldest = at,
                Some(_) | None if !is_full => known.spans.push(Span { newest: at, oldest: at }),
                Some(_) | None => {}
            }
            if known.last != *version {
                known.versions = known.versions.saturating_add(1);
                known.last = version.clone();
            }
            return;
        }
        if self.paths.len() >= PATHS {
            self.has_more = true;
            return;
        }
        let spans = vec![Span { newest: at, oldest: at }];
        self.paths.insert(path, Path { newest: version.clone(), last: version.clone(), versions: 1, spans });
    }

    fn hits(self, search: &Search) -> Hits {
        let searched = self.searched;
        // A point that was only begun is not among those that are told.
        let told = |mut spans: Vec<Span>| {
            spans.retain(|it| it.newest < searched);
            spans
        };
        let rows = self.paths.into_iter().filter_map(|(path, it)| {
            let spans = told(it.spans);
            (!spans.is_empty()).then(|| Hit {
                path: short_path(&path),
                is_folder: it.newest.is_folder,
                size: it.newest.size,
                versions: it.versions,
                spans,
            })
        });
        Hits {
            rows: rows.collect(),
            searched,
            has_more: self.has_more || search.has_more,
            unreadable_folders: search.unreadable,
            unreadable_points: self.unreadable_points,
            unsure: self.unsure,
        }
    }
}

/// A path in the manifest's spelling; one that no page has room for is cut.
fn short_path(path: &[u8]) -> String {
    let text = encode_path(path);
    if text.len() <= 4096 { text } else { short(&text) }
}
