//! The trail of a restore: what it changes, written down before each change, so that it can be undone.
//!
//! One file for each restore in the state directory, with a line for each step that is on disk before the step
//! is taken. What a line announces may not have happened, because the agent was killed in between; so it also
//! says how to recognise what was made. What a restore replaces is moved to [`AREA`](super::area::AREA) in the
//! protected folder, which only the agent's own account can open.
use super::cut::cut_here;
use super::times::Moment;
use domain::manifest::{decode_path, encode_path};
use domain::time::Time;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

impl Content {
    /// The hash of a file's content; empty for anything else.
    pub fn sha256(&self) -> &str {
        match self {
            Self::File { sha256, .. } => sha256,
            Self::Link { .. } | Self::Pipe => "",
        }
    }
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
    pub(super) restore: String,
    /// Folders of which a line says how they were.
    pub(super) kept: RefCell<BTreeSet<At>>,
    /// Folders of which a line says how they were left.
    pub(super) left: RefCell<BTreeSet<At>>,
    pub(super) slots: Cell<u64>,
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
        self.announce_all(std::slice::from_ref(step))
    }

    /// Writes steps down in their order; all of them are on disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses: then none of them must be taken.
    pub fn announce_all(&self, steps: &[Step]) -> io::Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        cut_here();
        self.write(steps)?;
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
        self.write(std::slice::from_ref(step))
    }

    fn write(&self, steps: &[Step]) -> io::Result<()> {
        let mut file = self.file.borrow_mut();
        let mut lines = Vec::new();
        for step in steps {
            serde_json::to_writer(&mut lines, step)?;
            lines.push(b'\n');
        }
        let begun = file.stream_position()?;
        if let Err(error) = file.write_all(&lines) {
            // Half a line on a full disk would spoil the next one, and none of these steps is taken.
            let _ = file.set_len(begun);
            let _ = file.seek(SeekFrom::Start(begun));
            return Err(error);
        }
        Ok(())
    }
}
