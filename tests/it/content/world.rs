//! A device with restore points, and people who look inside.
use crate::proof::craft::{Craft, put, runner};
use crate::support::device::SimDevice;
use crate::support::people::{SINCE, person};
use crate::support::server::{Answer, TestServer};
use crate::support::visit::Visit;
use diesel::prelude::*;
use domain::id::{RepositoryId, RestorePointId, UserId};
use domain::object::{Location, ObjectKind, ObjectName, TokenKind};
use domain::role::Role;
use holdfast::content::Desk;
use holdfast::service::repository::{Prepared, Recipients};
use holdfast::store::content_read::ContentRead;
use holdfast::store::restore_point::RestorePoint;
use holdfast::{service, store};
use repository::Id;
use serde_json::Value;
use std::time::{Duration, Instant};

pub struct World {
    pub server: TestServer,
    pub device: SimDevice,
    pub craft: Craft,
    /// May look inside.
    pub reader: UserId,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// [`World::new`] with the desk changed before the server starts.
    pub fn with(change: impl FnOnce(&mut Desk)) -> Self {
        let server = TestServer::changed(|app| {
            app.desk.tools.runner = runner();
            change(&mut app.desk);
        });
        let device = SimDevice::join(&server);
        let id = device.id();
        let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap();
        let keys = server.app.proof_keys.clone().unwrap();
        let key = keys.open_master_key(&repository).unwrap();
        let mut craft = Craft { key, device: id, repository: repository.id, ..Craft::new(2) };
        // The server made its own.
        craft.objects.clear();
        let reader = person(&server, "reader", &[Role::Recovery], None, SINCE);
        Self { server, device, craft, reader }
    }

    /// The device is enrolled again: from now on what comes goes to another repository, with another key.
    pub fn enrolls_anew(&mut self) {
        let keys = self.server.app.proof_keys.clone().unwrap();
        let (now, device) = (self.server.app.clock.now(), self.device.id());
        let prepared = Prepared::make(&Recipients::only(keys.public().clone()), RepositoryId::generate(now)).unwrap();
        prepared.store(&*self.server.app.blobs).unwrap();
        let repository = self.server.act(move |conn| {
            store::repository::close_older(conn, device, 2)?;
            service::repository::insert(conn, &prepared, device, 2, now)
        });
        let key = keys.open_master_key(&repository).unwrap();
        self.craft = Craft { key, device, repository: repository.id, ..Craft::new(2) };
        self.craft.objects.clear();
    }

    /// What is new in the repository arrives now, and makes a restore point of the snapshot.
    pub fn receives(&mut self, snapshot: &ObjectName) -> RestorePointId {
        self.arrives();
        let (repository, device, now) = (self.craft.repository, self.craft.device, self.server.app.clock.now());
        let point = RestorePoint::received((repository, device), snapshot, TokenKind::Agent, now);
        let id = point.id;
        self.server.act(move |conn| Ok(store::restore_point::insert(conn, &point)?));
        id
    }

    /// What is new in the repository arrives now.
    pub fn arrives(&mut self) {
        let (repository, now) = (self.craft.repository, self.server.app.clock.now());
        for ((_, name), (kind, bytes)) in std::mem::take(&mut self.craft.objects) {
            let object = store::object::Object {
                repository_id: repository,
                kind,
                name: name.clone(),
                size_bytes: i64::try_from(bytes.len()).unwrap(),
                received_at: now,
            };
            if self.server.act(move |conn| Ok(store::object::insert(conn, &object, Location::Primary)?)) {
                put(&*self.server.app.blobs, repository, kind, &name, &bytes);
            }
        }
    }

    /// A snapshot whose top has `/data` with these nodes.
    pub fn backup(&mut self, nodes: &[Value]) -> RestorePointId {
        let data = self.craft.tree(nodes);
        let top = self.craft.tree(&[Craft::folder_node("data", data.id)]);
        let id = top.id;
        self.craft.pack(&[data, top]);
        self.point(id)
    }

    /// A snapshot of a top folder.
    pub fn point(&mut self, top: Id) -> RestorePointId {
        let snapshot = self.craft.snapshot(top, None);
        self.receives(&snapshot)
    }

    /// A file of one chunk, in a pack of its own; gives the node and the pack's name.
    pub fn file(&mut self, name: &str, content: &[u8]) -> (Value, ObjectName) {
        let blob = self.craft.blob(false, content);
        let node = Craft::file_node(name, content.len(), &[blob.id]);
        (node, self.craft.pack(&[blob]))
    }

    /// Flips a bit of a stored object.
    pub fn rots(&self, kind: ObjectKind, name: &ObjectName) {
        let folder = &self.server.app.config.blobs;
        let path = crate::proof::craft::find(folder, name.as_str()).unwrap_or_else(|| panic!("no {kind} {name}"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }

    pub fn visit(&self) -> Visit<'_> {
        Visit::of(&self.server, self.reader)
    }

    pub fn lists(&self, point: RestorePointId, path: &str) -> Answer {
        self.visit().get(&format!("/restore-points/{point}/files?{}", serde_urlencoded(&[("path", path)])))
    }

    pub fn takes(&self, point: RestorePointId, path: &str) -> Answer {
        self.takes_with(point, &[("path", path), ("reason", "it is missed")])
    }

    pub fn takes_with(&self, point: RestorePointId, fields: &[(&str, &str)]) -> Answer {
        // Ids sort by their time.
        self.server.app.clock.advance(Duration::from_secs(1));
        self.visit().post(&format!("/restore-points/{point}/downloads"), fields)
    }

    /// The downloads once all have ended, newest first.
    pub fn ended(&self) -> Vec<ContentRead> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let reads = self.downloads();
            if reads.iter().all(|it| it.outcome.is_some()) {
                return reads;
            }
            assert!(Instant::now() < until, "{reads:?}");
            std::thread::yield_now();
        }
    }

    pub fn downloads(&self) -> Vec<ContentRead> {
        let id = self.device.id();
        self.server.read(move |conn| Ok(store::content_read::downloads(conn, id, 100)?))
    }

    /// The acts of the history, oldest first.
    pub fn acts(&self) -> Vec<String> {
        use holdfast::store::schema::activity;
        self.server.read(|conn| {
            let query = activity::table.order(activity::seq).select(activity::action);
            Ok(query.load::<String>(conn)?)
        })
    }

    /// The history's own bytes.
    pub fn history(&self) -> String {
        use holdfast::store::schema::activity;
        self.server.read(|conn| Ok(activity::table.select(activity::canonical).load::<String>(conn)?)).join("\n")
    }
}

pub fn serde_urlencoded(pairs: &[(&str, &str)]) -> String {
    ::serde_urlencoded::to_string(pairs).unwrap()
}
