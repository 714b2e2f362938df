//! Every kind of entry, from the device's disk to a proof, and what happens to it on the way.
use crate::agent::Device;
use crate::support::device::token;
use crate::support::server::TestServer;
use agent::progress::Event;
use agent::{Agent, EnrollRequest, Stop};
use domain::activity::Action;
use domain::proof::{Level, TestResult};
use domain::time::minutes;
use holdfast::proof::Prover;
use holdfast::proof::runner::Runner;
use holdfast::store;
use holdfast::store::backup_attempt::BackupAttempt;
use holdfast::store::restore_test::RestoreTest;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct World {
    server: TestServer,
    device: Device,
    agent: Agent,
}

impl World {
    fn new() -> Self {
        Self::over(|_| {})
    }

    fn over(prepare: impl FnOnce(&Device)) -> Self {
        let device = Device::new();
        prepare(&device);
        Self::joined(device, EnrollRequest::default())
    }

    fn joined(device: Device, request: EnrollRequest) -> Self {
        let server = TestServer::start();
        let request = EnrollRequest { server: server.url(), token: token(&server, |_| {}), ..request };
        let agent = device.join(request, server.app.clock.clone()).unwrap();
        Self { server, device, agent }
    }

    fn docs(&self) -> PathBuf {
        self.device.docs()
    }

    /// Backs up and tests the result.
    fn proves(&self) -> RestoreTest {
        self.agent.back_up(&Stop::default()).unwrap();
        self.server.app.clock.advance(minutes(1));
        let runner = Runner::of(PathBuf::from(env!("CARGO_BIN_EXE_holdfast")));
        let prover = Prover { runner, ..self.server.app.prover().unwrap().expect("this server proves") };
        prover.run_once(None).unwrap();
        let device = self.agent.enrollment().device_id;
        self.server.read(move |conn| Ok(store::restore_test::of_device(conn, device, 1)?)).remove(0)
    }

    fn attempt(&self) -> Option<BackupAttempt> {
        let device = self.agent.enrollment().device_id;
        self.server.read(move |conn| Ok(store::backup_attempt::find(conn, device)?))
    }

    fn failures_told(&self) -> usize {
        let device = self.agent.enrollment().device_id;
        let entries = self.server.read(move |conn| Ok(store::activity::of_device(conn, device, 100)?));
        entries.iter().filter(|it| it.action == Action::BackupFailed).count()
    }
}

fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let at = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: at, last_modification: at };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A file below so many folders that no system call accepts its path.
fn deep(root: &Path) {
    let mut dir = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
    for _ in 0..250 {
        rustix::fs::mkdirat(&dir, c"ddddddddddddddddddddddddd", Mode::RWXU).unwrap();
        dir = rustix::fs::openat(&dir, c"ddddddddddddddddddddddddd", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let file = rustix::fs::openat(dir.as_fd(), c"file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
    fs::File::from(file).write_all(b"far down").unwrap();
}

#[test]
fn entries_of_every_kind_are_proven() {
    let world = World::over(|device| {
        let docs = device.docs();
        fs::create_dir_all(docs.join("empty/inner")).unwrap();
        fs::write(docs.join("nothing"), "").unwrap();
        fs::write(docs.join(OsStr::from_bytes(b"not\xffutf8\n\"\\%")), "odd").unwrap();
        fs::write(docs.join("n".repeat(255)), "long").unwrap();
        fs::write(docs.join("two"), "names").unwrap();
        fs::hard_link(docs.join("two"), docs.join("empty/same")).unwrap();
        symlink("two", docs.join("link")).unwrap();
        symlink(OsStr::from_bytes(b"/no\xff/where"), docs.join("dangling")).unwrap();
        symlink("..", docs.join("link-dir")).unwrap();
        rustix::fs::mknodat(CWD, docs.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        drop(std::os::unix::net::UnixListener::bind(docs.join("socket")).unwrap());
        let sparse = fs::File::create(docs.join("sparse")).unwrap();
        sparse.set_len(64 << 20).unwrap();
        fs::write(docs.join("suid"), "s").unwrap();
        fs::set_permissions(docs.join("suid"), fs::Permissions::from_mode(0o6755)).unwrap();
        fs::set_permissions(docs.join("empty"), fs::Permissions::from_mode(0o1770)).unwrap();
        for (name, value) in [("user.a", vec![1]), ("user.empty", vec![]), ("user.long", vec![7; 3000])] {
            // If this file system has no attributes, there is nothing to compare.
            let _ = rustix::fs::setxattr(docs.join("two"), name, &value, XattrFlags::empty());
            let _ = rustix::fs::setxattr(docs.join("empty"), name, &value, XattrFlags::empty());
        }
        deep(&docs);
        set_time(&docs.join("nothing"), -1, 999_999_999);
        set_time(&docs.join("suid"), -2_147_483_648, 1);
        set_time(&docs.join("link"), 4_294_967_296, 5);
        set_time(&docs.join("empty"), 15_032_385_535, 123_456_789);
    });

    let test = world.proves();

    let failures = test.failures().unwrap();
    assert_eq!((test.result, test.level), (Some(TestResult::Passed), Level::Proven), "{test:?}");
    assert!(failures.is_empty() && failures.metadata_count == 0 && failures.not_compared.is_empty(), "{failures:?}");
    assert_eq!(test.matched_count, 40 + 8);
    let left: Vec<_> = world.attempt().unwrap().left_out().unwrap().named.into_iter().map(|it| it.reason).collect();
    assert_eq!(left, ["a pipe has no content to back up", "a socket has no content to back up"]);
    assert!(std::process::Command::new("rm").arg("-rf").arg(world.docs()).status().unwrap().success());
}

#[test]
fn a_log_that_grows_all_the_time_is_not_compared_and_fails_nothing() {
    let world = World::over(|device| {
        fs::write(device.docs().join("large"), vec![3; 8 << 20]).unwrap();
        fs::write(device.docs().join("log"), "begun\n").unwrap();
    });
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (is_done, path) = (Arc::clone(&is_done), world.docs().join("log"));
        move || {
            let mut log = fs::OpenOptions::new().append(true).open(path).unwrap();
            while !is_done.load(Ordering::Relaxed) {
                log.write_all(b"one more line\n").unwrap();
                std::thread::yield_now();
            }
        }
    });
    world.agent.back_up(&Stop::default()).unwrap();
    is_done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    world.server.app.clock.advance(minutes(1));
    let runner = Runner::of(PathBuf::from(env!("CARGO_BIN_EXE_holdfast")));
    let prover = Prover { runner, ..world.server.app.prover().unwrap().expect("this server proves") };
    prover.run_once(None).unwrap();
    let device = world.agent.enrollment().device_id;
    let test = world.server.read(move |conn| Ok(store::restore_test::of_device(conn, device, 1)?)).remove(0);

    let failures = test.failures().unwrap();
    assert!(failures.is_empty() && test.result != Some(TestResult::Failed), "{test:?}");
    assert_eq!((test.matched_count, test.excluded_count), (41, 1), "{test:?}");
    assert!(failures.not_compared.iter().any(|it| it.ends_with("/log")), "{failures:?}");
}

#[test]
fn what_is_cut_replaced_or_gone_between_listing_and_backup_fails_nothing() {
    let world = World::over(|device| {
        for name in ["cut", "gone", "becomes-folder", "becomes-link", "replaced", "rights"] {
            fs::write(device.docs().join(name), name.repeat(10)).unwrap();
        }
        fs::create_dir(device.docs().join("was-folder")).unwrap();
        fs::write(device.docs().join("was-folder/in-it"), "x").unwrap();
    });
    let docs = world.docs();
    world.device.when(Event::Note("Backing up".to_owned()), move || {
        fs::File::options().write(true).open(docs.join("cut")).unwrap().set_len(3).unwrap();
        fs::remove_file(docs.join("gone")).unwrap();
        fs::remove_file(docs.join("becomes-folder")).unwrap();
        fs::create_dir(docs.join("becomes-folder")).unwrap();
        fs::remove_file(docs.join("becomes-link")).unwrap();
        symlink("cut", docs.join("becomes-link")).unwrap();
        fs::write(docs.join("new"), "another").unwrap();
        fs::rename(docs.join("new"), docs.join("replaced")).unwrap();
        fs::set_permissions(docs.join("rights"), fs::Permissions::from_mode(0o400)).unwrap();
        fs::remove_dir_all(docs.join("was-folder")).unwrap();
        fs::write(docs.join("was-folder"), "now a file").unwrap();
    });

    let test = world.proves();

    let failures = test.failures().unwrap();
    assert!(failures.is_empty() && failures.metadata_count == 0, "{failures:?}");
    assert!(test.result != Some(TestResult::Failed), "{test:?}");
    assert_eq!(test.matched_count, 40, "{test:?}");
}

#[test]
fn a_protected_folder_that_is_away_is_told_and_does_not_stop_the_others() {
    let device = Device::new();
    let disk = device.docs().with_file_name("disk");
    fs::create_dir(&disk).unwrap();
    fs::write(disk.join("on the disk"), "x").unwrap();
    let protect = vec![device.docs(), disk.clone()];
    let world = World::joined(device, EnrollRequest { protect, ..EnrollRequest::default() });
    let aside = disk.with_file_name("aside");
    fs::rename(&disk, &aside).unwrap();
    fs::create_dir(&disk).unwrap();

    let test = world.proves();

    let attempt = world.attempt().unwrap();
    assert!(attempt.away().unwrap()[0].reason.contains("is its disk mounted"), "{attempt:?}");
    assert_eq!((attempt.failing_since, world.failures_told()), (None, 0));
    assert_eq!((test.result, test.matched_count), (Some(TestResult::Partial), 40), "{test:?}");
    assert!(test.summary.contains("/disk was missing"), "{}", test.summary);

    fs::remove_dir(&disk).unwrap();
    fs::rename(&aside, &disk).unwrap();
    let test = world.proves();
    assert_eq!((test.result, test.matched_count), (Some(TestResult::Passed), 41), "{test:?}");
    assert!(world.attempt().unwrap().away().unwrap().is_empty());
}

/// A separate file system, if this account may mount one.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&path).output().ok()?;
        mounted.status.success().then(|| Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_mounted_inside_a_protected_folder_is_named_and_backed_up_where_that_was_chosen() {
    for mounts in [false, true] {
        let device = Device::new();
        let Some(disk) = Mounted::at(device.docs().join("disk")) else { return };
        fs::write(disk.0.join("on it"), "x").unwrap();
        let world = World::joined(device, EnrollRequest { mounts, ..EnrollRequest::default() });

        let test = world.proves();

        let left = world.attempt().unwrap().left_out().unwrap();
        assert_eq!((test.result, test.level), (Some(TestResult::Passed), Level::Proven), "{test:?}");
        assert_eq!((test.matched_count, left.count), if mounts { (41, 0) } else { (40, 1) });
        assert!(mounts || left.named[0].reason.contains("another disk is mounted here"), "{left:?}");
        let changes = world.agent.facts().unwrap().changes.unwrap().value;
        assert_eq!(changes.files, 0, "no wipe erases it");
        drop(disk);
    }
}

#[test]
fn a_backup_that_fails_is_reported_with_its_reason_until_one_succeeds() {
    let world = World::new();
    assert_eq!(world.attempt(), None);
    let aside = world.docs().with_file_name("aside");
    fs::rename(world.docs(), &aside).unwrap();
    fs::create_dir(world.docs()).unwrap();

    for tries in 1..=3 {
        world.agent.back_up(&Stop::default()).unwrap_err();
        world.server.app.clock.advance(minutes(1));
        let attempt = world.attempt().unwrap();
        assert_eq!(attempt.failed_count, tries);
        assert!(attempt.reason.contains("does not carry its mark"), "{attempt:?}");
        assert!(attempt.failing_since.is_some_and(|it| it <= attempt.tried_at));
    }
    assert_eq!(world.failures_told(), 1, "the same reason is one entry of the history");

    fs::remove_dir(world.docs()).unwrap();
    fs::rename(&aside, world.docs()).unwrap();
    world.agent.back_up(&Stop::default()).unwrap();
    let attempt = world.attempt().unwrap();
    assert_eq!((attempt.failing_since, attempt.failed_count, attempt.reason.as_str()), (None, 0, ""));
}
