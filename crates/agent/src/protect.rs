//! Which folders may be protected, and the mark in each.
//!
//! A protected folder is erased by a wipe, so what may become one is checked when it is named and again when it
//! is erased. The mark is a file in the folder, made at enrolment; its text is in the agent's own record. A
//! folder put in place of a protected one has no such mark and is left alone.
use super::state::{Marks, ProtectedRoot};
use super::tree;
use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags, fstat};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The mark's name: left out of every manifest and backup, and the last thing a wipe removes.
pub const MARK_NAME: &str = ".holdfast-protected";
const MARK_NAME_C: &std::ffi::CStr = c".holdfast-protected";
const MARK_TEXT: &str =
    "Holdfast backs up this folder, and erases it when this device is wiped. Leave this file here.\n";

/// Folders of the system; what is in the last three is not storage at all.
const SYSTEM: [&str; 16] = [
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys",
    "/tmp", "/usr", "/var",
];
const UNREAL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// What no protected folder may be or contain.
#[derive(Debug, Clone)]
pub struct Forbidden {
    pub state: PathBuf,
    pub home: Option<PathBuf>,
}

impl Forbidden {
    /// Why a folder may not be protected or erased, judged by its path and by what it is on disk.
    pub fn reason(&self, path: &Path, dir: BorrowedFd<'_>) -> Option<String> {
        let stat = match fstat(dir) {
            Ok(stat) => stat,
            Err(error) => return Some(format!("it cannot be examined: {error}")),
        };
        let is = |other: &Path| {
            std::fs::metadata(other).is_ok_and(|it| {
                use std::os::unix::fs::MetadataExt;
                (it.dev(), it.ino()) == (stat.st_dev, stat.st_ino)
            })
        };
        if path == Path::new("/") || is(Path::new("/")) {
            return Some("it is the whole system".to_owned());
        }
        if self.home.as_deref().is_some_and(|home| path == home || is(home)) {
            return Some("it is a whole home directory; name the folders in it instead".to_owned());
        }
        if SYSTEM.iter().any(|it| path == Path::new(it) || is(Path::new(it))) {
            return Some("it is a system folder".to_owned());
        }
        if UNREAL.iter().any(|it| path.starts_with(it)) {
            return Some("it is not storage".to_owned());
        }
        let state = std::fs::canonicalize(&self.state).unwrap_or_else(|_| self.state.clone());
        if state.ancestors().any(|it| path == it || is(it)) {
            return Some(format!("the agent's own state ({}) is in it", state.display()));
        }
        let home = self.home.as_ref().map(|it| std::fs::canonicalize(it).unwrap_or_else(|_| it.clone()));
        if home.is_some_and(|home| home.ancestors().any(|it| path == it || is(it))) {
            return Some("a whole home directory is in it; name the folders in that instead".to_owned());
        }
        None
    }
}

/// Checks the folders that a person named, and returns them without symlinks.
///
/// # Errors
/// When one is missing, is not a folder, may not be protected, or is inside another.
pub fn check(folders: &[PathBuf], forbidden: &Forbidden) -> Result<Vec<PathBuf>> {
    if folders.is_empty() {
        bail!("name at least one folder with --protect");
    }
    let mut roots: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let root = std::fs::canonicalize(folder).with_context(|| format!("--protect {}", folder.display()))?;
        if root.to_str().is_none() {
            bail!("--protect {}: the path is not UTF-8; rename the folder", folder.display());
        }
        if forbidden.state.starts_with(&root) {
            bail!("--protect {}: the agent's own state would be in it; choose another --state", folder.display());
        }
        let dir = tree::open_dir(&root).with_context(|| format!("--protect {}", folder.display()))?;
        if let Some(reason) = forbidden.reason(&root, dir.as_fd()) {
            bail!("--protect {}: {reason}", folder.display());
        }
        if let Some(other) = roots.iter().find(|it| it.starts_with(&root) || root.starts_with(it)) {
            bail!("--protect {}: it overlaps {}; name only the outer one", folder.display(), other.display());
        }
        roots.push(root);
    }
    roots.sort_unstable();
    Ok(roots)
}

/// Puts a mark in each folder, or finds that of `known` there.
///
/// # Errors
/// When one cannot be written, or the folder carries the mark of another agent; the marks made so far are
/// removed again.
pub fn mark(roots: &[PathBuf], known: &Marks) -> Result<Marked> {
    let mut marked = Marked::default();
    for root in roots {
        let path = root.to_str().context("the path is not UTF-8")?;
        let text = known.marks.get(path).context("the folder has no mark to write")?;
        match mark_one(root, path, text) {
            Ok((root, true)) => {
                marked.made.push(root.clone());
                marked.roots.push(root);
            }
            Ok((root, false)) => marked.roots.push(root),
            Err(error) => {
                unmark(&marked.made);
                return Err(error.context(format!("marking {}", root.display())));
            }
        }
    }
    Ok(marked)
}

/// The folders with their marks, and those whose mark was not there before.
#[derive(Debug, Default)]
pub struct Marked {
    pub roots: Vec<ProtectedRoot>,
    pub made: Vec<ProtectedRoot>,
}

/// Adds a new mark for each folder that has none.
///
/// # Errors
/// When the operating system provides no randomness.
pub fn invent(marks: &mut Marks, roots: &[PathBuf]) -> Result<()> {
    for root in roots {
        let path = root.to_str().context("the path is not UTF-8")?;
        if !marks.marks.contains_key(path) {
            marks.marks.insert(path.to_owned(), secret::generate("")?);
        }
    }
    Ok(())
}

/// The marked folder, and whether its mark was made now.
fn mark_one(root: &Path, path: &str, mark: &str) -> Result<(ProtectedRoot, bool)> {
    let dir = tree::open_dir(root)?;
    let stat = fstat(&dir)?;
    let root = ProtectedRoot { path: path.to_owned(), mark: mark.to_owned(), device: stat.st_dev, inode: stat.st_ino };
    if tree::stat(dir.as_fd(), MARK_NAME_C).is_ok() {
        if is_marked(dir.as_fd(), &root)? {
            return Ok((root, false));
        }
        bail!("another agent protects this folder; if it no longer does, remove {path}/{MARK_NAME} and try again");
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, MARK_NAME_C, flags, Mode::from_raw_mode(0o600))
        .context("the agent must be able to write to the folder")?;
    let mut file = File::from(file);
    file.write_all(format!("{MARK_TEXT}{mark}\n").as_bytes())?;
    file.sync_all()?;
    rustix::fs::fsync(&dir)?;
    Ok((root, true))
}

/// Removes the marks again, as far as possible.
pub fn unmark(roots: &[ProtectedRoot]) {
    for root in roots {
        if let Ok(dir) = tree::open_dir(Path::new(&root.path)) {
            // A mark that no record knows does the folder no harm.
            let _ = remove_mark(dir.as_fd());
        }
    }
}

/// Removes the mark of an open folder.
///
/// # Errors
/// When the file system refuses.
pub fn remove_mark(dir: BorrowedFd<'_>) -> std::io::Result<()> {
    match rustix::fs::unlinkat(dir, MARK_NAME_C, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a protected folder that carries its mark.
///
/// # Errors
/// When it is missing or is not the folder that was enrolled: if its disk is not mounted, an empty one is in
/// its place.
pub fn open_marked(root: &ProtectedRoot) -> Result<OwnedFd> {
    let dir = tree::open_dir(Path::new(&root.path)).with_context(|| format!("opening {}", root.path))?;
    if !is_marked(dir.as_fd(), root).with_context(|| format!("reading the mark of {}", root.path))? {
        bail!(
            "{} does not carry its mark ({MARK_NAME}): is its disk mounted? If so, enroll this device again",
            root.path
        );
    }
    Ok(dir)
}

/// Whether an open folder carries the mark of the record.
///
/// # Errors
/// When the mark is there but cannot be read.
pub fn is_marked(dir: BorrowedFd<'_>, root: &ProtectedRoot) -> std::io::Result<bool> {
    let file = match tree::open_file(dir, MARK_NAME_C) {
        Ok(file) => File::from(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    // A mark is 140 bytes; anything longer is not one.
    file.take(1024).read_to_string(&mut text)?;
    Ok(text.lines().next_back() == Some(root.mark.as_str()) && !root.mark.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn forbidden(dir: &Path) -> Forbidden {
        fs::create_dir_all(dir.join("home")).unwrap();
        fs::create_dir_all(dir.join("state")).unwrap();
        Forbidden { state: dir.join("state"), home: Some(dir.join("home")) }
    }

    #[test]
    fn what_must_not_be_wiped_cannot_be_protected() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().canonicalize().unwrap();
        let forbidden = forbidden(&dir);
        fs::create_dir_all(dir.join("docs/inner")).unwrap();
        symlink(dir.join("home"), dir.join("link-home")).unwrap();
        fs::write(dir.join("file"), "x").unwrap();

        let refused = |paths: &[PathBuf]| check(paths, &forbidden).unwrap_err().to_string();

        for path in ["/", "/etc", "/usr", "/proc/self"] {
            refused(&[PathBuf::from(path)]);
        }
        assert!(refused(&[dir.join("home")]).contains("home directory"));
        assert!(refused(&[dir.join("link-home")]).contains("home directory"));
        assert!(refused(std::slice::from_ref(&dir)).contains("state"));
        assert!(refused(&[dir.join("state")]).contains("state"));
        let above = Forbidden { state: PathBuf::from("/nowhere"), home: Some(dir.join("home")) };
        let why = check(std::slice::from_ref(&dir), &above).unwrap_err().to_string();
        assert!(why.contains("home directory is in it"), "{why}");
        assert!(refused(&[dir.join("docs"), dir.join("docs/inner")]).contains("overlaps"));
        refused(&[dir.join("missing")]);
        refused(&[dir.join("file")]);
        assert_eq!(check(&[dir.join("docs")], &forbidden).unwrap(), [dir.join("docs")]);
    }

    #[test]
    fn only_the_folder_with_the_recorded_mark_is_the_protected_one() {
        let temp = tempfile::tempdir().unwrap();
        let docs = temp.path().canonicalize().unwrap().join("docs");
        fs::create_dir(&docs).unwrap();
        let mut marks = Marks::default();
        invent(&mut marks, std::slice::from_ref(&docs)).unwrap();
        let root = mark(std::slice::from_ref(&docs), &marks).unwrap().roots.remove(0);
        let is_marked = |root: &ProtectedRoot| is_marked(tree::open_dir(&docs).unwrap().as_fd(), root);

        assert!(is_marked(&root).unwrap());
        assert!(!is_marked(&ProtectedRoot { mark: "another".to_owned(), ..root.clone() }).unwrap());
        assert!(!is_marked(&ProtectedRoot { mark: String::new(), ..root.clone() }).unwrap());

        fs::rename(docs.join(MARK_NAME), temp.path().join("mark")).unwrap();
        assert!(!is_marked(&root).unwrap());
        // A symlink to a true mark is not a mark.
        symlink(temp.path().join("mark"), docs.join(MARK_NAME)).unwrap();
        assert!(is_marked(&root).is_err());
    }

    #[test]
    fn another_agents_mark_is_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let folders = [base.join("a"), base.join("docs")];
        folders.iter().for_each(|it| fs::create_dir(it).unwrap());
        let docs = &folders[1..];
        let (mut first, mut second) = (Marks::default(), Marks::default());
        invent(&mut first, docs).unwrap();
        invent(&mut second, &folders).unwrap();
        assert_eq!(mark(docs, &first).unwrap().made.len(), 1);
        let text = fs::read(folders[1].join(MARK_NAME)).unwrap();

        let refused = mark(&folders, &second).unwrap_err();

        assert!(format!("{refused:#}").contains("another agent"), "{refused:#}");
        assert_eq!(fs::read(folders[1].join(MARK_NAME)).unwrap(), text);
        assert!(!folders[0].join(MARK_NAME).exists());
        // The same agent again finds its own.
        assert!(mark(docs, &first).unwrap().made.is_empty());
    }
}
