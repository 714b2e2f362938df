//! The history of acts, for people, spreadsheets and scripts.
use crate::error::{FieldErrors, Result};
use crate::store::activity::Activity;
use crate::store::activity_list::{self, Filter};
use crate::store::device::Label;
use crate::store::{self, Conn, Store};
use crate::web::area::{Area, Link, Place};
use crate::web::error::PageResult;
use crate::web::export::{csv_piece, file, finish, json_piece, record};
use crate::web::filter::Zone;
use crate::web::form::filter;
use crate::web::layout::Layout;
use crate::web::session::{Can, ViewActivity};
use actix_web::web::{Data, Query, ServiceConfig};
use actix_web::{HttpResponse, Responder, get};
use anyhow::Context;
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::activity::{Action, Outcome};
use domain::id::WipeRequestId;
use domain::role::{Permission, Reach};
use futures_util::stream;
use serde::{Deserialize, Serialize};

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
    config.service(list).service(list_json).service(list_csv);
}

const PAGE: usize = 50;
/// How many entries of a download are read at once.
const CHUNK: usize = 1_000;

#[derive(Template, WebTemplate)]
#[template(path = "activity/list.html")]
struct ListPage {
    layout: Layout,
    search: Search,
    entries: Vec<Listed>,
    /// The addresses of the next page and of the downloads.
    next: String,
    csv: String,
    json: String,
}

/// An entry with the device it is about, under its current name.
type Listed = (Activity, Label);

impl ListPage {
    /// The address of everything that happened in one wipe.
    fn story(&self, entry: &Activity) -> Option<String> {
        let is_wipe = entry.object_kind == "wipe_request" && self.search.wipe.is_empty();
        is_wipe.then(|| format!("/activity?wipe={}", entry.object_id))
    }
}

/// The filters as they stand in the address.
#[derive(Deserialize, Serialize, Default, Clone)]
#[serde(default)]
struct Search {
    #[serde(skip_serializing_if = "String::is_empty")]
    actor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    device: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    result: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    until: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    wipe: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    before: String,
}

impl Search {
    fn parse(&self, zone: &Zone) -> Result<Filter> {
        let mut errors = FieldErrors::new();
        let parsed = Filter {
            actor: self.actor.trim().to_owned(),
            action: filter(&self.action, "action", Action::parse, &mut errors),
            device: self.device.trim().to_owned(),
            result: filter(&self.result, "result", Outcome::parse, &mut errors),
            from: filter(&self.from, "from", |it| zone.start_of(it), &mut errors),
            until: filter(&self.until, "until", |it| zone.end_of(it), &mut errors),
            wipe: filter(&self.wipe, "wipe", WipeRequestId::parse, &mut errors),
            text: self.q.trim().to_owned(),
            before: filter(&self.before, "before", |it| it.parse().ok(), &mut errors),
        };
        errors.into_result()?;
        Ok(parsed)
    }

    fn is_filtered(&self) -> bool {
        let all = [&self.actor, &self.action, &self.device, &self.result, &self.from, &self.until, &self.wipe, &self.q];
        all.iter().any(|it| !it.is_empty())
    }

    /// `from` and `until` in the format of a date-and-time field: a link may give only a day.
    fn since_field(&self) -> String {
        with_time(&self.from, "00:00")
    }

    fn until_field(&self) -> String {
        with_time(&self.until, "23:59")
    }

    fn address(&self, path: &str, before: Option<i64>) -> PageResult<String> {
        let search = Self { before: before.map(|it| it.to_string()).unwrap_or_default(), ..self.clone() };
        let query = serde_urlencoded::to_string(&search).context("writing an address")?;
        Ok(format!("{path}?{query}"))
    }
}

fn with_time(text: &str, time: &str) -> String {
    if text.is_empty() || text.contains('T') { text.to_owned() } else { format!("{text}T{time}") }
}

/// The entries that match, each with its device.
fn find(conn: &mut Conn, filter: &Filter, reach: &Reach, limit: usize) -> Result<Vec<Listed>> {
    let entries = activity_list::find(conn, filter, reach, i64::try_from(limit).unwrap_or(i64::MAX))?;
    let labels = store::device::labels(conn, entries.iter().filter_map(|it| it.device_id))?;
    let label = |entry: &Activity| entry.device_id.and_then(|id| labels.get(&id)).cloned().unwrap_or_default();
    Ok(entries.into_iter().map(|it| (label(&it), it)).map(|(label, it)| (it, label)).collect())
}

#[get("/activity")]
async fn list(
    by: Can<ViewActivity>,
    layout: Layout,
    store: Data<Store>,
    search: Query<Search>,
) -> PageResult<impl Responder> {
    let search = search.into_inner();
    let (filter, reach) = (search.parse(&layout.zone)?, by.reach().clone());
    let mut entries = store.read(move |conn| find(conn, &filter, &reach, PAGE + 1)).await?;
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let next = match entries.last() {
        Some((last, _)) if more => search.address("/activity", Some(last.seq))?,
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
    device_name: String,
    device_serial: String,
    result: &'static str,
    reason: String,
    address: String,
}

const COLUMNS: &[&str] = &[
    "seq",
    "at",
    "actor",
    "via",
    "action",
    "object_kind",
    "object_id",
    "object_name",
    "device_id",
    "device_name",
    "device_serial",
    "result",
    "reason",
    "address",
];

impl Row {
    fn fields(self) -> Vec<String> {
        let (via, action, result) = (self.via.to_owned(), self.action.to_owned(), self.result.to_owned());
        let object = [self.object_kind, self.object_id, self.object_name];
        let device = [self.device_id, self.device_name, self.device_serial];
        let mut fields = vec![self.seq.to_string(), self.at, self.actor, via, action];
        fields.extend(object.into_iter().chain(device).chain([result, self.reason, self.address]));
        fields
    }
}

impl From<Listed> for Row {
    fn from((it, device): Listed) -> Self {
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
            device_name: device.name,
            device_serial: device.serial,
            result: it.result.as_str(),
            reason: it.reason,
            address: it.address,
        }
    }
}

/// How far a download has come.
struct Export {
    store: Data<Store>,
    filter: Filter,
    reach: Reach,
}

impl Export {
    async fn begin(
        by: &Can<ViewActivity>,
        (store, clock): (&Data<Store>, &Clock),
        search: &Search,
        file: &'static str,
    ) -> PageResult<Self> {
        let (now, address) = (clock.now(), search.address("", None)?);
        let filter = search.parse(&Zone::new(&by.time_zone, now))?;
        let number = record(by, store, file, address.trim_start_matches('?').to_owned(), now).await?;
        // The history as it was before this download, which is itself an entry.
        let before = Some(filter.before.map_or(number, |it| it.min(number)));
        Ok(Self { store: store.clone(), filter: Filter { before, ..filter }, reach: by.reach().clone() })
    }

    /// The next rows, and where to go on.
    async fn chunk(mut self) -> (Result<Vec<Row>>, Option<Self>) {
        let (filter, reach) = (self.filter.clone(), self.reach.clone());
        match self.store.read(move |conn| find(conn, &filter, &reach, CHUNK)).await {
            Ok(entries) => {
                let last = entries.last().filter(|_| entries.len() == CHUNK).map(|(it, _)| it.seq);
                let next = last.map(|seq| {
                    self.filter.before = Some(seq);
                    self
                });
                (Ok(entries.into_iter().map(Row::from).collect()), next)
            }
            Err(error) => (Err(error), None),
        }
    }
}

#[get("/activity.json")]
async fn list_json(
    by: Can<ViewActivity>,
    store: Data<Store>,
    clock: Data<Clock>,
    search: Query<Search>,
) -> PageResult<HttpResponse> {
    let export = Export::begin(&by, (&store, &clock), &search, "activity.json").await?;
    let mut opening = "[";
    let body = stream::unfold(Some(export), move |export| {
        let opening = std::mem::take(&mut opening);
        async move {
            let (rows, next) = export?.chunk().await;
            let closing = if next.is_none() { "]\n" } else { "" };
            Some((finish(rows.and_then(|rows| json_piece(opening, &rows, closing))), next))
        }
    });
    Ok(file("application/json", "activity.json").streaming(Box::pin(body)))
}

#[get("/activity.csv")]
async fn list_csv(
    by: Can<ViewActivity>,
    store: Data<Store>,
    clock: Data<Clock>,
    search: Query<Search>,
) -> PageResult<HttpResponse> {
    let export = Export::begin(&by, (&store, &clock), &search, "activity.csv").await?;
    let mut head = COLUMNS;
    let body = stream::unfold(Some(export), move |export| {
        let head = std::mem::take(&mut head);
        async move {
            let (rows, next) = export?.chunk().await;
            Some((finish(rows.and_then(|rows| csv_piece(head, rows.into_iter().map(Row::fields)))), next))
        }
    });
    Ok(file("text/csv; charset=utf-8", "activity.csv").streaming(Box::pin(body)))
}
