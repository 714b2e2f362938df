//! Going through a snapshot's folders, one entry at a time.
use crate::name::is_safe;
use crate::{Fault, Id, Node, NodeKind, Objects, Repository, Result, TreeReader, limit};
use std::collections::HashSet;

/// A file, folder, symlink or other thing, with its checked path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The absolute path as bytes: `/`, then checked names. No part is empty, `.` or `..`, or has `/` or NUL in it.
    pub path: Vec<u8>,
    pub node: Node,
}

impl Entry {
    /// The path in the manifest's spelling.
    pub fn spelled(&self) -> String {
        domain::manifest::encode_path(&self.path)
    }
}

/// Something that could not be walked; the walk continues beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkFault {
    /// The folder, or the folder and a placeholder for the name, in the manifest's spelling.
    pub path: String,
    pub fault: Fault,
}

/// A walk: folders before what is in them, each folder's entries in the order of the backup.
///
/// It keeps its own stack, so that no depth of folders can exhaust the thread's.
#[derive(Debug)]
pub struct Walk {
    /// The folder to open next.
    next: Option<(Vec<u8>, Id)>,
    open: Vec<Open>,
    open_bytes: usize,
    count: u64,
    ended: bool,
}

#[derive(Debug)]
struct Open {
    path: Vec<u8>,
    tree: Id,
    nodes: TreeReader,
    names: HashSet<[u8; 16]>,
}

impl Walk {
    pub(crate) fn new(path: Vec<u8>, tree: Id) -> Self {
        Self { next: Some((path, tree)), open: Vec::new(), open_bytes: 0, count: 0, ended: false }
    }

    /// Goes past what is in the folder that was just given, without reading it.
    pub fn skip(&mut self) {
        self.next = None;
    }

    /// The next entry; none at the end. After a fault that [is fatal](Fault::is_fatal) the walk has ended.
    pub fn next<O: Objects>(&mut self, repository: &mut Repository<O>) -> Option<Result<Entry, WalkFault>> {
        if self.ended {
            return None;
        }
        let item = self.step(repository);
        if let Some(Err(it)) = &item
            && it.fault.is_fatal()
        {
            self.ended = true;
        }
        item
    }

    fn step<O: Objects>(&mut self, repository: &mut Repository<O>) -> Option<Result<Entry, WalkFault>> {
        if let Some((path, tree)) = self.next.take()
            && let Err(fault) = self.enter(repository, &path, &tree)
        {
            return Some(Err(WalkFault { path: spelled(&path), fault }));
        }
        let node = loop {
            let folder = self.open.last_mut()?;
            match folder.nodes.next_node() {
                Some(Ok(node)) => break node,
                Some(Err(error)) => {
                    // What came before it in the folder is good.
                    let fault = Fault::Node(format!("folder {}: {error}", folder.tree.short()));
                    return Some(Err(WalkFault { path: spelled(&folder.path), fault }));
                }
                None => self.leave(),
            }
        };
        self.count += 1;
        if self.count > limit::NODES {
            return Some(Err(self.fault(&node, Fault::Limit("the backup has more entries than the limit"))));
        }
        Some(self.entry(node))
    }

    fn enter<O: Objects>(&mut self, repository: &mut Repository<O>, path: &[u8], tree: &Id) -> Result<()> {
        if self.open.len() >= limit::DEPTH {
            return Err(Fault::Limit("the backup's folders are nested deeper than the limit"));
        }
        let nodes = repository.tree(tree)?;
        self.open_bytes += nodes.held();
        if self.open_bytes > limit::OPEN_TREES {
            return Err(Fault::Limit("the backup's folders are larger than the limit"));
        }
        self.open.push(Open { path: path.to_vec(), tree: *tree, nodes, names: HashSet::new() });
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(closed) = self.open.pop() {
            self.open_bytes = self.open_bytes.saturating_sub(closed.nodes.held());
        }
    }

    fn entry(&mut self, node: Node) -> Result<Entry, WalkFault> {
        let Some(folder) = self.open.last_mut() else {
            return Err(self.fault(&node, Fault::Limit("an entry without a folder")));
        };
        let Some(name) = node.name.as_deref().filter(|it| is_safe(it)) else {
            return Err(self.fault(&node, Fault::Node("the name is not a valid file name".to_owned())));
        };
        let path = [&folder.path, &b"/"[..], name].concat();
        // By their hashes: a folder may have a million names.
        if !folder.names.insert(short_hash(name)) {
            return Err(self.fault(&node, Fault::Node("the folder has this name twice".to_owned())));
        }
        if path.len() > limit::PATH {
            return Err(self.fault(&node, Fault::Node("the path is too long".to_owned())));
        }
        match &node.kind {
            NodeKind::Folder { tree: Some(tree) } => self.next = Some((path.clone(), *tree)),
            NodeKind::Folder { tree: None } => {
                return Err(self.fault(&node, Fault::Node("the folder has no content".to_owned())));
            }
            NodeKind::File { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) => {}
        }
        Ok(Entry { path, node })
    }

    fn fault(&self, node: &Node, fault: Fault) -> WalkFault {
        let folder = self.open.last().map_or(&[][..], |it| &it.path);
        let name: String = node.spelled.chars().take(200).collect();
        WalkFault { path: format!("{}/{}", spelled(folder), spelled(name.as_bytes())), fault }
    }
}

fn spelled(path: &[u8]) -> String {
    domain::manifest::encode_path(path)
}

fn short_hash(name: &[u8]) -> [u8; 16] {
    let mut short = [0; 16];
    let hash = secret::sha256(name);
    for (to, from) in short.iter_mut().zip(hash) {
        *to = from;
    }
    short
}
