//! `/devices/{id}/restore…`: which point, what of it, where to, and what that would do.
use super::Choice;
use crate::blob::BlobStore;
use crate::error::{Error, FieldErrors, Result};
use crate::service::{reach, restore};
use crate::store::device::Device;
use crate::store::evidence::Shown;
use crate::store::restore::Target;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::filter;
use crate::web::form::{Pairs, again, value, with_status};
use crate::web::layout::Layout;
use crate::web::session::{Can, Restore};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Form, Path, Query};
use actix_web::{HttpResponse, get, post, web};
use anyhow::Context;
use askama::Template;
use domain::device::{DeviceState, Encryption};
use domain::guard::GuardedAct;
use domain::id::{DeviceId, RestorePointId};
use domain::manifest::{Manifest, ManifestFile};
use domain::restore::{Conflict, FileClass, Selection};
use domain::role::Reach;
use domain::words::{counted, sentence};
use std::cmp::Reverse;

/// How many restore points are offered, plus as many proven ones among older points.
const POINTS: i64 = 60;
/// How many files a search shows.
const FOUND: usize = 200;
/// How many devices are offered as targets.
const TARGETS: i64 = 50;

/// A restore point as a choice.
struct Offered {
    point: RestorePoint,
    is_proven: bool,
}

#[derive(Template)]
#[template(path = "restore/point.html")]
struct PointPage {
    layout: Layout,
    device: Device,
    points: Vec<Offered>,
}

#[get("/devices/{id}/restore")]
pub async fn choose_point(
    by: Can<Restore>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, points) = store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            let mut points = store::evidence::points(conn, id, Shown::Proven, POINTS)?;
            let newest = store::evidence::points(conn, id, Shown::Anything, POINTS)?;
            points.extend(newest.into_iter().filter(|it| it.proven_at.is_none()));
            Ok::<_, Error>((device, points))
        })
        .await?;
    let mut points: Vec<_> =
        points.into_iter().map(|it| Offered { is_proven: restore::is_proven(&it), point: it }).collect();
    // Proven ones first; each group stays newest first.
    points.sort_by_key(|it| (!it.is_proven, Reverse(it.point.sequence)));
    with_status(&PointPage { layout, device, points }, StatusCode::OK)
}

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

async fn what_page(
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

/// A step of the wizard. Going back in the browser should show it without sending the form again, so this
/// browser alone may cache it.
fn step(page: &impl Template, errors: &FieldErrors) -> PageResult<HttpResponse> {
    let mut response = if errors.is_empty() { with_status(page, StatusCode::OK)? } else { again(page)? };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn matches(file: &ManifestFile, search: &str) -> bool {
    file.path.to_lowercase().contains(&search.to_lowercase())
}

fn of_class(manifest: &Manifest, class: FileClass) -> (FileClass, usize, i64) {
    let files = || manifest.files.iter().filter(move |it| FileClass::of(&it.path) == class);
    (class, files().count(), size(files()))
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
                .filter(|it| it.device_id == id)
                .ok_or(Error::NotFound("restore point"))?;
            Ok::<_, Error>((device, point))
        })
        .await
}

/// Reads the manifest on a thread where it may block.
async fn manifest_of(store: &Store, blobs: Data<dyn BlobStore>, point: &RestorePoint) -> Result<Manifest> {
    let name = point.manifest_name.clone().ok_or(domain::restore::Refusal::NoManifest)?;
    let id = point.repository_id;
    let repository =
        store.read(move |conn| store::repository::find(conn, id)).await?.ok_or(Error::NotFound("repository"))?;
    let blobs = blobs.into_inner();
    web::block(move || restore::manifest(&*blobs, &repository, &name)).await.context("reading a manifest")?
}

#[derive(Template)]
#[template(path = "restore/where.html")]
struct WherePage {
    layout: Layout,
    device: Device,
    point: RestorePoint,
    choice: Choice,
    search: String,
    targets: Vec<Target>,
    errors: FieldErrors,
}

/// What a target reports about its disk.
fn encryption(target: &Target) -> &'static str {
    match target.encryption {
        Some(Encryption::On) => "encrypted",
        Some(Encryption::Off) => "not encrypted",
        Some(Encryption::Unknown) | None => "encryption unknown",
    }
}

impl WherePage {
    /// "Grace, company, encrypted, seen 4 d ago": what distinguishes a target from one that somebody just made.
    fn described(&self, it: &Target) -> String {
        let person = if it.person.trim().is_empty() { "no person" } else { &it.person };
        let seen = match it.last_seen_at {
            Some(at) if it.heard_until.is_none_or(|until| until <= self.layout.now) => {
                format!("silent, last seen {}", self.layout.since(at))
            }
            Some(at) => format!("last seen {}", self.layout.since(at)),
            None => "never seen".to_owned(),
        };
        let (ownership, enrolled) = (it.ownership.name().to_lowercase(), self.layout.since(it.enrolled_at));
        format!("{person}, {ownership}, {}, {seen}, enrolled {enrolled}", encryption(it))
    }

    fn can_be_itself(&self) -> bool {
        self.device.state == DeviceState::Enrolled
    }

    fn is_target(&self, id: &DeviceId) -> bool {
        self.choice.target == id.as_str()
    }
}

#[post("/devices/{id}/restore/where")]
pub async fn choose_target(
    by: Can<Restore>,
    layout: Layout,
    (store, blobs): (Data<Store>, Data<dyn BlobStore>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let id = id.into_inner();
    match Choice::of(&form).selection() {
        Ok(_) => where_page(&by, layout, &store, id, &form, FieldErrors::new()).await,
        Err(Error::Invalid(errors)) => what_page(&by, layout, (&store, blobs), id, &form, errors).await,
        Err(other) => Err(other.into()),
    }
}

async fn where_page(
    by: &Can<Restore>,
    layout: Layout,
    store: &Store,
    id: DeviceId,
    pairs: &Pairs,
    errors: FieldErrors,
) -> PageResult<HttpResponse> {
    let (mut choice, search) = (Choice::of(pairs), value(pairs, "devices").trim().to_owned());
    let (device, point) = chosen_point(store, by.reach().clone(), id, &choice).await?;
    let (reach, looked) = (by.reach().clone(), search.clone());
    let targets = store.read(move |conn| store::restore::targets(conn, &reach, &looked, TARGETS)).await?;
    let targets: Vec<_> = targets.into_iter().filter(|it| it.id != device.id).collect();
    if choice.target.is_empty() && device.state == DeviceState::Enrolled {
        choice.target = device.id.to_string();
    }
    let page = WherePage { layout, device, point, choice, search, targets, errors };
    step(&page, &page.errors)
}

#[derive(Template)]
#[template(path = "restore/preview.html")]
pub(super) struct PreviewPage {
    layout: Layout,
    device: Device,
    target: Device,
    point: RestorePoint,
    is_proven: bool,
    choice: Choice,
    conflict: Conflict,
    file_count: usize,
    byte_count: i64,
    /// How long the last restore test of this point took, scaled to what is chosen; empty if unknown.
    takes: String,
    request_key: String,
    pub(super) refusal: String,
    /// Whether the data leaves its device, so that a second person decides.
    crosses: bool,
    pub(super) errors: FieldErrors,
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
pub(super) async fn preview_page(
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
    let (target, refusal, crosses, test) = store
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
            Ok((target, refusal, crosses, store::restore_test::newest_of_point(conn, point_id)?))
        })
        .await?;
    let manifest = manifest_of(store, blobs, &point).await?;
    let chosen = draft.selection.chosen();
    let files: Vec<_> = manifest.files.iter().filter(|it| chosen.covers(&it.path)).collect();
    let bytes = size(files.iter().copied());
    let takes = test.filter(|it| it.byte_count > 0).and_then(|it| Some((it.duration()?, it.byte_count)));
    Ok(PreviewPage {
        is_proven: restore::is_proven(&point),
        conflict: draft.conflict,
        file_count: files.len(),
        byte_count: bytes,
        takes: takes.map(|(took, all)| estimate(took, bytes, all)).unwrap_or_default(),
        request_key: secret::generate("")?,
        refusal,
        crosses,
        errors: FieldErrors::new(),
        layout,
        device,
        target,
        point,
        choice,
    })
}

/// The measured time of a restore test, scaled to the bytes chosen.
fn estimate(took: std::time::Duration, bytes: i64, of: i64) -> String {
    let millis = i128::try_from(took.as_millis()).unwrap_or(0) * i128::from(bytes) / i128::from(of.max(1));
    filter::span(std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0).max(1000)))
}
