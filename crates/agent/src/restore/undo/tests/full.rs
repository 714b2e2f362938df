//! Undone on a full disk.
use super::{World, looks, text};
use domain::restore::Conflict;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A small file system mounted on a folder, for as long as this lives.
struct Small(PathBuf);

impl Small {
    /// None where this account may not mount.
    fn mount(on: &Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(on).output();
        mounted.is_ok_and(|it| it.status.success()).then(|| Self(on.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn d05_a_restore_that_filled_the_disk_is_undone_on_the_full_disk() {
    // Of both disks: that of the files, and that of what the agent remembers.
    for both in [false, true] {
        let world = World::new();
        let base = world.root.parent().unwrap().to_owned();
        let Some(_small) = Small::mount(if both { &base } else { &world.root }) else {
            println!("skipped: this account may not mount");
            return;
        };
        fs::create_dir_all(&world.root).unwrap();
        fs::create_dir_all(&world.state).unwrap();
        let names: Vec<_> = (0..40).map(|it| format!("file {it}")).collect();
        for name in &names {
            fs::write(world.file(name), "mine").unwrap();
        }
        let before = looks(&world.root);
        let large = "theirs".repeat(2000);
        let backed: Vec<_> = names.iter().map(|it| text(it, &large)).collect();

        world.restore("r", Conflict::Replace, &backed);

        let now: Vec<_> = names.iter().map(|it| fs::read_to_string(world.file(it)).unwrap()).collect();
        let mine = now.iter().filter(|it| *it == "mine").count();
        assert!(mine > 0 && mine < 40, "{mine} could not be replaced, and no file is half of one");
        assert_eq!(now.iter().filter(|it| **it == large).count(), 40 - mine);
        // Not a byte is left.
        let mut filler = fs::File::create(base.join(if both { "filler" } else { "docs/filler" })).unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 512]).is_ok() {}

        assert!(world.undo("r").is_whole());
        assert_eq!(world.kept("r").len(), 40 - mine, "what was removed is kept");
        world.purge("r");
        let mut after = looks(&world.root);
        after.remove(&world.file("filler"));
        let times = |it: BTreeMap<PathBuf, String>| it.into_iter().filter(|it| it.0 != world.root).collect::<Vec<_>>();
        assert_eq!(times(after), times(before));
    }
}
