//! `holdfast dr`, as whoever runs the server uses it: rehearse the loss, take the state away as a file, hand a dump over.
use crate::agent::Device;
use crate::kill::server::{Server, World};
use crate::support::TestDatabase;
use crate::support::server::boss;
use agent::Stop;
use clock::Clock;
use domain::device::Ownership;
use domain::object::ObjectKind;
use domain::time::hours;
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::home::{Opening, read_marker};
use holdfast::blob::{BlobKey, BlobStore, read_all};
use holdfast::service::enrollment::{TokenDraft, make_token};
use holdfast::store::{self, Database, Store};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A console with a second store and a recovery key, whose server runs.
struct Console {
    world: World,
    shares: Vec<String>,
    _server: Server,
}

impl Console {
    fn new(world: World) -> Self {
        let settings = settings(&world);
        let server = Server::start_with(&world, &settings);
        let mut console = Self { world, shares: Vec::new(), _server: server };
        let made = console.runs(&["recovery-key", "make", "--json"], 0);
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        console.shares = made["shares"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
        assert!(console.runs(&["recovery-key", "confirm"], 3).status.success());
        console
    }

    /// A device with a backup, which the second store has, and a state that knows of it.
    fn with_a_backup() -> Self {
        let world = World::on_sqlite();
        let (now, draft) = (Clock::System.now(), token());
        let store = Store::open(&world.database).unwrap();
        let (_, token) = store.act_blocking(move |conn| make_token(conn, &boss(), &draft, now)).unwrap();
        drop(store);
        let console = Self::new(world);
        let device = Device::new();
        let agent = device.enroll_with(token, &console.world.url(), None, Clock::System).unwrap();
        agent.back_up(&Stop::default()).unwrap();
        let store = Store::open_read_only(&console.world.database).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while store.read_blocking(store::uncopied::in_all).unwrap().count > 0 {
            assert!(Instant::now() < deadline, "the second store does not get everything");
            std::thread::yield_now();
        }
        drop(store);
        assert!(console.runs(&["dr", "keep"], 0).status.success());
        console
    }

    /// Runs a command, with so many shares as its input.
    fn runs(&self, arguments: &[&str], shares: usize) -> Output {
        let mut child = Command::new(&self.world.program)
            .args(arguments)
            .envs(settings(&self.world))
            .env("HOLDFAST_DATA", &self.world.server)
            .env("HOLDFAST_DATABASE", &self.world.database_url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let typed: String = self.shares.iter().take(shares).map(|it| format!("{it}\n\n")).collect();
        // What does not ask for them has ended.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn scratch(&self) -> PathBuf {
        self.world.folder("scratch")
    }

    /// Rehearses the loss; whether it went well, and what it found.
    fn drills(&self, further: &[&str]) -> (bool, serde_json::Value) {
        let scratch = self.scratch();
        let arguments = [&["dr", "drill", "--json", "--scratch", scratch.to_str().unwrap()], further].concat();
        let output = self.runs(&arguments, 3);
        let said = String::from_utf8_lossy(&output.stderr);
        let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "nothing is left of it");
        (output.status.success(), found)
    }

    fn second_store(&self) -> FsBlobs {
        let folder = second_store(&self.world);
        FsBlobs::open_home(&folder, &read_marker(&folder).unwrap(), Opening::Beside).unwrap()
    }

    /// What lies in the second store of devices' backups.
    fn backups(&self) -> Vec<(BlobKey, Vec<u8>)> {
        let blobs = self.second_store();
        let ids =
            Store::open_read_only(&self.world.database).unwrap().read_blocking(store::ground::repositories).unwrap();
        let keys = ids.into_iter().flat_map(|it| blobs.list(it).unwrap()).map(|it| it.0);
        let mut found: Vec<_> =
            keys.map(|it| (it.clone(), read_all(&blobs, &it, it.kind.max_bytes()).unwrap())).collect();
        found.sort_by_key(|it| it.0.to_string());
        found
    }
}

fn second_store(world: &World) -> PathBuf {
    world.data.path().join("second")
}

fn settings(world: &World) -> [(&'static str, String); 4] {
    [
        ("HOLDFAST_COPY", second_store(world).display().to_string()),
        ("HOLDFAST_COPY_IS_SPARE", "true".to_owned()),
        ("HOLDFAST_LOCATION", "here".to_owned()),
        ("HOLDFAST_COPY_LOCATION", "elsewhere".to_owned()),
    ]
}

fn token() -> TokenDraft {
    TokenDraft {
        name: "test".to_owned(),
        team_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        valid_for: hours(1),
        device_id: None,
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_drill_restores_and_tests_everything_in_a_scratch_folder_and_changes_nothing() {
    let console = Console::with_a_backup();
    let before = console.backups();

    let (is_good, found) = console.drills(&[]);

    assert!(is_good, "{found}");
    let device = &found["devices"][0];
    assert_eq!((&device["name"], &device["missing"]), (&"laptop-1".into(), &0.into()), "{found}");
    assert_eq!(found["tests"][0]["result"], "passed", "{found}");
    assert!(found["console_as_of"].is_string() && found["passed"] == serde_json::json!([]), "{found}");
    assert!(console.backups() == before, "the second store is as it was");
    let scratch = console.scratch();
    let alone = console.runs(&["dr", "drill", "--scratch", scratch.to_str().unwrap()], 2);
    assert!(!alone.status.success() && said(&alone).contains("only 2 of the 3 shares"), "{}", said(&alone));
}

#[test]
fn a_drill_says_what_would_not_come_back() {
    let console = Console::with_a_backup();
    let (pack, mut bytes) = console.backups().into_iter().find(|it| it.0.kind == ObjectKind::Data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut upload = console.second_store().begin(&pack).unwrap();
    upload.write(&bytes).unwrap();
    upload.replace().unwrap().settle();

    let (is_good, found) = console.drills(&[]);

    assert!(!is_good, "{found}");
    assert_eq!(found["devices"][0]["missing"], 1, "{found}");
    assert_eq!(found["tests"][0]["result"], "failed", "{found}");
}

#[test]
fn an_export_is_the_database_itself_and_is_written_over_nothing() {
    let console = Console::with_a_backup();
    let to = console.world.data.path().join("away.db");
    let export = ["dr", "export", to.to_str().unwrap()];
    let refused = console.runs(&export, 2);
    assert!(!refused.status.success() && said(&refused).contains("only 2 of the 3 shares"), "{}", said(&refused));
    assert!(!to.exists());

    let written = console.runs(&export, 3);

    assert!(written.status.success(), "{}", said(&written));
    assert!(String::from_utf8_lossy(&written.stdout).contains("is the SQLite database, as of "), "{written:?}");
    let store = Store::open_read_only(&Database::Sqlite(to.clone())).unwrap();
    let repositories = store.read_blocking(store::ground::repositories).unwrap();
    assert_eq!(repositories.len(), 1, "the device is in it");
    drop(store);
    let bytes = std::fs::read(&to).unwrap();
    let again = console.runs(&export, 3);
    assert!(!again.status.success(), "{again:?}");
    assert!(std::fs::read(&to).unwrap() == bytes, "and what was there is as it was");
}

#[test]
fn a_dump_of_postgresql_is_handed_over_and_comes_back_byte_for_byte() {
    let database = TestDatabase::new();
    let console = Console::new(World::new(&database));
    let (dump, to) = (console.world.data.path().join("dump"), console.world.data.path().join("back"));
    // Any file: nothing here reads what `pg_dump` writes.
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&dump, &bytes).unwrap();
    let (keep, export) = (["dr", "keep", dump.to_str().unwrap()], ["dr", "export", to.to_str().unwrap()]);

    let kept = console.runs(&keep, 0);

    if matches!(database.database, Database::Sqlite(_)) {
        assert!(!kept.status.success() && said(&kept).contains("only PostgreSQL’s dumps"), "{}", said(&kept));
        return;
    }
    assert!(kept.status.success(), "{}", said(&kept));
    assert!(String::from_utf8_lossy(&kept.stdout).contains("The dump is on the second store"), "{kept:?}");
    let exported = console.runs(&export, 3);
    assert!(exported.status.success(), "{}", said(&exported));
    assert!(String::from_utf8_lossy(&exported.stdout).contains("a dump of the PostgreSQL database"), "{exported:?}");
    assert!(std::fs::read(&to).unwrap() == bytes);
}
