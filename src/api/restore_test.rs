//! Restore tests as CSV.
use crate::api::file::{CHUNK, csv_stream, iso, next, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::restore_test::RestoreTestQuery;
use crate::store::device::Label;
use crate::store::restore_test::RestoreTest;
use crate::store::restore_test_list::{self, Listed};
use crate::store::{self, Store};
use actix_web::HttpResponse;
use actix_web::web::{Data, Query, ServiceConfig};
use clock::Clock;
use domain::time::Time;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/restore-tests.csv", csv));
}

const COLUMNS: &[&str] = &[
    "id",
    "device_id",
    "device",
    "serial",
    "person",
    "restore_point_id",
    "restore_point_received_at",
    "cause",
    "state",
    "result",
    "file_count",
    "matched_count",
    "not_compared_count",
    "queued_at",
    "started_at",
    "finished_at",
];

/// Without what failed: that would be file names.
fn fields(test: RestoreTest, received_at: Time, device: Label) -> Vec<String> {
    vec![
        test.id.to_string(),
        test.device_id.to_string(),
        device.name,
        device.serial,
        device.person,
        test.restore_point_id.to_string(),
        received_at.iso(),
        test.cause.to_string(),
        test.state.to_string(),
        test.result.map(|it| it.to_string()).unwrap_or_default(),
        test.file_count.to_string(),
        test.matched_count.to_string(),
        test.excluded_count.to_string(),
        test.queued_at.iso(),
        iso(test.started_at),
        iso(test.finished_at),
    ]
}

async fn csv(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<RestoreTestQuery>,
) -> ApiResult<HttpResponse> {
    let ((shown, before), reach) = (query.parse()?, by.reach().clone());
    record(&by, &store, "restore-tests.csv", format!("result={}&before={}", query.result, query.before), clock.now())
        .await?;
    Ok(csv_stream("restore-tests.csv", COLUMNS, move |after| {
        let (store, reach) = (store.clone(), reach.clone());
        async move {
            let read = store.read(move |conn| {
                let tests = restore_test_list::newest(conn, shown, &reach, after.or(before), CHUNK)?;
                let labels = store::device::labels(conn, tests.iter().map(|(it, ..)| it.device_id))?;
                Ok::<_, Error>((tests, labels))
            });
            let (tests, labels) = read.await?;
            let last = next(&tests, |(it, ..)| it.id);
            let row = |(it, _, received_at): Listed| {
                let label = labels.get(&it.device_id).cloned().unwrap_or_default();
                fields(it, received_at, label)
            };
            Ok((tests.into_iter().map(row).collect(), last))
        }
    }))
}
