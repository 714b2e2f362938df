//! Reads points, folder by folder, and knows what is below each.
use super::seen::{Seen, short_path};
use super::{Below, Folders, Known, folder_at, folder_of, version};
use crate::content::message::{self, GoesOn};
use repository::{Fault, Id, Node, Objects, Repository, TreeReader, View, is_safe, limit};
use std::time::Instant;

/// How many matching names are kept over all folders.
const NAMES: usize = 100_000;

pub(super) struct Search {
    pub text: String,
    pub until: Instant,
    pub known: Folders,
    pub view: View,
    /// How many folders are known at once.
    pub folders: usize,
    /// Where to go on within the first point.
    pub from: Vec<u64>,
    /// Folders that were not read as a whole, with their paths.
    pub parts: Vec<(Vec<u8>, Below)>,
    pub names: usize,
    pub steps: u32,
    pub unreadable: u64,
    pub has_more: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            text: String::new(),
            until: Instant::now(),
            known: Folders::default(),
            view: 0,
            folders: 0,
            from: Vec::new(),
            parts: Vec::new(),
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
    /// How many of them were read.
    read: u64,
    /// A search before this one read its beginning: what is read now is no summary of it.
    is_rest: bool,
    below: Below,
}

/// The folders on the way to the one that is read, and the bytes that are kept for them.
#[derive(Default)]
struct Stack {
    open: Vec<Open>,
    held: usize,
}

impl Stack {
    /// The path of the folder at this depth.
    fn path(&self, depth: usize) -> Vec<u8> {
        let names = self.open.iter().take(depth + 1).skip(1);
        names.flat_map(|it| [&b"/"[..], &it.name]).flatten().copied().collect()
    }
}

impl Search {
    /// Looks for the names in one point; false if it was not read to its end.
    pub fn point<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        (at, point): (usize, &message::Seen),
        seen: &mut Seen,
    ) -> Result<bool, Fault> {
        // Only an odd clock makes an older point's view the later one. Summaries were made for going back.
        if point.view > self.view {
            self.known.0.clear();
        }
        self.view = point.view;
        repository.look(point.view)?;
        let top = repository.snapshot(&point.snapshot)?.tree;
        let mut stack = Stack::default();
        let next = self.resume(repository, &mut stack, top)?;
        let is_whole = self.learn(repository, &mut stack, next)?;
        if !is_whole && at > 0 {
            return Ok(false);
        }
        if !is_whole {
            seen.goes_on = Some(self.stop(stack));
        }
        Ok(self.tell(top, at, seen)? && is_whole)
    }

    /// Opens the folders on the way to where a search before this one stopped; without one, the top is next.
    fn resume<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        stack: &mut Stack,
        top: Id,
    ) -> Result<Option<(Vec<u8>, Id)>, Fault> {
        const LOST: &str = "there is no such place in the backup";
        let mut next = Some((Vec::new(), top));
        for count in std::mem::take(&mut self.from) {
            let (name, id) = next.take().ok_or_else(|| Fault::Node(LOST.to_owned()))?;
            let (nodes, since) = repository.tree_since(&id)?;
            Self::push(stack, (name, id, nodes), since)?;
            let Some(folder) = stack.open.last_mut() else { break };
            folder.is_rest = true;
            while folder.read < count {
                let Some(Ok(node)) = folder.nodes.next_node() else { return Err(Fault::Node(LOST.to_owned())) };
                folder.read += 1;
                next = if folder.read == count { folder_of(node) } else { None };
            }
        }
        // What was read last in the deepest one is done.
        Ok(if stack.open.is_empty() { next } else { None })
    }

    /// Keeps what was found in the folders that were not read to their ends; gives the place after it.
    fn stop(&mut self, stack: Stack) -> GoesOn {
        let counts: Vec<_> = stack.open.iter().map(|it| it.read.to_string()).collect();
        let paths: Vec<_> = (0..stack.open.len()).map(|it| stack.path(it)).collect();
        let (reached, _) = short_path(paths.last().map(Vec::as_slice).unwrap_or_default());
        self.parts.extend(paths.into_iter().zip(stack.open.into_iter().map(|it| it.below)));
        GoesOn { from: counts.join("."), path: reached }
    }

    /// Tells what was found in a point; false if the time is over before.
    fn tell(&mut self, top: Id, at: usize, seen: &mut Seen) -> Result<bool, Fault> {
        let parts = std::mem::take(&mut self.parts);
        let mut all: Vec<_> = parts.iter().map(|(path, below)| (path.clone(), below)).collect();
        if all.is_empty() {
            all.extend(self.known.below(&top).map(|it| (Vec::new(), it)));
        }
        let is_broken = all.iter().any(|it| it.1.is_broken);
        let is_told = seen.take((&self.known, self.until), all, at)?;
        if !is_told && at > 0 {
            return Ok(false);
        }
        seen.has_more |= !is_told;
        if is_broken || !is_told {
            seen.unsure.push(at);
        }
        Ok(true)
    }

    /// Reads a folder and everything below it that is not known yet; false if the time is over, or the memory for it.
    fn learn<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        stack: &mut Stack,
        mut next: Option<(Vec<u8>, Id)>,
    ) -> Result<bool, Fault> {
        loop {
            if let Some((name, id)) = next.take() {
                self.enter(repository, stack, name, id)?;
            }
            let Some(folder) = stack.open.last_mut() else { return Ok(true) };
            if self.is_late() {
                return Ok(false);
            }
            match folder.nodes.next_node() {
                Some(Ok(node)) => {
                    folder.read += 1;
                    next = self.node(&mut folder.below, node);
                }
                // What came before it in the folder is good.
                Some(Err(_)) => {
                    self.unreadable += 1;
                    folder.below.is_broken = true;
                }
                None => self.leave(stack),
            }
        }
    }

    fn enter<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        stack: &mut Stack,
        name: Vec<u8>,
        id: Id,
    ) -> Result<(), Fault> {
        if let Some(known) = self.known.0.get(&id).filter(|it| (it.since..=it.until).contains(&self.view)) {
            if let Some(above) = stack.open.last_mut() {
                above.below.take(name, id, known);
            }
            return Ok(());
        }
        match repository.tree_since(&id) {
            Ok((nodes, since)) => Self::push(stack, (name, id, nodes), since)?,
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(_unreadable) => {
                self.unreadable += 1;
                let known = self.summary(Below { is_broken: true, ..Below::default() });
                if let Some(above) = stack.open.last_mut() {
                    above.below.take(name, id, &known);
                }
                self.known.0.insert(id, known);
            }
        }
        Ok(())
    }

    fn push(stack: &mut Stack, (name, id, nodes): (Vec<u8>, Id, TreeReader), since: View) -> Result<(), Fault> {
        if stack.open.len() >= limit::DEPTH {
            return Err(Fault::Limit("the backup's folders are nested deeper than the limit"));
        }
        stack.held = stack.held.saturating_add(nodes.held());
        if stack.held > limit::OPEN_TREES {
            return Err(Fault::Limit("the backup's folders are larger than the limit"));
        }
        let below = Below { since, ..Below::default() };
        stack.open.push(Open { name, id, nodes, read: 0, is_rest: false, below });
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
        folder_at(name, &node.kind)
    }

    fn leave(&mut self, stack: &mut Stack) {
        let path = stack.open.last().filter(|it| it.is_rest).map(|_| stack.path(stack.open.len() - 1));
        let Some(closed) = stack.open.pop() else { return };
        stack.held = stack.held.saturating_sub(closed.nodes.held());
        if let Some(path) = path {
            self.parts.push((path, closed.below));
            return;
        }
        let known = self.summary(closed.below);
        if let Some(above) = stack.open.last_mut() {
            above.below.take(closed.name, closed.id, &known);
        }
        self.known.0.insert(closed.id, known);
    }

    fn summary(&self, below: Below) -> Known {
        let until = if below.is_broken { self.view } else { View::MAX };
        let something = !below.hits.is_empty() || !below.folders.is_empty() || below.is_broken;
        Known { since: below.since, until, below: something.then(|| Box::new(below)) }
    }

    /// The time is looked at now and then: asking for it takes longer than a name.
    fn is_late(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        self.known.0.len() >= self.folders || (self.steps.is_multiple_of(1024) && Instant::now() >= self.until)
    }
}
