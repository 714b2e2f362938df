//! A disk that keeps a record: a file in FUSE whose bytes are in memory, behind a loop device.
//!
//! The kernel's own file system writes to it as to any disk. What the loop device passes on is recorded in order:
//! each write with its bytes, and each flush of the disk's write cache, which the loop device turns into an
//! `fsync` of its file. A write that is recorded before a flush was finished before it.
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request,
    WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// The size of the disk. Small, because each cut writes one anew.
pub const SIZE: usize = 64 << 20;

/// What can be written at once or not at all; disks promise nothing for more.
pub const SECTOR: usize = 512;

const FILE: INodeNo = INodeNo(2);
const NAME: &str = "disk";
const TTL: Duration = Duration::from_secs(3600);

/// How long a folder may be in use after the last file in it was closed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One thing that the disk was asked for.
pub enum Asked {
    Write { at: usize, bytes: Box<[u8]> },
    Flush,
}

/// The bytes as they were when the record began, and what came since.
#[derive(Default)]
pub struct Record {
    pub before: Vec<u8>,
    pub asked: Vec<Asked>,
}

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    record: Option<Record>,
}

/// How far a record has come; what is acknowledged is noted with it.
#[derive(Clone, Default)]
pub struct Meter(Arc<Mutex<Inner>>);

impl Meter {
    /// How many writes and flushes have been recorded.
    pub fn position(&self) -> usize {
        self.0.lock().unwrap().record.as_ref().map_or(0, |it| it.asked.len())
    }
}

/// The file system with the one file.
struct Files(Meter);

fn attributes(inode: INodeNo) -> FileAttr {
    let (kind, size) = if inode == FILE { (FileType::RegularFile, SIZE as u64) } else { (FileType::Directory, 0) };
    FileAttr {
        ino: inode,
        size,
        blocks: size / SECTOR as u64,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: 0o700,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Whatever is written at once shall arrive at once.
        let _ = config.set_max_write(1 << 20);
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&TTL, &attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Nothing is kept back in the system's cache: a write arrives here before it is answered.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let inner = self.0.0.lock().unwrap();
        let from = usize::try_from(offset).unwrap().min(SIZE);
        let to = from.saturating_add(size as usize).min(SIZE);
        reply.data(&inner.bytes[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut inner = self.0.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        if at + data.len() > SIZE {
            reply.error(Errno::ENOSPC);
            return;
        }
        inner.bytes[at..at + data.len()].copy_from_slice(data);
        if let Some(record) = &mut inner.record {
            record.asked.push(Asked::Write { at, bytes: data.into() });
        }
        drop(inner);
        reply.written(u32::try_from(data.len()).unwrap());
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // A `close`, not the flush of a disk.
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if let Some(record) = &mut self.0.0.lock().unwrap().record {
            record.asked.push(Asked::Flush);
        }
        reply.ok();
    }
}

/// A folder on a disk that keeps a record.
pub struct Disk {
    meter: Meter,
    /// In this order: the mount holds the loop device, which holds the file.
    mount: Mount,
    _files: BackgroundSession,
    _home: tempfile::TempDir,
}

impl Disk {
    /// Makes it with an empty ext4.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let meter = Meter::default();
        meter.0.lock().unwrap().bytes = vec![0; SIZE];
        let place = home.path().join("files");
        std::fs::create_dir(&place).unwrap();
        let files = fuser::spawn_mount(Files(meter.clone()), &place, &Config::default()).unwrap();
        let image = place.join(NAME);
        // A small journal, so that it wraps; nothing left to be done later behind our back.
        run("mkfs.ext4", &["-q", "-F", "-J", "size=4", "-E", "lazy_itable_init=0,nodiscard"], &[&image]).unwrap();
        let mount = Mount::new(&image, &home.path().join("mount")).unwrap();
        Self { meter, mount, _files: files, _home: home }
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.mount.folder
    }

    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Begins the record: everything written so far is on the disk.
    pub fn begin(&self) {
        run("sync", &["-f"], &[self.folder()]).unwrap();
        let mut inner = self.meter.0.lock().unwrap();
        let before = inner.bytes.clone();
        inner.record = Some(Record { before, asked: Vec::new() });
    }

    /// Ends the record.
    pub fn recorded(&self) -> Record {
        self.meter.0.lock().unwrap().record.take().unwrap()
    }
}

/// An image that is mounted until this is dropped.
pub struct Mount {
    pub folder: PathBuf,
}

impl Mount {
    /// Mounts a file with an ext4 in it; the file system's own journal is replayed.
    ///
    /// # Errors
    /// In the words of `mount`.
    pub fn new(image: &Path, folder: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(folder).unwrap();
        run("mount", &["-t", "ext4", "-o", "loop,noatime,errors=remount-ro"], &[image, folder])?;
        Ok(Self { folder: folder.to_owned() })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = run("umount", &[], &[&self.folder]);
            if done.is_ok() {
                return;
            }
            if std::thread::panicking() || Instant::now() > deadline {
                // If a test fails, something may still be open.
                let _ = run("umount", &["-l"], &[&self.folder]);
                assert!(std::thread::panicking(), "{done:?}");
                return;
            }
            // A program that another thread starts has our open files until it begins.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn run(program: &str, options: &[&str], paths: &[&Path]) -> Result<(), String> {
    let done = Command::new(program).args(options).args(paths).output().unwrap();
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr))) }
}
