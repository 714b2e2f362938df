//! From a temporary name to the right one, without destroying anything.
use super::cut::cut_here;
use super::name::{LONGEST, rename_new, said};
use super::trail::{Content, Steps};
use crate::tree;
use domain::restore::Conflict;
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;

/// Where a finished temporary entry goes.
pub struct Place<'a> {
    pub dir: BorrowedFd<'a>,
    pub temporary: &'a CStr,
    pub day: &'a str,
    pub conflict: Conflict,
    pub steps: &'a Steps,
    /// The names that lead to `dir`.
    pub folder: &'a [Vec<u8>],
    /// What the temporary entry is.
    pub content: Content,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It has this name now.
    New { name: CString, fit: Fit },
    /// The same was already there, under this name.
    Same { name: CString, fit: Fit },
    /// Something else has its name, and stays.
    Kept,
}

/// How an entry came to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Nothing else had its name.
    Own,
    /// Something else has its name, so it has one beside it.
    Beside,
    /// Something else had its name, and was moved to the undo folder.
    Replaced,
}

impl Place<'_> {
    /// Gives the temporary entry its name, or one beside it.
    ///
    /// # Errors
    /// When the disk refuses, or there are too many beside it.
    pub fn put(&self, name: &CStr, is_same: &dyn Fn(&CStr) -> bool) -> io::Result<Placed> {
        if let Some(placed) = self.take_name(name, Fit::Own, is_same)? {
            return Ok(placed);
        }
        match self.conflict {
            Conflict::Merge => return Ok(Placed::Kept),
            Conflict::Replace => return self.replace(name, is_same),
            Conflict::KeepBoth => {}
        }
        for number in 1..1000 {
            if let Some(placed) = self.take_name(&beside(name, self.day, number)?, Fit::Beside, is_same)? {
                return Ok(placed);
            }
        }
        Err(io::Error::other("too many files with this name already exist"))
    }

    /// Moves what has the name to the undo folder first. If the restored entry then does not get the name, it
    /// goes back.
    fn replace(&self, name: &CStr, is_same: &dyn Fn(&CStr) -> bool) -> io::Result<Placed> {
        let slot = self.steps.set_aside(self.dir, self.folder, name)?;
        let taken = self.take_name(name, Fit::Replaced, is_same).and_then(|placed| {
            placed.ok_or_else(|| io::Error::other("something else took its name while the restore ran"))
        });
        if taken.is_err() {
            self.steps.put_back(self.dir, name, slot)?;
        }
        taken
    }

    /// None if something else has the name. An identical entry is just as good.
    fn take_name(&self, name: &CStr, fit: Fit, is_same: &dyn Fn(&CStr) -> bool) -> io::Result<Option<Placed>> {
        match tree::stat(self.dir, name) {
            Ok(_) => return self.same_or_taken(name, fit, is_same),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(said(error)),
        }
        let inode = tree::stat(self.dir, self.temporary)?.st_ino;
        self.steps.creating(self.folder, name, inode, &self.content)?;
        match rename_new((self.dir, self.temporary), (self.dir, name)) {
            Ok(()) => {
                cut_here();
                Ok(Some(Placed::New { name: name.to_owned(), fit }))
            }
            Err(Errno::EXIST) => self.same_or_taken(name, fit, is_same),
            Err(error) => Err(said(error)),
        }
    }

    fn same_or_taken(&self, name: &CStr, fit: Fit, is_same: &dyn Fn(&CStr) -> bool) -> io::Result<Option<Placed>> {
        if !is_same(name) {
            return Ok(None);
        }
        unlinkat(self.dir, self.temporary, AtFlags::empty())?;
        Ok(Some(Placed::Same { name: name.to_owned(), fit }))
    }
}

/// `name (restored 2026-11-22).txt`, then `… 2)` and so on.
fn beside(name: &CStr, day: &str, number: u32) -> io::Result<CString> {
    let name = name.to_bytes();
    let dot = name.iter().rposition(|it| *it == b'.').filter(|at| *at > 0 && name.len() - at <= 16);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let mark = if number == 1 { format!(" (restored {day})") } else { format!(" (restored {day} {number})") };
    let room = LONGEST.saturating_sub(mark.len() + extension.len()).min(stem.len());
    let mut bytes = stem.get(..room).unwrap_or_default().to_vec();
    bytes.extend_from_slice(mark.as_bytes());
    bytes.extend_from_slice(extension);
    Ok(CString::new(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_still_finds_a_place_beside() {
        let name = CString::new(format!("{}.jpeg", "x".repeat(250))).unwrap();
        let made = beside(&name, "2026-11-22", 12).unwrap();
        assert_eq!(made.as_bytes().len(), LONGEST);
        assert!(made.as_bytes().ends_with(b" (restored 2026-11-22 12).jpeg"));
        assert_eq!(beside(c".bashrc", "d", 1).unwrap().as_c_str(), c".bashrc (restored d)");
    }
}
