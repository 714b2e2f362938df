//! Restores over what is there, and their undo.
mod batch;
mod changed;
mod ends;
mod full;
mod property;

use super::back::Back;
use super::purge;
use crate::restore::area::AREA;
use crate::restore::steps::Steps;
use crate::restore::trail::{self, Trail};
use crate::restore::writer::{Item, Manner, Writer};
use crate::tree;
use domain::restore::{Conflict, Landing, UndoReport};
use repository::{Id, Node, NodeKind};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

#[derive(Debug, Clone)]
enum Kind {
    Folder,
    File { text: String, link: Option<u64> },
    Link(String),
    Pipe,
}

/// One entry of a backup.
#[derive(Debug, Clone)]
struct Backed {
    path: String,
    kind: Kind,
    mode: u32,
    modified: i64,
}

/// Each entry with its kind, rights, owner, time, number, and content or target.
fn looks(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let meta = fs::symlink_metadata(&folder).unwrap();
        found.insert(folder.clone(), look(&meta, String::new()));
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap().display().to_string();
                found.insert(path, look(&meta, target));
            } else if meta.is_file() {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path, look(&meta, text));
            } else {
                found.insert(path, look(&meta, String::new()));
            }
        }
    }
    found
}

fn look(meta: &fs::Metadata, content: String) -> String {
    let links = if meta.is_dir() { 0 } else { meta.nlink() };
    format!(
        "{:o} {}:{} {}.{} #{} x{links} {content:?}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ino()
    )
}

struct World {
    _temp: tempfile::TempDir,
    root: PathBuf,
    state: PathBuf,
}

impl World {
    fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    /// Where the disk is not waited for, which some tests do some hundred thousand times.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::within(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap())
    }

    fn within(temp: tempfile::TempDir) -> Self {
        let base = temp.path().canonicalize().unwrap();
        let (root, state) = (base.join("docs"), base.join("state"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&state).unwrap();
        Self { _temp: temp, root, state }
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Restores a backup, or continues to.
    fn restore(&self, id: &str, conflict: Conflict, backup: &[Backed]) {
        let trail = Rc::new(Trail::open(&self.state, id).unwrap());
        let manner =
            Manner { restore: id.to_owned(), day: "2026-11-22".to_owned(), conflict, landing: Landing::InPlace };
        let root = (self.root.to_str().unwrap(), tree::open_dir(&self.root).unwrap());
        let mut writer = Writer::new(root, manner, trail).unwrap();
        let (names, top) = (Vec::new(), node(0o700, 998_000_000, NodeKind::Folder { tree: None }, None));
        writer.know(Item { names: &names, path: "", node: &top });
        for it in backup {
            let names: Vec<_> = it.path.split('/').map(|it| it.as_bytes().to_vec()).collect();
            let kind = NodeKind::Folder { tree: None };
            let link = if let Kind::File { link, .. } = it.kind { link } else { None };
            let node = node(it.mode, it.modified, kind, link.map(|it| (1, it)));
            let item = Item { names: &names, path: &it.path, node: &node };
            // Something may be in the way; that is no reason to stop.
            let _ = match &it.kind {
                Kind::Folder => {
                    writer.know(item);
                    writer.folder(item)
                }
                Kind::File { text, link } => {
                    let chunks = [Id([u8::try_from(link.unwrap_or(9)).unwrap(); 32])];
                    writer.file(item, &chunks, &mut |out| out.write_all(text.as_bytes())).map(drop)
                }
                Kind::Link(target) => writer.symlink(item, target.as_bytes()).map(drop),
                Kind::Pipe => writer.pipe(item).map(drop),
            };
        }
        writer.finish().unwrap();
    }

    /// Moves a file away for a restore that is then killed.
    fn set_aside(&self, id: &str, name: &str) {
        let dir = tree::open_dir(&self.root).unwrap();
        let trail = Rc::new(Trail::open(&self.state, id).unwrap());
        let steps = Steps::new(trail, self.root.to_str().unwrap(), dir.try_clone().unwrap());
        steps.set_aside(dir.as_fd(), &[], &CString::new(name).unwrap()).unwrap();
        assert!(!self.file(name).exists());
    }

    fn undo(&self, id: &str) -> UndoReport {
        let trail = Trail::open(&self.state, id).unwrap();
        let steps = trail::read(&trail::file(&self.state, id)).unwrap().unwrap();
        let roots = vec![(self.root.to_str().unwrap().to_owned(), tree::open_dir(&self.root).ok())];
        Back::new(id, &steps, roots).run(&trail).unwrap()
    }

    /// What the undo area keeps of a restore, by name.
    fn kept(&self, id: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.file(AREA).join(id)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    /// Lets the time of what is kept be over.
    fn purge(&self, id: &str) {
        purge(&tree::open_dir(&self.root).unwrap(), id).unwrap();
    }
}

fn node(mode: u32, modified: i64, kind: NodeKind, hard_link: Option<(u64, u64)>) -> Node {
    Node {
        name: None,
        spelled: String::new(),
        kind,
        mode,
        uid: Some(rustix::process::geteuid().as_raw()),
        gid: Some(rustix::process::getegid().as_raw()),
        modified: Some((modified, 5)),
        accessed: None,
        attributes: Vec::new(),
        hard_link,
    }
}

fn text(path: &str, text: &str) -> Backed {
    let kind = Kind::File { text: text.to_owned(), link: None };
    Backed { path: path.to_owned(), kind, mode: 0o640, modified: 1_000_000_000 }
}
