//! Entries written to a folder: what comes back, what is kept, and that nothing leads out.
mod rights;

use super::name::checked;
use super::place::Fit;
use super::trail::Trail;
use super::writer::{Item, Manner, Writer, Written, temporary};
use crate::tree;
use domain::restore::{Conflict, Landing};
use domain::shortfall::ShortfallKind;
use repository::{Id, Node, NodeKind};
use rustix::fs::fstat;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap().join("docs");
    fs::create_dir(&root).unwrap();
    (temp, root)
}

fn landing(root: &Path, conflict: Conflict, landing: Landing) -> Writer {
    let manner = Manner { restore: "r".to_owned(), day: "2026-11-22".to_owned(), conflict, landing };
    let state = root.parent().unwrap().join("state");
    fs::create_dir_all(&state).unwrap();
    let trail = Rc::new(Trail::open(&state, "r").unwrap());
    Writer::new((root.to_str().unwrap(), tree::open_dir(root).unwrap()), manner, trail).unwrap()
}

fn writer(root: &Path, conflict: Conflict) -> Writer {
    landing(root, conflict, Landing::InPlace)
}

fn names(path: &str) -> Vec<Vec<u8>> {
    path.split('/').filter(|it| !it.is_empty()).map(|it| it.as_bytes().to_vec()).collect()
}

/// An entry that belongs to whoever runs this test.
fn node(mode: u32) -> Node {
    Node {
        name: None,
        spelled: String::new(),
        kind: NodeKind::Folder { tree: None },
        mode,
        uid: Some(rustix::process::geteuid().as_raw()),
        gid: Some(rustix::process::getegid().as_raw()),
        modified: Some((1_000_000_000, 5)),
        accessed: None,
        attributes: Vec::new(),
        hard_link: None,
    }
}

fn put(writer: &mut Writer, path: &str, node: &Node, text: &str) -> io::Result<Written> {
    let names: Vec<Vec<u8>> = path.split('/').map(|it| it.as_bytes().to_vec()).collect();
    let staged = writer.file(Item { names: &names, path, node }, &[], &mut |out| out.write_all(text.as_bytes()));
    outcome(writer, staged)
}

/// What becomes of one entry by itself.
fn outcome(writer: &mut Writer, staged: io::Result<()>) -> io::Result<Written> {
    staged?;
    writer.flush();
    let mut done = writer.take_done().unwrap();
    assert_eq!(done.len(), 1, "{done:?}");
    done.remove(0).1
}

fn write(writer: &mut Writer, path: &str, text: &str) -> io::Result<Written> {
    put(writer, path, &node(0o4755), text)
}

fn know(writer: &mut Writer, path: &str, node: &Node) {
    let names = names(path);
    writer.know(Item { names: &names, path, node });
    writer.folder(Item { names: &names, path, node }).unwrap();
}

fn file(text: &str, beside: bool) -> Written {
    let sha256 = hex::encode(secret::sha256(text.as_bytes()));
    Written::File { size: text.len() as u64, sha256, fit: if beside { Fit::Beside } else { Fit::Own } }
}

fn kinds(writer: &mut Writer) -> Vec<ShortfallKind> {
    writer.finish().unwrap();
    writer.take_told().0.iter().map(|it| it.kind).collect()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_comes_back_with_its_time_and_all_its_rights() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);

    assert_eq!(write(&mut writer, "a/b/x.txt", "hello").unwrap(), file("hello", false));
    assert_eq!(kinds(&mut writer), []);

    let meta = fs::metadata(root.join("a/b/x.txt")).unwrap();
    assert_eq!(mode(&root.join("a/b/x.txt")), 0o4755);
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 5));
    assert_eq!(fs::read_dir(root.join("a/b")).unwrap().count(), 1);
    assert_eq!(mode(&root.join("a")), 0o700, "nobody said what it had");
}

#[test]
fn another_devices_data_cannot_be_executed_here() {
    let (_temp, root) = folder();
    let mut writer = landing(&root, Conflict::KeepBoth, Landing::Beside);
    know(&mut writer, "a", &node(0o6755));
    let capable = Node { attributes: vec![(b"security.capability".to_vec(), vec![1])], ..node(0o6755) };

    put(&mut writer, "a/x", &capable, "evil").unwrap();

    assert_eq!(kinds(&mut writer), [ShortfallKind::Executable]);
    assert_eq!((mode(&root.join("a/x")), mode(&root.join("a"))), (0o644, 0o755));
}

#[test]
fn any_rights_of_a_folder_come_after_its_content() {
    let (_temp, root) = folder();
    let mut first = writer(&root, Conflict::KeepBoth);
    for bits in [0o000, 0o555, 0o1777, 0o2750] {
        know(&mut first, &format!("{bits:o}"), &node(bits));
        know(&mut first, &format!("{bits:o}/in"), &node(bits));
        write(&mut first, &format!("{bits:o}/in/x"), "x").unwrap();
    }
    assert_eq!(kinds(&mut first), []);

    for bits in [0o000, 0o555, 0o1777, 0o2750] {
        let meta = fs::metadata(root.join(format!("{bits:o}"))).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (bits, 1_000_000_000, 5));
    }
}

#[test]
fn a_folder_that_was_there_keeps_its_rights_and_one_that_a_cut_off_try_made_gets_them() {
    let (_temp, root) = folder();
    for (name, bits) in [("theirs", 0o700), ("ours", 0o1700)] {
        fs::create_dir(root.join(name)).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(bits)).unwrap();
    }
    let mut writer = writer(&root, Conflict::KeepBoth);
    for name in ["theirs", "ours"] {
        know(&mut writer, name, &node(0o755));
        write(&mut writer, &format!("{name}/x"), "x").unwrap();
    }
    assert_eq!(kinds(&mut writer), [ShortfallKind::Existing]);
    assert_eq!((mode(&root.join("theirs")), mode(&root.join("ours"))), (0o700, 0o755));
    assert_eq!(fs::metadata(root.join("theirs")).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn folders_deeper_than_any_path_come_back_with_few_handles() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let name = vec![b'd'; 100];
    let deep = vec![name; 200];
    for depth in 1..=deep.len() {
        let names = &deep[..depth];
        writer.know(Item { names, path: "d", node: &node(0o750) });
        writer.folder(Item { names, path: "d", node: &node(0o750) }).unwrap();
    }
    let handles = fs::read_dir("/proc/self/fd").unwrap().count();
    let within = [&deep[..], &[b"x".to_vec()]].concat();
    writer.file(Item { names: &within, path: "x", node: &node(0o600) }, &[], &mut |out| out.write_all(b"x")).unwrap();

    assert!(handles < 300, "{handles} handles");
    assert_eq!(kinds(&mut writer), []);
    let mut dir = tree::open_dir(&root).unwrap();
    for name in &deep {
        dir = tree::open_child(dir.as_fd(), &checked(name).unwrap()).unwrap();
        assert_eq!(fstat(&dir).unwrap().st_mode & 0o7777, 0o750);
    }
    assert!(tree::open_file(dir.as_fd(), c"x").is_ok());
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

    let mut skip = writer(&root, Conflict::Merge);
    assert_eq!(write(&mut skip, "other.txt", "theirs").unwrap(), Written::Kept);
    assert_eq!(write(&mut skip, "same.txt", "same").unwrap(), file("same", false));
    assert_eq!(kinds(&mut skip), [ShortfallKind::Existing]);
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
fn a_link_of_any_target_is_made_and_followed_by_nobody() {
    let (temp, root) = folder();
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "theirs").unwrap();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let long = "l".repeat(4000);
    let absolute = outside.to_str().unwrap();
    let targets = ["x", "../x", "a/../../x", "/etc/passwd", ".", &long, absolute];
    let link = |writer: &mut Writer, path: &str, target: &[u8]| {
        let staged = writer.symlink(Item { names: &names(path), path, node: &node(0o777) }, target);
        outcome(writer, staged)
    };
    for (number, target) in targets.iter().enumerate() {
        let name = format!("a/{number}");
        for _ in 0..2 {
            assert_eq!(link(&mut writer, &name, target.as_bytes()).unwrap(), Written::Made { fit: Fit::Own });
        }
        assert_eq!(fs::read_link(root.join(&name)).unwrap(), Path::new(target));
        assert_eq!(fs::symlink_metadata(root.join(&name)).unwrap().mtime(), 1_000_000_000);
    }
    // What comes after a link with this name goes neither through it nor to its target.
    assert!(write(&mut writer, "a/6/x", "evil").is_err());
    link(&mut writer, "a/y", absolute.as_bytes()).unwrap();
    assert_eq!(write(&mut writer, "a/y", "evil").unwrap(), file("evil", true));
    assert_eq!(link(&mut writer, "a/y", b"another").unwrap(), Written::Made { fit: Fit::Beside });
    assert!(link(&mut writer, "a/none", b"").is_err());
    assert!(link(&mut writer, "a/too long", &[b'l'; 5000]).is_err());
    assert_eq!(fs::read(outside.join("x")).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn the_names_of_one_file_come_back_as_one_file() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let twice = |id| Node { hard_link: Some((1, id)), ..node(0o640) };
    fs::write(root.join("taken"), "mine").unwrap();
    put(&mut writer, "a/one", &twice(7), "same").unwrap();
    put(&mut writer, "b/two", &twice(7), "same").unwrap();
    put(&mut writer, "b/two", &twice(7), "same").unwrap();
    assert_eq!(put(&mut writer, "taken", &twice(7), "same").unwrap(), file("same", true));
    put(&mut writer, "other", &twice(8), "same").unwrap();
    // The same number with different content: the backup contradicts itself, and the content counts.
    let names = names("lie");
    let item = Item { names: &names, path: "lie", node: &twice(7) };
    let staged = writer.file(item, &[Id([9; 32])], &mut |out| out.write_all(b"lie"));
    let lie = outcome(&mut writer, staged).unwrap();

    assert_eq!(lie, file("lie", false));
    assert_eq!(kinds(&mut writer), []);
    let inode = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
    assert_eq!(inode("a/one"), inode("b/two"));
    assert_eq!(inode("a/one"), inode("taken (restored 2026-11-22)"));
    assert_ne!(inode("a/one"), inode("other"));
    assert_eq!(fs::read(root.join("lie")).unwrap(), b"lie");
}

#[test]
fn a_name_that_cannot_lead_to_the_first_file_is_a_separate_file_and_reported() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let twice = Node { hard_link: Some((1, 7)), ..node(0o640) };
    put(&mut writer, "a/one", &twice, "same").unwrap();
    fs::remove_file(root.join("a/one")).unwrap();
    fs::write(root.join("a/one"), "somebody else's").unwrap();

    assert_eq!(put(&mut writer, "two", &twice, "same").unwrap(), file("same", false));

    assert_eq!(kinds(&mut writer), [ShortfallKind::HardLink]);
    assert_eq!(fs::read(root.join("two")).unwrap(), b"same");
}

#[test]
fn a_pipe_is_made_and_waits_for_nobody() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    for _ in 0..2 {
        let staged = writer.pipe(Item { names: &names("p"), path: "p", node: &node(0o622) });
        assert_eq!(outcome(&mut writer, staged).unwrap(), Written::Made { fit: Fit::Own });
    }
    assert_eq!((mode(&root.join("p")), kinds(&mut writer)), (0o622, vec![]));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
}

#[test]
fn what_a_cut_off_try_left_is_replaced_and_a_failed_one_leaves_nothing() {
    let (_temp, root) = folder();
    fs::write(root.join(temporary("r", c"x").unwrap().to_str().unwrap()), "half").unwrap();
    let mut writer = writer(&root, Conflict::KeepBoth);
    write(&mut writer, "x", "whole").unwrap();

    let (names, node) = (names("y"), node(0o600));
    let failed = writer.file(Item { names: &names, path: "y", node: &node }, &[], &mut |out| {
        out.write_all(b"half")?;
        Err(io::Error::other("the server went away"))
    });

    assert!(failed.is_err());
    assert_eq!((fs::read_dir(&root).unwrap().count(), fs::read(root.join("x")).unwrap()), (1, b"whole".to_vec()));
}

#[test]
fn entries_wait_for_the_others_of_their_batch_and_a_stop_leaves_nothing_of_them() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let stage = |writer: &mut Writer, path: &str| {
        let (names, node) = (names(path), node(0o640));
        writer.file(Item { names: &names, path, node: &node }, &[], &mut |out| out.write_all(b"x")).unwrap();
    };
    know(&mut writer, "a", &node(0o555));
    stage(&mut writer, "a/one");
    know(&mut writer, "b", &node(0o555));
    stage(&mut writer, "b/two");
    assert!(!root.join("a/one").exists() && writer.take_done().unwrap().is_empty());
    assert_eq!(mode(&root.join("a")), 0o1700, "it was left, and something is still on its way there");

    writer.flush();

    assert_eq!(writer.take_done().unwrap().len(), 2);
    assert_eq!((mode(&root.join("a")), mode(&root.join("b"))), (0o555, 0o1700), "only one was left");
    assert_eq!(fs::metadata(root.join("a")).unwrap().mtime(), 1_000_000_000);
    stage(&mut writer, "b/three");
    writer.abandon();
    assert_eq!(fs::read_dir(root.join("b")).unwrap().count(), 1);
    writer.finish().unwrap();
    assert!(writer.take_done().unwrap().is_empty());
}

#[test]
fn a_batch_has_so_many_files_that_no_system_runs_out_of_handles() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let (mut most, mut done) = (0, 0);
    for number in 0..300 {
        let (path, node) = (format!("{}/x", number / 2 * 2), node(0o600));
        let path = format!("{path}{number}");
        let names = names(&path);
        writer.file(Item { names: &names, path: &path, node: &node }, &[], &mut |out| out.write_all(b"x")).unwrap();
        most = most.max(fs::read_dir("/proc/self/fd").unwrap().count());
        done += writer.take_done().unwrap().len();
    }
    assert!(done >= 172, "{done} have their names by now");
    // Other tests have files open at the same time.
    assert!(most < 500, "{most} handles");
    writer.finish().unwrap();
    assert_eq!(done + writer.take_done().unwrap().len(), 300);
}

#[test]
fn what_somebody_puts_under_a_temporary_name_is_not_called_restored() {
    let (temp, root) = folder();
    let outside = temp.path().join("outside");
    fs::write(&outside, "theirs").unwrap();
    let mut writer = writer(&root, Conflict::KeepBoth);
    for name in ["x", "y"] {
        let (names, node) = (names(name), node(0o640));
        writer.file(Item { names: &names, path: name, node: &node }, &[], &mut |out| out.write_all(b"x")).unwrap();
    }
    let waits = root.join(temporary("r", c"x").unwrap().to_str().unwrap());
    fs::remove_file(&waits).unwrap();
    fs::hard_link(&outside, &waits).unwrap();

    writer.flush();

    let done = writer.take_done().unwrap();
    assert!(done[0].1.is_err() && done[1].1.is_ok(), "{done:?}");
    assert!(!root.join("x").exists() && root.join("y").exists());
    assert_eq!(fs::read(&outside).unwrap(), b"theirs");
}
