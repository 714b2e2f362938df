//! From a temporary name to the right one, without replacing anything.
use super::folders::LONGEST;
use domain::restore::Conflict;
use rustix::fs::{AtFlags, RenameFlags, unlinkat};
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
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It has this name now; `beside` if something else had its own name.
    New { name: CString, beside: bool },
    /// The same was already there, under this name.
    Same { name: CString, beside: bool },
    /// Something else has its name, and stays.
    Kept,
}

impl Place<'_> {
    /// Gives the temporary entry its name, or one beside it.
    ///
    /// # Errors
    /// When the disk refuses, or there are too many beside it.
    pub fn put(&self, name: &CStr, is_same: &dyn Fn(&CStr) -> bool) -> io::Result<Placed> {
        if let Some(placed) = self.take_name(name, false, is_same)? {
            return Ok(placed);
        }
        match self.conflict {
            Conflict::Skip => return Ok(Placed::Kept),
            Conflict::KeepBoth => {}
        }
        for number in 1..1000 {
            if let Some(placed) = self.take_name(&beside(name, self.day, number)?, true, is_same)? {
                return Ok(placed);
            }
        }
        Err(io::Error::other("too many files with this name already exist"))
    }

    /// None if something else has the name. An identical entry is just as good.
    fn take_name(&self, name: &CStr, beside: bool, is_same: &dyn Fn(&CStr) -> bool) -> io::Result<Option<Placed>> {
        match rename_new(self.dir, self.temporary, name) {
            Ok(()) => Ok(Some(Placed::New { name: name.to_owned(), beside })),
            Err(Errno::EXIST) if is_same(name) => {
                unlinkat(self.dir, self.temporary, AtFlags::empty())?;
                Ok(Some(Placed::Same { name: name.to_owned(), beside }))
            }
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(super::folders::said(error)),
        }
    }
}

/// Renames without replacing, even on file systems that cannot do that in one step.
fn rename_new(dir: BorrowedFd<'_>, from: &CStr, to: &CStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            rustix::fs::linkat(dir, from, dir, to, AtFlags::empty())?;
            unlinkat(dir, from, AtFlags::empty())
        }
        result => result,
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
