//! The second step: everything, a class of files, or some paths.
use super::{chosen_point, manifest_of, size, step};
use crate::auth::{Can, Restore};
use crate::blob::BlobStore;
use crate::error::FieldErrors;
use crate::service::restore;
use crate::store::Store;
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::web::PageResult;
use crate::web::form::{Pairs, value};
use crate::web::layout::Layout;
use crate::web::restore::Choice;
use actix_web::web::{Data, Form, Path, Query};
use actix_web::{HttpResponse, get, post};
use askama::Template;
use domain::id::DeviceId;
use domain::manifest::{Manifest, ManifestFile};
use domain::restore::FileClass;

/// How many files a search shows.
const FOUND: usize = 200;
#[derive(Template)]
#[template(path = "restore/what.html")]
struct WhatPage {
    layout: Layout,
    device: Device,
    point: RestorePoint,
    is_proven: bool,
    choice: Choice,
    search: String,
    found: Vec<ManifestFile>,
    more_count: usize,
    classes: Vec<(FileClass, usize, i64)>,
    file_count: usize,
    byte_count: i64,
    errors: FieldErrors,
}

impl WhatPage {
    fn is_chosen(&self, path: &str) -> bool {
        self.choice.paths.iter().any(|it| it == path)
    }

    /// Chosen files that the search does not show: they stay chosen.
    fn others(&self) -> Vec<&String> {
        self.choice.paths.iter().filter(|path| !self.found.iter().any(|it| it.path == **path)).collect()
    }
}

#[get("/devices/{id}/restore/what")]
pub async fn choose_what(
    by: Can<Restore>,
    layout: Layout,
    (store, blobs): (Data<Store>, Data<dyn BlobStore>),
    id: Path<DeviceId>,
    query: Query<Pairs>,
) -> PageResult<HttpResponse> {
    what_page(&by, layout, (&store, blobs), id.into_inner(), &query, FieldErrors::new()).await
}

/// The same step with what is already chosen: after a search, or on the way back.
#[post("/devices/{id}/restore/what")]
pub async fn choose_again(
    by: Can<Restore>,
    layout: Layout,
    (store, blobs): (Data<Store>, Data<dyn BlobStore>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    what_page(&by, layout, (&store, blobs), id.into_inner(), &form, FieldErrors::new()).await
}

pub(super) async fn what_page(
    by: &Can<Restore>,
    layout: Layout,
    (store, blobs): (&Store, Data<dyn BlobStore>),
    id: DeviceId,
    pairs: &Pairs,
    errors: FieldErrors,
) -> PageResult<HttpResponse> {
    let (choice, search) = (Choice::of(pairs), value(pairs, "files").trim().to_owned());
    let (device, point) = chosen_point(store, by.reach().clone(), id, &choice).await?;
    let manifest = manifest_of(store, blobs, &point).await?;
    let matching: Vec<_> = manifest.files.iter().filter(|it| matches(it, &search)).collect();
    let shown = if search.is_empty() { 0 } else { FOUND };
    let page = WhatPage {
        is_proven: restore::is_proven(&point),
        found: matching.iter().take(shown).map(|it| (*it).clone()).collect(),
        more_count: if shown == 0 { 0 } else { matching.len().saturating_sub(shown) },
        classes: FileClass::ALL.iter().map(|class| of_class(&manifest, *class)).collect(),
        file_count: manifest.files.len(),
        byte_count: size(manifest.files.iter()),
        layout,
        device,
        point,
        choice,
        search,
        errors,
    };
    step(&page, &page.errors)
}

fn matches(file: &ManifestFile, search: &str) -> bool {
    file.path.to_lowercase().contains(&search.to_lowercase())
}

fn of_class(manifest: &Manifest, class: FileClass) -> (FileClass, usize, i64) {
    let files = || manifest.files.iter().filter(move |it| FileClass::of(&it.path) == class);
    (class, files().count(), size(files()))
}
