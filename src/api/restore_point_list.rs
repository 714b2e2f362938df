//! Restore points as CSV.
use crate::api::file::{CHUNK, csv_stream, iso, next, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::restore_point_list::RestorePointListQuery;
use crate::store::device::Label;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_point_list::{self, Listed};
use crate::store::{self, Store};
use actix_web::HttpResponse;
use actix_web::web::{Data, Query, ServiceConfig};
use clock::Clock;
use domain::time::Time;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/restore-points.csv", csv));
}

const COLUMNS: &[&str] = &[
    "id",
    "device_id",
    "device",
    "serial",
    "person",
    "received_at",
    "known",
    "file_count",
    "size_bytes",
    "proven_at",
    "proven_until",
    "failed_at",
];

fn fields(point: RestorePoint, (now, is_store_away): (Time, bool), device: Label) -> Vec<String> {
    let number = |it: Option<i64>| it.map(|it| it.to_string()).unwrap_or_default();
    vec![
        point.id.to_string(),
        point.device_id.to_string(),
        device.name,
        device.serial,
        device.person,
        point.received_at.iso(),
        point.grade(now, is_store_away).to_string(),
        number(point.file_count),
        number(point.size_bytes),
        iso(point.proven_at),
        iso(point.proven_until),
        iso(point.failed_at),
    ]
}

async fn csv(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<RestorePointListQuery>,
) -> ApiResult<HttpResponse> {
    let ((shown, before), reach, now) = (query.parse()?, by.reach().clone(), clock.now());
    record(&by, &store, "restore-points.csv", format!("known={}&before={}", query.known, query.before), now).await?;
    Ok(csv_stream("restore-points.csv", COLUMNS, move |after| {
        let (store, reach) = (store.clone(), reach.clone());
        async move {
            let read = store.read(move |conn| {
                let is_store_away = store::ground::away(conn)?.is_some();
                let points = restore_point_list::newest(conn, (shown, now), &reach, after.or(before), CHUNK)?;
                let labels = store::device::labels(conn, points.iter().map(|(it, _)| it.device_id))?;
                Ok::<_, Error>((points, labels, is_store_away))
            });
            let (points, labels, is_store_away) = read.await?;
            let last = next(&points, |(it, _)| it.id);
            let row = |(it, _): Listed| {
                let label = labels.get(&it.device_id).cloned().unwrap_or_default();
                fields(it, (now, is_store_away), label)
            };
            Ok((points.into_iter().map(row).collect(), last))
        }
    }))
}
