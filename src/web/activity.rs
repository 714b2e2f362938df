//! The history of acts, for people, spreadsheets and scripts.
use crate::domain::activity::{Action, Outcome};
use crate::error::Error;
use crate::store::Store;
use crate::store::activity::Activity;
use crate::store::activity_list::{self, Filter};
use crate::web::error::PageResult;
use crate::web::filter::Zone;
use crate::web::layout::Layout;
use crate::web::session::{Can, ViewActivity};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Query, ServiceConfig};
use actix_web::{HttpResponse, Responder, get};
use anyhow::Context;
use askama::Template;
use askama_web::WebTemplate;
use serde::{Deserialize, Serialize};

/// Registers the pages of this area.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list).service(list_json).service(list_csv);
}

const PAGE: usize = 50;
/// A download has more, but not so much that one request fills the memory.
const DOWNLOAD: i64 = 10_000;

#[derive(Template, WebTemplate)]
#[template(path = "activity/list.html")]
struct ListPage {
    layout: Layout,
    search: Search,
    entries: Vec<Activity>,
    /// The addresses of the next page and of the downloads.
    next: String,
    csv: String,
    json: String,
}

/// The filters, as the address has them.
#[derive(Deserialize, Serialize, Default, Clone)]
#[serde(default)]
struct Search {
    actor: String,
    action: String,
    device: String,
    result: String,
    from: String,
    until: String,
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    before: String,
}

impl Search {
    fn parse(&self, zone: &Zone) -> Filter {
        Filter {
            actor: self.actor.trim().to_owned(),
            action: Action::parse(&self.action),
            device: self.device.trim().to_owned(),
            result: Outcome::parse(&self.result),
            from: zone.start_of_day(&self.from),
            until: zone.end_of_day(&self.until),
            text: self.q.trim().to_owned(),
            before: self.before.parse().ok(),
        }
    }

    fn address(&self, path: &str, before: Option<i64>) -> PageResult<String> {
        let search = Self { before: before.map(|it| it.to_string()).unwrap_or_default(), ..self.clone() };
        let query = serde_urlencoded::to_string(&search).context("writing an address")?;
        Ok(format!("{path}?{query}"))
    }
}

#[get("/activity")]
async fn list(
    by: Can<ViewActivity>,
    layout: Layout,
    store: Data<Store>,
    search: Query<Search>,
) -> PageResult<impl Responder> {
    let search = search.into_inner();
    let (filter, reach) = (search.parse(&layout.zone), by.reach().clone());
    let limit = i64::try_from(PAGE).unwrap_or(50) + 1;
    let mut entries = store.read(move |conn| activity_list::find(conn, &filter, &reach, limit)).await?;
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let next = match entries.last() {
        Some(last) if more => search.address("/activity", Some(last.seq))?,
        _ => String::new(),
    };
    let (csv, json) = (search.address("/activity.csv", None)?, search.address("/activity.json", None)?);
    Ok(ListPage { layout, search, entries, next, csv, json })
}

/// An entry as scripts read it; times are ISO 8601 in UTC.
#[derive(Serialize)]
struct Row {
    seq: i64,
    at: String,
    actor: String,
    via: &'static str,
    action: &'static str,
    object_kind: String,
    object_id: String,
    object_name: String,
    device_id: String,
    result: &'static str,
    reason: String,
    address: String,
}

impl From<Activity> for Row {
    fn from(it: Activity) -> Self {
        Self {
            seq: it.seq,
            at: it.at.iso(),
            actor: it.actor_name,
            via: it.via.as_str(),
            action: it.action.as_str(),
            object_kind: it.object_kind,
            object_id: it.object_id,
            object_name: it.object_name,
            device_id: it.device_id.map(|id| id.to_string()).unwrap_or_default(),
            result: it.result.as_str(),
            reason: it.reason,
            address: it.address,
        }
    }
}

async fn download(by: &Can<ViewActivity>, store: &Store, search: &Search) -> PageResult<Vec<Row>> {
    let zone = Zone::new(&by.time_zone, crate::domain::time::Time::from_millis(0));
    let (filter, reach) = (search.parse(&zone), by.reach().clone());
    let entries = store.read(move |conn| activity_list::find(conn, &filter, &reach, DOWNLOAD)).await?;
    Ok(entries.into_iter().map(Row::from).collect())
}

#[get("/activity.json")]
async fn list_json(by: Can<ViewActivity>, store: Data<Store>, search: Query<Search>) -> PageResult<HttpResponse> {
    Ok(HttpResponse::Ok().json(download(&by, &store, &search).await?))
}

#[get("/activity.csv")]
async fn list_csv(by: Can<ViewActivity>, store: Data<Store>, search: Query<Search>) -> PageResult<HttpResponse> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for mut row in download(&by, &store, &search).await? {
        for text in [&mut row.actor, &mut row.object_name, &mut row.reason] {
            disarm(text);
        }
        writer.serialize(row).context("writing a line")?;
    }
    let body = writer.into_inner().map_err(|error| Error::Internal(anyhow::anyhow!("writing lines: {error}")))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"activity.csv\""))
        .body(body))
}

/// Keeps a spreadsheet from taking a text that someone chose for a formula.
pub(super) fn disarm(text: &mut String) {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        text.insert(0, '\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_a_formula() {
        let mut name = "=HYPERLINK(\"x\")".to_owned();
        disarm(&mut name);
        assert_eq!(name, "'=HYPERLINK(\"x\")");
    }
}
