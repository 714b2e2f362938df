//! PostgreSQL's fsync lesson, 2018: a sync that failed "succeeds" when it is tried again, while the data is gone.
//!
//! The real program runs with its k-th sync replaced by a failing one (by strace), on a disk that keeps a record.
//! Then the power fails: what was never synced is gone, and whatever was acknowledged must be there.
use crate::cuts::{Place, setting};
use crate::kill::load::Fleet;
use crate::kill::server::{Server, World};
use crate::kill::told::Acknowledged;
use crate::support::disk::Disk;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How many syncs fail by default, one in each run.
const FEW: u64 = 12;

/// How many writes and flushes a run has at most if nothing stops it.
const MANY: usize = 20_000;

/// A disk is full some time.
const RUNS_OF_A_DISK: u64 = 12;

/// A disk with a server's data, clients of it, and no server.
fn served() -> (Disk, World, Fleet) {
    let disk = Disk::new();
    let world = World::on_disk(disk.folder(), PathBuf::from(env!("CARGO_BIN_EXE_holdfast")));
    let fleet = Fleet::enroll(&world);
    (disk, world, fleet)
}

fn tracer(k: u64, log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e"]);
    command.arg(format!("inject=fsync,fdatasync:error=EIO:when={k}"));
    command.arg("-o").arg(log);
    command
}

/// How a run with a failing sync ended.
struct Ended {
    told: Acknowledged,
    has_failed: bool,
    /// Why it takes no more: it ended, or it refuses.
    has_stopped: bool,
    said: String,
}

fn run(world: &World, fleet: &Fleet, disk: &Disk, k: u64) -> Ended {
    let log = world.data.path().join("strace");
    let _ = std::fs::remove_file(&log);
    let has_failed = || std::fs::read_to_string(&log).is_ok_and(|it| it.contains("(INJECTED)"));
    let meter = disk.meter();
    let mut told = Acknowledged::on(&meter);
    let Some(mut server) = Server::traced(world, tracer(k, &log)) else {
        return Ended { told, has_failed: has_failed(), has_stopped: true, said: world.said() };
    };
    let load = fleet.start(&world.url(), &world.url(), &meter);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_failed() && meter.position() < MANY && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    // A little longer: what is acknowledged now would be the lie.
    let until = meter.position() + 200;
    while meter.position() < until && !server.has_ended() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let has_stopped = server.has_ended() || fleet.is_refused(&world.url());
    server.kill();
    told.add(load.stop());
    Ended { told, has_failed: has_failed(), has_stopped, said: world.said() }
}

#[test]
#[ignore = "tests/run cuts: needs root, FUSE, loop devices and strace"]
fn d13_after_a_sync_that_failed_nothing_is_acknowledged_that_is_not_kept() {
    let most = setting("HOLDFAST_SYNC_FAULTS").unwrap_or(FEW);
    let (mut at, place) = (served(), Place::new());
    let (mut failed, mut refused) = (0, 0);
    // Few runs still reach far: 1, 2, 4, 7, 11 …
    for number in 0..most {
        let k = if most >= 200 { number + 1 } else { 1 + number * (number + 1) / 2 };
        if number % RUNS_OF_A_DISK == RUNS_OF_A_DISK - 1 {
            at = served();
        }
        let (disk, world, fleet) = &at;
        disk.begin();
        let ended = run(world, fleet, disk, k);
        let record = disk.recorded();
        let faults = place.after_all(&record, &ended.told);
        assert!(faults.is_empty(), "sync {k}: {faults:#?}\n{}", ended.said);
        if ended.has_failed {
            failed += 1;
            refused += u64::from(ended.has_stopped);
            assert!(ended.has_stopped, "sync {k} failed, and the server went on: {}", ended.said);
            let is_told = ["the disk", "os error 5", "I/O error"].iter().any(|it| ended.said.contains(it));
            assert!(is_told, "sync {k} failed in silence: {}", ended.said);
        }
    }
    println!("{failed} of {most} runs had a failing sync, and {refused} servers took no more");
    assert!(failed * 2 > most, "too few runs came to their sync: {failed} of {most}");
}
