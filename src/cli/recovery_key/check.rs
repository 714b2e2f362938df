//! Whether a recovery key opens what it should.
use crate::error::Result;
use crate::proof::escrow;
use crate::proof::keys::ProofKeys;
use crate::store::{self, Conn, Store};
use anyhow::bail;
use domain::words::counted;
use secret::recovery::RecoveryKey;

/// How many records are read at a time.
const PAGE: i64 = 500;

/// Opens each escrow record of a key, and compares it with what the proof key opens if that is here; returns how many
/// there are.
///
/// # Errors
/// When one is wrong, or the database refuses.
pub(super) fn open_records(store: &Store, key: &RecoveryKey, proof: Option<&ProofKeys>) -> anyhow::Result<usize> {
    let public = key.public().as_str().to_owned();
    let Some(known) = store.read_blocking(|conn| store::recovery_key::find_by_public(conn, &public))? else {
        return Ok(0);
    };
    let (mut count, mut wrong, mut after) = (0, Vec::new(), None);
    loop {
        let last = after;
        let page = store.read_blocking(|conn| page(conn, known.id, last))?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.repository_id);
        for (record, repository) in &page {
            let opened = escrow::open(key.private(), record.repository_id, &record.sealed_master_key);
            let is_right = match (opened, proof) {
                (Ok(opened), Some(proof)) => {
                    // One that the proof key does not open says nothing about this record.
                    proof.open_master_key(repository).map_or(true, |it| *it.expose() == *opened.expose())
                }
                (opened, _) => opened.is_ok(),
            };
            count += 1;
            if !is_right {
                wrong.push(record.repository_id);
            }
        }
    }
    match wrong.first() {
        None => Ok(count),
        Some(first) => bail!(
            "the key does not open {} of {count} as it should, {first} first: somebody wrote other records into the \
             database. Make another recovery key, and retire this one",
            counted(wrong.len(), "repository", "repositories")
        ),
    }
}

type Record = (store::escrow::Escrow, store::repository::Repository);

fn page(
    conn: &mut Conn,
    key: domain::id::RecoveryKeyId,
    after: Option<domain::id::RepositoryId>,
) -> Result<Vec<Record>> {
    let records = store::escrow::of_key(conn, key, after, PAGE)?;
    let mut page = Vec::with_capacity(records.len());
    for record in records {
        if let Some(repository) = store::repository::find(conn, record.repository_id)? {
            page.push((record, repository));
        }
    }
    Ok(page)
}
