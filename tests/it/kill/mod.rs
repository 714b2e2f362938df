//! kill -9 under load: whatever was acknowledged is there after the restart.
//!
//! A cycle starts the real program, lets clients check in and upload, and people
//! queue commands, ask for wipes, approve them and order restores, kills it at a
//! random moment, starts it again, and looks for everything that was
//! acknowledged. `HOLDFAST_KILL_CYCLES` says how many.
mod key;
mod liar;
pub mod load;
mod people;
pub mod server;
pub mod told;

use crate::support::TestDatabase;
use crate::support::disk::Meter;
use liar::Liar;
use load::Fleet;
use server::{Server, World};
use std::time::Duration;
use told::Acknowledged;

/// How many cycles run by default, in every `cargo test`.
const FEW_CYCLES: u32 = 3;

/// How many more, each longer than the previous one, until the load has done something of each kind.
const MORE_CYCLES: u32 = 30;

/// Where the clients upload to.
enum Uploads {
    /// The server itself.
    Direct,
    /// Something in between that acknowledges before it passes on.
    ThroughALiar,
}

/// One kill: what was acknowledged before it but is missing after it.
fn cycle(world: &World, fleet: &Fleet, uploads: &Uploads, run_for: Duration) -> (Acknowledged, Vec<String>) {
    let mut server = Server::start(world);
    let liar = matches!(uploads, Uploads::ThroughALiar).then(|| Liar::start(&world.address));
    let door = liar.as_ref().map_or_else(|| world.url(), Liar::url);
    let load = fleet.start(&world.url(), &door, &Meter::default());
    std::thread::sleep(run_for);
    server.kill();
    drop(liar);
    let acknowledged = load.stop();

    let server = Server::start(world);
    let missing = fleet.missing(world, &acknowledged);
    drop(server);
    (acknowledged, missing)
}

/// Between 60 and 600 ms, spread evenly but not random, so that a failure can be repeated.
fn moment(number: u32) -> Duration {
    Duration::from_millis(u64::from(60 + number.wrapping_mul(137) % 540))
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_kill() {
    let cycles = std::env::var("HOLDFAST_KILL_CYCLES").ok().and_then(|it| it.parse().ok()).unwrap_or(FEW_CYCLES);
    let database = TestDatabase::new();
    let world = World::new(&database);
    let fleet = Fleet::enroll(&world);
    let mut total = Acknowledged::default();

    for number in 0..cycles + MORE_CYCLES {
        let more = number.saturating_sub(cycles);
        if number >= cycles && total.has_each_kind() {
            break;
        }
        let run_for = moment(number) + Duration::from_millis(150) * more;
        let (acknowledged, missing) = cycle(&world, &fleet, &Uploads::Direct, run_for);
        assert!(missing.is_empty(), "cycle {number} of {cycles}: {missing:#?}");
        total.add(acknowledged);
    }

    // Once more, all of it together: a later kill must not undo what an earlier one left.
    let server = Server::start(&world);
    let missing = fleet.missing(&world, &total);
    drop(server);
    assert!(missing.is_empty(), "at the end: {missing:#?}");
    assert!(total.has_each_kind(), "the load did nothing of some kind: {total}");
    println!("{cycles} kills; acknowledged and found: {total}");
}

#[test]
fn a_write_acknowledged_before_its_commit_is_found_out() {
    let database = TestDatabase::new();
    let world = World::new(&database);
    let fleet = Fleet::enroll(&world);

    let lost = (0..10).any(|number| {
        let (_, missing) = cycle(&world, &fleet, &Uploads::ThroughALiar, moment(number));
        missing.iter().any(|it| it.starts_with("upload"))
    });

    assert!(lost, "the harness must notice an upload that was acknowledged and not kept");
}
