//! What the server depends on: a store that is away is never green, is recognised when it is back, and is
//! nobody else's.
use crate::support::device::SimDevice;
use crate::support::door::{TestDoor, name};
use crate::support::people::{act_as, colleague};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use crate::support::{NOW, TestDatabase};
use crate::wipe::World;
use clock::Clock;
use diesel::prelude::*;
use domain::ground::{AwayCause, Disk as Below, Sample, StopCause};
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind, TokenKind};
use domain::role::Role;
use domain::time::{hours, minutes};
use domain::wipe::WipeState;
use holdfast::app::App;
use holdfast::blob::{BlobKey, BlobStore, ReadFault, Stored, Upload, WriteFault};
use holdfast::config::{Config, Options};
use holdfast::error::Error;
use holdfast::job;
use holdfast::service::ground::Watch;
use holdfast::service::verification::{Place, Verifier};
use holdfast::service::{backup, wipe};
use holdfast::store::copy::StoredCopy;
use holdfast::store::schema::{copies as copies_table, repositories};
use holdfast::store::{self, Database, Store};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One look of each job that looks after the store.
fn look(server: &TestServer) {
    let now = server.app.clock.now();
    server.app.watch.look(now).unwrap();
    for verifier in &server.app.verifiers.0 {
        verifier.list(job::verification::LIST_PERIOD, now).unwrap();
    }
}

/// The folder of backups, moved away and back.
struct Disk {
    place: PathBuf,
    aside: PathBuf,
}

impl Disk {
    fn of(server: &TestServer) -> Self {
        let place = server.app.config.blobs.clone();
        Self { aside: place.with_extension("aside"), place }
    }

    fn goes(&self) {
        fs::rename(&self.place, &self.aside).unwrap();
    }

    fn comes_back(&self) {
        let _ = fs::remove_dir_all(&self.place);
        fs::rename(&self.aside, &self.place).unwrap();
    }
}

fn grade(visit: &Visit<'_>) -> String {
    visit.get("/devices.json").json()["devices"][0]["grade"].as_str().unwrap().to_owned()
}

#[test]
fn a_store_that_is_away_is_never_green_and_stops_every_wipe() {
    let world = World::new();
    let owner = colleague(&world.server, "owner", Role::Owner);
    let (disk, visit) = (Disk::of(&world.server), Visit::of(&world.server, owner));
    look(&world.server);
    assert_eq!(grade(&visit), "proven");
    let waiting = world.requested();

    for empty in [false, true] {
        disk.goes();
        if empty {
            fs::create_dir(&disk.place).unwrap();
        }
        look(&world.server);

        assert_eq!(grade(&visit), "unknown");
        for page in ["/", "/devices", "/settings", "/activity", &format!("/devices/{}", world.device.id())] {
            let html = text(&visit.get(page));
            assert!(html.contains("The backup store has been unreadable since"), "{page}: {html}");
        }
        assert!(text(&visit.get("/")).contains("1 we cannot say"), "no tile is green");
        let refused = world.approves_as(world.second, &waiting).unwrap_err();
        assert!(matches!(&refused, Error::Refused(why) if why.contains("has been unreadable since")), "{refused}");
        let health = world.server.request("GET", "/health", &[], b"");
        let said = String::from_utf8(health.body).unwrap();
        assert!(said.starts_with("degraded: the backup store cannot be read"), "{said}");

        disk.comes_back();
        look(&world.server);
        assert_eq!(grade(&visit), "proven", "it comes back by itself");
        assert_eq!(world.server.request("GET", "/health", &[], b"").body, b"ok\n");
    }
    assert_eq!(world.told("Holdfast: the backup store cannot be read"), 2);
    assert_eq!(world.told("Holdfast: the backup store can be read again"), 2);
}

#[test]
fn a_wipe_that_was_approved_waits_until_the_store_is_back() {
    let world = World::new();
    let disk = Disk::of(&world.server);
    let request = world.requested();
    world.approved(&request);
    disk.goes();
    look(&world.server);

    world.cools();
    assert_eq!(world.state(request.id), WipeState::Cooling, "it is not released");
    disk.comes_back();
    look(&world.server);
    world.job();
    assert_eq!(world.state(request.id), WipeState::Released);
    disk.goes();
    look(&world.server);
    assert!(world.fetches().is_empty(), "it is not delivered");
    let ask = world.ask();
    let again = act_as(&world.server, world.asker, move |conn, by| wipe::request(conn, by, &ask, NOW));
    assert!(matches!(&again, Err(Error::Refused(why)) if why.contains("No wipe goes ahead")), "{again:?}");
    disk.comes_back();
    look(&world.server);
    assert_eq!(world.fetches().len(), 1);
}

/// Looks at the store as somebody whom the rights of files bind, as they do not bind root.
fn look_without_rights(server: &TestServer) {
    std::thread::scope(|scope| {
        let look = || {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65_534);
                // This thread's alone, and that of the threads it starts.
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            look(server);
        };
        scope.spawn(look).join().unwrap();
    });
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_store_whose_rights_were_lost_is_away_until_it_has_them_again() {
    let world = World::new();
    let (owner, blobs) = (colleague(&world.server, "owner", Role::Owner), world.server.app.config.blobs.clone());
    let visit = Visit::of(&world.server, owner);
    // Whoever looks may read all that is there.
    let above = blobs.ancestors().skip(1).take_while(|it| *it != std::env::temp_dir());
    above.for_each(|it| set_mode(it, 0o755));
    assert!(Command::new("chmod").arg("-R").arg("a+rX").arg(&blobs).status().unwrap().success());
    look_without_rights(&world.server);
    look_without_rights(&world.server);
    assert_eq!(grade(&visit), "proven");

    // Nothing may be opened in it; or its objects can be opened, and the folder not be listed.
    for mode in [0o000, 0o311] {
        set_mode(&blobs, mode);
        look_without_rights(&world.server);

        let away = world.server.read(|conn| Ok(store::ground::away(conn)?));
        assert_eq!(away.map(|it| it.cause), Some(AwayCause::Unreadable), "{mode:o}");
        assert_eq!(grade(&visit), "unknown", "{mode:o}");
        assert!(text(&visit.get("/")).contains("The backup store has been unreadable since"), "{mode:o}");
        set_mode(&blobs, 0o755);
        look_without_rights(&world.server);
        assert_eq!(grade(&visit), "proven", "{mode:o}");
    }
}

#[test]
fn an_object_that_the_system_does_not_let_us_read_is_not_lost_and_the_store_is_away() {
    let world = World::new();
    let id = world.device.id();
    let repository = world.server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap().id;
    let keys = world.server.app.config.blobs.join(repository.to_string()).join("keys");
    let aside = keys.with_extension("aside");
    fs::rename(&keys, &aside).unwrap();
    // Not missing, and not to be opened by anybody: it leads to itself.
    std::os::unix::fs::symlink(&keys, &keys).unwrap();

    look(&world.server);
    look(&world.server);

    let away = world.server.read(|conn| Ok(store::ground::away(conn)?));
    assert_eq!(away.map(|it| it.cause), Some(AwayCause::Unreadable));
    assert!(copies(&world, repository).iter().all(|it| it.damaged_at.is_none()));
    fs::remove_file(&keys).unwrap();
    fs::rename(&aside, &keys).unwrap();
    look(&world.server);
    assert_eq!(world.server.read(|conn| Ok(store::ground::away(conn)?)), None);
}

/// Every copy of a repository's objects.
fn copies(world: &World, repository: RepositoryId) -> Vec<StoredCopy> {
    world.server.read(|conn| {
        let rows = store::object::all(conn, repository, None)?;
        let copy = |it: &store::object::Object| {
            let found = store::copy::find(conn, Location::Primary, repository, it.kind, &it.name)?;
            Ok(found.expect("its copy"))
        };
        rows.iter().map(copy).collect()
    })
}

#[test]
fn a_restart_does_not_forget_that_the_store_is_away() {
    let world = World::new();
    let disk = Disk::of(&world.server);
    disk.goes();
    look(&world.server);
    disk.comes_back();

    let server = world.server.restart();

    let away = server.read(|conn| Ok(store::ground::away(conn)?)).unwrap();
    assert_eq!((away.cause, away.since), (AwayCause::Away, NOW));
    look(&server);
    assert_eq!(server.read(|conn| Ok(store::ground::away(conn)?)), None);
}

/// Puts a pack into the store and the ledger.
fn puts(world: &World, repository: RepositoryId, bytes: &'static [u8]) -> BlobKey {
    let key = BlobKey::new(repository, ObjectKind::Data, name(bytes));
    let mut upload = world.server.app.blobs.begin(&key).unwrap();
    upload.write(bytes).unwrap();
    upload.commit().unwrap().settle();
    let (row, size) = (key.clone(), i64::try_from(bytes.len()).unwrap());
    world.server.act(move |conn| backup::received(conn, &row, size, TokenKind::Agent, NOW).map(drop));
    key
}

fn repository_of(world: &World) -> RepositoryId {
    let id = world.device.id();
    world.server.read(move |conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap().id
}

#[test]
fn a_bad_sector_is_damage_and_hides_no_other_object_that_is_lost() {
    let world = World::new();
    let repository = repository_of(&world);
    let mut packs = [&b"one"[..], b"two"].map(|it| puts(&world, repository, it));
    packs.sort_by_key(|it| it.name.to_string());
    let [bad, lost] = packs;
    world.server.app.blobs.remove(&lost).unwrap();
    let app = &world.server.app;
    let blobs = Stopping { bad: Some(bad.clone()), ..Stopping::over(&app.blobs) };

    let place = Place { location: Location::Primary, blobs: Arc::new(blobs) };
    let verifier = Verifier::new(app.store.clone(), place, app.config.verification, Arc::new(|| false));
    verifier.read_back(world.now()).unwrap();

    let damaged: Vec<_> = copies(&world, repository).into_iter().filter(|it| it.damaged_at.is_some()).collect();
    let mut damaged: Vec<_> = damaged.into_iter().map(|it| it.name).collect();
    damaged.sort_by_key(ToString::to_string);
    assert_eq!(damaged, [bad.name, lost.name]);
}

#[test]
fn damage_is_noted_also_where_nobody_noted_the_copy() {
    let world = World::new();
    let repository = repository_of(&world);
    let pack = puts(&world, repository, b"pack");
    world.server.act(move |conn| Ok(diesel::delete(copies_table::table).execute(conn).map(drop)?));

    for expected in [1, 1] {
        let (key, now) = (pack.clone(), world.now());
        world.server.act(move |conn| backup::object_damaged(conn, &key, now));
        assert_eq!(world.server.read(|conn| Ok(store::attention::damage(conn)?)).0, expected);
    }
}

#[test]
fn a_folder_of_one_device_that_went_is_damage_that_is_found_without_a_test() {
    let world = World::new();
    let id = world.device.id();
    let repository = world.server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap().id;
    puts(&world, repository, b"pack");
    fs::remove_dir_all(world.server.app.config.blobs.join(repository.to_string())).unwrap();

    look(&world.server);

    assert_eq!(world.server.read(|conn| Ok(store::ground::away(conn)?)), None, "the store itself is there");
    let rows = copies(&world, repository);
    assert!(rows.len() == 3, "{rows:?}");
    for row in rows {
        let opens = matches!(row.kind, ObjectKind::Config | ObjectKind::Keys);
        assert_eq!(row.damaged_at.is_none(), opens, "what opens the repository is put back: {row:?}");
    }
}

fn options(data: &Path, database: &TestDatabase) -> Options {
    Options {
        data: Some(data.to_owned()),
        database: Some(database.url()),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    }
}

fn opens(options: Options) -> Result<App, String> {
    App::open(Config::new(options).unwrap(), Clock::fixed(NOW)).map_err(|error| format!("{error:#}"))
}

/// A data folder and a database with a device and its repository.
fn used() -> (tempfile::TempDir, TestDatabase, RepositoryId) {
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new());
    let data = folder.path().join("data");
    let app = opens(options(&data, &database)).unwrap();
    drop(app);
    let door = TestDoor::on(&database, &data.join("blobs"));
    let repository = door.repository();
    assert_eq!(repository.put("data", b"pack").status, 200);
    (folder, database, repository.id)
}

#[test]
fn a_server_does_not_start_on_a_folder_that_lost_its_disk_nor_on_anothers() {
    let (folder, database, repository) = used();
    let (data, aside) = (folder.path().join("data"), folder.path().join("aside"));
    let blobs = data.join("blobs");
    fs::rename(&blobs, &aside).unwrap();

    let why = opens(options(&data, &database)).err().unwrap();
    assert!(why.contains("is not there") && why.contains("--adopt-blobs"), "{why}");
    assert!(!blobs.exists(), "a missing mount is not made");
    fs::create_dir(&blobs).unwrap();
    let why = opens(options(&data, &database)).err().unwrap();
    assert!(why.contains("does not carry the marker"), "{why}");
    assert_eq!(fs::read_dir(&blobs).unwrap().count(), 0, "and nothing is put there");

    let (other, others) = (tempfile::tempdir().unwrap(), TestDatabase::new());
    drop(opens(options(other.path(), &others)).unwrap());
    let foreign = Options { blobs: Some(other.path().join("blobs")), ..options(&data, &database) };
    let why = opens(foreign).err().unwrap();
    assert!(why.contains("another server"), "{why}");

    let app = opens(Options { adopt_blobs: Some(String::new()), ..options(&data, &database) }).unwrap();
    let row = app
        .store
        .read_blocking(move |conn| {
            store::copy::find(conn, Location::Primary, repository, ObjectKind::Data, &name(b"pack"))
        })
        .unwrap();
    assert!(row.unwrap().damaged_at.is_some(), "what an adopted folder lacks is damaged");
}

#[test]
fn one_folder_has_one_server() {
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new());
    let blobs = folder.path().join("blobs");
    let with = |data: &str| Options { blobs: Some(blobs.clone()), ..options(&folder.path().join(data), &database) };
    let first = opens(with("one")).unwrap();
    fs::create_dir(folder.path().join("two")).unwrap();
    fs::copy(folder.path().join("one/proof.key"), folder.path().join("two/proof.key")).unwrap();

    let why = opens(with("two")).err().unwrap();

    assert!(why.contains("another server is using"), "{why}");
    drop(first);
    opens(with("two")).unwrap();
}

#[test]
fn a_database_is_not_made_beside_backups_or_a_key() {
    let (folder, _database, _) = used();
    let data = folder.path().join("data");

    let empty = TestDatabase::new();
    let why = opens(options(&data, &empty)).err().unwrap();
    assert!(why.contains("there is no database") && why.contains("holds backups"), "{why}");
    fs::remove_dir_all(data.join("blobs")).unwrap();
    let why = opens(options(&data, &empty)).err().unwrap();
    assert!(why.contains("proof.key is there"), "{why}");
    fs::remove_file(data.join("proof.key")).unwrap();
    opens(options(&data, &empty)).unwrap();
}

#[test]
fn a_key_is_not_made_beside_a_database_that_has_one() {
    let (folder, database, _) = used();
    let data = folder.path().join("data");
    fs::remove_file(data.join("proof.key")).unwrap();

    let why = opens(options(&data, &database)).err().unwrap();

    assert!(why.contains("proof.key is missing"), "{why}");
    assert!(!data.join("proof.key").exists());
}

#[test]
fn an_upload_is_refused_while_another_folder_is_in_the_place_of_the_store() {
    let world = World::new();
    let (server, disk) = (&world.server, Disk::of(&world.server));
    let key = BlobKey::new(RepositoryId::generate(NOW), ObjectKind::Data, name(b"pack"));
    let mut begun = server.app.blobs.begin(&key).unwrap();
    begun.write(b"pack").unwrap();
    disk.goes();
    fs::create_dir(&disk.place).unwrap();

    let error = server.app.blobs.begin(&key).map(drop).unwrap_err();
    assert!(matches!(error, WriteFault::Away(fault) if fault.cause == AwayCause::Away));
    assert!(begun.commit().is_err(), "nor is one that had begun");
    assert_eq!(fs::read_dir(&disk.place).unwrap().count(), 0);

    disk.comes_back();
    let mut again = server.app.blobs.begin(&key).unwrap();
    again.write(b"pack").unwrap();
    again.commit().unwrap().settle();
}

#[test]
fn the_door_answers_come_again_while_the_store_is_away() {
    let door = TestDoor::start();
    let repository = door.repository();
    repository.put("data", b"pack");
    let aside = door.folder.with_extension("aside");
    fs::rename(&door.folder, &aside).unwrap();

    let (sent, read) = (repository.put("data", b"more"), repository.get(&format!("data/{}", name(b"pack"))));
    fs::rename(&aside, &door.folder).unwrap();

    assert_eq!((sent.status, read.status), (503, 503));
    assert!(!read.header("Retry-After").is_empty());
    let (location, kind) = (Location::Primary, ObjectKind::Data);
    let is_intact = door.read(move |conn| store::copy::is_intact(conn, location, repository.id, kind, &name(b"pack")));
    assert!(is_intact, "a store that is away damages nothing");
}

#[test]
fn an_object_that_is_too_short_is_lost_before_its_first_byte_is_sent() {
    let door = TestDoor::start();
    let repository = door.repository();
    let bytes = vec![9; 700_000];
    repository.put("data", &bytes);
    let path = format!("{}/data/{}/{}", repository.id, &name(&bytes).as_str()[..2], name(&bytes));
    fs::write(door.folder.join(path), &bytes[..600_000]).unwrap();

    let answer = repository.get(&format!("data/{}", name(&bytes)));

    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("lost"), "{}", answer.text());
}

#[test]
fn room_on_the_disks_is_shown_and_told_before_it_ends() {
    let world = World::new();
    let owner = colleague(&world.server, "owner", Role::Owner);
    look(&world.server);

    let html = text(&Visit::of(&world.server, owner).get("/"));
    assert!(html.contains("Room on the server") && html.contains("Backups: "), "{html}");

    // Seven hours earlier there was twice as much: at this rate any disk is full within a day.
    let now = world.server.read(|conn| Ok(store::ground::samples(conn, Below::Backups)?)).remove(0);
    let before = Sample { at: NOW - hours(7), free_bytes: now.free_bytes.saturating_mul(2), ..now };
    world.server.act(move |conn| {
        store::ground::add_sample(conn, Below::Backups, before, before.at)?;
        // The disk below the tests may be nearly full in earnest.
        Ok(store::setting::told(Below::Backups).remove(conn)?)
    });
    let told = || world.told("Holdfast: the disk of the backups is getting full");
    let before = told();
    for _ in 0..2 {
        world.server.app.clock.advance(hours(1));
        look(&world.server);
        assert_eq!(told(), before + 1, "once");
    }
    // The session from before has ended by now.
    let html = text(&Visit::of(&world.server, owner).get("/"));
    assert!(html.contains("full within a day at this rate"), "{html}");
}

#[test]
fn a_device_that_can_store_no_more_objects_is_in_health() {
    let server = TestServer::start();
    let id = SimDevice::join(&server).id();
    look(&server);
    assert_eq!(server.request("GET", "/health", &[], b"").body, b"ok\n");
    server.act(move |conn| {
        let full = repositories::object_count.eq(store::repository::MAX_OBJECTS);
        diesel::update(repositories::table.filter(repositories::device_id.eq(id))).set(full).execute(conn)?;
        Ok(())
    });

    look(&server);

    let health = text(&server.request("GET", "/health", &[], b""));
    assert!(health.starts_with("degraded: 1 device has reached the most stored objects allowed"), "{health}");
}

#[test]
fn a_lock_in_the_database_is_answered_come_again() {
    use diesel::connection::SimpleConnection;
    let Ok(_) = std::env::var("TEST_DATABASE_URL") else { return };
    let database = TestDatabase::new();
    let (one, two) = (database.store(), database.store());
    let (sender, locked) = std::sync::mpsc::channel();
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        one.write_blocking(move |conn| {
            conn.batch_execute("LOCK TABLE settings IN ACCESS EXCLUSIVE MODE")?;
            sender.send(()).unwrap();
            let _ = waits.recv();
            Ok::<_, Error>(())
        })
    });
    locked.recv().unwrap();

    let began = Instant::now();
    let answer = two.read_blocking(|conn| store::setting::PUBLIC_URL.find(conn));
    let waited = began.elapsed();

    done.send(()).unwrap();
    holder.join().unwrap().unwrap();
    assert!(matches!(answer, Err(Error::Busy(_))), "{answer:?}");
    assert!(waited < Duration::from_secs(20), "sooner than any long statement ends: {waited:?}");
}

/// A store that takes no writes while it is told so, and has a bad sector.
struct Stopping {
    blobs: Arc<dyn BlobStore>,
    fault: Arc<Mutex<Option<(StopCause, String)>>>,
    /// An object that the disk cannot read.
    bad: Option<BlobKey>,
}

impl Stopping {
    fn over(blobs: &Arc<dyn BlobStore>) -> Self {
        Self { blobs: Arc::clone(blobs), fault: Arc::default(), bad: None }
    }
}

impl BlobStore for Stopping {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.blobs.begin(key)
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        if self.bad.as_ref() == Some(key) {
            return Err(ReadFault::Unreadable("Input/output error".to_owned()));
        }
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
    fn check_writes(&self) -> Option<(StopCause, String)> {
        self.fault.lock().unwrap().clone()
    }
}

#[test]
fn what_stops_backups_is_told_once_and_stands_on_every_page_until_it_ends() {
    let fault = Arc::new(Mutex::new(None));
    let told_to = Arc::clone(&fault);
    let server = TestServer::changed(|app| {
        app.blobs = Arc::new(Stopping { fault: told_to, ..Stopping::over(&app.blobs) });
        app.watch = Watch::new(app.store.clone(), Arc::clone(&app.blobs), None);
    });
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let pages = || ["/", "/devices", "/activity", "/account"].map(|page| text(&visit.get(page)));
    let health = || text(&server.request("GET", "/health", &[], b""));
    look(&server);
    assert_eq!(health(), "ok\n");

    for kind in [StopCause::Full, StopCause::ReadOnly, StopCause::Sync, StopCause::Refused] {
        *fault.lock().unwrap() = Some((kind, format!("reason {kind}")));
        server.app.clock.advance(minutes(2));
        look(&server);
        server.app.clock.advance(minutes(2));
        look(&server);

        let mails = server.mails();
        let mails: Vec<_> = mails.iter().filter(|it| it.subject == "Holdfast: no backups can be stored").collect();
        assert_eq!(mails.len(), 1, "{kind}: {mails:?}");
        assert!(mails[0].body.contains(&format!("reason {kind}")) && mails[0].body.contains(kind.advice()));
        for page in pages() {
            assert!(page.contains("No backups have been stored since") && page.contains(kind.advice()), "{kind}");
        }
        assert_eq!(health(), format!("degraded: no backups can be stored: reason {kind}\n"));
    }

    *fault.lock().unwrap() = None;
    server.app.clock.advance(minutes(2));
    look(&server);
    assert!(pages().iter().all(|page| !page.contains("No backups have been stored since")));
    assert_eq!(health(), "ok\n");
}

/// What [`holdfast::app::App::open`] does where the system says that the disk is mounted read-only.
#[test]
fn a_database_on_a_read_only_disk_is_served_for_reading_and_says_so() {
    let server = TestServer::start();
    let Database::Sqlite(path) = server.app.config.database.clone() else {
        return println!("skipped: the disk of a PostgreSQL database is its own server's");
    };
    let cookie = Visit::of(&server, colleague(&server, "owner", Role::Owner)).cookie();
    let device = SimDevice::join(&server);
    server.app.clock.advance(minutes(10));
    let server = server.restart_with(|app| app.store = Store::open_on_read_only_disk(&path).unwrap());
    let get = |path: &str| server.request("GET", path, &[("Cookie", &cookie)], b"");

    for page in ["/", "/devices", "/activity", &format!("/devices/{}", device.id())] {
        let answer = get(page);
        assert_eq!(answer.status, 200, "{page}: {}", text(&answer));
        assert!(text(&answer).contains("The disk of the database is read-only."), "{page}");
    }
    let health = text(&get("/health"));
    assert!(health.starts_with("degraded: the disk of the database is read-only"), "{health}");

    let csrf = holdfast::web::csrf::token(cookie.strip_prefix("holdfast=").unwrap());
    let form = format!("csrf={csrf}&name=Field");
    let headers = [
        ("Cookie", cookie.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let refused = server.request("POST", "/teams", &headers, form.as_bytes());
    assert_eq!(refused.status, 507, "{}", text(&refused));
    assert!(text(&refused).contains("mount it writable, then restart the server"), "{}", text(&refused));
    let refused = device.send(&server, "/agent/v1/check-in", &device.check_in_message(Default::default(), Vec::new()));
    assert_eq!((refused.status, refused.json()["error"].as_str()), (507, Some("full")), "{refused:?}");
}

#[test]
fn a_database_is_read_on_a_read_only_disk_with_and_without_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a name 100% of which is odd?#.db");
    let open = || Store::open(&Database::Sqlite(path.clone())).unwrap();
    let set = |store: &Store, value: &'static str| {
        store.write_blocking(move |conn| store::setting::PUBLIC_URL.set(conn, &value.to_owned(), NOW)).unwrap();
    };
    let word = |store: &Store| store.read_blocking(|conn| store::setting::PUBLIC_URL.find(conn)).unwrap();

    let store = open();
    set(&store, "first");
    drop(store);
    let closed = Store::open_on_read_only_disk(&path).unwrap();
    assert_eq!(word(&closed).as_deref(), Some("first"));
    drop(closed);

    // As a kill leaves it: the newest is in the log alone.
    let store = open();
    set(&store, "second");
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let killed = Store::open_on_read_only_disk(&copy.path().join(path.file_name().unwrap())).unwrap();
    assert_eq!(word(&killed).as_deref(), Some("second"));
    let refused = killed.write_blocking(|conn| store::setting::PUBLIC_URL.set(conn, &"third".to_owned(), NOW));
    assert!(matches!(refused, Err(Error::Full(text)) if text.contains("read-only")));
    let written = killed.read_blocking(|conn| store::setting::PUBLIC_URL.set(conn, &"fourth".to_owned(), NOW));
    assert!(matches!(written, Err(Error::Full(text)) if text.contains("read-only")), "by whichever way");
}
