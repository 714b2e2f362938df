//! Writes files inside one folder and nowhere else.
//!
//! Every folder on the way is opened by handle and never through a symlink; a
//! file is written under a temporary name, brought to the disk, read back, and
//! renamed without replacing anything.
use crate::agent::tree;
use crate::domain::restore::Conflict;
use aws_lc_rs::digest;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Gives a file's content.
pub type Content<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// The longest name of a file.
const LONGEST: usize = 255;
const BUFFER: usize = 1 << 18;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is on the disk as read back there; `beside` where something else had its name.
    File { size: u64, sha256: String, beside: bool },
    /// Something else has its name, and stays.
    Kept,
}

/// One target folder.
pub struct Writer {
    root: OwnedFd,
    temporary: CString,
    day: String,
    conflict: Conflict,
    /// The folder that was last written in, and its handle.
    current: Option<(Vec<Vec<u8>>, OwnedFd)>,
}

impl Writer {
    /// # Errors
    /// When `restore` cannot be part of a file's name.
    pub fn new(root: OwnedFd, restore: &str, day: &str, conflict: Conflict) -> io::Result<Self> {
        let temporary = CString::new(format!(".holdfast-restore-{restore}"))?;
        Ok(Self { root, temporary, day: day.to_owned(), conflict, current: None })
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// When something else is in the way, such as a symlink.
    pub fn folder(&mut self, names: &[Vec<u8>]) -> io::Result<()> {
        self.enter(names).map(|_| ())
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When its folder cannot be entered, the content cannot be had, or the disk refuses.
    pub fn file(
        &mut self,
        names: &[Vec<u8>],
        mode: u32,
        modified: Option<(i64, u32)>,
        content: Content<'_>,
    ) -> io::Result<Written> {
        let (name, folders) = names.split_last().ok_or(Errno::INVAL)?;
        let name = checked(name)?;
        self.enter(folders)?;
        let dir = self.here()?;
        let file = create(dir, &self.temporary)?;
        let written = fill(file, mode, modified, content).and_then(|(size, sha256)| {
            let place = Place { dir, temporary: &self.temporary, day: &self.day, conflict: self.conflict };
            place.put(&name, size, &sha256)
        });
        if !matches!(written, Ok(Written::File { .. })) {
            // The temporary file is ours alone; one that stays is replaced by the next try.
            let _ = unlinkat(dir, &self.temporary, AtFlags::empty());
        }
        written
    }

    /// Makes a symlink that leads to something inside the target folder.
    ///
    /// # Errors
    /// When it would lead outside.
    pub fn symlink(&mut self, names: &[Vec<u8>], target: &[u8]) -> io::Result<Written> {
        let (name, folders) = names.split_last().ok_or(Errno::INVAL)?;
        let name = checked(name)?;
        if !stays_inside(target, folders.len()) {
            return Err(io::Error::other("the link leads out of the restored folder; it was not made"));
        }
        self.enter(folders)?;
        let dir = self.here()?;
        let target = CString::new(target)?;
        match rustix::fs::symlinkat(&target, dir, &name) {
            Ok(()) => {}
            Err(Errno::EXIST) if rustix::fs::readlinkat(dir, &name, Vec::new()).is_ok_and(|it| it == target) => {}
            Err(Errno::EXIST) => return Ok(Written::Kept),
            Err(error) => return Err(error.into()),
        }
        Ok(Written::File { size: 0, sha256: String::new(), beside: false })
    }

    /// Brings the last folder to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        match self.current.take() {
            Some((_, dir)) => Ok(rustix::fs::fsync(&dir)?),
            None => Ok(()),
        }
    }

    fn here(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.current.as_ref().map_or(self.root.as_fd(), |(_, dir)| dir.as_fd()))
    }

    /// Opens a folder below the root, making what is missing.
    fn enter(&mut self, names: &[Vec<u8>]) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|(current, _)| current == names) {
            return Ok(());
        }
        self.finish()?;
        let mut dir = self.root.try_clone()?;
        for name in names {
            let name = checked(name)?;
            let is_new = match rustix::fs::mkdirat(&dir, &name, Mode::RWXU) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            let child = tree::open_child(dir.as_fd(), &name)
                .map_err(|error| io::Error::other(format!("something that is no folder is in the way: {error}")))?;
            if is_new {
                rustix::fs::fsync(&dir)?;
            }
            dir = child;
        }
        self.current = Some((names.to_vec(), dir));
        Ok(())
    }
}

/// Where a finished temporary file goes.
struct Place<'a> {
    dir: BorrowedFd<'a>,
    temporary: &'a CStr,
    day: &'a str,
    conflict: Conflict,
}

impl Place<'_> {
    fn put(&self, name: &CStr, size: u64, sha256: &str) -> io::Result<Written> {
        let done = |beside| Ok(Written::File { size, sha256: sha256.to_owned(), beside });
        if self.take_name(name, sha256)? {
            return done(false);
        }
        match self.conflict {
            Conflict::Skip => return Ok(Written::Kept),
            Conflict::KeepBoth => {}
        }
        for number in 1..1000 {
            if self.take_name(&beside(name, self.day, number)?, sha256)? {
                return done(true);
            }
        }
        Err(io::Error::other("too many files of this name are there already"))
    }

    /// Gives the temporary file a name; false where another has it. One that is the same already is as good.
    fn take_name(&self, name: &CStr, sha256: &str) -> io::Result<bool> {
        match rename_new(self.dir, self.temporary, name) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => {
                let is_same = tree::open_file(self.dir, name)
                    .and_then(|it| hash(&mut File::from(it)))
                    .is_ok_and(|(_, had)| had == sha256);
                if is_same {
                    unlinkat(self.dir, self.temporary, AtFlags::empty())?;
                }
                Ok(is_same)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Renames without replacing, also on file systems that cannot do so in one step.
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

/// A name that is one: not empty, not `.` or `..`, without `/` and NUL.
fn checked(name: &[u8]) -> io::Result<CString> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name is none that a file may have here"));
    }
    Ok(CString::new(name)?)
}

/// Whether a link `depth` folders below the target folder leads to something in it. Only leading `..` are taken: one
/// after a name may lead anywhere, since that name may be a link itself.
fn stays_inside(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.starts_with(b"/") {
        return false;
    }
    let mut ups = 0;
    let mut has_name = false;
    for part in target.split(|it| *it == b'/') {
        match part {
            b"" | b"." => {}
            b".." if has_name => return false,
            b".." => ups += 1,
            _ => has_name = true,
        }
    }
    ups <= depth
}

fn create(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::openat(dir, name, flags, mode) {
        // Left by a try that was cut off: the name is this restore's own.
        Err(Errno::EXIST) => {
            unlinkat(dir, name, AtFlags::empty())?;
            Ok(File::from(rustix::fs::openat(dir, name, flags, mode)?))
        }
        result => Ok(File::from(result?)),
    }
}

/// Fills a file, brings it to the disk and reads it back from there.
fn fill(file: File, mode: u32, modified: Option<(i64, u32)>, content: Content<'_>) -> io::Result<(u64, String)> {
    let mut out = Hashing { file, context: digest::Context::new(&digest::SHA256) };
    content(&mut out)?;
    let Hashing { mut file, context } = out;
    let sent = hex::encode(context.finish().as_ref());
    // Never setuid, setgid or sticky: the backup comes from another device.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
    if let Some((seconds, nanoseconds)) = modified {
        let at = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        rustix::fs::futimens(&file, &Timestamps { last_access: at, last_modification: at })?;
    }
    file.sync_all()?;
    // So that what is read back comes from the disk. Where the system does not do so, the check is of its memory.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    file.seek(SeekFrom::Start(0))?;
    let (size, sha256) = hash(&mut file)?;
    if sha256 != sent {
        return Err(io::Error::other("what was read back from the disk is not what was written"));
    }
    Ok((size, sha256))
}

struct Hashing {
    file: File,
    context: digest::Context,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.context.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash(file: &mut File) -> io::Result<(u64, String)> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, hex::encode(context.finish().as_ref())));
        }
        context.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("docs");
        fs::create_dir(&root).unwrap();
        (temp, root)
    }

    fn writer(root: &Path, conflict: Conflict) -> Writer {
        Writer::new(tree::open_dir(root).unwrap(), "r", "2026-11-22", conflict).unwrap()
    }

    fn names(path: &str) -> Vec<Vec<u8>> {
        path.split('/').map(|it| it.as_bytes().to_vec()).collect()
    }

    fn write(writer: &mut Writer, path: &str, text: &str) -> io::Result<Written> {
        writer.file(&names(path), 0o4755, Some((1_000_000_000, 5)), &mut |out| out.write_all(text.as_bytes()))
    }

    fn file(text: &str, beside: bool) -> Written {
        let sha256 = hex::encode(secret::sha256(text.as_bytes()));
        Written::File { size: text.len() as u64, sha256, beside }
    }

    #[test]
    fn a_file_comes_back_with_its_time_and_without_setuid() {
        let (_temp, root) = folder();
        let mut writer = writer(&root, Conflict::KeepBoth);

        assert_eq!(write(&mut writer, "a/b/x.txt", "hello").unwrap(), file("hello", false));
        writer.finish().unwrap();

        let meta = fs::metadata(root.join("a/b/x.txt")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, 0o755);
        let modified = meta.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(modified.as_nanos(), 1_000_000_000_000_000_005);
        assert_eq!(fs::read_dir(root.join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_there_is_kept() {
        let (_temp, root) = folder();
        for name in ["same.txt", "other.txt", "link.txt"] {
            fs::write(root.join("same.txt"), "same").unwrap();
            fs::write(root.join("other.txt"), "mine").unwrap();
            let _ = symlink("other.txt", root.join("link.txt"));
            let mut both = writer(&root, Conflict::KeepBoth);
            let is_same = name == "same.txt";
            assert_eq!(write(&mut both, name, "same").unwrap(), file("same", !is_same), "{name}");
            // Once more, as after a restart: nothing is doubled.
            assert_eq!(write(&mut both, name, "same").unwrap(), file("same", !is_same), "{name}");
        }
        assert_eq!(fs::read(root.join("other.txt")).unwrap(), b"mine");
        assert_eq!(fs::read(root.join("other (restored 2026-11-22).txt")).unwrap(), b"same");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 5);

        let mut skip = writer(&root, Conflict::Skip);
        assert_eq!(write(&mut skip, "other.txt", "theirs").unwrap(), Written::Kept);
        assert_eq!(write(&mut skip, "same.txt", "same").unwrap(), file("same", false));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 5);
    }

    #[test]
    fn nothing_is_written_outside() {
        let (temp, root) = folder();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.join("link")).unwrap();
        let mut writer = writer(&root, Conflict::KeepBoth);

        for bad in ["../x", "a/../x", "/x", "a//x", ".", "..", "a/..", "link/x", "nul\0x"] {
            assert!(write(&mut writer, bad, "evil").is_err(), "{bad}");
        }
        let long = "x".repeat(256);
        assert!(write(&mut writer, &long, "evil").is_err());
        // Swapped for a symlink after it was made: the handle still leads to the folder.
        write(&mut writer, "swap/one", "1").unwrap();
        fs::rename(root.join("swap"), root.join("moved")).unwrap();
        symlink(&outside, root.join("swap")).unwrap();
        write(&mut writer, "swap/two", "2").unwrap();
        write(&mut writer, "else/three", "3").unwrap();
        assert!(write(&mut writer, "swap/four", "4").is_err());

        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read(root.join("moved/two")).unwrap(), b"2");
    }

    #[test]
    fn a_link_is_made_only_where_it_stays_inside() {
        let (_temp, root) = folder();
        let mut writer = writer(&root, Conflict::KeepBoth);
        for (target, depth, inside) in [
            ("x", 0, true),
            ("./x/y", 0, true),
            ("../x", 0, false),
            ("../x", 1, true),
            ("../../x", 1, false),
            ("a/../x", 3, false),
            ("/etc/passwd", 3, false),
            ("", 0, false),
        ] {
            assert_eq!(stays_inside(target.as_bytes(), depth), inside, "{target} {depth}");
        }
        assert!(writer.symlink(&names("bad"), b"/etc/passwd").is_err());
        writer.symlink(&names("a/good"), b"../x").unwrap();
        writer.symlink(&names("a/good"), b"../x").unwrap();
        assert_eq!(writer.symlink(&names("a/good"), b"../y").unwrap(), Written::Kept);
        assert_eq!(fs::read_link(root.join("a/good")).unwrap(), Path::new("../x"));
    }

    #[test]
    fn what_a_cut_off_try_left_is_replaced_and_a_failed_one_leaves_nothing() {
        let (_temp, root) = folder();
        fs::write(root.join(".holdfast-restore-r"), "half").unwrap();
        let mut writer = writer(&root, Conflict::KeepBoth);
        write(&mut writer, "x", "whole").unwrap();

        let failed = writer.file(&names("y"), 0o600, None, &mut |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the server went away"))
        });

        assert!(failed.is_err());
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
        assert_eq!(fs::read(root.join("x")).unwrap(), b"whole");
    }

    #[test]
    fn a_long_name_still_finds_a_place_beside() {
        let name = CString::new(format!("{}.jpeg", "x".repeat(250))).unwrap();
        let made = beside(&name, "2026-11-22", 12).unwrap();
        assert_eq!(made.as_bytes().len(), LONGEST);
        assert!(made.as_bytes().ends_with(b" (restored 2026-11-22 12).jpeg"));
        assert_eq!(beside(c".bashrc", "d", 1).unwrap().as_c_str(), c".bashrc (restored d)");
    }
}
