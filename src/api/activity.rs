//! The history of acts, for spreadsheets and scripts.
use crate::api::file::{CHUNK, csv_piece, file, finish, json_piece, next, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewActivity};
use crate::error::Result;
use crate::query::activity::ActivityQuery;
use crate::store::Store;
use crate::store::activity_list::{self, Filter, Listed};
use crate::zone::Zone;
use actix_web::HttpResponse;
use actix_web::web::{Data, Query, ServiceConfig};
use clock::Clock;
use domain::role::Reach;
use futures_util::stream;
use serde::Serialize;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/activity.csv", csv)).service(get("/activity.json", json));
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
        search: &ActivityQuery,
        file: &'static str,
    ) -> ApiResult<Self> {
        let (now, address) = (clock.now(), search.address(None)?);
        let filter = search.parse(&Zone::new(&by.time_zone, now))?;
        let number = record(by, store, file, address, now).await?;
        // The history as it was before this download, which is itself an entry.
        let before = Some(filter.before.map_or(number, |it| it.min(number)));
        Ok(Self { store: store.clone(), filter: Filter { before, ..filter }, reach: by.reach().clone() })
    }

    /// The next rows, and where to go on.
    async fn chunk(mut self) -> (Result<Vec<Row>>, Option<Self>) {
        let (filter, reach) = (self.filter.clone(), self.reach.clone());
        match self.store.read(move |conn| activity_list::with_devices(conn, &filter, &reach, CHUNK)).await {
            Ok(entries) => {
                let next = next(&entries, |(it, _)| it.seq).map(|seq| {
                    self.filter.before = Some(seq);
                    self
                });
                (Ok(entries.into_iter().map(Row::from).collect()), next)
            }
            Err(error) => (Err(error), None),
        }
    }
}

async fn json(
    by: Can<ViewActivity>,
    store: Data<Store>,
    clock: Data<Clock>,
    search: Query<ActivityQuery>,
) -> ApiResult<HttpResponse> {
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

async fn csv(
    by: Can<ViewActivity>,
    store: Data<Store>,
    clock: Data<Clock>,
    search: Query<ActivityQuery>,
) -> ApiResult<HttpResponse> {
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
