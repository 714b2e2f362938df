//! What two restore points differ in.
//!
//! A folder that is the same in both has the same id, and is not read. The others are read side by side, entry by
//! entry, in the order of their names: neither is ever in memory as a whole.
use super::{Stop, short};
use crate::content::message::{Change, Changes, Counts, Difference, End, PAGE, Seen};
use domain::manifest::encode_path;
use repository::{Fault, Id, Node, NodeKind, Objects, Repository, TreeReader, View, is_safe, limit};
use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// Compares two snapshots for at most `time`; one page of the differences, from the number `from` on, and the counts of
/// all.
pub(super) fn compare<O: Objects>(
    repository: &mut Repository<O>,
    (old, new): (&Seen, &Seen),
    from: u64,
    time: Duration,
) -> Result<End, Stop> {
    let views = (old.view, new.view);
    let (old, new) = (repository.snapshot(&old.snapshot)?.tree, repository.snapshot(&new.snapshot)?.tree);
    let mut comparison = Comparison {
        open: Vec::new(),
        views,
        changes: Changes { is_whole: true, ..Changes::default() },
        from,
        met: 0,
        steps: 0,
        until: Instant::now() + time,
    };
    if old != new {
        comparison.enter(repository, Vec::new(), (Some(old), Some(new)))?;
        comparison.run(repository)?;
    }
    Ok(End::Changes(comparison.changes))
}

/// One of the two sides of a folder.
#[derive(Default)]
struct Side {
    nodes: Option<TreeReader>,
    /// The next entry, with its checked name.
    head: Option<(Vec<u8>, Node)>,
    last: Option<Vec<u8>>,
}

struct Open {
    path: Vec<u8>,
    old: Side,
    new: Side,
}

struct Comparison {
    open: Vec<Open>,
    /// Each side is read as it was when its point was received.
    views: (View, View),
    changes: Changes,
    from: u64,
    met: u64,
    steps: u32,
    until: Instant,
}

impl Comparison {
    fn run<O: Objects>(&mut self, repository: &mut Repository<O>) -> Result<(), Fault> {
        loop {
            self.steps = self.steps.wrapping_add(1);
            if self.steps.is_multiple_of(1024) && Instant::now() >= self.until {
                self.changes.is_whole = false;
                return Ok(());
            }
            let Some(folder) = self.open.last_mut() else { return Ok(()) };
            let unreadable = folder.old.fill() + folder.new.fill();
            if unreadable > 0 {
                // Without both lists to their ends nobody can say what is missing from one.
                self.changes.unreadable += unreadable;
                self.open.pop();
                continue;
            }
            let (old, new) = match (&folder.old.head, &folder.new.head) {
                (None, None) => {
                    self.open.pop();
                    continue;
                }
                (Some(old), Some(new)) => match old.0.cmp(&new.0) {
                    Ordering::Less => (folder.old.head.take(), None),
                    Ordering::Greater => (None, folder.new.head.take()),
                    Ordering::Equal => (folder.old.head.take(), folder.new.head.take()),
                },
                (Some(_), None) => (folder.old.head.take(), None),
                (None, Some(_)) => (None, folder.new.head.take()),
            };
            let name = old.as_ref().or(new.as_ref()).map_or(&[][..], |it| &it.0);
            let path = [&folder.path[..], b"/", name].concat();
            self.differ(repository, path, (old.map(|it| it.1.kind), new.map(|it| it.1.kind)))?;
        }
    }

    fn differ<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        path: Vec<u8>,
        (old, new): (Option<NodeKind>, Option<NodeKind>),
    ) -> Result<(), Fault> {
        match (old.as_ref(), new.as_ref()) {
            (Some(NodeKind::Folder { tree: a }), Some(NodeKind::Folder { tree: b })) => {
                return if a == b { Ok(()) } else { self.enter(repository, path, (*a, *b)) };
            }
            (Some(a), Some(b)) if a == b => return Ok(()),
            // Something else now has its name.
            (Some(a), Some(b)) if is_folder(a) != is_folder(b) => {
                self.note(&path, Difference::Removed, (Some(a), None));
                self.note(&path, Difference::Added, (None, Some(b)));
            }
            (Some(_), Some(_)) => self.note(&path, Difference::Changed, (old.as_ref(), new.as_ref())),
            (Some(_), None) => self.note(&path, Difference::Removed, (old.as_ref(), None)),
            (None, _) => self.note(&path, Difference::Added, (None, new.as_ref())),
        }
        let below = (old.and_then(tree_of), new.and_then(tree_of));
        if below == (None, None) { Ok(()) } else { self.enter(repository, path, below) }
    }

    fn enter<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        path: Vec<u8>,
        (old, new): (Option<Id>, Option<Id>),
    ) -> Result<(), Fault> {
        if self.open.len() >= limit::DEPTH || path.len() > limit::PATH {
            return Err(Fault::Limit("the backup's folders are nested deeper than the limit"));
        }
        let mut side = |tree: Option<Id>, view: View| {
            let Some(tree) = tree else { return Ok(Some(Side::default())) };
            repository.look(view)?;
            match repository.tree(&tree) {
                Err(fault) if fault.is_fatal() => Err(fault),
                Err(_) => Ok(None),
                Ok(nodes) => Ok(Some(Side { nodes: Some(nodes), ..Side::default() })),
            }
        };
        match (side(old, self.views.0)?, side(new, self.views.1)?) {
            (Some(old), Some(new)) => self.open.push(Open { path, old, new }),
            (old, new) => self.changes.unreadable += u64::from(old.is_none()) + u64::from(new.is_none()),
        }
        let held = |it: &Side| it.nodes.as_ref().map_or(0, TreeReader::held);
        if self.open.iter().map(|it| held(&it.old) + held(&it.new)).sum::<usize>() > limit::OPEN_TREES {
            return Err(Fault::Limit("the backup's folders are larger than the limit"));
        }
        Ok(())
    }

    fn note(&mut self, path: &[u8], what: Difference, (old, new): (Option<&NodeKind>, Option<&NodeKind>)) {
        let (old_size, new_size) = (old.and_then(size_of), new.and_then(size_of));
        let folder = [old, new].into_iter().flatten().all(is_folder);
        if !folder {
            let counts = match what {
                Difference::Added => &mut self.changes.added,
                Difference::Removed => &mut self.changes.removed,
                Difference::Changed => &mut self.changes.changed,
            };
            *counts = Counts {
                files: counts.files + 1,
                bytes: counts.bytes.saturating_add(new_size.or(old_size).unwrap_or(0)),
            };
        }
        self.met += 1;
        if self.met > self.from && self.changes.rows.len() < PAGE {
            let text = encode_path(path);
            let path = if text.len() <= 4096 { text } else { short(&text) };
            self.changes.rows.push(Change { path, what, is_folder: folder, old_size, new_size });
        } else if self.met > self.from {
            self.changes.has_more = true;
        }
    }
}

impl Side {
    /// Reads the next entry if there is none waiting; 1 if the list cannot be read on.
    fn fill(&mut self) -> u64 {
        while self.head.is_none() {
            let Some(nodes) = &mut self.nodes else { return 0 };
            match nodes.next_node() {
                None => self.nodes = None,
                Some(Err(_)) => return 1,
                Some(Ok(mut node)) => {
                    // What no restore would write is in neither.
                    let Some(name) = node.name.take().filter(|it| is_safe(it)) else { continue };
                    if self.last.as_ref().is_some_and(|it| *it >= name) {
                        return 1;
                    }
                    self.last = Some(name.clone());
                    self.head = Some((name, node));
                }
            }
        }
        0
    }
}

const fn is_folder(kind: &NodeKind) -> bool {
    matches!(kind, NodeKind::Folder { .. })
}

fn tree_of(kind: NodeKind) -> Option<Id> {
    match kind {
        NodeKind::Folder { tree } => tree,
        NodeKind::File { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) => None,
    }
}

const fn size_of(kind: &NodeKind) -> Option<u64> {
    match kind {
        NodeKind::File { size, .. } => Some(*size),
        NodeKind::Folder { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) => None,
    }
}
