//! The trash: files that are moved out of their place, and erased later.
//!
//! A move is one rename within the same disk, so that a file is always at one of its two places, whatever ends the
//! process. Both folders are synced before it counts.
use super::folder::{Inner, present};
use crate::blob::{BlobKey, WriteFault};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where a file is in the trash: beside the folders of its repository, in none that is ever listed.
fn aside(store: &Inner, key: &BlobKey) -> PathBuf {
    let kind = store.dir.join(key.repository.as_str()).join("trash").join(key.kind.as_str());
    kind.join(key.name.as_str())
}

pub(super) fn set_aside(store: &Inner, key: &BlobKey) -> Result<bool, WriteFault> {
    let (place, aside) = (store.path(key), aside(store, key));
    store.may_write()?;
    if exists(&aside)? {
        return Ok(true);
    }
    if !exists(&place)? {
        // Missing counts only if the store is there.
        store.home.still()?;
        return Ok(false);
    }
    relocate(store, &place, &aside)
}

pub(super) fn put_back(store: &Inner, key: &BlobKey) -> Result<bool, WriteFault> {
    let (place, aside) = (store.path(key), aside(store, key));
    store.may_write()?;
    if exists(&place)? {
        return Ok(true);
    }
    if !exists(&aside)? {
        store.home.still()?;
        return Ok(false);
    }
    relocate(store, &aside, &place)
}

pub(super) fn erase(store: &Inner, key: &BlobKey) -> Result<bool, WriteFault> {
    let aside = aside(store, key);
    store.may_write()?;
    let was_there = present(fs::remove_file(&aside))?.is_some();
    if let Some(folder) = aside.parent().filter(|_| was_there) {
        store.synced(&File::open(folder)?, folder)?;
    }
    if !was_there {
        store.home.still()?;
    }
    Ok(was_there)
}

fn relocate(store: &Inner, from: &Path, to: &Path) -> Result<bool, WriteFault> {
    store.in_folder(to, || fs::rename(from, to))?;
    // The new entry is durable; without this, a power cut could bring the old one back beside it.
    if let Some(folder) = from.parent() {
        store.synced(&File::open(folder)?, folder)?;
    }
    Ok(true)
}

fn exists(path: &Path) -> Result<bool, WriteFault> {
    Ok(present(fs::symlink_metadata(path))?.is_some())
}
