//! `/devices/{id}/restore-points/search`: in which restore points a name is, and between which it went.
use super::files::status_of;
use crate::auth::{Can, ReadContents};
use crate::content::Desk;
use crate::content::message::{Hit, Hits, Span};
use crate::query::restore_point::RestorePointQuery;
use crate::service::content::Search;
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use crate::web::PageResult;
use crate::web::form::{encode, with_status};
use crate::web::layout::Layout;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use askama::Template;
use domain::id::DeviceId;
use domain::role::Permission;
use domain::time::Time;
use domain::words::counted;

/// What became of a path.
enum Fate {
    Still,
    /// When it was last there, and when no more.
    Gone(Time, Time),
    /// No newer point could be read to its end.
    Unknown,
}

#[derive(Template)]
#[template(path = "content/search.html")]
struct SearchPage {
    layout: Layout,
    device: Device,
    query: RestorePointQuery,
    as_of: Option<Time>,
    /// Newest first; hits name them by their place.
    points: Vec<RestorePoint>,
    hits: Hits,
    trouble: String,
    /// How many points there are that were not searched.
    rest: i64,
    skip: i64,
}

impl SearchPage {
    fn point(&self, at: usize) -> Option<&RestorePoint> {
        self.points.get(at)
    }

    /// The point from which a hit is looked at: the newest that has it.
    fn newest(&self, hit: &Hit) -> Option<&RestorePoint> {
        self.point(hit.spans.first()?.newest)
    }

    /// What became of it: "gone between 12 and 14 Nov" only where a newer point was read to its end and lacks it.
    fn fate(&self, hit: &Hit) -> Fate {
        let Some(last) = hit.spans.first().map(|it| it.newest).filter(|it| *it > 0) else { return Fate::Still };
        let after = (0..last).rev().find(|it| !self.hits.unsure.contains(it)).and_then(|it| self.point(it));
        match (self.point(last), after) {
            (Some(last), Some(after)) => Fate::Gone(last.received_at, after.received_at),
            _ => Fate::Unknown,
        }
    }

    fn span(&self, span: &Span) -> Option<(Time, Time)> {
        Some((self.point(span.oldest)?.received_at, self.point(span.newest)?.received_at))
    }

    fn at(&self, hit: &Hit) -> String {
        let id = self.newest(hit).map(|it| it.id.to_string()).unwrap_or_default();
        format!("/restore-points/{id}/files?path={}", encode(&hit.path))
    }

    /// The restore wizard with the newest version chosen; none if it cannot begin.
    fn restore(&self, hit: &Hit) -> Option<String> {
        let point = self.newest(hit).filter(|it| it.manifest_name.is_some())?;
        let may = self.layout.may_in(Permission::Restore, self.device.team_id);
        let path = encode(&hit.path);
        may.then(|| format!("/devices/{}/restore/what?point={}&what=paths&path={path}", self.device.id, point.id))
    }

    /// "Searched 120 restore points, from 3 Aug to 22 Nov".
    fn searched(&self) -> String {
        counted(self.hits.searched, "restore point", "restore points")
    }

    fn goes_on(&self) -> Option<String> {
        let done = self.skip + i64::try_from(self.hits.searched).unwrap_or(0);
        (self.rest > 0 && self.hits.searched > 0)
            .then(|| format!("/devices/{}/restore-points/search?{}", self.device.id, self.query.address(done)))
    }
}

#[get("/devices/{id}/restore-points/search")]
pub async fn search(
    by: Can<ReadContents>,
    layout: Layout,
    desk: Data<Desk>,
    (id, query): (Path<DeviceId>, Query<RestorePointQuery>),
) -> PageResult<HttpResponse> {
    let query = query.into_inner();
    let (as_of, skip) = query.parse(&layout.zone)?;
    let wanted = Search { device: id.into_inner(), text: query.q.trim().to_owned(), as_of, skip };
    let (searched, found) = desk.find(&by.acting(), wanted).await?;
    let (hits, trouble, status) = match found {
        Ok(hits) => (hits, String::new(), StatusCode::OK),
        Err(trouble) => (Hits::default(), trouble.to_string(), status_of(&trouble)),
    };
    let left = searched.points.len().saturating_sub(hits.searched);
    let page = SearchPage {
        rest: searched.older + i64::try_from(left).unwrap_or(0),
        layout,
        device: searched.device,
        query,
        as_of,
        points: searched.points,
        hits,
        trouble,
        skip,
    };
    with_status(&page, status)
}
