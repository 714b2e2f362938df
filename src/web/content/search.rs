//! `/devices/{id}/restore-points/search`: in which restore points a name is, and between which it went.
use crate::auth::{Can, ReadContents};
use crate::content::message::{GoesOn, Hit};
use crate::content::{Desk, Fate, Findings, Trouble};
use crate::query::restore_point::RestorePointQuery;
use crate::service::content::Search;
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

#[derive(Template)]
#[template(path = "content/search.html")]
struct SearchPage {
    layout: Layout,
    query: RestorePointQuery,
    as_of: Option<Time>,
    found: Findings,
    /// How many points there are that were not searched.
    rest: i64,
}

impl SearchPage {
    fn trouble(&self) -> Option<String> {
        self.found.trouble.as_ref().map(ToString::to_string)
    }

    /// How far the search came in a point that has too much for one.
    fn part(&self) -> Option<(&GoesOn, &RestorePoint)> {
        Some((self.found.hits.goes_on.as_ref()?, self.found.points.first()?))
    }

    /// The point whose rest was searched.
    fn ended(&self) -> Option<&RestorePoint> {
        self.found.points.first().filter(|_| !self.query.from.is_empty())
    }

    /// From the newest point that has it.
    fn at(&self, hit: &Hit) -> String {
        let id = self.found.newest(hit).map(|it| it.id.to_string()).unwrap_or_default();
        format!("/restore-points/{id}/files?path={}", encode(&hit.path))
    }

    /// The restore wizard with the newest version chosen; none if it cannot begin.
    fn restore(&self, hit: &Hit) -> Option<String> {
        let (device, point) = (&self.found.device, self.found.newest(hit)?);
        let may = point.manifest_name.is_some() && self.layout.may_in(Permission::Restore, device.team_id);
        let path = encode(&hit.path);
        may.then(|| format!("/devices/{}/restore/what?point={}&what=paths&path={path}", device.id, point.id))
    }

    /// "120 restore points".
    fn searched(&self) -> String {
        counted(self.found.hits.searched, "restore point", "restore points")
    }

    /// The address of the next search, and what it searches.
    fn goes_on(&self) -> Option<(String, String)> {
        let next = self.found.next()?;
        let query = self.query.address_within(next.skip, &next.from);
        let what = if next.from.is_empty() {
            let rest = if self.found.trouble.is_some() { self.rest - 1 } else { self.rest };
            counted(rest, "older restore point", "older restore points")
        } else {
            "the rest of this restore point".to_owned()
        };
        Some((format!("/devices/{}/restore-points/search?{query}", self.found.device.id), what))
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
    let text = query.q.trim().to_owned();
    let wanted = Search { device: id.into_inner(), text, as_of, skip, from: query.from.clone() };
    let found = desk.find(&by.acting(), wanted).await?;
    let status = found.trouble.as_ref().map_or(StatusCode::OK, Trouble::status);
    with_status(&SearchPage { layout, query, as_of, rest: found.rest(), found }, status)
}
