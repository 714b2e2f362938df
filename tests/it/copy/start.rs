//! What a server takes for its second store when it starts, and what it refuses.
use crate::support::door::{TestDoor, name};
use crate::support::{NOW, TestDatabase};
use clock::Clock;
use domain::copy::CopyStanding;
use domain::failure_domain::{SeenFolder, Shared};
use domain::ground::AwayCause;
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind};
use holdfast::app::App;
use holdfast::blob::system::{System, ThisMachine};
use holdfast::config::{Config, Hidden, Options};
use holdfast::service;
use holdfast::store::setting::{COPY, COPY_AWAY};
use holdfast::store::{self};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A system on which every folder whose path has this word is another machine's, on its own disk.
#[derive(Clone)]
struct Elsewhere(&'static str);

impl System for Elsewhere {
    fn folder(&self, path: &Path) -> io::Result<SeenFolder> {
        let seen = ThisMachine.folder(path)?;
        if !seen.path.to_string_lossy().contains(self.0) {
            return Ok(seen);
        }
        let hosts = BTreeSet::from(["nas".to_owned()]);
        Ok(SeenFolder { device: u64::MAX, mount: "nas:/export".to_owned(), disks: BTreeSet::new(), hosts, ..seen })
    }

    fn hosts(&self, name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }
}

/// A data folder, a database, and a folder that passes for another machine's.
struct Place {
    folder: tempfile::TempDir,
    database: TestDatabase,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: TestDatabase::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self, copy: Option<&str>) -> Options {
        Options {
            data: Some(self.path("data")),
            database: Some(self.database.url()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            copy: copy.map(|it| self.path(it).display().to_string()),
            location: Some("Zürich".to_owned()),
            copy_location: copy.map(|_| "Genève".to_owned()),
            ..Options::default()
        }
    }

    fn opens(&self, options: Options) -> Result<App, String> {
        open_on(options, Arc::new(Elsewhere("elsewhere")))
    }
}

fn open_on(options: Options, system: Arc<dyn System>) -> Result<App, String> {
    App::open_on(Config::new(options).unwrap(), Clock::fixed(NOW), system).map_err(|error| format!("{error:#}"))
}

/// What a store is called by whoever begins with it.
fn name_of(place: &Place, folder: &str) -> String {
    fs::canonicalize(place.folder.path()).unwrap().join(folder).display().to_string()
}

/// Puts a device with one pack into what is open.
fn backs_up(place: &Place, bytes: &[u8]) -> RepositoryId {
    let door = TestDoor::on(&place.database, &place.path("data/blobs"));
    let repository = door.repository();
    assert_eq!(repository.put("data", bytes).status, 200);
    repository.id
}

fn copies(app: &App) -> usize {
    let copy = app.copy.as_ref().expect("a second store");
    let mut copied = 0;
    loop {
        let run = copy.run(app.clock.now()).unwrap();
        copied += run.copied;
        if run.failed || (!run.more && run.copied == 0) {
            return copied;
        }
    }
}

#[test]
fn d1_a_store_that_would_fail_with_the_first_is_refused_at_the_start_with_its_reasons() {
    let place = Place::new();
    fs::create_dir_all(place.path("data/blobs")).unwrap();
    std::os::unix::fs::symlink(place.path("data/blobs"), place.path("link")).unwrap();
    let real = |it: &str| fs::canonicalize(place.path("data/blobs")).unwrap().join(it);
    for (copy, reasons) in [
        ("data/blobs", vec![Shared::Folder(real("").components().as_path().to_owned()).sentence()]),
        ("link", vec!["both are the same folder".to_owned()]),
        ("data/blobs/copy", vec![Shared::Inside(real("copy"), real("").components().as_path().to_owned()).sentence()]),
        ("link/copy", vec!["is inside".to_owned()]),
        ("data", vec!["is inside".to_owned()]),
        ("beside", vec!["both are on the same file system".to_owned(), "both are on the machine".to_owned()]),
    ] {
        let why = open_on(place.options(Some(copy)), Arc::new(ThisMachine)).err().unwrap_or_else(|| panic!("{copy}"));
        assert!(why.contains("the second store is refused"), "{copy}: {why}");
        for reason in reasons {
            assert!(why.contains(&reason), "{copy}: {reason}: {why}");
        }
        assert!(why.contains("--copy"), "{copy}: it says what to do: {why}");
    }
    assert!(!place.path("beside").exists(), "nothing is made where nothing is kept");

    let mut same_site = place.options(Some("elsewhere"));
    same_site.copy_location = Some("zürich ".to_owned());
    let why = place.opens(same_site).err().unwrap();
    assert!(why.contains("both stand at “Zürich”"), "{why}");
    for (location, copy_location) in [(None, Some("Genève")), (Some("Zürich"), None)] {
        let (location, copy_location) = (location.map(str::to_owned), copy_location.map(str::to_owned));
        let why = place.opens(Options { location, copy_location, ..place.options(Some("elsewhere")) }).err().unwrap();
        assert!(why.contains("nobody said where each of them stands") && why.contains("--copy-location"), "{why}");
    }
    assert!(place.opens(place.options(Some("elsewhere"))).is_ok());
}

#[test]
fn d1_a_bucket_that_this_machine_answers_for_is_no_second_store() {
    let place = Place::new();
    let bucket = Options {
        copy: Some("s3://copies".to_owned()),
        copy_endpoint: Some("http://localhost:8333".to_owned()),
        copy_access_key: Some("AKIA".to_owned()),
        copy_secret_key: Some(Hidden("secret".to_owned())),
        copy_location: Some("AWS".to_owned()),
        ..place.options(None)
    };
    let why = open_on(bucket.clone(), Arc::new(ThisMachine)).err().unwrap();
    assert!(why.contains("both are on the machine") && why.contains("another machine answers for"), "{why}");
    let elsewhere = Options { copy_endpoint: Some("http://s3.example.com".to_owned()), ..bucket };
    assert!(place.opens(elsewhere).is_ok(), "another machine may answer for it, and need not do so at the start");
}

#[test]
fn a_spare_store_is_used_and_never_passes_for_a_second_one() {
    let place = Place::new();
    let spare = |copy: &str| Options { copy_is_spare: Some(true), ..place.options(Some(copy)) };
    for itself in ["data/blobs", "data/blobs/copy", "data"] {
        let refused = open_on(spare(itself), Arc::new(ThisMachine)).err();
        assert!(refused.is_some_and(|it| it.contains("refused")), "{itself} is no copy of any kind");
    }
    let app = open_on(spare("beside"), Arc::new(ThisMachine)).unwrap();
    assert_eq!(copies(&app), 0);

    let second = app.store.read_blocking(|conn| COPY.find(conn)).unwrap().unwrap();
    assert!(!second.counts() && second.opened_at.is_some(), "{second:?}");
    drop(app);
    let repository = backs_up(&place, b"pack");
    let app = open_on(spare("beside"), Arc::new(ThisMachine)).unwrap();
    assert_eq!(copies(&app), 1);
    let device = app.store.read_blocking(|conn| store::repository::find(conn, repository)).unwrap().unwrap().device_id;
    let now = app.clock.now();
    let facts = app.store.read_blocking(move |conn| service::copy::of_device(conn, device, now)).unwrap();
    let said = facts.sentence(NOW, &|at| at.iso());
    assert!(said.contains("It counts as no second copy: both are on"), "{said}");
}

#[test]
fn a_second_store_that_is_not_there_stops_no_server_and_is_never_made_anew() {
    let place = Place::new();
    drop(place.opens(place.options(Some("elsewhere"))).unwrap());
    let repository = backs_up(&place, b"pack");
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    assert_eq!(copies(&app), 1);
    drop(app);
    // Its disk is not mounted: an empty folder of this machine is in its place.
    fs::rename(place.path("elsewhere"), place.path("aside")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();

    let app = open_on(place.options(Some("elsewhere")), Arc::new(ThisMachine)).unwrap();
    assert_eq!(copies(&app), 0);

    let away = app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap().unwrap();
    assert_eq!(away.cause, AwayCause::Away, "{}", away.why);
    assert_eq!(fs::read_dir(place.path("elsewhere")).unwrap().count(), 0, "a missing mount is not made");
    let is_copied = |app: &App| {
        let pack = name(b"pack");
        let found = move |conn: &mut store::Conn| {
            store::copy::is_intact(conn, Location::Copy, repository, ObjectKind::Data, &pack)
        };
        app.store.read_blocking(found).unwrap()
    };
    assert!(is_copied(&app), "what it has is not forgotten");
    fs::remove_dir(place.path("elsewhere")).unwrap();
    fs::rename(place.path("aside"), place.path("elsewhere")).unwrap();
    drop(app);
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    copies(&app);
    assert_eq!(app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap(), None);
    assert!(is_copied(&app));
}

#[test]
fn a_disk_that_comes_back_as_another_one_is_judged_again() {
    let place = Place::new();
    drop(place.opens(place.options(Some("elsewhere"))).unwrap());
    backs_up(&place, b"pack");
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    assert_eq!(copies(&app), 1);
    drop(app);
    fs::rename(place.path("elsewhere"), place.path("aside")).unwrap();
    let app = open_on(place.options(Some("elsewhere")), Arc::new(ThisMachine)).unwrap();
    copies(&app);
    fs::rename(place.path("aside"), place.path("elsewhere")).unwrap();
    app.clock.advance(domain::time::hours(1));

    copies(&app);

    let away = app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap().unwrap();
    assert!(away.why.contains("both are on the same file system"), "{}", away.why);
}

#[test]
fn d07_another_second_store_is_taken_only_by_its_name_and_then_what_was_copied_is_forgotten() {
    let place = Place::new();
    drop(place.opens(place.options(Some("elsewhere"))).unwrap());
    let repository = backs_up(&place, b"pack");
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    assert_eq!(copies(&app), 1);
    drop(app);

    let app = place.opens(place.options(Some("elsewhere too"))).unwrap();
    assert_eq!(copies(&app), 0);
    let away = app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap().unwrap();
    assert_eq!(away.cause, AwayCause::Away, "an empty folder does not pass for the one that was filled");
    drop(app);

    let new = |typed: &str| Options { new_copy: Some(typed.to_owned()), ..place.options(Some("elsewhere too")) };
    // The prompt of the wrong machine looks like the right one: D7.
    for typed in ["", "yes", &name_of(&place, "elsewhere")] {
        let refused = place.opens(new(typed)).map(drop).unwrap_err();
        assert!(refused.contains(&format!("--new-copy={}", name_of(&place, "elsewhere too"))), "{typed}: {refused}");
    }
    let app = place.opens(new(&name_of(&place, "elsewhere too"))).unwrap();
    let now = app.clock.now();
    let state = app.store.read_blocking(move |conn| service::copy::state(conn, now)).unwrap();
    assert_eq!((state.copied, state.waiting), (0, 1));
    assert_eq!(copies(&app), 1);
    drop(app);
    let data = format!("{repository}/data/{}/{}", &name(b"pack").as_str()[..2], name(b"pack"));
    assert_eq!(fs::read(place.path("elsewhere too").join(data)).unwrap(), b"pack");
    // And the new one is the one that is known from now on.
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    copies(&app);
    let away = app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap().unwrap();
    assert_eq!(away.cause, AwayCause::Foreign, "{}", away.why);
    assert!(away.why.contains("another second store of this server"), "{}", away.why);
    drop(app);
    let app = place
        .opens(Options { new_copy: Some(name_of(&place, "elsewhere")), ..place.options(Some("elsewhere")) })
        .unwrap();
    assert_eq!(copies(&app), 1, "what is there already is found");
}

#[test]
fn a_server_without_a_second_store_says_so_and_keeps_what_it_knew() {
    let place = Place::new();
    drop(place.opens(place.options(Some("elsewhere"))).unwrap());
    let repository = backs_up(&place, b"pack");
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    assert_eq!(copies(&app), 1);
    let device = app.store.read_blocking(|conn| store::repository::find(conn, repository)).unwrap().unwrap().device_id;
    drop(app);

    let app = place.opens(place.options(None)).unwrap();

    assert!(app.copy.is_none());
    let now = app.clock.now();
    let facts = app.store.read_blocking(move |conn| service::copy::of_device(conn, device, now)).unwrap();
    assert_eq!(facts.standing(), CopyStanding::NotSetUp);
    drop(app);
    let app = place.opens(place.options(Some("elsewhere"))).unwrap();
    assert_eq!(copies(&app), 0, "it is all there");
    let now = app.clock.now();
    let state = app.store.read_blocking(move |conn| service::copy::state(conn, now)).unwrap();
    assert_eq!((state.copied, state.waiting), (1, 0));
}
