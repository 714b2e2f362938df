//! `/wipe-requests`: every wipe that was asked for.
use super::badge;
use crate::domain::wipe::{BEFORE_DELIVERY, Facts, WipeState};
use crate::error::{Error, FieldErrors, Result};
use crate::store::wipe::{Listed, WipeRequest};
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::form::{self, with_status};
use crate::web::layout::Layout;
use crate::web::session::{Can, ViewDevices};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use askama::Template;
use serde::Deserialize;
use std::collections::HashMap;

/// So many are shown; older ones stay in Activity.
const SHOWN: i64 = 200;

#[derive(Debug, Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    state: String,
}

/// A request as a row.
pub struct Row {
    pub it: Listed,
    agreed: Facts,
    pub approver: String,
}

impl Row {
    /// What was agreed to lose, in few words.
    pub fn lost(&self, layout: &Layout) -> String {
        self.agreed.lost_by(self.it.request.action, &|at| layout.zone.short(at))
    }

    /// The badge's class.
    pub fn class(&self) -> &'static str {
        badge(self.it.request.state).0
    }

    /// The badge's icon.
    pub fn icon(&self) -> &'static str {
        badge(self.it.request.state).1
    }
}

/// Rows with what they need beside the request.
///
/// # Errors
/// When the database refuses.
pub fn rows(listed: Vec<Listed>, names: &HashMap<String, String>) -> Result<Vec<Row>> {
    let row = |it: Listed| {
        let approver = it.request.approved_by.as_ref().and_then(|id| names.get(id)).cloned().unwrap_or_default();
        Ok(Row { agreed: it.request.agreed()?, approver, it })
    };
    listed.into_iter().map(row).collect()
}

/// The ids of approvers.
pub fn approvers(listed: &[Listed]) -> Vec<String> {
    listed.iter().filter_map(|it| it.request.approved_by.clone()).collect()
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
    fn time(&self, request: &WipeRequest) -> crate::domain::time::Time {
        let last = request.finished_at.or(request.delivered_at).or(request.approved_at);
        last.unwrap_or(request.requested_at)
    }
}

fn states(filter: &str) -> Option<Vec<WipeState>> {
    match filter {
        "open" => Some(WipeState::ALL.iter().copied().filter(|it| !it.is_final()).collect()),
        "stoppable" => Some(BEFORE_DELIVERY.to_vec()),
        one => Some(vec![WipeState::parse(one)?]),
    }
}

#[get("/wipe-requests")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    filter: Query<Filter>,
) -> PageResult<HttpResponse> {
    let filter = filter.into_inner().state;
    let mut errors = FieldErrors::new();
    let states = form::filter(&filter, "state", states, &mut errors).unwrap_or_else(|| WipeState::ALL.to_vec());
    errors.into_result().map_err(Error::from)?;
    let reach = by.reach().clone();
    let rows = store
        .read(move |conn| {
            let listed = store::wipe::list(conn, &states, &reach, SHOWN)?;
            let names = store::wipe::names(conn, &approvers(&listed))?;
            rows(listed, &names)
        })
        .await?;
    let is_full = i64::try_from(rows.len()).unwrap_or(SHOWN) >= SHOWN;
    with_status(&ListPage { layout, rows, filter, is_full }, StatusCode::OK)
}
