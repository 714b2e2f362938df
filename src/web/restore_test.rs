//! Restore tests: how they ended, and what failed.
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::restore_test::RestoreTestQuery;
use crate::service::loss;
use crate::store::device::Device;
use crate::store::device_list::{self, Counts};
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::restore_test_list::{self, Listed};
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Link, Place};
use crate::web::filter;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::id::RestoreTestId;
use domain::proof::{TestCause, TestResult};
use domain::restore_test::Failures;
use domain::role::Permission;
use domain::time::days;

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
    config.service(list).service(show);
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
