//! A device's restore points as JSON, also as of a moment.
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::restore_point::RestorePointQuery;
use crate::service::reach;
use crate::store::Store;
use crate::store::restore_point::{self, RestorePoint};
use crate::zone::Zone;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use clock::Clock;
use domain::id::DeviceId;
use domain::time::Time;
use serde::Serialize;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/devices/{id}/restore-points.json", list));
}

/// How many points come at once.
const AT_ONCE: i64 = 500;

/// A restore point as scripts read it; times are ISO 8601 in UTC.
#[derive(Serialize)]
struct Row {
    id: String,
    received_at: String,
    repository_id: String,
    snapshot: String,
    file_count: Option<i64>,
    size_bytes: Option<i64>,
    verified_at: Option<String>,
    partial_at: Option<String>,
    proven_at: Option<String>,
    failed_at: Option<String>,
}

/// The points the server held, newest first.
#[derive(Serialize)]
struct Answer {
    as_of: Option<String>,
    count: i64,
    restore_points: Vec<Row>,
}

impl From<RestorePoint> for Row {
    fn from(it: RestorePoint) -> Self {
        let iso = |at: Option<Time>| at.map(Time::iso);
        Self {
            id: it.id.to_string(),
            received_at: it.received_at.iso(),
            repository_id: it.repository_id.to_string(),
            snapshot: it.snapshot_name.to_string(),
            file_count: it.file_count,
            size_bytes: it.size_bytes,
            verified_at: iso(it.verified_at),
            partial_at: iso(it.partial_at),
            proven_at: iso(it.proven_at),
            failed_at: iso(it.failed_at),
        }
    }
}

async fn list(
    by: Can<ViewDevices>,
    (store, clock): (Data<Store>, Data<Clock>),
    (id, query): (Path<DeviceId>, Query<RestorePointQuery>),
) -> ApiResult<HttpResponse> {
    let (id, reach) = (id.into_inner(), by.reach().clone());
    let (as_of, skip) = query.parse(&Zone::new(&by.time_zone, clock.now()))?;
    let (points, count) = store
        .read(move |conn| {
            reach::device(conn, &reach, id)?;
            let points = restore_point::stored_until(conn, id, as_of, (skip, AT_ONCE))?;
            Ok::<_, Error>((points, restore_point::count_stored_until(conn, id, as_of)?))
        })
        .await?;
    let restore_points = points.into_iter().map(Row::from).collect();
    Ok(HttpResponse::Ok().json(Answer { as_of: as_of.map(Time::iso), count, restore_points }))
}
