//! `/devices/{id}/restore…`: which point, what of it, where to, and what that would do.
pub mod point;
pub mod preview;
pub mod target;
pub mod what;

use super::Choice;
use crate::blob::BlobStore;
use crate::error::{Error, FieldErrors, Result};
use crate::service::{reach, restore};
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::form::{again, with_status};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpResponse, web};
use anyhow::Context;
use askama::Template;
use domain::id::{DeviceId, RestorePointId};
use domain::manifest::{Manifest, ManifestFile};
use domain::role::Reach;

/// A step of the wizard. Going back in the browser should show it without sending the form again, so this
/// browser alone may cache it.
fn step(page: &impl Template, errors: &FieldErrors) -> PageResult<HttpResponse> {
    let mut response = if errors.is_empty() { with_status(page, StatusCode::OK)? } else { again(page)? };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn size<'a>(files: impl Iterator<Item = &'a ManifestFile>) -> i64 {
    let bytes = files.fold(0u64, |sum, it| sum.saturating_add(it.size));
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

async fn chosen_point(store: &Store, reach: Reach, id: DeviceId, choice: &Choice) -> Result<(Device, RestorePoint)> {
    let point = RestorePointId::parse(&choice.point).ok_or(Error::NotFound("restore point"))?;
    store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            let point = store::restore_point::find(conn, point)?
                .filter(|it| it.device_id == id && it.trashed_by.is_none())
                .ok_or(Error::NotFound("restore point"))?;
            Ok::<_, Error>((device, point))
        })
        .await
}

/// Reads the manifest on a thread where it may block.
async fn manifest_of(store: &Store, blobs: Data<dyn BlobStore>, point: &RestorePoint) -> Result<Manifest> {
    let name = point.manifest_name.clone().ok_or(domain::restore::RestoreRefusal::NoManifest)?;
    let id = point.repository_id;
    let repository =
        store.read(move |conn| store::repository::find(conn, id)).await?.ok_or(Error::NotFound("repository"))?;
    let blobs = blobs.into_inner();
    web::block(move || restore::manifest(&*blobs, &repository, &name)).await.context("reading a manifest")?
}
