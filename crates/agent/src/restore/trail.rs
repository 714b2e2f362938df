//! The trail of a restore: what it changes, written down before each change, so that it can be undone.
//!
//! One file for each restore in the state directory, with a line for each step that is on disk before the step
//! is taken. What a line announces may not have happened, because the agent was killed in between; so it also
//! says how to recognise what was made. What a restore replaces is moved to [`AREA`] in the protected folder,
//! which only the agent's own account can open.
use super::cut::cut_here;
use super::name::{rename_new, said};
use super::times::{Moment, accessed, keeping_times, modified};
use crate::tree;
use domain::manifest::{decode_path, encode_path};
use domain::time::Time;
use rustix::fs::{FileType, Mode, Stat, fstat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The folder in a protected folder where replaced files are kept, each restore's in a folder of its own.
pub const AREA: &str = ".holdfast-undo";
const AREA_C: &CStr = c".holdfast-undo";

/// An entry below a protected folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct At {
    pub root: String,
    /// In the manifest's spelling; empty for the protected folder itself.
    pub path: String,
}

impl At {
    pub fn new(root: &str, names: &[Vec<u8>]) -> Self {
        Self { root: root.to_owned(), path: encode_path(&names.join(&b'/')) }
    }

    /// The names that lead here.
    ///
    /// # Errors
    /// When the trail was changed by somebody else.
    pub fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        if self.path.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = decode_path(&self.path).ok_or(ErrorKind::InvalidData)?;
        Ok(bytes.split(|it| *it == b'/').map(<[u8]>::to_vec).collect())
    }

    /// The whole path, for people.
    pub fn spelled(&self) -> String {
        if self.path.is_empty() { self.root.clone() } else { format!("{}/{}", self.root, self.path) }
    }
}

/// What was made, so that it is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    File {
        size: u64,
        sha256: String,
    },
    /// With its target in the manifest's spelling.
    Link {
        target: String,
    },
    Pipe,
}

/// One step of a restore, or what is known after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// An existing folder as it was before anything in it was changed.
    Kept {
        at: At,
        mode: u32,
        modified: Moment,
        accessed: Moment,
    },
    /// A folder is about to be made.
    Making {
        at: At,
    },
    Made {
        at: At,
        inode: u64,
    },
    /// A finished entry is about to get its name.
    Creating {
        at: At,
        inode: u64,
        content: Content,
    },
    /// An existing entry is about to be moved to this number in the area.
    Moving {
        at: At,
        inode: u64,
        slot: u64,
    },
    /// It was not moved, or is back.
    Stayed {
        slot: u64,
    },
    /// The time of an existing folder when the restore left it.
    Left {
        at: At,
        modified: Moment,
    },
    /// A folder that was left is about to change once more.
    Again {
        at: At,
    },
    /// An undo has begun: the folders whose times it puts back.
    Undoing {
        times: Vec<At>,
    },
    /// All of it was undone. Not written if the disk is full.
    Undone,
    /// The agent has run for another hour. Those at the end of the trail are the age of what is kept.
    Hour,
    /// The restore has ended, by this device's own clock.
    Ended {
        at: Time,
    },
}

/// The folder of all trails.
pub fn folder(state: &Path) -> PathBuf {
    state.join("undo")
}

/// The file of one restore's trail.
pub fn file(state: &Path, restore: &str) -> PathBuf {
    folder(state).join(format!("{restore}.jsonl"))
}

/// The steps of a trail; none if there is no such trail. A line that was cut off was never acted on.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> io::Result<Option<Vec<Step>>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let whole = text.get(..text.iter().rposition(|it| *it == b'\n').map_or(0, |at| at + 1)).unwrap_or_default();
    let lines = whole.split(|it| *it == b'\n').filter(|it| !it.is_empty());
    Ok(Some(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?))
}

/// The numbers of what was not moved away, or is back.
pub fn stayed(steps: &[Step]) -> BTreeSet<u64> {
    steps.iter().filter_map(|it| if let Step::Stayed { slot } = it { Some(*slot) } else { None }).collect()
}

/// A restore's trail, open for writing.
pub struct Trail {
    file: RefCell<File>,
    restore: String,
    /// Folders of which a line says how they were.
    kept: RefCell<BTreeSet<At>>,
    /// Folders of which a line says how they were left.
    left: RefCell<BTreeSet<At>>,
    slots: Cell<u64>,
}

impl Trail {
    /// Begins a trail, or continues it.
    ///
    /// # Errors
    /// When it cannot be written, or is damaged.
    pub fn open(state: &Path, restore: &str) -> io::Result<Self> {
        let dir = folder(state);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let path = file(state, restore);
        let steps = read(&path)?.unwrap_or_default();
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path)?;
        // What an interrupted write left is no line.
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let end = text.iter().rposition(|it| *it == b'\n').map_or(0, |at| at + 1);
        file.set_len(end as u64)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        File::open(&dir)?.sync_all()?;
        File::open(state)?.sync_all()?;
        let (mut kept, mut left, mut slots) = (BTreeSet::new(), BTreeSet::new(), 0);
        for step in steps {
            match step {
                Step::Kept { at, .. } => drop(kept.insert(at)),
                Step::Moving { slot, .. } => slots = slots.max(slot + 1),
                Step::Left { at, .. } => drop(left.insert(at)),
                Step::Again { at } => drop(left.remove(&at)),
                Step::Making { .. }
                | Step::Made { .. }
                | Step::Creating { .. }
                | Step::Stayed { .. }
                | Step::Undoing { .. }
                | Step::Undone
                | Step::Hour
                | Step::Ended { .. } => {}
            }
        }
        Ok(Self {
            file: RefCell::new(file),
            restore: restore.to_owned(),
            kept: RefCell::new(kept),
            left: RefCell::new(left),
            slots: Cell::new(slots),
        })
    }

    /// Writes a step down; it is on disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses: then it must not be taken.
    pub fn announce(&self, step: &Step) -> io::Result<()> {
        cut_here();
        self.note(step)?;
        self.file.borrow().sync_data()?;
        cut_here();
        Ok(())
    }

    /// Makes what is kept as young as if the restore had just ended. This needs no room on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn rejuvenate(&self) -> io::Result<()> {
        let hour = [serde_json::to_vec(&Step::Hour)?, b"\n".to_vec()].concat();
        let mut file = self.file.borrow_mut();
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let mut rest = text.as_slice();
        while let Some(shorter) = rest.strip_suffix(hour.as_slice()) {
            rest = shorter;
        }
        file.set_len(rest.len() as u64)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()
    }

    /// Writes down what may be lost without harm.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note(&self, step: &Step) -> io::Result<()> {
        let mut file = self.file.borrow_mut();
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        let begun = file.stream_position()?;
        if let Err(error) = file.write_all(&line) {
            // Half a line on a full disk would spoil the next one.
            let _ = file.set_len(begun);
            let _ = file.seek(SeekFrom::Start(begun));
            return Err(error);
        }
        Ok(())
    }
}

/// The trail of a restore in one protected folder.
pub struct Steps {
    trail: Rc<Trail>,
    root: String,
    dir: OwnedFd,
    area: OnceCell<OwnedFd>,
}

impl Steps {
    pub fn new(trail: Rc<Trail>, root: &str, dir: OwnedFd) -> Self {
        Self { trail, root: root.to_owned(), dir, area: OnceCell::new() }
    }

    fn at(&self, names: &[Vec<u8>]) -> At {
        At::new(&self.root, names)
    }

    /// How an existing folder is, before the first change in it.
    ///
    /// # Errors
    /// When it cannot be written down: then nothing may change there.
    pub fn keep(&self, names: &[Vec<u8>], stat: &Stat) -> io::Result<()> {
        let at = self.at(names);
        if self.trail.kept.borrow().contains(&at) {
            if self.trail.left.borrow_mut().remove(&at) {
                self.trail.announce(&Step::Again { at })?;
            }
            return Ok(());
        }
        let (modified, accessed) = (modified(stat), accessed(stat));
        self.trail.announce(&Step::Kept { at: at.clone(), mode: stat.st_mode & 0o7777, modified, accessed })?;
        self.trail.kept.borrow_mut().insert(at);
        Ok(())
    }

    pub fn making(&self, names: &[Vec<u8>]) -> io::Result<()> {
        self.trail.announce(&Step::Making { at: self.at(names) })
    }

    pub fn made(&self, names: &[Vec<u8>], inode: u64) -> io::Result<()> {
        cut_here();
        self.trail.note(&Step::Made { at: self.at(names), inode })
    }

    pub fn creating(&self, folder: &[Vec<u8>], name: &CStr, inode: u64, content: &Content) -> io::Result<()> {
        let at = self.at(&[folder, &[name.to_bytes().to_vec()]].concat());
        self.trail.announce(&Step::Creating { at, inode, content: content.clone() })
    }

    /// The time of a folder that is not this restore's, now that it is left.
    pub fn left(&self, names: &[Vec<u8>], dir: BorrowedFd<'_>) {
        let at = self.at(names);
        if self.trail.kept.borrow().contains(&at)
            && let Ok(stat) = fstat(dir)
        {
            // Without this line the time is put back whatever happened since.
            let _ = self.trail.note(&Step::Left { at: at.clone(), modified: modified(&stat) });
            self.trail.left.borrow_mut().insert(at);
        }
    }

    /// Moves an existing entry out of the way, to where only the agent has access.
    ///
    /// Returns its number there.
    ///
    /// # Errors
    /// When it is a folder, or cannot be moved: then it is where it was.
    pub fn set_aside(&self, dir: BorrowedFd<'_>, folder: &[Vec<u8>], name: &CStr) -> io::Result<u64> {
        let stat = tree::stat(dir, name).map_err(said)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(io::Error::other("a folder has its name; only files are replaced"));
        }
        let area = self.area()?;
        let slot = self.trail.slots.get();
        self.trail.slots.set(slot + 1);
        let at = self.at(&[folder, &[name.to_bytes().to_vec()]].concat());
        self.trail.announce(&Step::Moving { at, inode: stat.st_ino, slot })?;
        let kept = number(slot)?;
        if let Err(error) = rename_new((dir, name), (area, &kept)) {
            let _ = self.trail.note(&Step::Stayed { slot });
            return Err(match error {
                Errno::XDEV => {
                    io::Error::other("it is on another disk than its protected folder, so it is not replaced")
                }
                error => said(error),
            });
        }
        cut_here();
        if tree::stat(area, &kept).map_err(said)?.st_ino != stat.st_ino {
            self.put_back(dir, name, slot)?;
            return Err(io::Error::other("it was replaced by something else while the restore ran"));
        }
        rustix::fs::fsync(area)?;
        rustix::fs::fsync(dir)?;
        cut_here();
        Ok(slot)
    }

    /// Gives what was set aside its name again, because nothing took its place.
    ///
    /// # Errors
    /// When something has the name: it then stays where it is kept.
    pub fn put_back(&self, dir: BorrowedFd<'_>, name: &CStr, slot: u64) -> io::Result<()> {
        rename_new((self.area()?, &number(slot)?), (dir, name)).map_err(said)?;
        cut_here();
        self.trail.note(&Step::Stayed { slot })
    }

    fn area(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(area) = self.area.get() {
            return Ok(area.as_fd());
        }
        self.keep(&[], &fstat(&self.dir)?)?;
        let made = make_area(self.dir.as_fd(), &self.trail.restore)?;
        cut_here();
        Ok(self.area.get_or_init(|| made).as_fd())
    }
}

/// The name of an entry in the area.
pub fn number(slot: u64) -> io::Result<CString> {
    Ok(CString::new(slot.to_string())?)
}

/// A restore's part of the area in a protected folder; none if it replaced nothing there.
///
/// # Errors
/// When what is there is not the agent's own.
pub fn open_area(root: BorrowedFd<'_>, restore: &str) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    let opened = open_own(root, AREA_C).and_then(|above| {
        let own = open_own(above.as_fd(), &CString::new(restore)?)?;
        Ok((above, own))
    });
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// A restore's part of the area in a protected folder, made if it is not there.
///
/// # Errors
/// When the disk refuses, or what is there is not the agent's own.
pub fn make_area(root: BorrowedFd<'_>, restore: &str) -> io::Result<OwnedFd> {
    let above = make_own(root, AREA_C)?;
    let made = make_own(above.as_fd(), &CString::new(restore)?)?;
    rustix::fs::fsync(&above)?;
    rustix::fs::fsync(root)?;
    Ok(made)
}

/// Removes a restore's part of the area if nothing is left in it, and the area with the last one.
pub fn remove_area(root: BorrowedFd<'_>, above: BorrowedFd<'_>, restore: &str) {
    if let Ok(name) = CString::new(restore) {
        keeping_times(root, || {
            let _ = rustix::fs::unlinkat(above, &name, rustix::fs::AtFlags::REMOVEDIR);
            let _ = rustix::fs::unlinkat(root, AREA_C, rustix::fs::AtFlags::REMOVEDIR);
        });
    }
}

fn make_own(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => open_own(dir, name),
        Err(error) => Err(said(error)),
    }
}

/// A folder that only this account can open. Whoever owns the folder around it may have put another there.
fn open_own(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let opened = tree::open_same_mount(dir, name)?;
    let stat = fstat(&opened)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        let name = name.to_string_lossy();
        return Err(io::Error::other(format!("the folder {name} is not the agent's own; move it away")));
    }
    Ok(opened)
}
