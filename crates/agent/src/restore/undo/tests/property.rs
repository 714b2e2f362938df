//! Whatever is restored over whatever is there, and wherever it is stopped: undone, all is as it was before.
use super::{Backed, Kind, World, looks};
use crate::restore::area::AREA;
use crate::restore::cut::killed_after;
use domain::restore::Conflict;
use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Numbers that look random but are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn of<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d.txt"];
const TEXTS: [&str; 4] = ["", "same", "another", "a longer one"];

fn entry(random: &mut Random, path: String) -> Backed {
    let kind = match random.below(8) {
        0..3 => Kind::Folder,
        3..6 => {
            let link = random.chance(30).then(|| random.below(2));
            let text = match link {
                // All names of one file have one content.
                Some(id) => format!("linked {id}"),
                None => random.of(&TEXTS).to_owned(),
            };
            Kind::File { text, link }
        }
        6 => Kind::Link(random.of(&["a", "../..", "nowhere"]).to_owned()),
        _ => Kind::Pipe,
    };
    let mode = if random.chance(20) { 0o500 } else { 0o700 + u32::try_from(random.below(0o70)).unwrap() };
    let modified = 1_000_000_000 + i64::try_from(random.below(1000)).unwrap();
    Backed { path, kind, mode, modified }
}

/// A tree up to three deep, each folder before what is in it.
fn backup(random: &mut Random, above: &str, depth: u32, into: &mut Vec<Backed>) {
    for name in NAMES {
        if random.chance(60) {
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
            let it = entry(random, path.clone());
            let is_folder = matches!(it.kind, Kind::Folder);
            into.push(it);
            if is_folder && depth > 0 {
                backup(random, &path, depth - 1, into);
            }
        }
    }
}

/// Makes a tree as it may be before a restore.
fn build(root: &Path, entries: &[Backed]) {
    let mut linked: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for it in entries {
        let path = root.join(&it.path);
        match &it.kind {
            Kind::Folder => fs::create_dir(&path).unwrap(),
            Kind::Link(target) => symlink(target, &path).unwrap(),
            Kind::Pipe => rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
            Kind::File { link: Some(id), .. } if linked.contains_key(id) => fs::hard_link(&linked[id], &path).unwrap(),
            Kind::File { text, link } => {
                fs::write(&path, text).unwrap();
                if let Some(id) = link {
                    linked.insert(*id, path.clone());
                }
            }
        }
    }
    for it in entries.iter().rev() {
        let path = root.join(&it.path);
        if !matches!(it.kind, Kind::Link(_)) {
            fs::set_permissions(&path, fs::Permissions::from_mode(it.mode)).unwrap();
        }
        set_time(&path, it.modified);
    }
    set_time(root, 999_999_999);
}

fn set_time(path: &Path, seconds: i64) {
    let at = Timespec { tv_sec: seconds, tv_nsec: 7 };
    let times = Timestamps { last_access: at, last_modification: at };
    rustix::fs::utimensat(CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn trees(random: &mut Random) -> (World, Vec<Backed>) {
    let world = World::in_memory();
    let (mut there, mut backed) = (Vec::new(), Vec::new());
    backup(random, "", 2, &mut there);
    backup(random, "", 2, &mut backed);
    // Much of it is the same.
    for it in &mut backed {
        if let Some(same) = there.iter().find(|other| other.path == it.path)
            && matches!((&it.kind, &same.kind), (Kind::File { link: None, .. }, Kind::File { link: None, .. }))
            && random.chance(40)
        {
            it.kind = same.kind.clone();
        }
    }
    build(&world.root, &there);
    (world, backed)
}

#[test]
fn d05_a_restore_that_is_undone_leaves_all_as_it_was_in_each_mode_and_wherever_it_was_stopped() {
    let (mut cut, mut whole, mut replaced, mut removed) = (0, 0, 0, 0);
    for seed in 1..400 {
        for conflict in Conflict::ALL {
            let random = &mut Random(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
            let (world, backed) = trees(random);
            let before = looks(&world.root);
            let told = format!("seed {seed}, {conflict}: {backed:#?}");

            let stop = random.chance(70).then(|| random.below(60));
            let mut done = killed_after(stop, || world.restore("r", *conflict, &backed)).is_some();
            if !done && random.chance(60) {
                let stop = random.chance(50).then(|| random.below(60));
                done = killed_after(stop, || world.restore("r", *conflict, &backed)).is_some();
            }
            if done {
                whole += 1
            } else {
                cut += 1
            }
            replaced += u32::from(world.file(AREA).exists());
            let stop = random.chance(60).then(|| random.below(40));
            let report = killed_after(stop, || world.undo("r")).unwrap_or_else(|| world.undo("r"));

            assert!(report.is_whole(), "{report:#?}\n{told}");
            removed += world.kept("r").len();
            assert!(world.kept("r").iter().all(|it| it.starts_with("undone-")), "{told}");
            world.purge("r");
            let after = looks(&world.root);
            let other: Vec<_> = before.iter().filter(|it| after.get(it.0) != Some(it.1)).collect();
            let found: Vec<_> = after.iter().filter(|it| before.get(it.0) != Some(it.1)).collect();
            assert!(other.is_empty() && found.is_empty(), "was {other:#?}\nis {found:#?}\n{told}");
        }
    }
    assert!(removed > 1000, "what an undo removes is kept: {removed}");
    assert!(cut > 100 && whole > 100 && replaced > 100, "{cut} cut off, {whole} whole, {replaced} replaced something");
}
