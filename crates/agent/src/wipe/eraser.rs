//! Empties one folder by handle: a symlink is removed and never followed, and what is mounted inside is left
//! alone.
use crate::protect::{MARK_NAME, remove_mark};
use crate::tree;
use domain::manifest::encode_path;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, fstat, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A folder deeper than this is first moved up to the root: each level holds a file handle.
const DEEPEST: usize = 100;
/// At most this many reasons are reported; the rest are counted.
const REASONS: usize = 50;

/// What was removed, and what was left and why.
#[derive(Debug, Default)]
pub struct Erased {
    pub files: u64,
    pub bytes: u64,
    pub refused: Vec<String>,
}

struct Eraser<'a> {
    root: BorrowedFd<'a>,
    device: u64,
    erased: Erased,
    unlisted: u64,
    moved_up: u64,
    watch: &'a mut dyn FnMut(u64),
}

/// Empties the folder; its mark goes last, and only if nothing else is left.
pub fn erase(root: &OwnedFd, watch: &mut dyn FnMut(u64)) -> Erased {
    let device = match fstat(root) {
        Ok(stat) => stat.st_dev,
        Err(error) => return Erased { refused: vec![error.to_string()], ..Erased::default() },
    };
    let erased = Erased::default();
    let mut eraser = Eraser { root: root.as_fd(), device, erased, unlisted: 0, moved_up: 0, watch };
    let mut before = u64::MAX;
    // A folder that was moved up is met in the next round.
    while eraser.moved_up != before {
        before = eraser.moved_up;
        eraser.erased.refused.clear();
        eraser.unlisted = 0;
        eraser.empty(root.as_fd(), &mut Vec::new(), 0);
    }
    let mut erased = eraser.erased;
    if eraser.unlisted > 0 {
        erased.refused.push(format!("and {} more", eraser.unlisted));
    }
    if erased.refused.is_empty()
        && let Err(error) = remove_mark(root.as_fd()).and_then(|()| Ok(rustix::fs::fsync(root)?))
    {
        erased.refused.push(format!("{MARK_NAME}: {error}"));
    }
    (watch)(erased.files);
    erased
}

/// Removes the emptied folder itself, unless another is now at its path or it is a mount point.
pub fn remove_root(path: &Path, dir: &OwnedFd) -> io::Result<()> {
    let (parent, name) = tree::open_parent(path)?;
    let (here, opened) = (tree::stat(parent.as_fd(), &name)?, fstat(dir)?);
    if (here.st_dev, here.st_ino) != (opened.st_dev, opened.st_ino) {
        // The folder was emptied; what is in its place now is not ours to touch.
        return Ok(());
    }
    match unlinkat(&parent, &name, AtFlags::REMOVEDIR) {
        // A mount point, or a parent that the agent may not write: the folder stays, empty.
        Ok(()) | Err(Errno::BUSY | Errno::ACCESS | Errno::PERM | Errno::ROFS) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::fs::fsync(&parent)?;
    Ok(())
}

impl Eraser<'_> {
    fn empty(&mut self, dir: BorrowedFd<'_>, path: &mut Vec<u8>, depth: usize) {
        let names = match tree::names(dir) {
            Ok(names) => names,
            Err(error) => return self.leave(path, &error.to_string()),
        };
        for name in names {
            if depth == 0 && name.as_bytes() == MARK_NAME.as_bytes() {
                continue;
            }
            let length = path.len();
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
            if let Err(error) = self.remove(dir, &name, path, depth) {
                self.leave(path, &error.to_string());
            }
            path.truncate(length);
        }
    }

    fn remove(&mut self, dir: BorrowedFd<'_>, name: &CStr, path: &mut Vec<u8>, depth: usize) -> io::Result<()> {
        let stat = match tree::stat(dir, name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return self.remove_dir(dir, name, &stat, path, depth);
        }
        match unlink(dir, name, AtFlags::empty()) {
            Ok(()) => {
                self.erased.files += 1;
                // Bytes of a file with other names elsewhere are not gone.
                if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1 {
                    self.erased.bytes += u64::try_from(stat.st_size).unwrap_or(0);
                }
                if self.erased.files.is_multiple_of(64) {
                    (self.watch)(self.erased.files);
                }
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn remove_dir(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        stat: &Stat,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> io::Result<()> {
        if stat.st_dev != self.device {
            self.leave(path, "another file system is mounted here");
            return Ok(());
        }
        if depth >= DEEPEST {
            return self.move_up(dir, name);
        }
        let child = match tree::open_same_mount(dir, name) {
            Ok(child) => child,
            Err(Errno::XDEV) => {
                self.leave(path, "another file system is mounted here");
                return Ok(());
            }
            Err(Errno::ACCESS) => {
                allow_owner(dir, name)?;
                tree::open_same_mount(dir, name)?
            }
            Err(error) => return Err(error.into()),
        };
        let opened = fstat(&child)?;
        if (opened.st_dev, opened.st_ino) != (stat.st_dev, stat.st_ino) {
            return Err(io::Error::other("it was replaced while it was being erased"));
        }
        let left = self.left();
        self.empty(child.as_fd(), path, depth + 1);
        if self.left() > left {
            return Ok(());
        }
        match unlink(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        self.moved_up += 1;
        let to = CString::new(format!(".holdfast-wipe-{}", self.moved_up))?;
        Ok(rustix::fs::renameat_with(dir, name, self.root, &to, RenameFlags::NOREPLACE)?)
    }

    fn left(&self) -> u64 {
        self.erased.refused.len() as u64 + self.unlisted
    }

    fn leave(&mut self, path: &[u8], reason: &str) {
        if self.erased.refused.len() < REASONS {
            self.erased.refused.push(format!("{}: {reason}", encode_path(path)));
        } else {
            self.unlisted += 1;
        }
    }
}

/// Removes a name; if its owner closed the folder, opens it for the owner first.
fn unlink(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(dir, name, flags) {
        Err(Errno::ACCESS) => {
            rustix::fs::fchmod(dir, Mode::RWXU)?;
            unlinkat(dir, name, flags)
        }
        result => result,
    }
}

/// Gives the owner back the right to enter a folder, through a handle that follows no symlink.
fn allow_owner(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("docs");
        fs::create_dir(&root).unwrap();
        fs::write(root.join(MARK_NAME), "mark").unwrap();
        (temp, root)
    }

    fn run(root: &Path) -> Erased {
        let dir = tree::open_dir(root).unwrap();
        let erased = erase(&dir, &mut |_| {});
        if erased.refused.is_empty() {
            remove_root(root, &dir).unwrap();
        }
        erased
    }

    #[test]
    fn all_is_removed_and_counted_whatever_its_name() {
        let (_temp, root) = folder();
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        fs::write(root.join("a/b/c/x"), "12345").unwrap();
        for name in [&b"bad\xff\xfename"[..], b"new\nline", b"-rf", b"..x", b" ", b"*"] {
            fs::create_dir(root.join(OsStr::from_bytes(name))).unwrap();
            fs::write(root.join(OsStr::from_bytes(name)).join(OsStr::from_bytes(name)), "1").unwrap();
        }

        let erased = run(&root);

        assert!(erased.refused.is_empty(), "{:?}", erased.refused);
        assert_eq!((erased.files, erased.bytes), (7, 11));
        assert!(!root.exists());
    }

    #[test]
    fn a_symlink_is_removed_and_what_it_points_to_stays() {
        let (temp, root) = folder();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        symlink(&outside, root.join("dir-link")).unwrap();
        symlink(outside.join("kept"), root.join("file-link")).unwrap();
        symlink("/", root.join("root-link")).unwrap();
        fs::hard_link(outside.join("kept"), root.join("hard")).unwrap();

        let erased = run(&root);

        assert!(erased.refused.is_empty());
        assert_eq!((erased.files, erased.bytes), (4, 0));
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
        assert!(!root.exists());
    }

    #[test]
    fn another_device_is_left_and_said() {
        let (_temp, root) = folder();
        fs::create_dir(root.join("mounted")).unwrap();
        fs::write(root.join("mounted/kept"), "kept").unwrap();
        fs::write(root.join("gone"), "1").unwrap();
        let dir = tree::open_dir(&root).unwrap();
        let mut watch = |_| {};
        let device = fstat(&dir).unwrap().st_dev + 1;
        let erased = Erased::default();
        let mut eraser = Eraser { root: dir.as_fd(), device, erased, unlisted: 0, moved_up: 0, watch: &mut watch };

        eraser.empty(dir.as_fd(), &mut Vec::new(), 0);

        assert_eq!(eraser.erased.refused, ["/mounted: another file system is mounted here"]);
        assert!(root.join("mounted/kept").exists());
        assert!(!root.join("gone").exists());
        assert!(root.join(MARK_NAME).exists());
    }

    /// Unmounts when dropped, even after a failure.
    struct Bound(PathBuf);

    impl Bound {
        /// None where this account may not mount.
        fn mount(what: &Path, on: &Path) -> Option<Self> {
            let mounted = std::process::Command::new("mount").arg("--bind").args([what, on]).output();
            mounted.is_ok_and(|it| it.status.success()).then(|| Self(on.to_owned()))
        }
    }

    impl Drop for Bound {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).output();
        }
    }

    #[test]
    fn a_folder_of_the_same_file_system_that_is_mounted_inside_is_left() {
        let (temp, root) = folder();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        fs::create_dir(root.join("mounted")).unwrap();
        fs::write(root.join("gone"), "1").unwrap();
        let Some(_bound) = Bound::mount(&outside, &root.join("mounted")) else {
            println!("skipped: this account may not mount");
            return;
        };

        let erased = run(&root);

        assert_eq!(erased.refused, ["/mounted: another file system is mounted here"]);
        assert!(outside.join("kept").exists() && !root.join("gone").exists());
    }

    #[test]
    fn a_deep_folder_goes_too() {
        let (_temp, root) = folder();
        let mut dir = tree::open_dir(&root).unwrap();
        for _ in 0..3 * DEEPEST + 10 {
            rustix::fs::mkdirat(&dir, c"d", 0o700.into()).unwrap();
            dir = tree::open_child(dir.as_fd(), c"d").unwrap();
        }
        rustix::fs::mknodat(&dir, c"file", FileType::RegularFile, 0o600.into(), 0).unwrap();

        let erased = run(&root);

        assert!(erased.refused.is_empty(), "{:?}", erased.refused);
        assert_eq!(erased.files, 1);
        assert!(!root.exists());
    }

    #[test]
    fn a_folder_that_its_owner_closed_goes_too() {
        let (_temp, root) = folder();
        fs::create_dir(root.join("closed")).unwrap();
        fs::write(root.join("closed/x"), "1").unwrap();
        fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();

        let erased = run(&root);

        assert!(erased.refused.is_empty(), "{:?}", erased.refused);
        assert!(!root.exists());
    }

    #[test]
    fn a_folder_that_replaced_the_erased_one_is_left_alone() {
        let (temp, root) = folder();
        let dir = tree::open_dir(&root).unwrap();
        assert!(erase(&dir, &mut |_| {}).refused.is_empty());
        fs::rename(&root, temp.path().join("elsewhere")).unwrap();
        fs::create_dir(&root).unwrap();

        remove_root(&root, &dir).unwrap();

        assert!(root.exists());
    }
}
