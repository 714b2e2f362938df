//! `/restore-points/{id}/changes`: what another restore point of the same device differs in.
use crate::auth::{Can, ReadContents};
use crate::content::Desk;
use crate::content::message::{Change, Changes, Counts, Difference};
use crate::error::Error;
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::web::PageResult;
use crate::web::form::{encode, with_status};
use crate::web::layout::Layout;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use askama::Template;
use domain::id::RestorePointId;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "content/changes.html")]
struct ChangesPage {
    layout: Layout,
    device: Device,
    old: RestorePoint,
    new: RestorePoint,
    changes: Changes,
    trouble: String,
    from: u64,
}

#[derive(Debug, Deserialize)]
pub struct Other {
    other: Option<RestorePointId>,
    #[serde(default)]
    from: u64,
}

impl ChangesPage {
    /// "12 files, 3.4 MB".
    fn counted(&self, counts: &Counts) -> String {
        let bytes = self.layout.bytes(i64::try_from(counts.bytes).unwrap_or(i64::MAX));
        format!("{}, {bytes}", domain::words::files(counts.files))
    }

    /// Where an entry can be looked at: in the point that has it.
    fn at(&self, change: &Change) -> String {
        let point = if change.what == Difference::Removed { &self.old } else { &self.new };
        format!("/restore-points/{}/files?path={}", point.id, encode(&change.path))
    }

    fn page(&self, from: u64) -> String {
        format!("/restore-points/{}/changes?other={}&from={from}", self.new.id, self.old.id)
    }

    fn after(&self) -> Option<String> {
        let next = self.from.saturating_add(u64::try_from(self.changes.rows.len()).unwrap_or(0));
        self.changes.has_more.then(|| self.page(next))
    }

    fn is_same(&self) -> bool {
        self.trouble.is_empty() && self.changes == Changes { is_whole: true, ..Changes::default() } && self.from == 0
    }
}

#[get("/restore-points/{id}/changes")]
pub async fn show(
    by: Can<ReadContents>,
    layout: Layout,
    desk: Data<Desk>,
    (id, other): (Path<RestorePointId>, Query<Other>),
) -> PageResult<HttpResponse> {
    let old = other.other.ok_or(Error::NotFound("other restore point to compare with"))?;
    let (compared, found) = desk.compare(&by.acting(), (id.into_inner(), old), other.from).await?;
    let (changes, trouble, status) = match found {
        Ok(changes) => (changes, String::new(), StatusCode::OK),
        Err(trouble) => (Changes::default(), trouble.to_string(), trouble.status()),
    };
    let (device, old, new) = (compared.device, compared.old, compared.new);
    with_status(&ChangesPage { layout, device, old, new, changes, trouble, from: other.from }, status)
}
