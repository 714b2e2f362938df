//! `--without-state`: the second store and three shares, and no state of the console that can be read.
use super::blobs::{Back, bring_objects};
use super::keys::{Brought, renew};
use super::rebuilt::{Origin, Place, Rebuilt};
use crate::blob::BlobStore;
use crate::blob::fs::FsBlobs;
use crate::blob::home::Opening;
use crate::cli::output::say;
use crate::service;
use crate::service::console_copy::set_holder;
use crate::service::escrow::{self, Found};
use crate::store::{Database, Store};
use anyhow::{anyhow, ensure};
use domain::activity::Actor;
use domain::escrow::Catalogue;
use domain::id::RepositoryId;
use domain::time::Time;
use domain::words;
use std::sync::Arc;

/// Newer than any state that is there, whatever number that has.
const NEWER: i64 = 1_000_000;

/// Makes a console of what the escrow records say.
///
/// # Errors
/// When no record opens with the shares, or something cannot be read or written.
pub fn rebuild(copy: &dyn BlobStore, brought: &Brought, place: &Place, now: Time) -> anyhow::Result<Rebuilt> {
    let key = brought.shares().ok_or_else(|| {
        anyhow!("without a state only the shares open anything: escrow records are sealed to the recovery key")
    })?;
    say("Looking for escrow records…");
    let holder = brought.holder()?;
    let found = escrow::find(copy, &holder)?;
    ensure!(
        !found.opened.is_empty(),
        "no escrow record there opens with these shares: they are of another recovery key, or the second store is not the \
         right one. {} are there without a record",
        words::counted(found.closed.len(), "repository", "repositories")
    );
    // Whatever states there are: none made from now on may pass for an older one.
    let states = service::console_copy::newest(copy, std::slice::from_ref(&holder), now)?;
    let newest = states.first().map(|it| (it.record.head.sequence + NEWER, it.record.head.taken_at));
    let store = Store::open(&Database::Sqlite(place.database.clone()))?;
    let (opened, public) = (found.opened.clone(), key.public().clone());
    store.write_blocking(move |conn| {
        escrow::rebuild(conn, &opened, &public, now)?;
        set_holder(conn, &holder, now)
    })?;
    let closed = renew(&store, brought, &place.key, now)?;
    // The folder of backups bears the marker of an attempt that was interrupted.
    let earlier = place.earlier.clone();
    let identity = store.write_blocking(move |conn| {
        earlier.iter().try_for_each(|it| service::ground::keep_identity(conn, it, now))?;
        service::ground::identity(conn, now)
    })?;
    let blobs: Arc<dyn BlobStore> = Arc::new(FsBlobs::open_home(&place.blobs, &identity, Opening::New)?);
    let back = bring_all_back(&store, (copy, &*blobs), &found, now)?;
    store.act_blocking(move |conn| service::console_copy::rebuilt(conn, &Actor::system(), newest, now))?;
    let Found { opened, closed: without, empty } = found;
    let catalogue = Catalogue { opened: opened.len(), closed: without.len(), empty: empty.len() };
    Ok(Rebuilt { store, blobs, from: Origin::Records(catalogue), closed, back })
}

fn bring_all_back(
    store: &Store,
    (copy, blobs): (&dyn BlobStore, &dyn BlobStore),
    found: &Found,
    now: Time,
) -> anyhow::Result<Vec<(RepositoryId, Back)>> {
    let (mut bytes, mut back) = (0, Vec::new());
    for (at, it) in found.opened.iter().enumerate() {
        let (record, _) = it;
        let is_newest = found
            .opened
            .iter()
            .all(|(other, _)| other.device != record.device || other.generation <= record.generation);
        // One that is not what the record says is not brought back, and counts as missing.
        escrow::take_config(store, copy, it)?;
        let one = bring_objects(store, (copy, blobs), record.repository)?;
        escrow::take_in(store, (copy, blobs), it, is_newest, now)?;
        bytes += one.bytes;
        back.push((record.repository, one));
        say(&format!("{} of {} repositories, {}", at + 1, found.opened.len(), words::bytes(bytes)));
    }
    Ok(back)
}
