//! Restore tests: how they ended, and what failed.
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::restore_test::RestoreTestQuery;
use crate::service::loss;
use crate::store::device::{Device, Label};
use crate::store::device_list::{self, Counts};
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::restore_test_list::{self, Listed};
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Link, Place};
use crate::web::export::{CHUNK, csv_stream, iso, next, record};
use crate::web::filter;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::id::RestoreTestId;
use domain::proof::{TestCause, TestResult};
use domain::restore_test::Failures;
use domain::role::Permission;
use domain::time::{Time, days};

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/restore-tests",
        icon: "archive-restore",
        label: "Recovery",
        needs: Some(Permission::ViewDevices),
    }),
    ..Area::new(routes, &["restore-tests"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(csv).service(show);
}

const PER_PAGE: usize = 50;

/// The filter's values with their names.
const RESULTS: [(&str, &str); 6] = [
    ("", "All"),
    ("open", "Waiting or running"),
    ("passed", "Passed"),
    ("failed", "Failed"),
    ("partial", "Partial"),
    ("unproven", "Could not run"),
];

#[derive(Template, WebTemplate)]
#[template(path = "restore_test/list.html")]
struct ListPage {
    layout: Layout,
    query: RestoreTestQuery,
    counts: Counts,
    failed_this_week: i64,
    tests: Vec<Listed>,
    /// What failed is shown only to people who may see the file names of all devices.
    sees_files: bool,
    next: String,
}

impl ListPage {
    fn summary(&self) -> String {
        format!("{} shown, newest first", self.layout.count(self.tests.len()))
    }
}

#[get("/restore-tests")]
async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<RestoreTestQuery>,
) -> PageResult<impl Responder> {
    let (query, reach, now) = (query.into_inner(), by.reach().clone(), clock.now());
    let (shown, before) = query.parse()?;
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let (counts, failed_this_week, mut tests) = store
        .read(move |conn| {
            let all = loss::all_devices(conn, now)?.0;
            Ok::<_, Error>((
                device_list::counts(conn, &all, &reach, now)?,
                restore_test_list::ended_since(conn, TestResult::Failed, &reach, now - days(7))?,
                restore_test_list::newest(conn, shown, &reach, before, limit)?,
            ))
        })
        .await?;
    let has_more = tests.len() > PER_PAGE;
    tests.truncate(PER_PAGE);
    let next = tests.last().filter(|_| has_more).map(|(last, ..)| {
        let pairs = [("result", &query.result), ("before", &last.id.to_string())];
        format!("/restore-tests?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    });
    let sees_files = by.grants().allows_everywhere(Permission::ViewFileNames);
    Ok(ListPage { layout, query, counts, failed_this_week, tests, sees_files, next: next.unwrap_or_default() })
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

#[get("/restore-tests.csv")]
async fn csv(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<RestoreTestQuery>,
) -> PageResult<HttpResponse> {
    let ((shown, before), reach) = (query.parse()?, by.reach().clone());
    record(&by, &store, "restore-tests.csv", format!("result={}", query.result), clock.now()).await?;
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

#[derive(Template, WebTemplate)]
#[template(path = "restore_test/show.html")]
struct ShowPage {
    layout: Layout,
    test: RestoreTest,
    device: Device,
    point: Option<RestorePoint>,
    failures: Failures,
    /// Whether the reader may see this device's file names.
    sees_files: bool,
}

#[get("/restore-tests/{id}")]
async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<RestoreTestId>,
) -> PageResult<impl Responder> {
    let (id, reach) = (id.into_inner(), by.reach().clone());
    let (test, device, point) = store
        .read(move |conn| {
            let test = store::restore_test::find(conn, id)?.ok_or(Error::NotFound("restore test"))?;
            let device = store::device::find(conn, test.device_id)?.ok_or(Error::NotFound("restore test"))?;
            if !reach.covers(device.team_id) {
                return Err(Error::NotFound("restore test"));
            }
            let point = store::restore_point::find(conn, test.restore_point_id)?;
            Ok::<_, Error>((test, device, point))
        })
        .await?;
    let failures = test.failures()?;
    let sees_files = by.grants().reach(Permission::ViewFileNames).is_some_and(|it| it.covers(device.team_id));
    Ok(ShowPage { layout, failures, sees_files, test, device, point })
}

/// How long a test took; empty while it is running.
fn took(test: &RestoreTest) -> String {
    test.duration().map(filter::took).unwrap_or_default()
}

/// Where a test ran, without the number of the process.
fn runner(test: &RestoreTest) -> &str {
    test.runner.split(" #").next().unwrap_or_default()
}

/// How much of the restore point was compared: "100 %".
fn coverage(test: &RestoreTest) -> String {
    if test.file_count == 0 {
        return "None".to_owned();
    }
    // Rounded down: 100 % means all.
    format!("{} %", (test.file_count - test.excluded_count).max(0) * 100 / test.file_count)
}
