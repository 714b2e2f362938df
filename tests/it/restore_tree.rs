//! Everything that a file system holds goes from an agent to a proof and back, in place and onto another
//! device, and is compared with what restic itself restores from the same snapshot. What differs is in
//! `docs/restore.md`, and nothing else.
use crate::agent::{Device, order_restore, points, prover};
use crate::support::server::TestServer;
use crate::support::{NOW, skip};
use agent::state::{Credentials, State};
use agent::{Agent, Stop};
use domain::restore::RestoreState;
use domain::shortfall::{Shortfall, ShortfallKind};
use holdfast::store;
use holdfast::store::restore::Restore;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, lgetxattr, linkat,
    llistxattr, lsetxattr, mknodat, symlinkat, utimensat,
};
use secret::sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tree under construction. What this system or its user cannot make is left out.
struct Tree {
    root: PathBuf,
    is_root: bool,
}

impl Tree {
    fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.root.join(OsStr::from_bytes(name.as_ref()))
    }

    fn file(&self, name: impl AsRef<[u8]>, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn folder(&self, name: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn link(&self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        symlinkat(OsStr::from_bytes(target.as_ref()), CWD, &path).unwrap();
        path
    }

    fn own(&self, path: &Path, uid: u32, gid: u32) {
        if self.is_root {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
    }

    fn attribute(&self, path: &Path, name: &str, value: &[u8]) {
        let set = lsetxattr(path, name, value, XattrFlags::empty());
        assert!(set.is_ok() || !self.is_root, "{name}: {set:?}");
    }
}

fn bits(path: &Path, mode: u32) {
    chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty()).unwrap();
}

fn time(path: &Path, seconds: i64, nanoseconds: i64) {
    let at = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    utimensat(CWD, path, &Timestamps { last_access: at, last_modification: at }, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A list with one named user, `rights` for the owning group and `other` for all others.
fn list(user: u8, group: u8, mask: u8, other: u8) -> Vec<u8> {
    let entry = |tag: u8, rights: u8, id: u32| [[tag, 0, rights, 0], id.to_le_bytes()].concat();
    let none = u32::MAX;
    [
        vec![2, 0, 0, 0],
        entry(1, 6, none),
        entry(2, user, 1234),
        entry(4, group, none),
        entry(16, mask, none),
        entry(32, other, none),
    ]
    .concat()
}

/// Bytes that do not repeat.
fn noise(length: u32) -> Vec<u8> {
    (0..length / 4).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn names_and_contents(tree: &Tree) {
    tree.file("regular", b"regular");
    tree.file("empty", b"");
    tree.file("one byte", b"1");
    tree.file("large", &noise(12 << 20));
    tree.file("zeros", &vec![0; 100_000]);
    tree.file(b"not utf-8 \xff\xfe", b"name");
    tree.file("new\nline", b"name");
    tree.file("percent %41 \\x41 \"quoted\" 'single'", b"name");
    tree.file("\x01control\x7f", b"name");
    tree.file("x".repeat(255), b"name");
    tree.file("-leading dash", b"name");
    tree.file("  spaces  ", b"name");
    tree.file("ünïcode ☃ \u{202e}", b"name");
    tree.file(".hidden", b"name");
    tree.folder("empty folder");
    tree.file("a/b/c/d/nested", b"nested");
    let deep = vec!["d".repeat(200); 15].join("/");
    tree.file(format!("deep/{deep}/file"), b"deep");
}

fn links(tree: &Tree) {
    tree.link("to file", "regular");
    tree.link("absolute", "/etc/passwd");
    tree.link("dangling", "nowhere");
    tree.link("to folder", "a/b");
    tree.link("outside", "../../../../etc");
    tree.link("around", "a/../a/./b//c");
    tree.link("to itself", "to itself");
    tree.link("long", "l".repeat(4000));
    tree.link("not utf-8", b"\xff\n\\\xfe");
    time(&tree.link("old link", "regular"), -5, 250_000_000);
    tree.own(&tree.link("their link", "regular"), 1234, 2345);
    let first = tree.file("hard/one", b"hard link");
    fs::create_dir_all(tree.at("hard/in")).unwrap();
    for name in ["hard/two", "hard/in/three", "zz hard"] {
        linkat(CWD, &first, CWD, tree.at(name), AtFlags::empty()).unwrap();
    }
}

fn rights(tree: &Tree) {
    for mode in [0o000, 0o400, 0o640, 0o777, 0o4755, 0o2755, 0o6711, 0o1644] {
        bits(&tree.file(format!("mode {mode:o}"), b"mode"), mode);
        if mode & 0o400 != 0 || tree.is_root {
            tree.file(format!("folder {mode:o}/in it"), b"mode");
            bits(&tree.at(format!("folder {mode:o}")), mode);
        }
    }
    let theirs = tree.file("theirs/file", b"theirs");
    tree.own(&theirs, 1234, 2345);
    bits(&theirs, 0o4640);
    tree.own(&tree.at("theirs"), 1234, 2345);
    bits(&tree.at("theirs"), 0o2750);
}

fn attributes(tree: &Tree) {
    let own = tree.file("attributes", b"attributes");
    tree.attribute(&own, "user.text", b"a value");
    tree.attribute(&own, "user.empty", b"");
    tree.attribute(&own, "user.bytes", &[0, 255, 10, 13]);
    tree.attribute(&tree.file("large attribute", b"x"), "user.large", &noise(3000));
    tree.attribute(&tree.folder("folder with attribute"), "user.folder", b"yes");
    let listed = tree.file("access list", b"x");
    tree.attribute(&listed, "system.posix_acl_access", &list(6, 0, 6, 0));
    let shut = tree.file("shut out", b"x");
    tree.attribute(&shut, "system.posix_acl_access", &list(0, 4, 4, 4));
    let inheriting = tree.folder("default list");
    tree.file("default list/plain", b"made before the list");
    tree.attribute(&inheriting, "system.posix_acl_access", &list(7, 5, 7, 0));
    tree.attribute(&inheriting, "system.posix_acl_default", &list(7, 5, 7, 0));
    if tree.is_root {
        let capable = tree.file("capability", b"x");
        bits(&capable, 0o755);
        // cap_net_bind_service, effective and permitted.
        let value = [[1, 0, 0, 2], [0, 4, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
        tree.attribute(&capable, "security.capability", &value);
        tree.attribute(&tree.file("trusted", b"x"), "trusted.ours", b"1");
        tree.attribute(&tree.link("trusted link", "regular"), "trusted.link", b"1");
    }
}

fn times(tree: &Tree) {
    // Both ends of what ext4 holds in an inode of 256 bytes.
    for (name, seconds, nanoseconds) in [
        ("first", -2_147_483_648, 0),
        ("before 1970", -1, 1),
        ("zero", 0, 0),
        ("fraction", 1_700_000_000, 999_999_999),
        ("after 2038", 2_147_483_648, 5),
        ("last", 15_032_385_535, 999_999_999),
    ] {
        time(&tree.file(format!("time {name}"), b"time"), seconds, nanoseconds);
        time(&tree.folder(format!("folder time {name}")), seconds, nanoseconds);
    }
}

fn special(tree: &Tree) {
    let make = |name: &str, kind, device| mknodat(CWD, tree.at(name), kind, Mode::from_raw_mode(0o640), device);
    make("pipe", FileType::Fifo, 0).unwrap();
    bits(&tree.at("pipe"), 0o622);
    make("socket", FileType::Socket, 0).unwrap();
    if tree.is_root {
        // The null device, in both kinds.
        let _ = make("character device", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
        let _ = make("block device", FileType::BlockDevice, rustix::fs::makedev(7, 200));
    }
}

fn sparse(tree: &Tree, size: u64) {
    fs::File::create(tree.at("sparse")).unwrap().set_len(size).unwrap();
    let islands = fs::File::create(tree.at("sparse with islands")).unwrap();
    for at in [0, 5_000_000, 20_000_001] {
        islands.write_all_at(b"an island", at).unwrap();
    }
    islands.set_len(30_000_000).unwrap();
}

fn build(root: &Path, size: u64, many: u32) -> Tree {
    let tree = Tree { root: root.to_owned(), is_root: rustix::process::geteuid().is_root() };
    names_and_contents(&tree);
    links(&tree);
    attributes(&tree);
    special(&tree);
    sparse(&tree, size);
    for number in 0..many {
        tree.file(format!("many/{number:06}"), format!("{number}").as_bytes());
    }
    times(&tree);
    rights(&tree);
    // Immutable on its own device; no backup has that.
    let immutable = tree.file("immutable", b"x");
    let _ = Command::new("chattr").arg("+i").arg(&immutable).status();
    for name in ["a/b", "a", "empty folder", "hard", "many"] {
        if tree.at(name).exists() {
            time(&tree.at(name), 1_600_000_000, 7);
        }
    }
    time(root, 1_500_000_000, 1);
    tree
}

/// What an entry is, part by part.
type Parts = BTreeMap<&'static str, String>;

fn parts(path: &Path, meta: &fs::Metadata) -> Parts {
    let mut parts = Parts::new();
    let mut say = |part, text: String| drop(parts.insert(part, text));
    let kind = FileType::from_raw_mode(meta.mode());
    say("kind", format!("{kind:?} {}", meta.rdev()));
    if kind != FileType::Symlink {
        say("mode", format!("{:o}", meta.mode() & 0o7777));
    }
    say("owner", format!("{}:{}", meta.uid(), meta.gid()));
    say("time", format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()));
    if kind == FileType::RegularFile {
        say("size", meta.len().to_string());
        say("links", meta.nlink().to_string());
        if meta.len() < 1 << 28 {
            say("content", hex::encode(sha256(&fs::read(path).unwrap())));
        }
    }
    if kind == FileType::Symlink {
        say("target", format!("{:?}", fs::read_link(path).unwrap()));
    }
    let mut names = vec![0; 1 << 16];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    for name in names[..length].split(|it| *it == 0).filter(|it| !it.is_empty()) {
        let mut value = vec![0; 1 << 16];
        let length = lgetxattr(path, name, &mut value[..]).unwrap();
        let word = match name {
            b"security.capability" => "capability",
            b"system.posix_acl_access" => "access list",
            b"system.posix_acl_default" => "default list",
            other if other.starts_with(b"trusted.") => "trusted attribute",
            _ => "attribute",
        };
        let had = parts.remove(word).unwrap_or_default();
        parts.insert(word, format!("{had}{name:?}={}", hex::encode(&value[..length])));
    }
    parts
}

fn listing(root: &Path) -> BTreeMap<Vec<u8>, Parts> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().as_os_str().to_owned().into_vec();
            if name == b".holdfast-protected" {
                continue;
            }
            if meta.is_dir() {
                folders.push(path.clone());
            }
            found.insert(name, parts(&path, &meta));
        }
    }
    found
}

/// What differs between ours and restic's, as words: `part` or `kind of entry` if it is only on one side.
fn differences(ours: &BTreeMap<Vec<u8>, Parts>, theirs: &BTreeMap<Vec<u8>, Parts>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let spelled = String::from_utf8_lossy(name).into_owned();
        let mut say =
            |what: String, detail: String| found.entry(what).or_default().push(format!("{spelled}: {detail}"));
        match (ours.get(name), theirs.get(name)) {
            (Some(ours), Some(theirs)) => {
                let all: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
                for part in all.into_iter().filter(|it| ours.get(*it) != theirs.get(*it)) {
                    say((*part).to_owned(), format!("{:?}, restic {:?}", ours.get(part), theirs.get(part)));
                }
            }
            (Some(ours), None) => say(format!("only ours: {}", ours["kind"].split(' ').next().unwrap()), String::new()),
            (None, Some(theirs)) => {
                say(format!("only restic: {}", theirs["kind"].split(' ').next().unwrap()), String::new());
            }
            (None, None) => {}
        }
    }
    found
}

/// The words of one column of the table in `docs/restore.md`: what is allowed to differ.
fn documented(place: &str) -> BTreeSet<String> {
    let text = include_str!("../../docs/restore.md");
    let rows = text.lines().filter_map(|it| it.strip_prefix("| `")?.split_once("` | "));
    rows.filter(|(_, rest)| rest.starts_with(place) || rest.starts_with("both"))
        .map(|(word, _)| word.to_owned())
        .collect()
}

fn restic_restores(server: &TestServer, agent: &Agent, state: &Path, target: &Path) {
    let credentials = State::view(state).unwrap().get::<Credentials>().unwrap().0;
    let snapshot = points(server, agent)[0].snapshot_name.to_string();
    let (id, token) = (agent.enrollment().repository_id, &credentials.token);
    let output = Command::new("restic")
        .env("RESTIC_REPOSITORY", format!("rest:http://{id}:{token}@{}/restic/{id}/", server.address))
        .env("RESTIC_PASSWORD", &credentials.password)
        .args(["--no-cache", "--no-lock", "restore", &snapshot, "--target", target.to_str().unwrap()])
        .output()
        .unwrap();
    // It ends with an error if there is a socket: it does not make any, and then misses it.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("socket"), "{said}");
}

fn restored(server: &TestServer, from: &Agent, to: &Agent) -> (Restore, Vec<Shortfall>) {
    let id = from.enrollment().device_id;
    let ordered = order_restore(server, id, points(server, from)[0].id, to).id;
    let outcome = to.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    (server.read(move |conn| Ok(store::restore::find(conn, ordered)?)).unwrap(), outcome.shortfalls)
}

fn check(place: &str, ours: &Path, theirs: &Path) {
    let found = differences(&listing(ours), &listing(theirs));
    let words: BTreeSet<_> = found.keys().cloned().collect();
    assert_eq!(words, documented(place), "{place}: {found:#?}");
}

/// Removes everything but the mark.
fn empty(root: &Path) {
    let _ = Command::new("chattr").args(["-R", "-i"]).arg(root).output();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name() != Some(OsStr::new(".holdfast-protected")) {
            assert!(Command::new("rm").arg("-rf").arg(&path).status().unwrap().success());
        }
    }
}

fn blocks(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().blocks() * 512
}

#[test]
fn a_tree_of_every_kind_comes_back_as_restic_restores_it_except_for_what_is_documented() {
    let root = rustix::process::geteuid().is_root();
    if !root && skip("root") || Command::new("restic").arg("version").output().is_err() && skip("restic") {
        return;
    }
    // The large ones take minutes: restic 0.14 writes each zero of a sparse file.
    let is_long = std::env::var_os("HOLDFAST_CAMPAIGN").is_some();
    let (size, many) = if is_long { (6 << 30, 200_000) } else { (1 << 28, 300) };
    let server = TestServer::start();
    let (lost, fresh) = (Device::new(), Device::new());
    let docs = lost.docs();
    build(&docs, size, many);
    let before = listing(&docs);
    let from = lost.enroll(&server, &server.url());
    from.back_up(&Stop::default()).unwrap();
    prover(&server).run_once(None).unwrap();
    let point = points(&server, &from).remove(0);
    assert!(point.proven_at.is_some() && point.failed_at.is_none(), "{point:?}");
    let target = tempfile::tempdir().unwrap();
    restic_restores(&server, &from, &lost.state(), target.path());
    let theirs = target.path().join(docs.strip_prefix("/").unwrap());
    let to = fresh.enroll(&server, &server.url());

    let (there, told_there) = restored(&server, &from, &to);
    empty(&docs);
    let (here, told_here) = restored(&server, &from, &from);

    for (restore, told) in [(&here, &told_here), (&there, &told_there)] {
        let outcome = restore.outcome().unwrap();
        assert_eq!(restore.state, RestoreState::Compared, "{outcome:?}");
        assert_eq!(restore.matched_count, restore.file_count);
        let count = |kind| told.iter().find(|it| it.kind == kind).map_or(0, |it| it.count);
        assert_eq!((count(ShortfallKind::Socket), count(ShortfallKind::Device)), (1, 2), "{told:?}");
        assert_eq!(outcome.shortfalls.len(), told.len(), "{told:?}");
    }
    assert_eq!(told_here.len(), 2, "{told_here:?}");
    let day = NOW.iso()[..10].to_owned();
    let beside = fresh.docs().join(format!("restored-{day}")).join(docs.strip_prefix("/").unwrap());
    for root in [&docs, &beside] {
        assert!(blocks(&root.join("sparse")) < 1 << 20, "{} bytes", blocks(&root.join("sparse")));
        assert!(blocks(&root.join("sparse with islands")) < 1 << 20);
    }
    // Compared with the device itself: only what no backup has may differ.
    let lost = differences(&listing(&docs), &before);
    let lost: Vec<_> = lost.keys().map(String::as_str).collect();
    assert_eq!(lost, ["only restic: BlockDevice", "only restic: CharacterDevice", "only restic: Socket"]);
    check("in place", &docs, &theirs);
    check("beside", &beside, &theirs);
    empty(&docs);
}

#[test]
fn a_pipe_that_cannot_be_made_is_counted_and_is_no_failure() {
    let server = TestServer::start();
    let device = Device::new();
    let (docs, elsewhere) = (device.docs(), tempfile::tempdir().unwrap());
    let pipes = docs.join("pipes");
    fs::create_dir(&pipes).unwrap();
    mknodat(CWD, pipes.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::write(pipes.join("file"), b"x").unwrap();
    let agent = device.enroll(&server, &server.url());
    agent.back_up(&Stop::default()).unwrap();
    // Nothing is made behind a link.
    fs::remove_dir_all(&pipes).unwrap();
    symlinkat(elsewhere.path(), CWD, &pipes).unwrap();
    order_restore(&server, agent.enrollment().device_id, points(&server, &agent)[0].id, &agent);

    let outcome = agent.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");

    let failed: BTreeSet<_> = outcome.failures.iter().map(|it| Path::new(&it.path)).collect();
    assert_eq!(failed, BTreeSet::from([pipes.as_path(), &pipes.join("file")]), "{:?}", outcome.failures);
    let pipe = outcome.shortfalls.iter().find(|it| it.kind == ShortfallKind::Pipe).expect("it is counted");
    assert_eq!((pipe.count, Path::new(&pipe.paths[0])), (1, pipes.join("pipe").as_path()));
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
