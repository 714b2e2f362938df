//! The trail of a restore in one protected folder, and what it moves out of the way there.
use super::area::{make_area, number};
use super::cut::cut_here;
use super::name::{rename_new, said};
use super::times::{accessed, modified};
use super::trail::{At, Content, Step, Trail};
use crate::tree;
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Where an existing entry goes that is to be moved out of the way.
#[derive(Debug, Clone)]
pub struct Aside {
    at: At,
    pub inode: u64,
    pub slot: u64,
}

impl Aside {
    pub fn step(&self) -> Step {
        Step::Moving { at: self.at.clone(), inode: self.inode, slot: self.slot }
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

    /// A finished entry is about to get its name in a folder: to be announced.
    pub fn creating(&self, folder: &[Vec<u8>], name: &CStr, inode: u64, content: &Content) -> Step {
        Step::Creating { at: self.inside(folder, name), inode, content: content.clone() }
    }

    fn inside(&self, folder: &[Vec<u8>], name: &CStr) -> At {
        self.at(&[folder, &[name.to_bytes().to_vec()]].concat())
    }

    /// Writes steps down in their order, before they are taken.
    ///
    /// # Errors
    /// When the disk refuses: then none of them must be taken.
    pub fn announce(&self, steps: &[Step]) -> io::Result<()> {
        self.trail.announce_all(steps)
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

    /// Chooses where an existing entry goes that is to be moved out of the way, to where only the agent has access.
    ///
    /// # Errors
    /// When it is a folder, is not there, or there is no such place.
    pub fn choose_slot(&self, dir: BorrowedFd<'_>, folder: &[Vec<u8>], name: &CStr) -> io::Result<Aside> {
        let stat = tree::stat(dir, name).map_err(said)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(io::Error::other("a folder has its name; only files are replaced"));
        }
        self.area()?;
        let slot = self.trail.slots.get();
        self.trail.slots.set(slot + 1);
        Ok(Aside { at: self.inside(folder, name), inode: stat.st_ino, slot })
    }

    /// Moves an existing entry out of the way, once that was announced. It is not on the disk yet.
    ///
    /// # Errors
    /// When it cannot be moved: then it is where it was.
    pub fn move_aside(&self, dir: BorrowedFd<'_>, name: &CStr, aside: &Aside) -> io::Result<()> {
        let (area, kept) = (self.area()?, number(aside.slot)?);
        if let Err(error) = rename_new((dir, name), (area, &kept)) {
            let _ = self.trail.note(&Step::Stayed { slot: aside.slot });
            return Err(match error {
                Errno::XDEV => {
                    io::Error::other("it is on another disk than its protected folder, so it is not replaced")
                }
                error => said(error),
            });
        }
        cut_here();
        if tree::stat(area, &kept).map_err(said)?.st_ino != aside.inode {
            self.put_back(dir, name, aside.slot)?;
            return Err(io::Error::other("it was replaced by something else while the restore ran"));
        }
        Ok(())
    }

    /// Waits until what was moved out of the way is on the disk where it is kept.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync_area(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.area()?)?)
    }

    /// Moves an existing entry out of the way; it is on the disk there when this returns.
    ///
    /// Returns its number there.
    ///
    /// # Errors
    /// When it is a folder, or cannot be moved: then it is where it was.
    pub fn set_aside(&self, dir: BorrowedFd<'_>, folder: &[Vec<u8>], name: &CStr) -> io::Result<u64> {
        let aside = self.choose_slot(dir, folder, name)?;
        self.trail.announce(&aside.step())?;
        self.move_aside(dir, name, &aside)?;
        self.sync_area()?;
        rustix::fs::fsync(dir)?;
        cut_here();
        Ok(aside.slot)
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
