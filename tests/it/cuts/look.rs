//! What is there after a power cut, as the next start of the server finds it.
use crate::kill::told::Acknowledged;
use clock::Clock;
use diesel::prelude::*;
use diesel::sql_types::Text;
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::home::Opening;
use holdfast::blob::{self, BlobKey, BlobStore};
use holdfast::service;
use holdfast::store::{self, Database, Store};
use std::collections::HashSet;
use std::path::Path;

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Orphan {
    #[diesel(sql_type = Text)]
    table: String,
}

/// What is wrong with a server's folder, or missing from it.
pub fn faults(server: &Path, told: &Acknowledged) -> Vec<String> {
    let path = server.join("holdfast.db");
    let store = match Store::open(&Database::Sqlite(path.clone())) {
        Ok(store) => store,
        Err(error) => return vec![format!("the database does not open: {error:#}")],
    };
    let mut faults = damage(&path);
    if !faults.is_empty() {
        return faults;
    }
    faults.extend(told.missing_rows(&store));
    let blobs = match open_blobs(&store, &server.join("blobs")) {
        Ok(blobs) => blobs,
        Err(error) => {
            faults.push(format!("the backup store does not open: {error:#}"));
            return faults;
        }
    };
    faults.extend(lost_objects(&store, &blobs, told));
    faults
}

/// What SQLite finds wrong with its file.
fn damage(path: &Path) -> Vec<String> {
    let mut conn = SqliteConnection::establish(&path.display().to_string()).unwrap();
    let said: Vec<Said> = diesel::sql_query("PRAGMA integrity_check").load(&mut conn).unwrap();
    let damaged = said.into_iter().map(|it| it.integrity_check).filter(|it| it != "ok");
    let orphans: Vec<Orphan> = diesel::sql_query("PRAGMA foreign_key_check").load(&mut conn).unwrap();
    damaged.chain(orphans.into_iter().map(|it| format!("a row of {} refers to nothing", it.table))).collect()
}

/// Opens the store as a start does, and finishes what was interrupted.
fn open_blobs(store: &Store, folder: &Path) -> anyhow::Result<FsBlobs> {
    let identity = store.read_blocking(service::ground::known_identity)?.unwrap();
    let blobs = FsBlobs::open_home(folder, &identity, Opening::Known)?;
    service::repository::reconcile(store, &blobs, Clock::System.now())?;
    Ok(blobs)
}

/// Every row of the ledger has its bytes, and every acknowledged object its row.
fn lost_objects(store: &Store, blobs: &dyn BlobStore, told: &Acknowledged) -> Vec<String> {
    let (mut lost, mut intact) = (Vec::new(), HashSet::new());
    for id in store.read_blocking(store::ground::repositories).unwrap() {
        for row in store.read_blocking(move |conn| store::object::all(conn, id, None)).unwrap() {
            let (name, size) = (row.name.to_string(), row.size());
            let key = BlobKey::new(id, row.kind, row.name);
            match is_intact(blobs, &key, size) {
                Ok(()) => drop(intact.insert(name)),
                Err(why) => lost.push(format!("object {key}: {why}")),
            }
        }
    }
    let unknown = told.uploads().filter(|(_, name)| !intact.contains(*name));
    lost.extend(unknown.map(|(_, name)| format!("upload {name} is not in the ledger")));
    lost
}

fn is_intact(blobs: &dyn BlobStore, key: &BlobKey, size: u64) -> Result<(), String> {
    if blobs.size(key).map_err(|it| it.to_string())? != Some(size) {
        return Err("it is missing, or has another length".to_owned());
    }
    let hash = blob::sha256_of(blobs, key).map_err(|it| it.to_string())?;
    // Only the object `config` is not named by its hash.
    let is_right = key.name.hash().is_none_or(|name| name == hash);
    is_right.then_some(()).ok_or_else(|| "its bytes are others".to_owned())
}
