//! A prune that is stopped at every step, before the step or after it, and goes on.
use super::world::{World, has_restic, pruner_on};
use crate::support::people;
use domain::id::RepositoryId;
use domain::retention::PruneState;
use domain::role::Reach;
use domain::time::{days, hours};
use holdfast::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use holdfast::service::retention;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A store that ends at a step, as a process that is killed there does: nothing after it is done.
struct Ending {
    blobs: Arc<dyn BlobStore>,
    /// How many steps are left.
    left: AtomicI64,
    /// Whether the last step is done, and only nobody hears of it.
    is_done: bool,
}

impl Ending {
    fn step<T>(&self, work: impl FnOnce() -> Result<T, WriteFault>) -> Result<T, WriteFault> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1 if self.is_done => {
                work()?;
                Err(WriteFault::Failed("stopped after it".to_owned()))
            }
            left if left > 1 => work(),
            _ => Err(WriteFault::Failed("stopped".to_owned())),
        }
    }
}

impl BlobStore for Ending {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.step(|| self.blobs.begin(key))
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.blobs.read(key, offset, len)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.blobs.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.step(|| self.blobs.remove(key))
    }
    fn set_aside(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.step(|| self.blobs.set_aside(key))
    }
    fn put_back(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.step(|| self.blobs.put_back(key))
    }
    fn erase(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.step(|| self.blobs.erase(key))
    }
    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.blobs.list(repository)
    }
    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.blobs.make_durable(key)
    }
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.blobs.unsettled()
    }
    fn check(&self) -> Result<(), StoreFault> {
        self.blobs.check()
    }
}

/// Runs `work` with a store that ends after 1, 2, 3 … steps, until it is no longer stopped; after each stop, what the
/// ledger says is there is there. Returns how often it was stopped.
fn stopped_everywhere(world: &World, is_done: bool, work: impl Fn(&holdfast::proof::Pruner) -> bool) -> usize {
    for steps in 1.. {
        let left = AtomicI64::new(steps);
        let ending = Arc::new(Ending { blobs: Arc::clone(&world.server.app.blobs), left, is_done });
        let over = work(&pruner_on(&world.server, ending));
        world.ledger_is_true();
        if over {
            return usize::try_from(steps).unwrap();
        }
        assert!(steps < 500, "it never ends");
    }
    unreachable!("the steps do not end")
}

#[test]
fn a_prune_stopped_at_any_step_loses_nothing_and_goes_on() {
    if !has_restic() {
        return;
    }
    for is_done in [false, true] {
        let world = World::with_six_backups();
        let packs = world.ledger_is_true();
        world.keep_least();
        let state = || world.prunes()[0].state;

        // To the trash: until all is aside.
        let stops = stopped_everywhere(&world, is_done, |pruner| {
            let _ = pruner.prune(world.repository);
            let _ = pruner.run_once();
            !world.prunes().is_empty()
                && world.files_in_trash() == usize::try_from(world.prunes()[0].object_count).unwrap()
        });
        assert!(stops > 3, "{stops}");
        let after = world.ledger_is_true();

        // Back.
        let (by, id, now) = (people::by(world.owner, &Reach::All), world.prunes()[0].id, world.now());
        world.server.act(move |conn| retention::undo(conn, &by, id, now));
        let stops = stopped_everywhere(&world, is_done, |pruner| {
            let _ = pruner.run_once();
            state() == PruneState::Undone
        });
        assert!(stops > 3, "{stops}");
        assert_eq!((world.points().len(), world.ledger_is_true(), world.files_in_trash()), (6, packs, 0));
        world.is_sound();

        // Away again, and out of the world.
        world.pass(days(14));
        assert!(world.pruner.prune(world.repository).unwrap());
        world.pass(days(15));
        let stops = stopped_everywhere(&world, is_done, |pruner| {
            let _ = pruner.run_once();
            state() == PruneState::Erased
        });
        assert!(stops > 3, "{stops}");
        assert_eq!((world.ledger_is_true(), world.files_in_trash()), (after, 0));
        world.pass(hours(25));
        world.is_sound();
    }
}

#[test]
fn what_is_sent_again_while_it_is_in_the_trash_keeps_its_bytes() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let old = world.points().remove(1);
    let key = BlobKey::new(world.repository, domain::object::ObjectKind::Snapshots, old.snapshot_name.clone());
    let snapshot = holdfast::blob::read_all(&*world.server.app.blobs, &key, 1 << 20).unwrap();
    world.keep_least();
    // Stopped right after the rows have left the ledger: the files are at their places.
    let ending = Ending { blobs: Arc::clone(&world.server.app.blobs), left: AtomicI64::new(i64::MAX), is_done: false };
    let ending = Arc::new(ending);
    let pruner = pruner_on(&world.server, Arc::<Ending>::clone(&ending));
    assert!(pruner.prune(world.repository).unwrap());
    assert!(world.files_in_trash() > 0);

    assert_eq!(world.send("snapshots", &snapshot), 200);
    retention::settle(&world.server.app.store, &*world.server.app.blobs, world.now()).unwrap();

    assert_eq!(world.server.app.blobs.size(&key).unwrap(), Some(snapshot.len() as u64));
    world.ledger_is_true();
}
