//! The last step: what all of it would do.
use super::target::where_page;
use super::{chosen_point, manifest_of, size, step};
use crate::auth::{Can, Restore};
use crate::blob::BlobStore;
use crate::error::{Error, FieldErrors, Result};
use crate::service::{reach, restore};
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::filter;
use crate::web::form::Pairs;
use crate::web::layout::Layout;
use crate::web::restore::Choice;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, post};
use askama::Template;
use domain::guard::GuardedAct;
use domain::id::DeviceId;
use domain::key_holder::{KeyHolder, NEEDS_KEY_FILE};
use domain::manifest::{Manifest, ManifestFile};
use domain::restore::{Conflict, Selection};
use domain::time::Time;
use domain::words::{counted, sentence};
use std::collections::HashMap;

#[derive(Template)]
#[template(path = "restore/preview.html")]
pub(in crate::web::restore) struct PreviewPage {
    layout: Layout,
    device: Device,
    target: Device,
    point: RestorePoint,
    is_proven: bool,
    choice: Choice,
    conflict: Conflict,
    file_count: usize,
    byte_count: i64,
    /// How long a measured run took, scaled to what is chosen; empty if none was measured.
    takes: String,
    /// Which run that was.
    measured: &'static str,
    /// What the device had when it was last backed up; none if it is another device's data, or there is no list.
    found: Option<Found>,
    request_key: String,
    pub(in crate::web::restore) refusal: String,
    /// Whether the data leaves its device, so that a second person decides.
    crosses: bool,
    /// Whether only the customer's key opens it.
    needs_key_file: bool,
    pub(in crate::web::restore) errors: FieldErrors,
}

impl PreviewPage {
    /// What was chosen, in words.
    fn what(&self) -> String {
        match self.choice.selection() {
            Ok(Selection::All) | Err(_) => "Everything".to_owned(),
            Ok(Selection::Class(class)) => class.name().to_owned(),
            Ok(Selection::Paths(paths)) => counted(paths.len(), "chosen path", "chosen paths"),
        }
    }
}

/// How the chosen files compare with what the device had at its last backup.
struct Found {
    at: Time,
    missing: usize,
    same: usize,
    different: usize,
}

#[post("/devices/{id}/restore/preview")]
pub async fn preview(
    by: Can<Restore>,
    layout: Layout,
    (store, blobs): (Data<Store>, Data<dyn BlobStore>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, choice) = (id.into_inner(), Choice::of(&form));
    match choice.draft(id, "") {
        Ok(_) => {
            let page = preview_page(&by, layout, (&store, blobs), id, choice).await?;
            step(&page, &page.errors)
        }
        Err(Error::Invalid(errors)) => where_page(&by, layout, &store, id, &form, errors).await,
        Err(other) => Err(other.into()),
    }
}

/// The page of the last step.
///
/// # Errors
/// When something it needs is missing, or its manifest cannot be read.
pub(in crate::web::restore) async fn preview_page(
    by: &Can<Restore>,
    layout: Layout,
    (store, blobs): (&Store, Data<dyn BlobStore>),
    id: DeviceId,
    choice: Choice,
) -> Result<PreviewPage> {
    let draft = choice.draft(id, "")?;
    let (device, point) = chosen_point(store, by.reach().clone(), id, &choice).await?;
    let (acting, reach) = (by.acting(), by.reach().clone());
    let (point_id, target_id, repository_id) = (point.id, draft.target, point.repository_id);
    let asked = draft.clone();
    let (target, refusal, (crosses, needs_key_file), (test, run), newest) = store
        .read(move |conn| {
            let target = reach::device(conn, &reach, target_id)?;
            let refusal = match restore::plan(conn, &acting, &asked) {
                Ok(_) => String::new(),
                Err(Error::Refused(why)) => sentence(&why),
                Err(other) => return Err(other),
            };
            let source = reach::device(conn, &reach, id)?;
            let repository = store::repository::find(conn, repository_id)?.ok_or(Error::NotFound("repository"))?;
            let crosses = restore::act_of(&source, &repository, &target) != GuardedAct::RestoreToItself;
            let newest = store::restore_point::newest_stored(conn, repository_id)?.filter(|_| !crosses);
            let test = store::restore_test::newest_of_point(conn, point_id)?;
            let run = store::restore::newest_compared(conn, target_id)?;
            let needs_key_file = repository.key_holder == KeyHolder::Customer;
            Ok((target, refusal, (crosses, needs_key_file), (test, run), newest))
        })
        .await?;
    let manifest = manifest_of(store, blobs.clone(), &point).await?;
    let chosen = draft.selection.chosen();
    let files: Vec<_> = manifest.files.iter().filter(|it| chosen.covers(&it.path)).collect();
    let bytes = size(files.iter().copied());
    let found = match newest.filter(|it| it.manifest_name.is_some()) {
        // A list that cannot be read says nothing of what is there.
        Some(newest) => {
            manifest_of(store, blobs, &newest).await.ok().map(|had| found(&files, &had, newest.received_at))
        }
        None => None,
    };
    let run = run.and_then(|it| Some((it.finished_at?.since(it.started_at?), it.byte_count)));
    let test = test.and_then(|it| Some((it.duration()?, it.byte_count)));
    let (takes, measured) = match (run.filter(|it| it.1 > 0), test.filter(|it| it.1 > 0)) {
        (Some(it), _) => (Some(it), "the last restore to this device"),
        (None, it) => (it, "the last restore test of this point"),
    };
    Ok(PreviewPage {
        is_proven: restore::is_proven(&point),
        conflict: draft.conflict,
        file_count: files.len(),
        byte_count: bytes,
        measured,
        found,
        takes: takes.map(|(took, all)| estimate(took, bytes, all)).unwrap_or_default(),
        request_key: secret::generate("")?,
        refusal,
        crosses,
        needs_key_file,
        errors: FieldErrors::new(),
        layout,
        device,
        target,
        point,
        choice,
    })
}

fn found(files: &[&ManifestFile], had: &Manifest, at: Time) -> Found {
    let had: HashMap<_, _> = had.files.iter().map(|it| (it.path.as_str(), (it.size, it.sha256.as_str()))).collect();
    let mut found = Found { at, missing: 0, same: 0, different: 0 };
    for file in files {
        match had.get(file.path.as_str()) {
            None => found.missing += 1,
            Some(it) if *it == (file.size, file.sha256.as_str()) => found.same += 1,
            Some(_) => found.different += 1,
        }
    }
    found
}

/// The measured time of a run, scaled to the bytes chosen.
fn estimate(took: std::time::Duration, bytes: i64, of: i64) -> String {
    let millis = i128::try_from(took.as_millis()).unwrap_or(0) * i128::from(bytes) / i128::from(of.max(1));
    filter::span(std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0).max(1000)))
}
