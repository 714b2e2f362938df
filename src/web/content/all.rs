//! `/restore-points`: those of all devices.
use crate::auth::{Can, ViewDevices};
use crate::query::restore_point_list::RestorePointListQuery;
use crate::store::Store;
use crate::store::restore_point_list::{self, Listed};
use crate::web::PageResult;
use crate::web::layout::Layout;
use actix_web::web::{Data, Query};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;

const PER_PAGE: usize = 50;

/// The filter's values with their names.
const KNOWN: [(&str, &str); 4] =
    [("", "All"), ("proven", "Proven"), ("unproven", "Without a proof that holds"), ("failed", "Failed")];

#[derive(Template, WebTemplate)]
#[template(path = "content/all.html")]
struct ListPage {
    layout: Layout,
    query: RestorePointListQuery,
    points: Vec<Listed>,
    next: String,
}

impl ListPage {
    fn summary(&self) -> String {
        format!("{} shown, newest first", self.layout.count(self.points.len()))
    }
}

#[get("/restore-points")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<RestorePointListQuery>,
) -> PageResult<impl Responder> {
    let (query, reach, now) = (query.into_inner(), by.reach().clone(), clock.now());
    let (shown, before) = query.parse()?;
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let mut points =
        store.read(move |conn| restore_point_list::newest(conn, (shown, now), &reach, before, limit)).await?;
    let has_more = points.len() > PER_PAGE;
    points.truncate(PER_PAGE);
    let next = points.last().filter(|_| has_more).map(|(last, _)| {
        let pairs = [("known", &query.known), ("before", &last.id.to_string())];
        format!("/restore-points?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    });
    Ok(ListPage { layout, query, points, next: next.unwrap_or_default() })
}
