//! Clients go on while everything else works on the same bytes: copies, read-backs, and a prune in each of its phases.
use super::world::{World, has_restic, pruner_on};
use crate::agent::{self as agent_test, Device};
use crate::copy::world::second_store;
use crate::support::people;
use agent::{Agent, Stop};
use domain::object::{Location, ObjectKind};
use domain::retention::PruneState;
use domain::role::Reach;
use domain::time::{days, hours};
use domain::verification::{Budget, Settings};
use holdfast::blob::BlobStore;
use holdfast::blob::fs::FsBlobs;
use holdfast::error::{Error, Result};
use holdfast::service::copy::Replicator;
use holdfast::service::retention;
use holdfast::service::verification::{Place, Verifier};
use holdfast::store::setting::COPY_SEEN;
use holdfast::store::uncopied;
use holdfast::{blob, service, store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A budget that nothing here uses up.
const AMPLE: Settings = Settings { budget: Budget { mib_per_second: 10_000 }, cycle: days(30) };

/// What works beside the clients.
struct Beside {
    replicator: Replicator,
    verifiers: [Verifier; 2],
    copy: Arc<dyn BlobStore>,
    clock: clock::Clock,
    turns: AtomicU64,
    read: AtomicU64,
    is_over: AtomicBool,
}

impl Beside {
    fn of(world: &World, folder: &std::path::Path) -> Self {
        let app = &world.server.app;
        service::copy::begin(&app.store, &second_store(), false, world.now()).unwrap();
        let copy: Arc<dyn BlobStore> = Arc::new(FsBlobs::open(folder).unwrap());
        let verifier = |location, blobs: &Arc<dyn BlobStore>| {
            let place = Place { location, blobs: Arc::clone(blobs) };
            Verifier::new(app.store.clone(), place, AMPLE, Arc::new(|| false))
        };
        Self {
            replicator: Replicator::new(app.store.clone(), Arc::clone(&app.blobs), Arc::clone(&copy)),
            verifiers: [verifier(Location::Primary, &app.blobs), verifier(Location::Copy, &copy)],
            copy,
            clock: app.clock.clone(),
            turns: AtomicU64::new(0),
            read: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Copies and reads back, again and again, until it is over. Its time goes on by a second each turn.
    fn work(&self) {
        while !self.is_over.load(Ordering::SeqCst) {
            self.turn();
        }
    }

    fn turn(&self) {
        let turn = self.turns.fetch_add(1, Ordering::SeqCst) % 600;
        let now = self.clock.now() + Duration::from_secs(turn);
        let run = patiently(|| self.replicator.run(now));
        assert!(!run.failed, "{run:?}");
        for verifier in &self.verifiers {
            let read = patiently(|| verifier.read_back(now));
            assert_eq!(read.damaged, 0, "nothing is damaged here");
            self.read.fetch_add(read.looked_at as u64, Ordering::SeqCst);
        }
    }

    /// Until the second store has everything, without which nothing ends.
    fn catch_up(&self, world: &World) {
        // As a server that runs finds it each minute.
        let now = world.now();
        world.server.act(move |conn| Ok(COPY_SEEN.set(conn, &now, now)?));
        for _ in 0..2_000 {
            if world.server.read(|conn| Ok(uncopied::in_all(conn)?)).count == 0 {
                return;
            }
            self.turn();
        }
        panic!("the second store does not get everything");
    }
}

/// What comes of work that is done at its next turn when the database is busy: another has held a lock for long.
fn patiently<T>(work: impl Fn() -> Result<T>) -> T {
    let mut turns = (0..20).map(|_| work());
    turns.find(|it| !matches!(it, Err(Error::Busy(_)))).expect("the database is not busy forever").unwrap()
}

/// Ends what works beside the clients, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a phase of a prune is, and what the clients do meanwhile; afterwards everything is checked.
fn phase(world: &World, beside: &Beside, agent: Agent, prunes: impl FnOnce() + Send) -> Agent {
    let before = beside.turns.load(Ordering::SeqCst);
    beside.is_over.store(false, Ordering::SeqCst);
    let agent = std::thread::scope(|scope| {
        let _over = Over(&beside.is_over);
        let works = scope.spawn(|| beside.work());
        let backs_up = scope.spawn(move || {
            for _ in 0..3 {
                agent.back_up(&Stop::default()).unwrap();
            }
            agent
        });
        let pruning = scope.spawn(prunes);
        for _ in 0..2 {
            let target = tempfile::tempdir().unwrap();
            world.restic(&["--no-lock", "restore", "latest", "--target", target.path().to_str().unwrap()]);
            let target = tempfile::tempdir().unwrap();
            world.rustic(&["restore", "latest", target.path().to_str().unwrap()]);
        }
        pruning.join().unwrap();
        // And backups: one under way would keep a prune from beginning.
        std::fs::write(world.source.path().join("meanwhile"), format!("{before}").repeat(50_000)).unwrap();
        world.restic(&["backup", world.source.path().to_str().unwrap()]);
        world.rustic(&["backup", world.source.path().to_str().unwrap()]);
        world.rustic(&["check", "--read-data"]);
        let agent = backs_up.join().unwrap();
        beside.is_over.store(true, Ordering::SeqCst);
        works.join().unwrap();
        agent
    });
    assert!(beside.turns.load(Ordering::SeqCst) > before, "copies and read-backs went on");
    world.prove();
    world.is_sound();
    agent
}

/// What the second store has is what its names say.
fn copy_is_true(world: &World, beside: &Beside) {
    beside.catch_up(world);
    for (key, _) in beside.copy.list(world.repository).unwrap() {
        let is_config = key.kind == ObjectKind::Config;
        assert!(is_config || key.name.hash() == Some(blob::sha256_of(&*beside.copy, &key).unwrap()), "{key}");
    }
}

#[test]
fn restic_and_the_agent_back_up_and_read_while_copies_read_backs_and_each_phase_of_a_prune_run() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let (folder, device) = (tempfile::tempdir().unwrap(), Device::new());
    let beside = Beside::of(&world, folder.path());
    let agent = device.enroll(&world.server, &world.server.url());
    agent.back_up(&Stop::default()).unwrap();
    world.prove();
    world.pass(hours(25));
    world.keep_least();
    beside.catch_up(&world);
    let id = world.repository;
    let pruner = || pruner_on(&world.server, Arc::clone(&world.server.app.blobs));

    let trashing = pruner();
    let agent = phase(&world, &beside, agent, move || assert!(trashing.prune(id).unwrap()));
    let prune = world.prunes().remove(0);
    assert_eq!((prune.state, prune.point_count), (PruneState::Trashed, 3));

    let (by, undone, at) = (people::by(world.owner, &Reach::All), prune.id, world.now());
    world.server.act(move |conn| retention::undo(conn, &by, undone, at));
    let undoing = pruner();
    let agent = phase(&world, &beside, agent, move || {
        undoing.run_once().unwrap();
    });
    assert_eq!((world.prunes()[0].state, world.files_in_trash()), (PruneState::Undone, 0));

    world.pass(days(15));
    beside.catch_up(&world);
    assert!(world.pruner.prune(id).unwrap());
    world.keep("everything");
    world.pass(days(15));
    beside.catch_up(&world);
    let erasing = pruner();
    let agent = phase(&world, &beside, agent, move || {
        erasing.run_once().unwrap();
        erasing.run_once().unwrap();
    });
    assert_eq!((world.prunes()[0].state, world.files_in_trash()), (PruneState::Erased, 0));

    world.ledger_is_true();
    copy_is_true(&world, &beside);
    assert!(beside.read.load(Ordering::SeqCst) > 0, "objects were read back meanwhile");
    let points = agent_test::points(&world.server, &agent);
    assert!(points.len() >= 10 && points[0].proven_at.is_some(), "{:?}", points.first());
    let damaged = world.server.read(move |conn| Ok(store::copy::has_damage(conn, id)?));
    assert!(!damaged);
}
