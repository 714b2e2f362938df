//! A server whose device backs up with the real restic, while weeks pass.
use crate::support::door::TestRepository;
use crate::support::people::{SINCE, person};
use crate::support::server::TestServer;
use crate::support::{fleet, skip};
use domain::id::{DeviceId, RepositoryId, RepositoryTokenId, RestorePointId, RetentionChangeId, UserId};
use domain::object::ObjectKind;
use domain::retention::{ChangeState, Keep, Rule};
use domain::role::Role;
use domain::time::{Time, days, hours};
use holdfast::blob::{BlobKey, BlobStore};
use holdfast::proof::runner::Runner;
use holdfast::proof::{Prover, Pruner};
use holdfast::service::repository::{Prepared, Recipients};
use holdfast::service::retention::{Verdict, plan};
use holdfast::store::object::Object;
use holdfast::store::prune::Prune;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::retention::Change;
use holdfast::store::setting::{STEADY, Steady};
use holdfast::{service, store};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The shortest rule there is.
pub const SHORTEST: Rule = Rule { last: 3, daily: 0, weekly: 0, monthly: 0, yearly: 0, within_days: 14 };

pub struct World {
    pub server: TestServer,
    pub device: DeviceId,
    pub repository: RepositoryId,
    pub owner: UserId,
    pub second: UserId,
    pub source: tempfile::TempDir,
    opened: TestRepository,
    password: String,
    cache: tempfile::TempDir,
    pub pruner: Pruner,
    prover: Prover,
}

pub fn has_restic() -> bool {
    Command::new("restic").arg("version").output().is_ok_and(|it| it.status.success()) || !skip("restic")
}

/// Bytes that do not compress, other ones for each number.
fn noise(number: u64, len: usize) -> Vec<u8> {
    let mut random = fleet::Random::new(number + 1);
    (0..len).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
}

impl World {
    /// A device without backups.
    pub fn new() -> Self {
        Self::on(TestServer::start())
    }

    /// The same on a server with its own settings.
    pub fn on(server: TestServer) -> Self {
        let row = fleet::device("laptop-1");
        let device = row.0.id;
        server.act(move |conn| {
            fleet::insert(conn, &row);
            Ok(())
        });
        let keys = server.app.proof_keys.clone().unwrap();
        let now = server.app.clock.now();
        let prepared = Prepared::make(&Recipients::only(keys.public().clone()), RepositoryId::generate(now)).unwrap();
        prepared.store(&*server.app.blobs).unwrap();
        let (repository, token, password) = (prepared.id, prepared.token.clone(), prepared.password.clone());
        server.act(move |conn| service::repository::insert(conn, &prepared, device, 1, now));
        let token_id = RepositoryTokenId::generate(now);
        let opened = TestRepository { id: repository, device, token, token_id, address: server.address };
        let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
        let second = person(&server, "second", &[Role::Approver], None, SINCE + days(1));
        let runner = Runner::of(PathBuf::from(env!("CARGO_BIN_EXE_holdfast")));
        let prover = Prover { runner: runner.clone(), ..server.app.prover().unwrap().unwrap() };
        let pruner = pruner_on(&server, Arc::clone(&server.app.blobs));
        let (source, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Self { server, device, repository, owner, second, source, opened, password, cache, pruner, prover }
    }

    /// Six backups, five days apart: the last is of today, the first of 25 days ago. Each has a file of its own, and
    /// all share one that is larger.
    pub fn with_six_backups() -> Self {
        let world = Self::new();
        world.back_up_six_times(4_000_000, 200_000);
        world
    }

    /// [`World::with_six_backups`] with files of so many bytes: the common one, and each of the others.
    pub fn back_up_six_times(&self, common: usize, own: usize) {
        std::fs::write(self.source.path().join("common"), noise(0, common)).unwrap();
        self.back_up();
        for number in 1..6 {
            self.pass(days(5));
            std::fs::write(self.source.path().join("own"), noise(number, own)).unwrap();
            self.back_up();
        }
        // Nothing that looks like a backup under way.
        self.pass(hours(25));
    }

    pub fn now(&self) -> Time {
        self.server.app.clock.now()
    }

    /// Time passes while the server runs.
    pub fn pass(&self, span: Duration) {
        self.server.app.clock.advance(span);
        let now = self.now();
        let steady = Steady { since: now - days(30), seen_at: now };
        self.server.act(move |conn| Ok(STEADY.set(conn, &steady, now)?));
    }

    pub fn restic(&self, arguments: &[&str]) -> String {
        let TestRepository { id, token, address, .. } = &self.opened;
        let output = Command::new("restic")
            .env("RESTIC_REPOSITORY", format!("rest:http://{id}:{token}@{address}/restic/{id}/"))
            .env("RESTIC_PASSWORD", &self.password)
            .env("RESTIC_CACHE_DIR", self.cache.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// The same by rustic, another client of this format, where `HOLDFAST_RUSTIC` names the program: no Debian has it.
    pub fn rustic(&self, arguments: &[&str]) {
        let Some(program) = std::env::var_os("HOLDFAST_RUSTIC") else { return };
        let TestRepository { id, token, address, .. } = &self.opened;
        let output = Command::new(program)
            .env("RUSTIC_REPOSITORY", format!("rest:http://{id}:{token}@{address}/restic/{id}/"))
            .env("RUSTIC_PASSWORD", &self.password)
            .env("RUSTIC_NO_CACHE", "true")
            .args(arguments)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "rustic {arguments:?}: {}", String::from_utf8_lossy(&said));
    }

    /// Sends an object as a client does; returns the status.
    pub fn send(&self, kind: &str, body: &[u8]) -> u16 {
        self.opened.put(kind, body).status
    }

    /// Deletes an object as whoever has the device can; returns the status.
    pub fn deletes(&self, rest: &str) -> u16 {
        self.opened.send("DELETE", rest, "").status
    }

    /// Backs up, and proves what came.
    pub fn back_up(&self) {
        self.restic(&["backup", self.source.path().to_str().unwrap()]);
        self.prove();
    }

    pub fn prove(&self) {
        // A test waits a moment for a report that restic does not make.
        self.server.app.clock.advance(Duration::from_secs(60));
        self.prover.run_once(None).unwrap();
    }

    /// Restic finds nothing wrong, and the newest backup comes back as it was.
    pub fn is_sound(&self) {
        let said = self.restic(&["check", "--read-data"]);
        assert!(said.contains("no errors were found"), "{said}");
        let target = tempfile::tempdir().unwrap();
        self.restic(&["restore", "latest", "--target", target.path().to_str().unwrap()]);
        let path = self.source.path().to_str().unwrap();
        let back = target.path().join(path.trim_start_matches('/'));
        let same = Command::new("diff").arg("-r").args([self.source.path(), &back]).output().unwrap();
        assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
        self.pass(hours(25));
    }

    /// Puts a rule in force, as two people would have.
    pub fn keep(&self, rule: &str) {
        let (now, user, rule) = (self.now(), self.owner, rule.to_owned());
        let change = Change {
            id: RetentionChangeId::generate(now),
            before: Keep::Everything.text(),
            rule,
            state: ChangeState::InForce,
            reason: "space".to_owned(),
            requested_by: user,
            requested_at: now,
            approved_by: None,
            approved_at: None,
            in_force_at: Some(now),
            expires_at: now + days(7),
        };
        self.server.act(move |conn| Ok(store::retention::insert(conn, &change)?));
    }

    pub fn keep_least(&self) {
        self.keep(&Keep::By(SHORTEST).text());
    }

    pub fn plan(&self) -> Verdict {
        let (id, now) = (self.repository, self.now());
        self.server.read(move |conn| plan(conn, id, now))
    }

    /// The stored points, oldest first.
    pub fn points(&self) -> Vec<RestorePoint> {
        let id = self.repository;
        self.server.read(move |conn| Ok(store::restore_point::stored_of_repository(conn, id)?))
    }

    pub fn point(&self, id: RestorePointId) -> RestorePoint {
        self.server.read(move |conn| Ok(store::restore_point::find(conn, id)?)).unwrap()
    }

    pub fn prunes(&self) -> Vec<Prune> {
        let device = self.device;
        self.server.read(move |conn| Ok(store::prune::of_device(conn, device, 10)?))
    }

    pub fn ledger(&self) -> Vec<Object> {
        let id = self.repository;
        self.server.read(move |conn| Ok(store::object::all(conn, id, None)?))
    }

    /// What the ledger says is there is there, and counted; returns how many packs.
    pub fn ledger_is_true(&self) -> usize {
        let ledger = self.ledger();
        for it in &ledger {
            let key = BlobKey::new(it.repository_id, it.kind, it.name.clone());
            assert_eq!(self.server.app.blobs.size(&key).unwrap(), Some(it.size()), "{key}");
        }
        let id = self.repository;
        let row = self.server.read(move |conn| Ok(store::repository::find(conn, id)?)).unwrap();
        let sum: i64 = ledger.iter().map(|it| it.size_bytes).sum();
        assert_eq!((row.object_count, row.stored_bytes), (i64::try_from(ledger.len()).unwrap(), sum));
        ledger.iter().filter(|it| it.kind == ObjectKind::Data).count()
    }

    /// How many files are in the store's trash.
    pub fn files_in_trash(&self) -> usize {
        let folder = self.server.app.config.blobs.join(self.repository.as_str()).join("trash");
        let kinds = std::fs::read_dir(folder).into_iter().flatten().flatten();
        kinds.map(|it| std::fs::read_dir(it.path()).unwrap().count()).sum()
    }
}

/// A pruner of a server whose store may be another.
pub fn pruner_on(server: &TestServer, blobs: Arc<dyn BlobStore>) -> Pruner {
    let keys = server.app.proof_keys.clone().unwrap();
    let runner = Runner::of(PathBuf::from(env!("CARGO_BIN_EXE_holdfast")));
    Pruner::new((server.app.store.clone(), blobs), keys, server.app.clock.clone(), runner)
}
