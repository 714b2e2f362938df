//! The history of acts.
use crate::auth::{Can, ViewActivity};
use crate::query::activity::ActivityQuery;
use crate::store::Store;
use crate::store::activity::Activity;
use crate::store::activity_list::{self, Listed};
use crate::web::PageResult;
use crate::web::area::{Area, Link, Place};
use crate::web::layout::Layout;
use actix_web::web::{Data, Query, ServiceConfig};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::activity::{Action, Outcome};
use domain::role::Permission;

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/activity",
        icon: "scroll-text",
        label: "Activity",
        needs: Some(Permission::ViewActivity),
    }),
    ..Area::new(routes, &["activity"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list);
}

const PER_PAGE: usize = 50;

#[derive(Template, WebTemplate)]
#[template(path = "activity/list.html")]
struct ListPage {
    layout: Layout,
    search: ActivityQuery,
    entries: Vec<Listed>,
    /// The addresses of the next page and of the downloads.
    next: String,
    csv: String,
    json: String,
}

impl ListPage {
    /// The address of everything that happened in one wipe.
    fn story(&self, entry: &Activity) -> Option<String> {
        let is_wipe = entry.object_kind == "wipe_request" && self.search.wipe.is_empty();
        is_wipe.then(|| format!("/activity?wipe={}", entry.object_id))
    }
}

#[get("/activity")]
async fn list(
    by: Can<ViewActivity>,
    layout: Layout,
    store: Data<Store>,
    search: Query<ActivityQuery>,
) -> PageResult<impl Responder> {
    let search = search.into_inner();
    let (filter, reach) = (search.parse(&layout.zone)?, by.reach().clone());
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let mut entries = store.read(move |conn| activity_list::with_devices(conn, &filter, &reach, limit)).await?;
    let more = entries.len() > PER_PAGE;
    entries.truncate(PER_PAGE);
    let next = match entries.last() {
        Some((last, _)) if more => format!("/activity?{}", search.address(Some(last.seq))?),
        _ => String::new(),
    };
    let query = search.address(None)?;
    let (csv, json) = (format!("/activity.csv?{query}"), format!("/activity.json?{query}"));
    Ok(ListPage { layout, search, entries, next, csv, json })
}
