//! The way back along a trail.
use crate::restore::area::{self, AREA, number};
use crate::restore::cut::cut_here;
use crate::restore::folders::{UNDER_WAY, open_folder};
use crate::restore::name::{LONGEST, checked, rename_new, said};
use crate::restore::same::is_same;
use crate::restore::times::{Moment, keeping_times, modified, set_times};
use crate::restore::trail::{self, At, Content, Step, Trail};
use crate::restore::writer::is_temporary;
use crate::tree;
use domain::restore::{RestoreFailure, UndoReport};
use rustix::fs::{AtFlags, FileType, Mode, fchmod, fstat, unlinkat};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Why something that a restore made is not removed.
const CHANGED: &str = "it has changed since the restore, so it stays";

/// The way back of one restore.
pub struct Back<'a> {
    restore: &'a str,
    steps: &'a [Step],
    /// The protected folders; none in place of one that is not there now.
    roots: Vec<(String, Option<OwnedFd>)>,
    /// Folders that were closed to us, with their rights.
    widened: Vec<(OwnedFd, u32)>,
    /// What became of each entry; none if it is as before.
    outcomes: BTreeMap<At, Option<String>>,
}

impl<'a> Back<'a> {
    pub fn new(restore: &'a str, steps: &'a [Step], roots: Vec<(String, Option<OwnedFd>)>) -> Self {
        Self { restore, steps, roots, widened: Vec::new(), outcomes: BTreeMap::new() }
    }

    /// Goes all the way back. What cannot be put back is in the report.
    ///
    /// # Errors
    /// When the disk refuses to keep what was done; then it is to be done again.
    pub fn run(mut self, trail: &Trail) -> io::Result<UndoReport> {
        let times = self.times(trail);
        let (mut seen, mut made) = (BTreeSet::new(), BTreeMap::new());
        let stayed = trail::stayed(self.steps);
        for (number, step) in self.steps.iter().enumerate().rev() {
            match step {
                // The last of several tries is the one that may be there.
                Step::Creating { at, inode, content } if seen.insert(at.clone()) => {
                    let outcome = self.remove(at, *inode, content, number);
                    self.note(at, outcome);
                }
                Step::Moving { at, inode, slot } if !stayed.contains(slot) => {
                    let outcome = self.put_back(at, *inode, *slot);
                    self.note(at, outcome);
                }
                Step::Made { at, inode } => drop(made.insert(at, *inode)),
                Step::Making { at } => self.remove_folder(at, made.get(at).copied()),
                Step::Creating { .. }
                | Step::Moving { .. }
                | Step::Kept { .. }
                | Step::Stayed { .. }
                | Step::Left { .. }
                | Step::Again { .. }
                | Step::Undoing { .. }
                | Step::Undone
                | Step::Hour
                | Step::Ended { .. } => {}
            }
        }
        self.close(&times)?;
        let failures: Vec<_> = self
            .outcomes
            .iter()
            .filter_map(|(at, why)| Some(RestoreFailure { path: at.spelled(), reason: why.clone()? }))
            .collect();
        let wanted = self.outcomes.len() as u64;
        Ok(UndoReport { wanted, done: wanted - failures.len() as u64, failures })
    }

    /// Gives what was moved away and has nothing in its place its name again. What was announced but not moved
    /// is noted, too.
    pub fn mend(mut self, trail: &Trail) {
        self.sweep_all(trail);
        for step in self.steps {
            let Step::Moving { at, inode, slot } = step else { continue };
            let (is_free, is_there) = match self.found(at) {
                Ok(found) => (found.is_none(), found == Some(*inode)),
                Err(_) => continue,
            };
            if (is_free || is_there) && self.put_back(at, *inode, *slot).is_ok() {
                let _ = trail.note(&Step::Stayed { slot: *slot });
                if is_free {
                    self.leave(at, trail);
                }
            }
        }
        // What is not closed again now is when the restore is undone.
        let _ = self.narrow();
    }

    /// Notes the time of the folder of an entry: what changed it was not somebody else.
    fn leave(&mut self, at: &At, trail: &Trail) {
        let above = at.path.rsplit_once('/').map_or("", |it| it.0);
        self.leave_folder(&At { root: at.root.clone(), path: above.to_owned() }, trail);
    }

    fn leave_folder(&mut self, at: &At, trail: &Trail) {
        if let Ok(Some(dir)) = self.folder(at)
            && let Ok(stat) = fstat(&dir)
        {
            let _ = trail.note(&Step::Left { at: at.clone(), modified: modified(&stat) });
        }
    }

    /// Gives the folders that were closed to us their rights again.
    fn narrow(&mut self) -> io::Result<()> {
        self.widened.drain(..).rev().try_for_each(|(dir, mode)| Ok(fchmod(&dir, Mode::from_raw_mode(mode))?))
    }

    /// The number of what has an entry's name now; none if nothing has.
    ///
    /// # Errors
    /// When its folder is not there, or cannot be looked into.
    fn found(&mut self, at: &At) -> io::Result<Option<u64>> {
        let (dir, name) = self.place(at)?.ok_or(Errno::NOENT)?;
        match tree::stat(dir.as_fd(), &name) {
            Err(Errno::NOENT) => Ok(None),
            found => Ok(Some(found?.st_ino)),
        }
    }

    fn note(&mut self, at: &At, outcome: io::Result<()>) {
        let why = outcome.err().map(|it| it.to_string());
        let known = self.outcomes.entry(at.clone()).or_default();
        // The later reason also says where what was replaced is.
        *known = why.or(known.take());
    }

    /// The folders whose times are put back: those that are as the restore left them. Decided once, before
    /// anything changes.
    fn times(&mut self, trail: &Trail) -> Vec<At> {
        let decided =
            self.steps.iter().find_map(|it| if let Step::Undoing { times } = it { Some(times) } else { None });
        if let Some(times) = decided {
            return times.clone();
        }
        let (mut left, mut times) = (BTreeMap::new(), Vec::new());
        for step in self.steps {
            match step {
                Step::Left { at, modified } => drop(left.insert(at, *modified)),
                Step::Again { at } => drop(left.remove(at)),
                Step::Kept { .. }
                | Step::Making { .. }
                | Step::Made { .. }
                | Step::Creating { .. }
                | Step::Moving { .. }
                | Step::Stayed { .. }
                | Step::Undoing { .. }
                | Step::Undone
                | Step::Hour
                | Step::Ended { .. } => {}
            }
        }
        for (at, ..) in kept(self.steps) {
            let Ok(Some(dir)) = self.folder(at) else { continue };
            let is_as_left = |it: &Moment| fstat(&dir).is_ok_and(|stat| modified(&stat) == *it);
            if left.get(at).is_none_or(is_as_left) {
                times.push(at.clone());
            }
        }
        if let Err(error) = trail.announce(&Step::Undoing { times: times.clone() }) {
            // An undo needs no room for this. If it is stopped now, some folders do not get their times back.
            tracing::warn!("an undo that is stopped now does not know all times any more: {error}");
        }
        times
    }

    /// Opens a folder below a protected one; none if it is no longer there.
    fn folder(&mut self, at: &At) -> io::Result<Option<OwnedFd>> {
        let mut dir = self.root(at)?;
        for name in at.names()? {
            let name = checked(&name)?;
            match tree::stat(dir.as_fd(), &name) {
                Err(Errno::NOENT) => return Ok(None),
                found => found.map_err(said)?,
            };
            let (inner, _, had) = open_folder(dir.as_fd(), &name, &|_| Ok(()))?;
            if let Some(had) = had {
                self.widened.push((inner.try_clone()?, had));
            }
            dir = inner;
        }
        Ok(Some(dir))
    }

    /// The folder an entry is in, and its name; none if that folder is no longer there.
    fn place(&mut self, at: &At) -> io::Result<Option<(OwnedFd, CString)>> {
        let names = at.names()?;
        let (name, above) = names.split_last().ok_or(Errno::INVAL)?;
        let name = checked(name)?;
        Ok(self.folder(&At::new(&at.root, above))?.map(|dir| (dir, name)))
    }

    /// Moves what the restore made to the area, if it is still what it made. From there it goes when its time is
    /// over: whoever may order an undo destroys nothing with it.
    fn remove(&mut self, at: &At, inode: u64, content: &Content, number: usize) -> io::Result<()> {
        let Some((dir, name)) = self.place(at)? else { return Ok(()) };
        let undone = undone(number, &name)?;
        let is_it = |dir: BorrowedFd<'_>, name: &CStr| tree::stat(dir, name).is_ok_and(|it| it.st_ino == inode);
        let root = self.root(at)?;
        let area = area::open_area(root.as_fd(), self.restore)?;
        if let Some((_, own)) = area
            && is_it(own.as_fd(), &undone)
        {
            // An undo was interrupted here. Where no rename takes one step, it may have left both names.
            if is_it(dir.as_fd(), &name) {
                unlinkat(&dir, &name, AtFlags::empty()).map_err(said)?;
            }
            return settle((own.as_fd(), &undone), (dir.as_fd(), &name), content);
        }
        let stat = match tree::stat(dir.as_fd(), &name) {
            Err(Errno::NOENT) => return Ok(()),
            found => found.map_err(said)?,
        };
        if stat.st_ino != inode {
            let is_back =
                |it: &Step| matches!(it, Step::Moving { at: moved, inode, .. } if moved == at && *inode == stat.st_ino);
            let is_known = self.steps.iter().any(is_back) || self.is_another(at, stat.st_ino);
            return if is_known { Ok(()) } else { Err(io::Error::other(CHANGED)) };
        }
        if !is_same(dir.as_fd(), &name, content) {
            return Err(io::Error::other(CHANGED));
        }
        let own = keeping_times(root.as_fd(), || area::make_area(root.as_fd(), self.restore))?;
        rename_new((dir.as_fd(), &name), (own.as_fd(), &undone)).map_err(|error| match error {
            Errno::XDEV => io::Error::other("it is on another disk than its protected folder, so it stays"),
            error => said(error),
        })?;
        cut_here();
        // Only now is it out of everybody's way.
        if !is_it(own.as_fd(), &undone) {
            rename_new((own.as_fd(), &undone), (dir.as_fd(), &name)).map_err(said)?;
            return Err(io::Error::other(CHANGED));
        }
        settle((own.as_fd(), &undone), (dir.as_fd(), &name), content)
    }

    /// Whether a name leads to what the restore made under another: a file system may not tell `A` from `a`.
    fn is_another(&mut self, at: &At, inode: u64) -> bool {
        let above = |at: &At| at.path.rsplit_once('/').map_or(String::new(), |it| it.0.to_owned());
        let folder = above(at);
        let others = self.steps.iter().filter_map(|it| {
            let Step::Creating { at: other, inode: made, .. } = it else { return None };
            (*made == inode && other != at).then_some(other)
        });
        let others: Vec<&At> = others.filter(|it| it.root == at.root && above(it) == folder).collect();
        others.into_iter().any(|it| self.found(it).is_ok_and(|found| found == Some(inode)))
    }

    /// The protected folder of an entry.
    fn root(&self, at: &At) -> io::Result<OwnedFd> {
        let root = self.roots.iter().find(|(root, _)| *root == at.root).map(|it| &it.1);
        let Some(root) = root else { return Err(io::Error::other("its folder is no longer protected")) };
        let Some(root) = root else { return Err(io::Error::other("its protected folder is not there")) };
        root.try_clone()
    }

    /// Gives what was replaced its name again.
    fn put_back(&mut self, at: &At, inode: u64, slot: u64) -> io::Result<()> {
        let kept = number(slot)?;
        let area = area::open_area(self.root(at)?.as_fd(), self.restore)?;
        let held = area.as_ref().and_then(|(_, own)| tree::stat(own.as_fd(), &kept).ok());
        let place = self.place(at)?;
        let has = |place: &Option<(OwnedFd, CString)>| {
            place.as_ref().is_some_and(|(dir, name)| tree::stat(dir.as_fd(), name).is_ok_and(|it| it.st_ino == inode))
        };
        let (Some((_, own)), Some(held)) = (area, held) else {
            let lost = || io::Error::other(format!("what it replaced is no longer in {AREA}"));
            return if has(&place) { Ok(()) } else { Err(lost()) };
        };
        let stays =
            |why: &str| Err(io::Error::other(format!("{why}; what it replaced is {AREA}/{}/{slot}", self.restore)));
        if held.st_ino != inode {
            return stays("what is kept there is not what was replaced");
        }
        if has(&place) {
            // It has both names: no rename took one step here.
            return unlinkat(&own, &kept, AtFlags::empty()).map_err(said);
        }
        let Some((dir, name)) = place else { return stays("its folder is gone") };
        match rename_new((own.as_fd(), &kept), (dir.as_fd(), &name)) {
            Ok(()) => {
                cut_here();
                Ok(())
            }
            Err(Errno::EXIST) => stays(CHANGED),
            Err(error) => stays(&said(error).to_string()),
        }
    }

    /// Removes a folder that the restore made, unless something is in it.
    fn remove_folder(&mut self, at: &At, inode: Option<u64>) {
        let removed = self.place(at).and_then(|place| {
            let Some((dir, name)) = place else { return Ok(()) };
            let stat = match tree::stat(dir.as_fd(), &name) {
                Err(Errno::NOENT) => return Ok(()),
                found => found.map_err(said)?,
            };
            let is_ours = stat.st_mode & 0o5777 == UNDER_WAY && stat.st_uid == rustix::process::geteuid().as_raw();
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if !is_folder || !inode.map_or(is_ours, |it| it == stat.st_ino) {
                return Ok(());
            }
            self.sweep(at);
            match unlinkat(&dir, &name, AtFlags::REMOVEDIR) {
                // Somebody put something there, or something that stays is in it.
                Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
                Err(error) => Err(said(error)),
            }
        });
        cut_here();
        if removed.is_err() {
            self.note(at, removed);
        }
    }

    /// Removes what an interrupted step left in a folder under a temporary name; true if there was something.
    fn sweep(&mut self, at: &At) -> bool {
        let Ok(Some(dir)) = self.folder(at) else { return false };
        let names = tree::names(dir.as_fd()).unwrap_or_default();
        let left = names.iter().filter(|it| is_temporary(self.restore, it));
        left.filter(|it| unlinkat(&dir, *it, AtFlags::empty()).is_ok()).count() > 0
    }

    /// Removes what an interrupted restore left under temporary names in the folders that it changed.
    fn sweep_all(&mut self, trail: &Trail) {
        let (mut seen, steps) = (BTreeSet::new(), self.steps);
        for step in steps {
            let (Step::Kept { at, .. } | Step::Made { at, .. }) = step else { continue };
            if seen.insert(at) && self.sweep(at) && matches!(step, Step::Kept { .. }) {
                self.leave_folder(at, trail);
            }
        }
    }

    /// Gives the folders that were there before their times and rights again, and flushes all to disk.
    fn close(&mut self, times: &[At]) -> io::Result<()> {
        for (at, ..) in kept(self.steps) {
            self.sweep(at);
        }
        for (_, root) in &self.roots {
            if let Some(root) = root
                && let Ok(Some((above, _))) = area::open_area(root.as_fd(), self.restore)
            {
                area::remove_area(root.as_fd(), above.as_fd(), self.restore);
            }
        }
        cut_here();
        for (at, mode, modified, accessed) in kept(self.steps) {
            let Ok(Some(dir)) = self.folder(at) else { continue };
            let had = fstat(&dir)?.st_mode & 0o7777;
            if had == mode | 0o700 && had != mode {
                fchmod(&dir, Mode::from_raw_mode(mode))?;
            }
            if times.contains(at) {
                set_times(dir.as_fd(), accessed, modified)?;
            }
        }
        self.narrow()?;
        self.roots.iter().filter_map(|(_, dir)| dir.as_ref()).try_for_each(|dir| Ok(rustix::fs::syncfs(dir)?))
    }
}

/// The folders that were there before, as they were.
fn kept(steps: &[Step]) -> impl Iterator<Item = (&At, u32, Moment, Moment)> {
    steps.iter().filter_map(|it| match it {
        Step::Kept { at, mode, modified, accessed } => Some((at, *mode, *modified, *accessed)),
        Step::Making { .. }
        | Step::Made { .. }
        | Step::Creating { .. }
        | Step::Moving { .. }
        | Step::Stayed { .. }
        | Step::Left { .. }
        | Step::Again { .. }
        | Step::Undoing { .. }
        | Step::Undone
        | Step::Hour
        | Step::Ended { .. } => None,
    })
}

/// The name in the area of what an undo removed: told apart by the number of its step, and found by its own.
fn undone(number: usize, name: &CStr) -> io::Result<CString> {
    let mut bytes = format!("undone-{number}-").into_bytes();
    bytes.extend_from_slice(name.to_bytes());
    bytes.truncate(LONGEST);
    Ok(CString::new(bytes)?)
}

/// Leaves what was moved to the area there, or gives it its name again if it has changed in the meantime.
fn settle(kept: (BorrowedFd<'_>, &CStr), place: (BorrowedFd<'_>, &CStr), content: &Content) -> io::Result<()> {
    if is_same(kept.0, kept.1, content) {
        return Ok(());
    }
    rename_new(kept, place).map_err(said)?;
    Err(io::Error::other(CHANGED))
}
