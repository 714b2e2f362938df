//! The console's own state on the second store: kept, restored from there, and what somebody does to it in between.
//! That everything comes back after the loss of everything is `holdfast danger-test`, which `tests/run danger` runs.
use crate::support::NOW;
use crate::support::door::{TestDoor, name};
use crate::support::people::insert_person;
use clock::Clock;
use domain::activity::{Action, Actor, Object};
use domain::console_copy::{ConsoleCopy, ConsoleStanding, Holder, HolderKey, TEST_EVERY};
use domain::copy::SecondStore;
use domain::failure_domain::StoreKind;
use domain::object::ObjectKind;
use domain::role::Role;
use domain::time::{Time, days, hours, minutes};
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::{BlobKey, BlobStore};
use holdfast::job;
use holdfast::mail::Mailer;
use holdfast::service::activity::{Act, record};
use holdfast::service::console_copy::{self, Keeper, Source, Trial, holder_key, set_holder};
use holdfast::service::copy::begin;
use holdfast::service::freeze;
use holdfast::store::{self, Database, Store};
use std::path::PathBuf;
use std::sync::Arc;

struct World {
    door: TestDoor,
    copy: Arc<dyn BlobStore>,
    keeper: Keeper,
    recovery: HolderKey,
    folder: tempfile::TempDir,
}

fn holder(kind: Holder) -> HolderKey {
    let (public, private) = secret::seal::generate().unwrap();
    holder_key(kind, public.as_str(), &private).unwrap()
}

impl World {
    /// None on PostgreSQL, whose state is not kept page by page.
    fn new() -> Option<Self> {
        let world = Self::on_any();
        (!world.door.store.is_shared()).then_some(world)
    }

    /// On PostgreSQL its state is a dump, which is handed over; what is done with it then is the same.
    fn on_any() -> Self {
        let door = TestDoor::start();
        Self::on(door)
    }

    fn on(door: TestDoor) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("second");
        let copy: Arc<dyn BlobStore> = Arc::new(FsBlobs::open(&place).unwrap());
        let second = SecondStore {
            kind: StoreKind::Folder,
            place: place.display().to_string(),
            location: "elsewhere".to_owned(),
            administration: "somebody else".to_owned(),
            shares: Vec::new(),
            versions: None,
            opened_at: Some(NOW),
        };
        begin(&door.store, &second, false, NOW).unwrap();
        let (root, recovery) = (holder(Holder::Root), holder(Holder::Recovery));
        let both = [root, recovery.clone()];
        door.write(move |conn| both.iter().try_for_each(|it| set_holder(conn, it, NOW)));
        door.write(|conn| holdfast::service::ground::identity(conn, NOW).map(drop));
        let keeper = Keeper::new(door.store.clone(), Arc::clone(&copy), folder.path().to_owned());
        Self { door, copy, keeper, recovery, folder }
    }

    /// Something that the next state has.
    fn acts(&self, what: &str) {
        let object = Object::new("test", "test", what);
        self.door.write(move |conn| record(conn, &Actor::system(), &Act::done(Action::CopyDamaged, object), NOW));
    }

    fn keeps(&self, now: Time) {
        assert!(self.keeper.keep(now).unwrap().is_some());
    }

    /// What comes back with the recovery key: up to when, and how many acts; and the database itself.
    fn comes_back(&self, now: Time) -> (Time, i64) {
        let path = self.path("back.db");
        let holders = [self.recovery.clone()];
        let fetched = console_copy::fetch(&*self.copy, &holders, &path, now).unwrap().expect("a state");
        console_copy::check(&path, fetched.counts.as_ref()).unwrap();
        let store = Store::open_read_only(&Database::Sqlite(path.clone())).unwrap();
        let acts = store.read_blocking(store::activity::newest_seq).unwrap();
        drop(store);
        std::fs::remove_file(path).unwrap();
        (fetched.head.taken_at, acts)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn acts_so_far(&self) -> i64 {
        self.door.read(store::activity::newest_seq)
    }

    fn state(&self) -> ConsoleCopy {
        self.door.read(|conn| console_copy::console_copy(conn, NOW))
    }

    fn tests(&self, now: Time) -> Trial {
        console_copy::try_restore(&self.door.store, &*self.copy, self.folder.path(), now).unwrap()
    }

    /// Every object of the console's own, with its size.
    fn objects(&self, now: Time) -> Vec<(BlobKey, u64)> {
        let area = format!("00000000-0000-7000-8000-{:012x}", now.millis() / 86_400_000);
        self.copy.list(domain::id::RepositoryId::parse(&area).unwrap()).unwrap()
    }

    fn puts(&self, key: &BlobKey, bytes: &[u8], is_replacement: bool) {
        let mut upload = self.copy.begin(key).unwrap();
        upload.write(bytes).unwrap();
        if is_replacement { upload.replace() } else { upload.commit() }.unwrap().settle();
    }
}

#[test]
fn each_state_that_was_kept_comes_back_and_a_later_one_is_only_what_has_changed() {
    let Some(world) = World::new() else { return };
    for number in 0..300 {
        world.acts(&format!("{number} {}", "x".repeat(500)));
    }
    world.keeps(NOW);
    let whole: u64 = world.objects(NOW).iter().map(|it| it.1).sum();
    assert_eq!(world.comes_back(NOW), (NOW, world.acts_so_far()));

    for minute in 1..6 {
        world.acts("one more");
        world.keeps(NOW + minutes(minute));
        assert_eq!(world.comes_back(NOW + minutes(minute)), (NOW + minutes(minute), world.acts_so_far()));
    }

    let all: u64 = world.objects(NOW).iter().map(|it| it.1).sum();
    assert!((all - whole) / 5 < whole / 2, "{whole} bytes at first, {} more for five changes", all - whole);
    let state = world.state();
    assert_eq!(
        state.kept.as_ref().map(|it| (it.sequence, it.taken_at, it.by_shares)),
        Some((6, NOW + minutes(5), true))
    );
    assert_eq!(state.standing(NOW + minutes(5)), ConsoleStanding::Kept, "kept is not proven");
}

#[test]
fn a_dump_that_is_handed_over_comes_back_byte_for_byte_is_tested_and_is_never_called_proven() {
    let world = World::on_any();
    let dump: Vec<u8> = (0..500_000_u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    assert!(world.keeper.keep_dump(&b""[..], NOW).unwrap_err().to_string().contains("empty"));
    assert!(world.state().kept.is_none(), "nothing was handed over");

    let kept = world.keeper.keep_dump(&dump[..], NOW).unwrap();

    assert_eq!((kept.sequence, kept.taken_at, kept.by_shares), (1, NOW, true));
    assert_eq!(world.state().kept, Some(kept));
    let (path, holders) = (world.path("dump"), [world.recovery.clone()]);
    let fetched = console_copy::fetch(&*world.copy, &holders, &path, NOW).unwrap().expect("a state");
    assert_eq!((fetched.source, fetched.head.taken_at), (Source::Dump, NOW));
    assert!(std::fs::read(&path).unwrap() == dump);
    assert!(matches!(world.tests(NOW), Trial::Intact));
    assert!(world.state().proof.is_none(), "nobody restored it");

    let (piece, size) = world.objects(NOW).into_iter().max_by_key(|it| it.1).unwrap();
    let mut bytes = world.copy.read(&piece, 0, size).unwrap();
    bytes[usize::try_from(size / 2).unwrap()] ^= 1;
    world.puts(&piece, &bytes, true);
    let torn = world.tests(NOW + minutes(1));
    assert!(matches!(&torn, Trial::Failed(why) if why.contains("no state is whole")), "{torn:?}");
}

#[test]
fn a_new_day_and_a_new_server_begin_with_all_of_it() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    world.acts("later");
    world.keeps(NOW + days(1));
    let (tomorrow, acts) = (NOW + days(1), world.acts_so_far());
    assert_eq!(world.comes_back(tomorrow), (tomorrow, acts));
    assert_eq!(world.comes_back(NOW + days(300)), (tomorrow, acts), "also if nobody looked for long");

    let again = Keeper::new(world.door.store.clone(), Arc::clone(&world.copy), world.folder.path().to_owned());
    world.acts("after a restart");
    assert!(again.keep(tomorrow + minutes(1)).unwrap().is_some());
    assert_eq!(world.comes_back(tomorrow + minutes(1)), (tomorrow + minutes(1), world.acts_so_far()));
}

#[test]
fn d06_what_is_kept_is_restored_and_counted_on_schedule_and_one_that_is_damaged_alarms() {
    let Some(world) = World::new() else { return };
    assert_eq!(world.tests(NOW), Trial::Nothing);
    world.door.write(|conn| insert_person(conn, "admin", &[Role::Owner], None, NOW));
    let run = |now| job::console_copy::run_once(&world.keeper, now).unwrap();
    assert_eq!((run(NOW).done_count, world.state().standing(NOW)), (2, ConsoleStanding::Proven));
    let rows = world.door.read(store::console_copy::counts).sum();
    assert!(rows > 0 && world.state().proof.unwrap().rows == rows, "{rows}");
    assert_eq!(run(NOW + minutes(1)).done_count, 1, "not each minute");
    let due = NOW + TEST_EVERY;

    // What every state of the day needs is another one.
    let (key, size) = world.objects(NOW).into_iter().max_by_key(|it| it.1).unwrap();
    let mut bytes = world.copy.read(&key, 0, size).unwrap();
    bytes[usize::try_from(size / 2).unwrap()] ^= 1;
    world.puts(&key, &bytes, true);
    let ran = run(due);

    assert_eq!((ran.done_count, ran.failed_count), (1, 1));
    let state = world.state();
    assert_eq!(state.standing(due), ConsoleStanding::Failed);
    assert!(state.is_wrong(due));
    let told = mails(&world, due);
    assert!(told.iter().any(|it| it == "Holdfast: the copy of its own database failed"), "{told:?}");
    let entries =
        world.door.read(move |conn| store::activity::count_done(conn, Action::ConsoleCopyFailed, None, NOW, due));
    assert_eq!(entries.1, 1, "once");
    assert_eq!(run(due + minutes(1)).failed_count, 1, "and it is tried again until it works");

    // Another server begins anew, and the day's states are good again.
    let again = Keeper::new(world.door.store.clone(), Arc::clone(&world.copy), world.folder.path().to_owned());
    let healed = job::console_copy::run_once(&again, due + minutes(2)).unwrap();
    assert_eq!((healed.done_count, world.state().standing(due + minutes(2))), (2, ConsoleStanding::Proven));
}

#[test]
fn of_a_chain_that_is_torn_the_newest_whole_state_comes_back_and_the_others_are_named() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    let before = world.acts_so_far();
    let known: Vec<_> = world.objects(NOW);
    world.acts("lost");
    world.keeps(NOW + minutes(1));
    let torn = world.objects(NOW).into_iter().find(|it| !known.contains(it)).unwrap().0;
    assert_eq!(torn.kind, ObjectKind::Snapshots, "small changes are in the record itself");
    world.keeps(NOW + minutes(2));
    world.puts(&torn, b"not what it was", true);

    let holders = [world.recovery.clone()];
    let fetched =
        console_copy::fetch(&*world.copy, &holders, &world.path("first.db"), NOW + minutes(3)).unwrap().unwrap();

    assert_eq!(fetched.head.taken_at, NOW);
    assert_eq!(fetched.passed.len(), 1, "{:?}", fetched.passed);
    assert_eq!(fetched.passed[0].0, NOW + minutes(2));
    assert_eq!(world.comes_back(NOW + minutes(3)), (NOW, before));
    assert!(matches!(world.tests(NOW + minutes(3)), Trial::Failed(_)), "an older state is no proof of the newest");
}

#[test]
fn what_others_put_there_is_no_state_of_this_console() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    let (real, size) = world.objects(NOW).into_iter().find(|it| it.0.kind == ObjectKind::Snapshots).unwrap();
    let text = String::from_utf8(world.copy.read(&real, 0, size).unwrap()).unwrap();
    let taken = format!("\"taken_at\":{}", NOW.millis());
    let forged = [
        "{}".to_owned(),
        "[".repeat(100_000),
        text.replace(&taken, &format!("\"taken_at\":{}", (NOW + days(1)).millis())),
        text.replace("\"previous\":null", &format!("\"previous\":\"{}\"", real.name)),
        text.replace("\"sequence\":1", "\"sequence\":9"),
    ];
    for it in &forged {
        assert_ne!(*it, text);
        world.puts(&BlobKey::new(real.repository, ObjectKind::Snapshots, name(it.as_bytes())), it.as_bytes(), false);
    }

    assert_eq!(world.comes_back(NOW + hours(1)), (NOW, world.acts_so_far()));
    let stranger = [holder(Holder::Recovery)];
    let path = world.path("stranger.db");
    assert!(console_copy::fetch(&*world.copy, &stranger, &path, NOW).unwrap().is_none());
    assert!(!path.exists());
}

#[test]
fn a_clock_that_was_a_day_ahead_makes_no_old_state_the_newest() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    world.keeps(NOW + days(1));
    world.acts("after the clock was set right");
    let now = NOW + minutes(2);
    world.keeps(now);

    assert_eq!(world.comes_back(now), (now, world.acts_so_far()));
    assert_eq!(world.comes_back(NOW + days(1)), (now, world.acts_so_far()));
    assert!(matches!(world.tests(now), Trial::Proven(proof) if proof.taken_at == now));
}

#[test]
fn the_newest_state_is_proven_or_nothing_and_for_each_who_holds_a_key() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    let known = world.objects(NOW);
    world.keeps(NOW + minutes(1));
    let newest = world.objects(NOW).into_iter().find(|it| !known.contains(it)).unwrap().0;
    assert!(matches!(world.tests(NOW + minutes(1)), Trial::Proven(_)));
    world.puts(&newest, b"not what it was", true);
    let failed = world.tests(NOW + minutes(1));
    assert!(matches!(&failed, Trial::Failed(why) if why.contains("was kept and is not there")), "{failed:?}");

    world.keeps(NOW + days(1));
    assert!(matches!(world.tests(NOW + days(1)), Trial::Proven(_)));
    let other = holder(Holder::Recovery);
    world.door.write(move |conn| set_holder(conn, &other, NOW));
    let failed = world.tests(NOW + days(1));
    assert!(matches!(&failed, Trial::Failed(why) if why.contains("does not open it")), "{failed:?}");
    world.keeps(NOW + days(1) + minutes(1));
    assert!(matches!(world.tests(NOW + days(1) + minutes(1)), Trial::Proven(_)));
}

#[test]
fn whoever_is_no_holder_any_more_opens_no_later_state() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    let public = world.recovery.public.clone();
    world.door.write(move |conn| console_copy::remove_holder(conn, &public, NOW));
    world.acts("after");
    world.keeps(NOW + minutes(1));

    assert_eq!(world.comes_back(NOW + minutes(2)).0, NOW);
    let kept = world.state().kept.unwrap();
    assert!(!kept.by_shares);
    assert!(world.state().sentence(NOW + minutes(1), &Time::iso).contains("make a recovery key"));
}

#[test]
fn a_store_that_is_full_keeps_the_reason_and_the_next_state_has_all_of_it() {
    let Some(world) = World::new() else { return };
    world.keeps(NOW);
    let full = Keeper::new(world.door.store.clone(), Arc::new(Full), world.folder.path().to_owned());
    assert!(full.keep(NOW + minutes(1)).unwrap().is_none());
    assert_eq!(world.state().standing(NOW + minutes(1)), ConsoleStanding::Failed);
    assert_eq!(world.state().failed.unwrap().0, "no room");

    world.keeps(NOW + minutes(2));
    assert_eq!(world.state().failed, None);
    assert_eq!(world.comes_back(NOW + minutes(2)).0, NOW + minutes(2));
}

#[test]
fn d06_a_dump_that_nobody_hands_over_is_told_once_and_the_next_one_ends_that() {
    let door = TestDoor::start();
    if !door.store.is_shared() {
        // What SQLite's own state does is tested above: here nobody has to hand anything over.
        let world = World::on(door);
        assert!(!console_copy::look_for_dump(&world.door.store, NOW + days(3)).unwrap());
        return assert_eq!(world.state().failed, None);
    }
    let world = World::on(door);
    world.door.write(|conn| insert_person(conn, "owner", &[Role::Owner], None, NOW - days(30)));
    let looks = |now| job::console_copy::look_for_dump(&world.door.store, now).unwrap().failed_count;
    let told = |now| mails(&world, now).iter().filter(|it| it.contains("copy of its own database failed")).count();
    assert_eq!((looks(NOW + hours(26)), told(NOW)), (0, 0), "there is a day for the first one");

    let late = NOW + hours(27);
    assert_eq!((looks(late), looks(late), told(late)), (1, 1, 1));
    assert!(world.state().is_wrong(late) && world.state().standing(late) == ConsoleStanding::Failed);

    world.keeper.keep_dump(&b"a dump"[..], late).unwrap();
    assert_eq!((looks(late), world.state().is_wrong(late)), (0, false));
    assert!(world.state().sentence(late, &Time::iso).starts_with("Nobody has tested whether the last dump"));
    let again = late + hours(27);
    assert!(world.state().is_wrong(again), "also before anybody looks");
    assert_eq!((looks(again), told(again)), (1, 1));
}

#[test]
fn d08_after_the_console_was_brought_back_nothing_is_erased_for_72_hours() {
    let Some(world) = World::new() else { return };
    let at = NOW;
    world.door.write(move |conn| console_copy::restored(conn, &Actor::system(), at - minutes(1), at));
    let refused = world.door.store.read_blocking(freeze::check).unwrap_err();
    assert!(refused.to_string().contains("frozen"), "until somebody has looked: {refused}");
    world.door.write(move |conn| holdfast::service::host::unfreeze(conn, &Actor::system(), at).map(drop));
    for (now, is_calm) in
        [(at, true), (at - hours(5), true), (at + hours(72) - minutes(1), true), (at + hours(72), false)]
    {
        let holds = world.door.read(move |conn| freeze::holds_erasing(conn, now));
        assert_eq!(holds, is_calm, "{}", now.iso());
    }
    let refused = world.door.store.read_blocking(move |conn| freeze::check_erasing(conn, at)).unwrap_err();
    assert!(refused.to_string().contains("nothing is erased before"), "{refused}");
    assert!(world.door.store.read_blocking(freeze::check).is_ok(), "restores go on");
}

/// The subjects of what was mailed.
fn mails(world: &World, now: Time) -> Vec<String> {
    let mailer = Mailer::memory();
    while job::mail::run_once(&world.door.store, Some(&mailer), &Clock::fixed(now)).unwrap().more {}
    mailer.sent().into_iter().map(|it| it.subject).collect()
}

/// A store without any room.
struct Full;

impl BlobStore for Full {
    fn begin(&self, _: &BlobKey) -> Result<Box<dyn holdfast::blob::Upload>, holdfast::blob::WriteFault> {
        Err(holdfast::blob::WriteFault::Failed("no room".to_owned()))
    }
    fn read(&self, _: &BlobKey, _: u64, _: u64) -> Result<Vec<u8>, holdfast::blob::ReadFault> {
        Err(holdfast::blob::ReadFault::Lost)
    }
    fn size(&self, _: &BlobKey) -> Result<Option<u64>, holdfast::blob::ReadFault> {
        Ok(None)
    }
    fn remove(&self, _: &BlobKey) -> Result<bool, holdfast::blob::WriteFault> {
        Ok(false)
    }
    fn list(&self, _: domain::id::RepositoryId) -> Result<Vec<(BlobKey, u64)>, holdfast::blob::ReadFault> {
        Ok(Vec::new())
    }
    fn make_durable(&self, _: &BlobKey) -> Result<(), holdfast::blob::WriteFault> {
        Ok(())
    }
    fn unsettled(&self) -> Result<Vec<(BlobKey, holdfast::blob::Stored)>, holdfast::blob::ReadFault> {
        Ok(Vec::new())
    }
}
