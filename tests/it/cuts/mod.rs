//! Power cuts: whatever was acknowledged is there when the power comes back.
//!
//! The real program serves clients and people from a folder on a disk that keeps a record of every write and
//! flush. Then, for moments chosen by a seed, the disk is written anew as a power cut could have left it at that
//! moment: everything up to the last finished flush, and of what came after it nothing, all of it, some writes,
//! or some sectors. The kernel mounts it, the server's own code opens it, and all that had been acknowledged by
//! then is looked for.
//!
//! `tests/run cuts` runs it; it needs root, `/dev/fuse` and loop devices.
//! `HOLDFAST_CUT_POINTS` says how many cuts, `HOLDFAST_CUT_SEED` from which seed.
mod look;
mod replay;
mod restore;

use crate::kill::load::Fleet;
use crate::kill::server::{Server, World};
use crate::kill::told::Acknowledged;
use crate::support::disk::{Disk, Mount, Record};
use crate::support::fleet::Random;
use holdfast::store::Database;
use replay::{Cut, Fate, Replay};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many cuts are tried on one record.
const CUTS_OF_A_RECORD: usize = 250;

/// How many writes and flushes there are between two starts of the server. A record has two such parts.
const PART: usize = 4000;

/// How many cuts are looked at side by side: mounting mostly waits.
const WORKERS: usize = 4;

/// After every so many cuts the program itself is started on the disk, and asked for each object.
const STARTS: usize = 25;

/// A number from the environment.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A server's disk, what it promised, and what it promised it to.
struct Recorded {
    record: Record,
    told: Acknowledged,
    world: World,
    fleet: Fleet,
    /// Each start has the same address.
    one_start: Mutex<()>,
}

/// Has a server work on a disk, killed and started again in between.
fn recorded(program: &Path) -> Recorded {
    let disk = Disk::new();
    let world = World::on_disk(disk.folder(), program.to_owned());
    let fleet = Fleet::enroll(&world);
    disk.begin();
    let meter = disk.meter();
    let mut told = Acknowledged::on(&meter);
    for part in 1..=2 {
        let mut server = Server::start(&world);
        let load = fleet.start(&world.url(), &world.url(), &meter);
        let deadline = Instant::now() + Duration::from_secs(300);
        while meter.position() < part * PART {
            assert!(Instant::now() < deadline, "the load does not come to {PART} writes: {}", meter.position());
            std::thread::sleep(Duration::from_millis(5));
        }
        server.kill();
        told.add(load.stop());
    }
    Recorded { record: disk.recorded(), told, world, fleet, one_start: Mutex::default() }
}

/// Cuts in the order of the record: half of them at the very moment of an answer.
fn cuts(recorded: &Recorded, count: usize, random: &mut Random) -> Vec<Cut> {
    let (told, every) = (recorded.told.moments(), (0..=recorded.record.asked.len()).collect::<Vec<_>>());
    let mut cuts: Vec<Cut> = (0..count)
        .map(|number| Cut {
            position: *random.pick(if number % 2 == 0 { &told } else { &every }),
            fate: *random.pick(&[Fate::Lost, Fate::Kept, Fate::Writes, Fate::Sectors]),
            seed: random.below(1 << 32),
            false_flushes: 0,
        })
        .collect();
    cuts.sort_by_key(|it| it.position);
    cuts
}

/// Where the disks of cuts are written.
pub struct Place {
    _home: tempfile::TempDir,
    image: PathBuf,
    folder: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        Self { image: home.path().join("disk"), folder: home.path().join("mount"), _home: home }
    }

    /// What is wrong if the power fails at the end of a record, and all that was never flushed is gone.
    pub fn after_all(&self, record: &Record, told: &Acknowledged) -> Vec<String> {
        let cut = Cut { position: record.asked.len(), fate: Fate::Lost, seed: 0, false_flushes: 0 };
        Replay::new(record).write(&cut, &self.image);
        match Mount::new(&self.image, &self.folder) {
            Ok(mount) => look::faults(&mount.folder.join("server"), told),
            Err(why) => vec![format!("the disk cannot be mounted: {why}")],
        }
    }

    /// What is wrong after a cut.
    fn after(&self, replay: &mut Replay<'_>, cut: &Cut, recorded: &Recorded, is_served: bool) -> Vec<String> {
        replay.write(cut, &self.image);
        let mount = match Mount::new(&self.image, &self.folder) {
            Ok(mount) => mount,
            Err(why) => return vec![format!("the disk cannot be mounted: {why}")],
        };
        let (told, server) = (recorded.told.until(cut.position), mount.folder.join("server"));
        let mut faults = look::faults(&server, &told);
        if is_served && faults.is_empty() {
            let world = World {
                data: tempfile::tempdir().unwrap(),
                database: Database::Sqlite(server.join("holdfast.db")),
                database_url: server.join("holdfast.db").display().to_string(),
                program: recorded.world.program.clone(),
                address: recorded.world.address.clone(),
                server,
            };
            let _turn = recorded.one_start.lock().unwrap();
            let running = Server::start(&world);
            faults.extend(recorded.fleet.missing(&world, &told));
            drop(running);
        }
        faults
    }
}

#[test]
#[ignore = "tests/run cuts: needs root, FUSE and loop devices"]
fn nothing_that_was_acknowledged_is_lost_by_a_power_cut() {
    let points = setting("HOLDFAST_CUT_POINTS").map_or(200, |it| usize::try_from(it).unwrap());
    let seed = setting("HOLDFAST_CUT_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("{points} cuts from seed {seed}");
    let (mut random, mut done) = (Random::new(seed), 0);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_holdfast"));
    while done < points {
        let recorded = recorded(&program);
        println!("a record of {} writes and flushes: {}", recorded.record.asked.len(), recorded.told);
        assert!(recorded.told.has_each_kind(), "the load did nothing of some kind");
        let cuts = cuts(&recorded, CUTS_OF_A_RECORD.min(points - done), &mut random);
        std::thread::scope(|scope| {
            for first in 0..WORKERS {
                let (recorded, cuts) = (&recorded, &cuts);
                scope.spawn(move || try_some(recorded, cuts, first));
            }
        });
        done += cuts.len();
        println!("{done} cuts, and nothing was lost");
    }
}

/// Tries each cut that is this worker's.
fn try_some(recorded: &Recorded, cuts: &[Cut], first: usize) {
    let (place, mut replay) = (Place::new(), Replay::new(&recorded.record));
    for (number, cut) in cuts.iter().enumerate().skip(first).step_by(WORKERS) {
        let faults = place.after(&mut replay, cut, recorded, number % STARTS == 0);
        assert!(faults.is_empty(), "cut {number} of its record, {cut:?}: {faults:#?}");
    }
}

/// The same program but for one word: it commits without waiting for the disk.
fn hasty_program(folder: &Path) -> PathBuf {
    const SAFE: &[u8] = b"PRAGMA synchronous = FULL";
    const HASTY: &[u8] = b"PRAGMA synchronous = 1   ";
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_holdfast")).unwrap();
    let places: Vec<usize> = (0..program.len() - SAFE.len()).filter(|at| program[*at..].starts_with(SAFE)).collect();
    assert!(!places.is_empty(), "the program does not say how it commits");
    for at in places {
        program[at..at + SAFE.len()].copy_from_slice(HASTY);
    }
    let path = folder.join("holdfast");
    std::fs::write(&path, program).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The faults of a few cuts, until one is as wanted.
fn is_found(recorded: &Recorded, seed: u64, change: impl Fn(&mut Cut), wanted: impl Fn(&str) -> bool) -> bool {
    let (place, mut replay) = (Place::new(), Replay::new(&recorded.record));
    cuts(recorded, 40, &mut Random::new(seed)).iter_mut().any(|cut| {
        change(cut);
        place.after(&mut replay, cut, recorded, false).iter().any(|it| wanted(it))
    })
}

#[test]
#[ignore = "tests/run cuts: needs root, FUSE and loop devices"]
fn a_server_that_commits_without_waiting_for_the_disk_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = recorded(&hasty_program(folder.path()));
    let is_a_row = |fault: &str| fault.starts_with("check-in") || fault.starts_with("command");
    assert!(is_found(&recorded, 1, |_| {}, is_a_row), "with synchronous=NORMAL a power cut must lose rows");
}

#[test]
#[ignore = "tests/run cuts: needs root, FUSE and loop devices"]
fn a_disk_that_only_claims_to_flush_is_found_out() {
    let recorded = recorded(Path::new(env!("CARGO_BIN_EXE_holdfast")));
    let lie = |cut: &mut Cut| (cut.fate, cut.false_flushes) = (Fate::Lost, 60);
    assert!(is_found(&recorded, 1, lie, |it| it.starts_with("upload")), "objects must be missing");
}
