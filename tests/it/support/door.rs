//! The backup door alone, on port 0, with a fixed clock.
use super::fleet;
use super::http::{self, Answer};
use super::{NOW, TestDatabase};
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use domain::device::{DeviceState, Ownership, Platform};
use domain::id::{DeviceId, EnrollmentTokenId, RepositoryId, RepositoryTokenId};
use domain::key_holder::KeyHolder;
use domain::object::{ObjectName, RepositoryState, TokenKind};
use holdfast::blob::{BlobStore, fs::FsBlobs};
use holdfast::protocol::restic::{self, Door};
use holdfast::service;
use holdfast::store::device::Device;
use holdfast::store::enrollment_token::EnrollmentToken;
use holdfast::store::repository::{Repository, RepositoryToken};
use holdfast::store::{self, Store};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A door with its database and its blob folder; all of it is removed when this is dropped.
pub struct TestDoor {
    pub store: Store,
    pub blobs: Arc<dyn BlobStore>,
    pub clock: Clock,
    pub address: SocketAddr,
    pub folder: PathBuf,
    handle: ServerHandle,
    _folder: Option<tempfile::TempDir>,
    _database: Option<TestDatabase>,
}

/// A repository, and what opens it.
#[derive(Clone)]
pub struct TestRepository {
    pub id: RepositoryId,
    pub device: DeviceId,
    pub token: String,
    pub token_id: RepositoryTokenId,
    pub address: SocketAddr,
}

impl TestDoor {
    pub fn start() -> Self {
        Self::start_with(|blobs| blobs)
    }

    /// With `wrap` around the store of blobs.
    pub fn start_with(wrap: impl FnOnce(Arc<dyn BlobStore>) -> Arc<dyn BlobStore>) -> Self {
        let (database, folder) = (TestDatabase::new(), tempfile::tempdir().unwrap());
        let store = database.store();
        let blobs = wrap(Arc::new(FsBlobs::open(folder.path()).unwrap()));
        let path = folder.path().to_owned();
        Self::serve(store, blobs, path, (Some(folder), Some(database)))
    }

    /// On a database and a folder that stay.
    pub fn on(database: &TestDatabase, folder: &Path) -> Self {
        let blobs = Arc::new(FsBlobs::open(folder).unwrap());
        Self::serve(database.store(), blobs, folder.to_owned(), (None, None))
    }

    fn serve(
        store: Store,
        blobs: Arc<dyn BlobStore>,
        folder: PathBuf,
        own: (Option<tempfile::TempDir>, Option<TestDatabase>),
    ) -> Self {
        let clock = Clock::fixed(NOW);
        let door = Door::new(store.clone(), Arc::clone(&blobs), clock.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || App::new().app_data(Data::new(door.clone())).configure(restic::routes);
                let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = receiver.recv().unwrap();
        Self { store, blobs, clock, address, folder, handle, _folder: own.0, _database: own.1 }
    }

    /// A new device.
    pub fn device(&self) -> DeviceId {
        static NEXT: AtomicI64 = AtomicI64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let token = EnrollmentToken {
            id: EnrollmentTokenId::generate(NOW),
            token_hash: secret::hash(&format!("enrollment-{number}")),
            name: "test".to_owned(),
            team_id: None,
            device_id: None,
            ownership: Ownership::Company,
            use_limit: 1,
            use_count: 1,
            created_by: "test".to_owned(),
            created_at: NOW,
            expires_at: NOW,
            revoked_at: None,
        };
        let device = Device {
            id: DeviceId::generate(NOW),
            name: format!("device-{number}"),
            person: String::new(),
            team_id: None,
            platform: Platform::Linux,
            model: String::new(),
            serial: format!("SERIAL-{number}"),
            os_version: String::new(),
            ownership: Ownership::Company,
            state: DeviceState::Enrolled,
            generation: 1,
            enrolled_at: NOW,
            erased_at: None,
        };
        let id = device.id;
        self.write(move |conn| {
            store::enrollment_token::insert(conn, &token)?;
            store::device::insert(conn, &device)?;
            fleet::enroll(conn, &device);
            service::proof::refresh(conn, device.id)
        });
        id
    }

    /// A new device with a repository that has no objects yet.
    pub fn repository(&self) -> TestRepository {
        self.repository_with_quota(1 << 30)
    }

    pub fn repository_with_quota(&self, quota_bytes: i64) -> TestRepository {
        let device = self.device();
        let token = secret::generate("hf_repo_").unwrap();
        let repository = Repository {
            id: RepositoryId::generate(NOW),
            device_id: device,
            generation: 1,
            state: RepositoryState::Active,
            sealed_master_key: String::new(),
            team_key_id: None,
            quota_bytes,
            stored_bytes: 0,
            object_count: 0,
            newest_at: NOW,
            created_at: NOW,
            key_holder: KeyHolder::Server,
        };
        let row = RepositoryToken {
            id: RepositoryTokenId::generate(NOW),
            repository_id: repository.id,
            kind: TokenKind::Agent,
            token_hash: secret::hash(&token),
            name: "Agent".to_owned(),
            created_by: None,
            user_id: None,
            reason: String::new(),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
            as_of: None,
        };
        let made = TestRepository { id: repository.id, device, token, token_id: row.id, address: self.address };
        self.write(move |conn| {
            store::repository::insert(conn, &repository)?;
            store::repository::insert_token(conn, &row)
        });
        made
    }

    /// The same repository through another token.
    pub fn with_token(&self, repository: &TestRepository, token: &str) -> TestRepository {
        TestRepository { token: token.to_owned(), ..repository.clone() }
    }

    pub fn read<T: Send + 'static, E: Into<holdfast::error::Error>>(
        &self,
        work: impl FnOnce(&mut store::Conn) -> Result<T, E> + Send + 'static,
    ) -> T {
        self.store.read_blocking(work).unwrap()
    }

    pub fn write<T: Send + 'static, E: Into<holdfast::error::Error>>(
        &self,
        work: impl FnOnce(&mut store::Conn) -> Result<T, E> + Send + 'static,
    ) -> T {
        self.store.act_blocking(work).unwrap()
    }
}

impl Drop for TestDoor {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// The name of bytes.
pub fn name(bytes: &[u8]) -> ObjectName {
    ObjectName::from_hash(&secret::sha256(bytes))
}

impl TestRepository {
    /// Request line and headers, with the right token.
    pub fn head(&self, method: &str, rest: &str, headers: &str) -> String {
        let basic = BASE64_STANDARD.encode(format!("{}:{}", self.id, self.token));
        format!(
            "{method} /restic/{}/{rest} HTTP/1.1\r\nHost: test\r\nAuthorization: Basic {basic}\r\n{headers}",
            self.id
        )
    }

    pub fn send(&self, method: &str, rest: &str, headers: &str) -> Answer {
        http::exchange(self.address, &self.head(method, rest, headers), b"")
    }

    pub fn get(&self, rest: &str) -> Answer {
        self.send("GET", rest, "")
    }

    /// Posts `body` as `rest`, whatever it hashes to.
    pub fn post(&self, rest: &str, body: &[u8]) -> Answer {
        let head = self.head("POST", rest, &format!("Content-Length: {}\r\n", body.len()));
        http::exchange(self.address, &head, body)
    }

    /// Posts `body` under its right name.
    pub fn put(&self, kind: &str, body: &[u8]) -> Answer {
        self.post(&format!("{kind}/{}", name(body)), body)
    }
}
