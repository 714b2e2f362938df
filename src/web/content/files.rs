//! `/restore-points/{id}/files`: a folder of a restore point, or one file of it.
use crate::auth::{Can, ReadContents};
use crate::content::Desk;
use crate::content::message::{Found, Listed, PAGE, Row, RowKind};
use crate::error::FieldErrors;
use crate::service::content::Wanted;
use crate::store::Store;
use crate::store::content_read::{self, ContentRead};
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::web::PageResult;
use crate::web::form::{encode, with_status};
use crate::web::layout::Layout;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use askama::Template;
use domain::content::{ReadKind, ReadOutcome};
use domain::id::RestorePointId;
use domain::role::Permission;
use domain::time::Time;
use serde::Deserialize;

/// How many of the last downloads are shown.
const DOWNLOADS: i64 = 10;

#[derive(Template)]
#[template(path = "content/files.html")]
pub(super) struct FilesPage {
    layout: Layout,
    device: Device,
    point: RestorePoint,
    asked: Asked,
    found: Option<Found>,
    /// Why there is nothing to show, or nothing was sent.
    trouble: String,
    downloads: Vec<ContentRead>,
    reason: String,
    errors: FieldErrors,
}

/// What the address says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub path: String,
    /// Part of a name.
    pub q: String,
    /// How many entries come before this page.
    pub from: u64,
}

/// What was typed into the form for a download, and what is wrong with it.
#[derive(Default)]
pub(super) struct Typed {
    pub reason: String,
    pub errors: FieldErrors,
    pub trouble: String,
    pub status: Option<StatusCode>,
}

impl FilesPage {
    /// Each folder on the way, with its path.
    fn way(&self) -> Vec<(String, &str)> {
        let mut way = Vec::new();
        let mut end = 0;
        for name in self.asked.path.split('/').skip(1) {
            end += 1 + name.len();
            way.push((self.asked.path.get(..end).unwrap_or_default().to_owned(), name));
        }
        way
    }

    fn listed(&self) -> Option<&Listed> {
        match &self.found {
            Some(Found::Folder(listed)) => Some(listed),
            Some(Found::Single(_)) | None => None,
        }
    }

    fn single(&self) -> Option<&Row> {
        match &self.found {
            Some(Found::Single(row)) => Some(row),
            Some(Found::Folder(_)) | None => None,
        }
    }

    /// The address of a path.
    fn at(&self, path: &str) -> String {
        format!("/restore-points/{}/files?path={}", self.point.id, encode(path))
    }

    fn below(&self, row: &Row) -> String {
        self.at(&format!("{}/{}", self.asked.path, row.name))
    }

    fn page(&self, from: u64) -> String {
        let search = if self.asked.q.is_empty() { String::new() } else { format!("&q={}", encode(&self.asked.q)) };
        format!("{}{search}&from={from}", self.at(&self.asked.path))
    }

    fn before(&self) -> Option<String> {
        let step = u64::try_from(PAGE).unwrap_or(u64::MAX);
        (self.asked.from > 0).then(|| self.page(self.asked.from.saturating_sub(step)))
    }

    fn after(&self) -> Option<String> {
        let listed = self.listed().filter(|it| it.has_more)?;
        Some(self.page(self.asked.from.saturating_add(u64::try_from(listed.rows.len()).unwrap_or(0))))
    }

    /// "1 to 200 of 1,283 entries".
    fn summary(&self) -> String {
        let Some(listed) = self.listed() else { return String::new() };
        let first = self.asked.from.saturating_add(1);
        let last = self.asked.from.saturating_add(u64::try_from(listed.rows.len()).unwrap_or(0));
        let number = |it: u64| domain::words::number(it);
        match listed.count {
            Some(count) if last < first => format!("No entry here; there are {}", number(count)),
            Some(count) if first == 1 && count == last => domain::words::counted(count, "entry", "entries"),
            Some(count) => format!("{} to {} of {} entries", number(first), number(last), number(count)),
            None if listed.broken.is_some() => {
                format!("{} to {}; further ones cannot be read", number(first), number(last))
            }
            None => format!("{} to {} of many more entries", number(first), number(last)),
        }
    }

    /// Whether there is something to download.
    fn offers_download(&self) -> bool {
        match &self.found {
            Some(Found::Folder(_)) => true,
            Some(Found::Single(row)) => matches!(row.kind, RowKind::File { .. }),
            None => false,
        }
    }

    /// Whether the restore wizard can begin with it.
    fn offers_restore(&self) -> bool {
        let may = self.layout.may_in(Permission::Restore, self.device.team_id);
        may && self.found.is_some() && self.point.manifest_name.is_some()
    }

    fn restore(&self) -> String {
        let chosen = if self.asked.path.is_empty() {
            String::new()
        } else {
            format!("&what=paths&path={}", encode(&self.asked.path))
        };
        format!("/devices/{}/restore/what?point={}{chosen}", self.device.id, self.point.id)
    }

    fn modified(row: &Row) -> Option<Time> {
        row.modified.and_then(|it| it.checked_mul(1000)).map(Time::from_millis)
    }
}

#[get("/restore-points/{id}/files")]
pub async fn show(
    by: Can<ReadContents>,
    layout: Layout,
    (store, desk): (Data<Store>, Data<Desk>),
    (id, asked): (Path<RestorePointId>, Query<Asked>),
) -> PageResult<HttpResponse> {
    page(&by, layout, (&store, &desk), (id.into_inner(), asked.into_inner()), Typed::default()).await
}

/// The page of a path, with what was typed into its form.
///
/// # Errors
/// When it may not be read, or the database does not answer.
pub(super) async fn page(
    by: &Can<ReadContents>,
    layout: Layout,
    (store, desk): (&Store, &Desk),
    (point, asked): (RestorePointId, Asked),
    typed: Typed,
) -> PageResult<HttpResponse> {
    let wanted = Wanted { kind: ReadKind::List, point, path: asked.path.clone(), reason: String::new() };
    let look = desk.list(&by.acting(), wanted, asked.q.trim().to_owned(), asked.from).await?;
    let device = look.opened.device.id;
    let downloads = store.read(move |conn| content_read::downloads(conn, device, DOWNLOADS)).await?;
    let (found, trouble, status) = match look.found {
        Ok(found) => (Some(found), String::new(), StatusCode::OK),
        Err(trouble) => (None, trouble.to_string(), trouble.status()),
    };
    let page = FilesPage {
        layout,
        device: look.opened.device,
        point: look.opened.point,
        asked,
        found,
        trouble: if typed.trouble.is_empty() { trouble } else { typed.trouble },
        downloads,
        reason: typed.reason,
        errors: typed.errors,
    };
    with_status(&page, typed.status.unwrap_or(status))
}
