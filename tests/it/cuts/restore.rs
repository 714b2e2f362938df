//! Power cuts while an agent restores: what was there before is never lost, no file is half of one, and all of it can be
//! undone.
use super::replay::{Cut, Fate, Replay};
use super::setting;
use crate::agent::{Device, order_restore_as, points};
use crate::support::disk::{Asked, Disk, Mount, Record};
use crate::support::fleet::Random;
use crate::support::server::TestServer;
use agent::Stop;
use clock::Clock;
use domain::id::RestoreId;
use domain::restore::Conflict;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// More than one batch.
const FILES: usize = 300;

/// What a trail has of each entry that is about to get its name.
const STEP: &[u8] = b"\"creating\"";

/// Each file below a folder with its content.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

fn contents(folder: &Path) -> Contents {
    let mut found = Contents::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path))
        } else {
            drop(found.insert(path.clone(), fs::read(path).unwrap()))
        }
    }
    found
}

fn is_own(path: &Path) -> bool {
    path.to_string_lossy().contains("/.holdfast-")
}

/// A device's disk while it gets its files back, some over others.
struct Recorded {
    disk: Disk,
    record: Record,
    device: Device,
    clock: Clock,
    restore: RestoreId,
    before: Contents,
    after: Contents,
}

fn recorded() -> Recorded {
    let (server, disk) = (TestServer::start(), Disk::new());
    let device = Device::within(disk.folder());
    let docs = device.docs();
    for number in 0..FILES {
        let folder = docs.join(format!("folder {}", number / 60));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(number.to_string()), format!("backed up {number} ").repeat(40)).unwrap();
    }
    let agent = device.enroll(&server, &server.url());
    agent.back_up(&Stop::default()).unwrap();
    let (id, point) = (agent.enrollment().device_id, points(&server, &agent)[0].id);
    // A third is changed, a third is removed, and one folder is gone.
    for number in 0..FILES {
        let path = docs.join(format!("folder {}/{number}", number / 60));
        match number % 3 {
            0 => fs::write(path, format!("written since {number} ").repeat(50)).unwrap(),
            1 => fs::remove_file(path).unwrap(),
            _ => {}
        }
    }
    fs::remove_dir_all(docs.join("folder 3")).unwrap();
    let restore = order_restore_as(&server, (id, point), &agent, Conflict::Replace).id;
    let before = contents(&docs);
    disk.begin();
    let outcome = agent.restore_waiting(&Stop::default()).unwrap().unwrap();
    let record = disk.recorded();
    assert_eq!((outcome.failures.len(), outcome.files), (0, (FILES + 40) as u64));
    assert!(outcome.replaced > 60, "{outcome:?}");
    let after = contents(&docs).into_iter().filter(|it| !is_own(&it.0)).collect();
    let clock = server.app.clock.clone();
    Recorded { disk, record, device, clock, restore, before, after }
}

impl Recorded {
    /// What is wrong on the disk after a cut; it is mounted where it was.
    fn faults(&self) -> Vec<String> {
        let (found, mut faults) = (contents(&self.device.docs()), Vec::new());
        for (path, content) in &self.before {
            let is_kept = || found.iter().any(|it| is_own(it.0) && it.1 == content);
            if found.get(path) != Some(content) && !is_kept() {
                faults.push(format!("{} is lost", path.display()));
            }
        }
        for (path, content) in found.iter().filter(|it| !is_own(it.0)) {
            if self.before.get(path) != Some(content) && self.after.get(path) != Some(content) {
                faults.push(format!("{} is neither what was there nor what was backed up", path.display()));
            }
        }
        faults.extend(self.not_undone());
        faults
    }

    /// What is not as it was before the restore, once that is undone.
    fn not_undone(&self) -> Vec<String> {
        // The restore could go on; here it does not.
        let _ = fs::remove_file(self.device.state().join("restore.json"));
        let agent = match self.device.open(self.clock.clone()) {
            Ok(agent) => agent,
            Err(error) => return vec![format!("the agent does not start: {error:#}")],
        };
        let mut faults = Vec::new();
        match agent.undo(self.restore) {
            Ok(report) => faults.extend(report.failures.iter().map(|it| format!("{}: {}", it.path, it.reason))),
            // It had not begun.
            Err(error) if error.to_string().contains("nothing is known") => {}
            Err(error) => faults.push(format!("it cannot be undone: {error:#}")),
        }
        let mut found = contents(&self.device.docs());
        // What the undo removed is kept.
        found.retain(|path, _| !path.to_string_lossy().contains("/.holdfast-undo/"));
        if found != self.before {
            let other = |it: &&PathBuf| found.get(*it) != self.before.get(*it);
            let named: Vec<_> = found.keys().chain(self.before.keys()).filter(other).take(5).collect();
            faults.push(format!("after the undo there is not what was there before: {named:?}"));
        }
        faults
    }
}

/// Cuts in the order of the record: first those just before and after the steps of a batch reach the disk, then any.
fn cuts(record: &Record, count: usize, random: &mut Random) -> Vec<Cut> {
    let is_told =
        |it: &Asked| matches!(it, Asked::Write { bytes, .. } if bytes.windows(STEP.len()).any(|it| it == STEP));
    let told = record.asked.iter().enumerate().filter(|it| is_told(it.1)).map(|it| it.0);
    let cut = |position, fate, seed| Cut { position, fate, seed, false_flushes: 0 };
    let mut cuts: Vec<Cut> =
        told.flat_map(|at| [cut(at, Fate::Kept, 0), cut(at, Fate::Lost, 0), cut(at + 1, Fate::Kept, 0)]).collect();
    assert!(cuts.len() > 6, "there were more batches than {}", cuts.len() / 3);
    let every: Vec<_> = (0..=record.asked.len()).collect();
    for _ in cuts.len()..count {
        let fate = *random.pick(&[Fate::Lost, Fate::Kept, Fate::Writes, Fate::Sectors]);
        cuts.push(cut(*random.pick(&every), fate, random.below(1 << 32)));
    }
    cuts.sort_by_key(|it| it.position);
    cuts
}

#[ignore = "tests/run cuts: needs root, FUSE and loop devices"]
#[test]
fn d05_a_power_cut_in_a_restore_loses_nothing_and_leaves_no_half_file_and_all_is_undone() {
    let points = setting("HOLDFAST_CUT_POINTS").map_or(200, |it| usize::try_from(it).unwrap()) / 4;
    let seed = setting("HOLDFAST_CUT_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("{points} cuts or more, from seed {seed}");
    let recorded = recorded();
    let (asked, cuts) = (recorded.record.asked.len(), cuts(&recorded.record, points, &mut Random::new(seed)));
    let home = tempfile::tempdir().unwrap();
    let (image, mut replay) = (home.path().join("disk"), Replay::new(&recorded.record));
    let (mut untouched, mut whole) = (0, 0);
    for cut in &cuts {
        replay.write(cut, &image);
        // Where the agent knows its folders, over the disk itself.
        let mount = Mount::new(&image, recorded.disk.folder()).unwrap();
        let found = contents(&recorded.device.docs());
        untouched += usize::from(recorded.before.iter().all(|it| found.get(it.0) == Some(it.1)));
        whole += usize::from(recorded.after.iter().all(|it| found.get(it.0) == Some(it.1)));
        let faults = recorded.faults();
        drop(mount);
        assert!(faults.is_empty(), "{cut:?} of {asked}: {faults:#?}");
    }
    println!(
        "{asked} writes and flushes, {} cuts: {untouched} found nothing replaced, {whole} everything restored",
        cuts.len()
    );
    assert!(untouched + whole < cuts.len(), "no cut came in the middle");
}
