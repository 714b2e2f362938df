//! `/devices/{id}/restore-points`: what there is, and what there was as of some time; from here one looks inside.
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::restore_point::RestorePointQuery;
use crate::service::reach;
use crate::store::Store;
use crate::store::device::Device;
use crate::store::repository::key_holder_of;
use crate::store::restore_point::{self, RestorePoint};
use crate::web::PageResult;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path, Query};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::id::DeviceId;
use domain::key_holder::KeyedAct;
use domain::role::Permission;
use domain::time::Time;

const PER_PAGE: i64 = 50;

#[derive(Template, WebTemplate)]
#[template(path = "content/points.html")]
struct PointsPage {
    layout: Layout,
    device: Device,
    query: RestorePointQuery,
    as_of: Option<Time>,
    points: Vec<RestorePoint>,
    skip: i64,
    all: i64,
    may_look: bool,
    may_restore: bool,
    /// Why nobody looks inside.
    refusal: Option<&'static str>,
}

impl PointsPage {
    fn summary(&self) -> String {
        let shown = i64::try_from(self.points.len()).unwrap_or(i64::MAX);
        let all = domain::words::counted(self.all, "restore point", "restore points");
        if shown == self.all { all } else { format!("{} to {} of {all}", self.skip + 1, self.skip + shown) }
    }

    fn older(&self) -> Option<String> {
        let next = self.skip + i64::try_from(self.points.len()).unwrap_or(0);
        (next < self.all && !self.points.is_empty()).then(|| self.page(next))
    }

    fn newer(&self) -> Option<String> {
        (self.skip > 0).then(|| self.page((self.skip - PER_PAGE).max(0)))
    }

    fn page(&self, skip: i64) -> String {
        format!("/devices/{}/restore-points?{}", self.device.id, self.query.address(skip))
    }
}

#[get("/devices/{id}/restore-points")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    (id, query): (Path<DeviceId>, Query<RestorePointQuery>),
) -> PageResult<impl Responder> {
    let (id, query, reach) = (id.into_inner(), query.into_inner(), by.reach().clone());
    let (as_of, skip) = query.parse(&layout.zone)?;
    let (device, points, all, holder) = store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            let points = restore_point::stored_until(conn, id, as_of, (skip, PER_PAGE))?;
            let (all, holder) = (restore_point::count_stored_until(conn, id, as_of)?, key_holder_of(conn, id)?);
            Ok::<_, Error>((device, points, all, holder))
        })
        .await?;
    let refusal = holder.refusal(KeyedAct::LookInside);
    let may_look = refusal.is_none() && layout.may_in(Permission::ReadContents, device.team_id);
    let may_restore = layout.may_in(Permission::Restore, device.team_id);
    Ok(PointsPage { layout, device, query, as_of, points, skip, all, may_look, may_restore, refusal })
}
