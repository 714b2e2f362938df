//! In which restore points a name was.
//!
//! A folder that did not change has the same id in each of them, and is read once: what is below it is kept as a short
//! summary, and as nothing where no name matches.
use super::{Stop, short};
use crate::content::message::{End, Hit, Hits, Span};
use domain::manifest::encode_path;
use domain::object::ObjectName;
use repository::{Fault, Id, Node, NodeKind, Objects, Repository, TreeReader, is_safe, limit};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
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
    points: &[ObjectName],
    text: &str,
    time: Duration,
) -> Result<End, Stop> {
    let mut search = Search { text: text.to_lowercase(), until: Instant::now() + time, ..Search::default() };
    let mut seen = Seen::default();
    for (at, name) in points.iter().enumerate() {
        let done = match repository.snapshot(name) {
            Ok(snapshot) => search
                .learn(repository, snapshot.tree)
                .and_then(|is_known| if is_known { seen.take(&search, snapshot.tree, at) } else { Ok(false) }),
            Err(fault) if fault.is_fatal() => Err(fault),
            Err(_unreadable) => {
                seen.unreadable_points += 1;
                seen.unsure.push(at);
                seen.searched = at + 1;
                continue;
            }
        };
        match done {
            Ok(true) => seen.searched = at + 1,
            Ok(false) => break,
            // What was found before the limit is true.
            Err(Fault::Limit(_)) if at > 0 => break,
            Err(fault) => return Err(fault.into()),
        }
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
    /// What is below each folder that was read; none where nothing matches.
    known: HashMap<Id, Option<Rc<Below>>>,
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
        if let Some(known) = self.known.get(&id) {
            if let (Some(above), Some(below)) = (open.last_mut(), known) {
                above.below.is_broken |= below.is_broken;
                above.below.folders.push((name, id));
            }
            return Ok(());
        }
        if self.known.len() >= FOLDERS {
            return Err(Fault::Limit("the backups have more folders than a search keeps"));
        }
        if open.len() >= limit::DEPTH {
            return Err(Fault::Limit("the backup's folders are nested deeper than the limit"));
        }
        match repository.tree(&id) {
            Ok(nodes) => {
                *held = held.saturating_add(nodes.held());
                if *held > limit::OPEN_TREES {
                    return Err(Fault::Limit("the backup's folders are larger than the limit"));
                }
                open.push(Open { name, id, nodes, below: Below::default() });
            }
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(_unreadable) => {
                self.unreadable += 1;
                self.known.insert(id, Some(Rc::new(Below { is_broken: true, ..Below::default() })));
                if let Some(above) = open.last_mut() {
                    above.below.is_broken = true;
                }
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
        let below = closed.below;
        let something = !below.hits.is_empty() || !below.folders.is_empty() || below.is_broken;
        if let (Some(above), true) = (open.last_mut(), something) {
            above.below.is_broken |= below.is_broken;
            above.below.folders.push((closed.name, closed.id));
        }
        self.known.insert(closed.id, something.then(|| Rc::new(below)));
    }

    /// Looked at now and then: asking for the time takes longer than a name.
    fn is_late(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        self.steps.is_multiple_of(1024) && Instant::now() >= self.until
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
            let Some(Some(below)) = search.known.get(&id) else { continue };
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
        if search.known.get(&top).is_some_and(|it| it.as_ref().is_some_and(|below| below.is_broken)) {
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
