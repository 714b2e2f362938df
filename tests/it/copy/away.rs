//! Stores that are away: copying pauses, nothing is called copied or lost, and whoever can act is told.
use super::world::{Breaks, Recording, World, backs_up, runs, silent};
use crate::support::NOW;
use crate::support::people::{SINCE, insert_person};
use domain::activity::Action;
use domain::copy::CopyStanding;
use domain::ground::{Away, AwayCause};
use domain::id::{DeviceId, RepositoryId};
use domain::object::{Location, ObjectKind};
use domain::role::Role;
use domain::time::{hours, minutes};
use holdfast::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use holdfast::mail::Mailer;
use holdfast::service::copy::Replicator;
use holdfast::store::setting::COPY_AWAY;
use holdfast::{job, service, store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A store that is away while it is told so.
struct Leaving {
    blobs: Arc<dyn BlobStore>,
    is_away: AtomicBool,
    looked: Mutex<usize>,
}

impl Leaving {
    fn over(blobs: &Arc<dyn BlobStore>) -> Arc<Self> {
        Arc::new(Self { blobs: Arc::clone(blobs), is_away: AtomicBool::new(false), looked: Mutex::default() })
    }

    fn still(&self) -> Result<(), StoreFault> {
        if self.is_away.load(Ordering::SeqCst) { Err(silent()) } else { Ok(()) }
    }

    fn goes(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }
}

impl BlobStore for Leaving {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.still()?;
        self.blobs.begin(key)
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.still()?;
        self.blobs.read(key, offset, len)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.still()?;
        self.blobs.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.blobs.remove(key)
    }
    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.still()?;
        self.blobs.list(repository)
    }
    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.blobs.make_durable(key)
    }
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.blobs.unsettled()
    }
    fn check(&self) -> Result<(), StoreFault> {
        *self.looked.lock().unwrap() += 1;
        self.still()
    }
}

fn away(world: &World) -> Option<Away> {
    world.door.read(|conn| COPY_AWAY.find(conn))
}

/// The mails about the second store, by subject.
fn mails(world: &World) -> Vec<(String, String)> {
    let mailer = Mailer::memory();
    while job::mail::run_once(&world.door.store, Some(&mailer), &world.door.clock).unwrap().more {}
    mailer.sent().into_iter().map(|it| (it.subject, it.body)).collect()
}

#[test]
fn a_second_store_that_is_away_is_known_at_once_told_once_it_lasts_and_followed_when_it_is_back() {
    let world = World::new();
    let repository = world.door.repository();
    world.door.write(|conn| insert_person(conn, "admin", &[Role::Owner], None, SINCE));
    let leaving = Leaving::over(&world.copy);
    let copies = world.replicator_to(Arc::<Leaving>::clone(&leaving));
    backs_up(&world, &repository, "first");
    runs(&copies, NOW);
    assert_eq!(world.facts(repository.device).standing(), CopyStanding::Complete);
    leaving.goes(true);
    let now = || world.door.clock.now();
    world.door.clock.advance(minutes(2));
    let went_at = now();

    assert!(copies.run(now()).unwrap().failed);

    let known = away(&world).unwrap();
    assert_eq!((known.cause, known.since), (AwayCause::Silent, went_at));
    let facts = world.facts(repository.device);
    assert_eq!(facts.standing(), CopyStanding::Unknown, "nothing it has is called copied now");
    assert!(facts.sentence(now(), &|at| at.iso()).contains("Nobody can say what it has now"));
    assert_eq!((mails(&world).len(), world.entries().len()), (0, 0), "a moment is nobody's work");

    let looked = *leaving.looked.lock().unwrap();
    for _ in 0..16 {
        world.door.clock.advance(minutes(1));
        for _ in 0..60 {
            copies.run(now()).unwrap();
        }
    }
    let looks = *leaving.looked.lock().unwrap() - looked;
    assert!(looks <= 16, "it is not asked all the time: {looks}");
    let told = mails(&world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "Holdfast: the second store cannot be used");
    assert!(told[0].1.contains("it does not answer") && told[0].1.contains("/mnt/copy"), "{}", told[0].1);
    assert_eq!(world.entries().iter().map(|it| it.0).collect::<Vec<_>>(), [Action::SecondStoreAway]);
    assert_eq!(away(&world).unwrap().since, went_at);

    backs_up(&world, &repository, "second");
    leaving.goes(false);
    world.door.clock.advance(minutes(6));
    let run = runs(&copies, now());

    assert_eq!((run.copied, run.failed, away(&world)), (5, false, None));
    assert_eq!(mails(&world)[0].0, "Holdfast: the second store can be used again");
    assert_eq!(world.facts(repository.device).standing(), CopyStanding::Complete);
    let actions: Vec<_> = world.entries().into_iter().map(|it| it.0).collect();
    assert_eq!(actions, [Action::SecondStoreAway, Action::SecondStoreBack]);
}

/// Whether each surface says of the second store that it cannot be used: of all, of one device, of the console, of proofs.
fn said(world: &World, device: DeviceId) -> [bool; 4] {
    let now = world.door.clock.now();
    world.door.read(move |conn| {
        let of_all = service::copy::state(conn, now)?.away.is_some();
        let of_one = service::copy::of_device(conn, device, now)?.away.is_some();
        let of_console = service::console_copy::console_copy(conn, now)?.away.is_some();
        let of_proofs = service::copy_proof::store_now(conn, now)?.away.is_some();
        Ok::<_, holdfast::error::Error>([of_all, of_one, of_console, of_proofs])
    })
}

#[test]
fn that_it_is_away_is_said_everywhere_even_if_why_cannot_be_read() {
    let world = World::new();
    world.runs();
    let device = world.door.device();
    let said = || said(&world, device);
    assert_eq!(said(), [false; 4]);
    world.door.write(|conn| {
        let (name, value) = ("copy.away".to_owned(), "?".to_owned());
        store::setting::write(
            conn,
            &store::setting::Setting { name, value, updated_at: NOW, next_value: None, next_at: None },
        )
    });
    assert_eq!(said(), [true; 4]);
}

#[test]
fn what_nobody_has_looked_at_for_an_hour_is_said_everywhere_to_be_unknown() {
    let world = World::new();
    let repository = world.door.repository();
    backs_up(&world, &repository, "backup");
    world.runs();
    let standing = || world.facts(repository.device).standing();
    assert_eq!(standing(), CopyStanding::Complete);

    // As on a database that is read-only, or without a server: no job looks.
    world.door.clock.advance(minutes(59));
    assert_eq!((said(&world, repository.device), standing()), ([false; 4], CopyStanding::Complete));
    world.door.clock.advance(minutes(1));
    assert_eq!((said(&world, repository.device), standing()), ([true; 4], CopyStanding::Unknown));
    let facts = world.facts(repository.device);
    let said_of = facts.sentence(world.door.clock.now(), &|at| at.iso());
    assert!(said_of.contains(&format!("nobody has looked at it since {}", NOW.iso())), "{said_of}");
    let away = facts.away.unwrap();
    assert_eq!((away.cause, away.since), (AwayCause::Unseen, NOW));

    // Nothing needs to be copied: to have looked is enough.
    world.runs();
    assert_eq!((said(&world, repository.device), standing()), ([false; 4], CopyStanding::Complete));
    assert_eq!(world.entries(), [], "nobody is told, and nothing is recorded");
    // A clock that was ahead when somebody looked shows nothing.
    world.door.clock.set(NOW - hours(2));
    assert_eq!(standing(), CopyStanding::Unknown);
    world.runs();
    assert_eq!(standing(), CopyStanding::Complete);
}

#[test]
fn a_second_store_that_comes_back_soon_is_told_to_nobody() {
    let world = World::new();
    world.door.write(|conn| insert_person(conn, "admin", &[Role::Owner], None, SINCE));
    let leaving = Leaving::over(&world.copy);
    let copies = world.replicator_to(Arc::<Leaving>::clone(&leaving));
    leaving.goes(true);
    assert!(copies.run(NOW).unwrap().failed);
    leaving.goes(false);

    runs(&copies, NOW + minutes(10));

    assert_eq!((away(&world), mails(&world).len(), world.entries().len()), (None, 0, 0));
}

#[test]
fn while_the_backup_store_is_away_nothing_is_copied_and_nothing_is_called_damaged() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    let (leaving, copy) = (Leaving::over(&world.door.blobs), Arc::clone(&world.copy));
    let store = world.door.store.clone();
    let copies = Replicator::new(store, Arc::<Leaving>::clone(&leaving), copy);
    leaving.goes(true);

    // Before its watch noticed, and after.
    assert!(copies.run(NOW).unwrap().failed);
    let found = Away { cause: AwayCause::Silent, why: "gone".to_owned(), since: NOW };
    world.door.write(move |conn| store::ground::set_away(conn, Some(&found), NOW));
    assert_eq!(copies.run(NOW + hours(1)).unwrap(), service::copy::Run::default());

    assert!(backup.iter().all(|it| world.row(Location::Primary, it).unwrap().damaged_at.is_none()));
    assert!(world.copy.list(repository.id).unwrap().is_empty());
    assert_eq!(away(&world), None, "it is not the second store that is away");
    leaving.goes(false);
    world.door.write(|conn| store::ground::set_away(conn, None, NOW));
    assert_eq!(runs(&copies, NOW + hours(2)).copied, 5);
}

#[test]
fn a_damaged_object_whose_copy_cannot_be_read_now_is_not_called_damaged_there() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    world.runs();
    let leaving = Leaving::over(&world.copy);
    let copies = world.replicator_to(Arc::<Leaving>::clone(&leaving));
    runs(&copies, NOW);
    world.spoils(Location::Primary, &backup[0], b"rot");
    world.finds_damage(Location::Primary, &backup[0]);
    leaving.goes(true);

    // So soon that nobody has looked whether the store is still there.
    assert!(copies.run(NOW + Duration::from_secs(10)).unwrap().failed);

    assert!(world.is_copied(&backup[0]) && away(&world).is_some());
    assert!(world.row(Location::Primary, &backup[0]).unwrap().damaged_at.is_some());
    leaving.goes(false);
    assert_eq!(runs(&copies, NOW + hours(1)).repaired, 1);
}

#[test]
fn what_fails_is_tried_again_later_and_later_and_is_said() {
    let world = World::new();
    let (one, two) = (world.door.repository(), world.door.repository());
    world.puts(one.id, ObjectKind::Data, b"pack");
    world.puts(two.id, ObjectKind::Data, b"another pack");
    let broken = Recording::over(&world.copy, Breaks::Before(0));
    let copies = world.replicator_to(broken);
    let mut tried = 0;
    for second in 0..600 {
        tried += usize::from(copies.run(NOW + Duration::from_secs(second)).unwrap().failed);
    }
    // After 1, 2, 4 … 256 and then each 300 seconds.
    assert!((8..=11).contains(&tried), "{tried}");
}

/// A store that refuses one object, and takes all others.
struct Refusing {
    blobs: Arc<dyn BlobStore>,
    refused: BlobKey,
}

impl BlobStore for Refusing {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        if *key == self.refused {
            return Err(WriteFault::Failed("no such luck".to_owned()));
        }
        self.blobs.begin(key)
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.blobs.read(key, offset, len)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.blobs.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.blobs.remove(key)
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
}

#[test]
fn an_object_that_is_refused_keeps_its_own_snapshot_back_and_no_other_device() {
    let world = World::new();
    let (one, two) = (world.door.repository(), world.door.repository());
    let (stuck, free) = (backs_up(&world, &one, "one"), backs_up(&world, &two, "two"));
    let refusing = Arc::new(Refusing { blobs: Arc::clone(&world.copy), refused: stuck[0].clone() });
    let copies = world.replicator_to(refusing);
    for minute in 0..30 {
        copies.run(NOW + minutes(minute * 6)).unwrap();
    }

    assert!(free.iter().all(|it| world.is_copied(it)));
    assert!(world.is_copied(&stuck[1]) && !stuck[2..].iter().any(|it| world.is_copied(it)), "nothing before its pack");
    let now = world.door.clock.now();
    let state = world.door.read(move |conn| service::copy::state(conn, now));
    assert_eq!(state.failed.map(|it| it.0).as_deref(), Some("no such luck"));
    assert_eq!((state.copied, state.waiting, state.waiting_since), (6, 4, Some(NOW)));
}

/// A store that takes what it is sent, and does not answer until it may.
struct Hanging {
    blobs: Arc<dyn BlobStore>,
    may_answer: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl BlobStore for Hanging {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        // Ends with an error once the sender has gone: from then on it answers.
        let _ = self.may_answer.lock().unwrap().recv();
        self.blobs.begin(key)
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.blobs.read(key, offset, len)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.blobs.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.blobs.remove(key)
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
}

#[test]
fn a_disk_that_never_answers_is_away_and_hangs_nothing() {
    let world = World::new();
    let repository = world.door.repository();
    let pack = world.puts(repository.id, ObjectKind::Data, b"pack");
    let (answers, may_answer) = std::sync::mpsc::channel();
    let hanging = Arc::new(Hanging { blobs: Arc::clone(&world.copy), may_answer: Mutex::new(may_answer) });
    let (store, primary) = (world.door.store.clone(), Arc::clone(&world.door.blobs));
    let copies = Replicator::with_patience(store, primary, hanging, Duration::from_millis(50));

    for minute in 0..3 {
        assert!(copies.run(NOW + minutes(10 * minute)).unwrap().failed);
        assert_eq!(away(&world).map(|it| (it.cause, it.since)), Some((AwayCause::Silent, NOW)));
        assert_eq!(world.facts(repository.device).standing(), CopyStanding::Unknown);
    }

    drop(answers);
    // The run that hung copies it, or one after it does: both go on at their own pace.
    let deadline = Instant::now() + Duration::from_secs(60);
    for hour in 4.. {
        copies.run(NOW + hours(hour)).unwrap();
        if world.is_copied(&pack) {
            break;
        }
        assert!(Instant::now() < deadline, "it goes on by itself");
        std::thread::yield_now();
    }
}
