//! What is done in the console: people, tokens, and orders to restore. By the same functions as the pages', on the
//! database of a server that does not run.
use super::device::Device;
use crate::blob::BlobStore;
use crate::blob::fs::FsBlobs;
use crate::blob::home::Opening;
use crate::demo::people::People;
use crate::error::Error;
use crate::proof::keys::ProofKeys;
use crate::service;
use crate::service::enrollment::{TokenDraft, make_token};
use crate::service::restore::{self, Draft};
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Database, Store};
use anyhow::{Context, Result};
use clock::Clock;
use domain::activity::Via;
use domain::by::{By, Presence};
use domain::device::Ownership;
use domain::id::{DeviceId, RestoreId};
use domain::restore::{Conflict, Selection};
use domain::time::hours;
use std::path::Path;

/// Opens the database of a server that does not run.
///
/// # Errors
/// When it cannot be opened.
pub fn open(database: &Path) -> Result<Store> {
    Store::open(&Database::Sqlite(database.to_owned()))
}

/// Makes the people of a new server; returns one who enrolls and restores.
///
/// # Errors
/// When the database refuses.
pub fn people(store: &Store) -> Result<By> {
    let (people, now) = (People::prepare()?, Clock::System.now());
    let (acting, _) = store.act_blocking(move |conn| people.add(conn, now))?;
    acting.into_iter().nth(1).context("the second one is the operator")
}

/// The same one, in a console that was brought back.
///
/// # Errors
/// When there is no such person.
pub fn operator(store: &Store, known: &By) -> Result<By> {
    let id = known.user;
    Ok(store.read_blocking(move |conn| {
        let user = store::user::find(conn, id)?.ok_or(Error::NotFound("person"))?;
        service::account::acting(conn, &user, Via::CommandLine, Presence::Script, "127.0.0.1")
    })?)
}

/// A token for one device.
///
/// # Errors
/// When the database refuses.
pub fn token(store: &Store, by: &By, name: &str) -> Result<String> {
    let draft = TokenDraft {
        name: name.to_owned(),
        team_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        valid_for: hours(1),
        device_id: None,
    };
    let (by, now) = (by.clone(), Clock::System.now());
    let (_, token) = store.act_blocking(move |conn| make_token(conn, &by, &draft, now))?;
    Ok(token)
}

/// The newest restore point of a device that a manifest belongs to.
///
/// # Errors
/// When there is none.
pub fn newest(store: &Store, device: DeviceId) -> Result<RestorePoint> {
    let points = store.read_blocking(move |conn| store::restore_point::of_device(conn, device, 20))?;
    let usable = points.into_iter().find(|it| it.stored_at.is_some() && it.manifest_name.is_some());
    usable.context("there is no restore point with a manifest")
}

/// Orders the whole device to be restored to itself; returns which restore that is.
///
/// # Errors
/// When a rule refuses.
pub fn order(store: &Store, by: &By, data: &Path, device: &Device, point: &RestorePoint) -> Result<RestoreId> {
    let keys = ProofKeys::open(&data.join("proof.key"))?.beside(store);
    let identity = store.read_blocking(service::ground::known_identity)?.context("the store has an identity")?;
    let blobs = FsBlobs::open_home(&data.join("blobs"), &identity, Opening::Beside)?;
    let draft = Draft {
        device: device.id,
        point: point.id,
        selection: Selection::All,
        target: device.id,
        conflict: Conflict::Merge,
        // What was proven before is, on this machine, to be proven again.
        accepts_unproven: true,
        reason: "the danger test".to_owned(),
        request_key: None,
    };
    let (acting, asked) = (by.clone(), draft.clone());
    let plan = store.read_blocking(move |conn| restore::plan(conn, &acting, &asked))?;
    let manifest = restore::manifest(&blobs as &dyn BlobStore, &plan.repository, &plan.manifest)?;
    let prepared = restore::prepare(&plan, &manifest, &draft.selection, &keys, Clock::System.now())?;
    let (by, now) = (by.clone(), Clock::System.now());
    Ok(store.act_blocking(move |conn| restore::request(conn, &by, &draft, prepared, now))?.id)
}
