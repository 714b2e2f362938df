//! Room that is kept back, so that a full disk can be emptied through the server.
//!
//! Before anything of a repository moves to the trash, new indexes are written, and a database on the same disk has its
//! log to write. So a file takes up some of the disk. Once a write finds no room, the file gives its room back, and what
//! devices send is refused until there is room for the file again: otherwise they would use it up within seconds.
use crate::blob::disk::{has_room_beside, space_of};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Enough for the indexes of a large repository, and for weeks of a small database.
const MOST: u64 = 64 << 20;

/// Of a small disk it takes no more than one part of so many.
const PARTS: u64 = 32;

#[derive(Debug)]
pub(super) struct Reserve {
    dir: PathBuf,
    /// As long as the reserve, or empty while its room is given back: also the next start sees which.
    file: PathBuf,
    bytes: u64,
    is_given_back: AtomicBool,
    changing: Mutex<()>,
}

impl Reserve {
    /// Finds it, or makes it if there is room; none if nobody can say how large the disk is.
    pub(super) fn open(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = space_of(dir).map_or(0, |(_, total)| MOST.min(total / PARTS));
        if bytes == 0 {
            return Ok(None);
        }
        let (dir, file) = (dir.to_owned(), dir.join("holdfast").join("reserve"));
        let found = match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found?.len()),
        };
        let is_given_back = AtomicBool::new(found == Some(0));
        let reserve = Self { dir, file, bytes, is_given_back, changing: Mutex::default() };
        // Half of one, as after a kill, or one of a smaller disk is none.
        if found != Some(bytes) {
            reserve.make_if_there_is_room();
        }
        Ok(Some(reserve))
    }

    /// Whether its room is given back, and not for what devices send.
    pub(super) fn is_given_back(&self) -> bool {
        self.is_given_back.load(Ordering::Relaxed)
    }

    /// Gives its room back if a write found none, or takes it again once there is enough.
    pub(super) fn look(&self, has_found_none: bool) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_given_back() || (!has_found_none && !self.is_whole()) {
            self.make_if_there_is_room();
        } else if has_found_none && space_of(&self.dir).is_none_or(|(free, _)| free < self.bytes) {
            self.give_back();
        }
    }

    fn is_whole(&self) -> bool {
        fs::metadata(&self.file).is_ok_and(|it| it.len() == self.bytes)
    }

    fn give_back(&self) {
        match OpenOptions::new().write(true).truncate(true).open(&self.file) {
            Ok(_) => {
                self.is_given_back.store(true, Ordering::Relaxed);
                tracing::warn!(bytes = self.bytes, "the backup disk is full: what was kept back is for making room");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, "the room that was kept back could not be given back"),
        }
    }

    fn make_if_there_is_room(&self) {
        if !has_room_beside(&self.dir, self.bytes) {
            return;
        }
        match self.make() {
            Ok(()) => self.is_given_back.store(false, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, "no room could be kept back on the backup disk");
                // An empty one would say that its room was given back.
                if !self.is_given_back() {
                    let _ = fs::remove_file(&self.file);
                }
            }
        }
    }

    fn make(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.file)?;
        let made = match fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file, self.bytes),
            made => made.map_err(io::Error::from),
        };
        // Half of it is none.
        if made.is_err() {
            file.set_len(0)?;
        }
        made
    }
}

/// For file systems that cannot promise room without bytes.
fn fill(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0x5a).take(bytes), &mut file).map(drop)
}
