//! From a temporary name to the right one, without destroying anything.
use super::cut::cut_here;
use super::name::{LONGEST, rename_new, said};
use super::same::is_same;
use super::steps::Steps;
use super::trail::{Content, Step};
use crate::tree;
use domain::restore::Conflict;
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;

/// How often something else may take the name that was just chosen.
const TRIES: usize = 10;

/// Where a finished temporary entry goes. Whatever becomes of it, it is not removed here.
pub struct Place<'a> {
    pub dir: BorrowedFd<'a>,
    pub temporary: &'a CStr,
    pub name: &'a CStr,
    pub day: &'a str,
    pub conflict: Conflict,
    pub steps: &'a Steps,
    /// The names that lead to `dir`.
    pub folder: &'a [Vec<u8>],
    /// What the temporary entry is.
    pub content: &'a Content,
    /// Its device and number.
    pub id: (u64, u64),
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

/// What is to become of it, as things are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This name is free.
    Take { name: CString, fit: Fit },
    /// Something else has its name, and is to be moved away.
    Replace,
    /// There is nothing to do.
    Nothing(Placed),
}

impl Place<'_> {
    /// Gives the temporary entry its name, or one beside it.
    ///
    /// # Errors
    /// When the disk refuses, or there are too many beside it.
    pub fn put(&self) -> io::Result<Placed> {
        for _ in 0..TRIES {
            match self.choose()? {
                Choice::Nothing(placed) => return Ok(placed),
                Choice::Replace => return self.replace(),
                Choice::Take { name, fit } => {
                    self.steps.announce(&[self.creating(&name)?])?;
                    if let Some(placed) = self.take(&name, fit)? {
                        return Ok(placed);
                    }
                }
            }
        }
        Err(taken())
    }

    /// What is to become of the entry.
    ///
    /// # Errors
    /// When the disk refuses, or there are too many beside it.
    pub fn choose(&self) -> io::Result<Choice> {
        if let Some(choice) = self.look(self.name, Fit::Own)? {
            return Ok(choice);
        }
        match self.conflict {
            Conflict::Merge => return Ok(Choice::Nothing(Placed::Kept)),
            Conflict::Replace => return Ok(Choice::Replace),
            Conflict::KeepBoth => {}
        }
        for number in 1..1000 {
            if let Some(choice) = self.look(&beside(self.name, self.day, number)?, Fit::Beside)? {
                return Ok(choice);
            }
        }
        Err(io::Error::other("too many files with this name already exist"))
    }

    /// Whether a name will do; none if something else has it. An identical entry is just as good.
    fn look(&self, name: &CStr, fit: Fit) -> io::Result<Option<Choice>> {
        let name = name.to_owned();
        match tree::stat(self.dir, &name) {
            Err(Errno::NOENT) => Ok(Some(Choice::Take { name, fit })),
            Err(error) => Err(said(error)),
            Ok(_) if is_same(self.dir, &name, self.content) => Ok(Some(Choice::Nothing(Placed::Same { name, fit }))),
            Ok(_) => Ok(None),
        }
    }

    /// That the entry is about to get a name: to be announced before it does.
    ///
    /// # Errors
    /// When something else is under its temporary name: whoever owns the folder may have put it there.
    pub fn creating(&self, name: &CStr) -> io::Result<Step> {
        let stat = tree::stat(self.dir, self.temporary)?;
        if (stat.st_dev, stat.st_ino) != self.id {
            return Err(io::Error::other("it was replaced by something else while the restore ran"));
        }
        Ok(self.steps.creating(self.folder, name, stat.st_ino, self.content))
    }

    /// Gives the entry a name, once that was announced; none if something else has taken it meanwhile.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn take(&self, name: &CStr, fit: Fit) -> io::Result<Option<Placed>> {
        match rename_new((self.dir, self.temporary), (self.dir, name)) {
            Ok(()) => {
                cut_here();
                Ok(Some(Placed::New { name: name.to_owned(), fit }))
            }
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(said(error)),
        }
    }

    /// Gives the entry the name of what was moved to the undo folder, once both were announced. If it then does
    /// not get it, what was moved away goes back.
    ///
    /// # Errors
    /// When the disk refuses, or something else took the name meanwhile.
    pub fn take_over(&self, slot: u64) -> io::Result<Placed> {
        let placed = self.take(self.name, Fit::Replaced).and_then(|placed| match placed {
            Some(placed) => Ok(placed),
            None if is_same(self.dir, self.name, self.content) => {
                Ok(Placed::Same { name: self.name.to_owned(), fit: Fit::Replaced })
            }
            None => Err(taken()),
        });
        if placed.is_err() {
            self.steps.put_back(self.dir, self.name, slot)?;
        }
        placed
    }

    /// Moves what has the name to the undo folder first.
    fn replace(&self) -> io::Result<Placed> {
        let slot = self.steps.set_aside(self.dir, self.folder, self.name)?;
        if let Err(error) = self.creating(self.name).and_then(|it| self.steps.announce(&[it])) {
            self.steps.put_back(self.dir, self.name, slot)?;
            return Err(error);
        }
        self.take_over(slot)
    }
}

fn taken() -> io::Error {
    io::Error::other("something else took its name while the restore ran")
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
