//! What somebody does who has a device and everything on it: its repository's key and its token for the door.
use super::device::Device;
use crate::blob::{self, BlobKey, BlobStore};
use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::object::{ObjectKind, ObjectName};
use repository::MasterKey;
use serde_json::Value;

/// Uploads an index that says of every blob that it is elsewhere, and a snapshot of the year 2099 that has nothing.
///
/// # Errors
/// When the door does not take them: then nothing was tried.
pub fn poison(url: &str, device: &Device, blobs: &dyn BlobStore, key: &MasterKey) -> Result<()> {
    let of = |kind| -> Result<Vec<Value>> {
        let names = blobs.list(device.repository)?.into_iter().map(|it| it.0).filter(|it: &BlobKey| it.kind == kind);
        names.map(|it| plain(blobs, &it, key)).collect()
    };
    let mut count = 0;
    for mut index in of(ObjectKind::Index)? {
        for pack in list(&mut index, "packs") {
            for found in list(pack, "blobs") {
                if let Some(offset) = found.get_mut("offset") {
                    *offset = Value::from(offset.as_u64().unwrap_or(0) + 7);
                    count += 1;
                }
            }
        }
        upload(url, device, ObjectKind::Index, &index, key)?;
    }
    ensure!(count > 0, "{} has no index to be poisoned", device.name);
    for mut snapshot in of(ObjectKind::Snapshots)? {
        let fields = snapshot.as_object_mut().context("a snapshot is an object")?;
        fields.insert("time".to_owned(), Value::from("2099-01-01T00:00:00Z"));
        fields.insert("tree".to_owned(), Value::from("ab".repeat(32)));
        upload(url, device, ObjectKind::Snapshots, &snapshot, key)?;
    }
    Ok(())
}

fn list<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn plain(blobs: &dyn BlobStore, at: &BlobKey, key: &MasterKey) -> Result<Value> {
    let most = usize::try_from(at.kind.max_bytes())?;
    let stored = blob::read_all(blobs, at, at.kind.max_bytes())?;
    let text = key.open_file(&stored, most).map_err(|problem| anyhow!("reading {at}: {problem}"))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {at}"))
}

fn upload(url: &str, device: &Device, kind: ObjectKind, content: &Value, key: &MasterKey) -> Result<()> {
    let sealed = key.seal(secret::bytes()?, content.to_string().as_bytes());
    let sealed = sealed.map_err(|problem| anyhow!("encrypting: {problem}"))?;
    let name = ObjectName::from_hash(&secret::sha256(&sealed));
    let (id, token) = (device.repository, device.credentials()?.0.token);
    let basic = BASE64_STANDARD.encode(format!("{id}:{token}"));
    let sent = ureq::post(format!("{url}/restic/{id}/{kind}/{name}"))
        .header("Authorization", format!("Basic {basic}"))
        .send(&sealed[..])
        .with_context(|| format!("uploading {kind}"))?;
    ensure!(sent.status().is_success(), "the door refused {kind}: {}", sent.status());
    Ok(())
}
