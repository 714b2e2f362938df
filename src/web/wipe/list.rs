//! `/wipe-requests`: every wipe that was requested.
use super::badge;
use crate::auth::{Can, ViewDevices};
use crate::error::Result;
use crate::query::wipe::WipeQuery;
use crate::store::wipe::{Listed, WipeRequest};
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::form::with_status;
use crate::web::layout::Layout;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use askama::Template;
use domain::time::Time;
use domain::wipe::Facts;

/// How many are shown; older ones are in Activity.
const SHOWN: i64 = 200;

/// A request as a row.
pub struct Row {
    pub listed: Listed,
    agreed: Facts,
    pub approver: String,
}

impl Row {
    /// The loss that was agreed to, in a few words.
    pub fn lost(&self, layout: &Layout) -> String {
        self.agreed.lost_by(self.listed.request.action, &|at| layout.zone.short(at))
    }

    /// The badge's class.
    pub fn class(&self) -> &'static str {
        badge(self.listed.request.state).0
    }

    /// The badge's icon.
    pub fn icon(&self) -> &'static str {
        badge(self.listed.request.state).1
    }
}

/// Rows with what they need besides the request.
///
/// # Errors
/// When the database refuses.
pub fn rows(conn: &mut Conn, listed: Vec<Listed>) -> Result<Vec<Row>> {
    let approvers: Vec<_> = listed.iter().filter_map(|it| it.request.approved_by).collect();
    let names = store::person::names(conn, &approvers)?;
    let row = |listed: Listed| {
        let approver = listed.request.approved_by.and_then(|id| names.get(&id)).cloned().unwrap_or_default();
        Ok(Row { agreed: listed.request.agreed()?, approver, listed })
    };
    listed.into_iter().map(row).collect()
}

#[derive(Template)]
#[template(path = "wipe/list.html")]
struct ListPage {
    layout: Layout,
    rows: Vec<Row>,
    filter: String,
    is_full: bool,
}

impl ListPage {
    fn time(&self, request: &WipeRequest) -> Time {
        let last = request.finished_at.or(request.delivered_at).or(request.approved_at);
        last.unwrap_or(request.requested_at)
    }
}

#[get("/wipe-requests")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    query: Query<WipeQuery>,
) -> PageResult<HttpResponse> {
    let states = query.states()?;
    let reach = by.reach().clone();
    let rows = store
        .read(move |conn| {
            let listed = store::wipe::list(conn, &states, &reach, None, SHOWN)?;
            rows(conn, listed)
        })
        .await?;
    let is_full = i64::try_from(rows.len()).unwrap_or(SHOWN) >= SHOWN;
    with_status(&ListPage { layout, rows, filter: query.into_inner().state, is_full }, StatusCode::OK)
}
