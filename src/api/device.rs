//! Devices: the list as CSV and JSON, streamed chunk by chunk, and one device as JSON.
use crate::api::file::{csv_piece, file, finish, json_piece, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::device::DeviceQuery;
use crate::service::loss::{self, Moment};
use crate::service::reach;
use crate::service::report::{self, CSV_COLUMNS, DeviceRow};
use crate::store::device_list::{self, Cursor, From};
use crate::store::{Conn, Store};
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use clock::Clock;
use domain::id::DeviceId;
use futures_util::stream;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config
        .service(get("/devices.csv", csv))
        .service(get("/devices.json", json))
        .service(get("/devices/{id}.json", one));
}

/// How many devices are read at once.
const CHUNK: usize = 1000;

async fn csv(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<DeviceQuery>,
) -> ApiResult<HttpResponse> {
    let export = Export::begin(&by, &store, &clock, &query, "devices.csv").await?;
    let mut head: &[&str] = &CSV_COLUMNS;
    let body = stream::unfold(Some(export), move |export| {
        let head = std::mem::take(&mut head);
        async move {
            let (rows, next) = export?.chunk().await;
            Some((finish(rows.and_then(|rows| csv_piece(head, rows.iter().map(|it| it.csv().to_vec())))), next))
        }
    });
    Ok(file("text/csv; charset=utf-8", "devices.csv").streaming(Box::pin(body)))
}

async fn json(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<DeviceQuery>,
) -> ApiResult<HttpResponse> {
    let export = Export::begin(&by, &store, &clock, &query, "devices.json").await?;
    let as_of = export.moment.now.iso();
    let mut opening = format!("{{\"as_of\":\"{as_of}\",\"devices\":[");
    let body = stream::unfold(Some(export), move |export| {
        let opening = std::mem::take(&mut opening);
        async move {
            let (rows, next) = export?.chunk().await;
            let closing = if next.is_none() { "]}\n" } else { "" };
            Some((finish(rows.and_then(|rows| json_piece(&opening, &rows, closing))), next))
        }
    });
    Ok(file("application/json", "devices.json").streaming(Box::pin(body)))
}

/// How far an export has come.
struct Export {
    store: Data<Store>,
    query: device_list::Query,
    moment: Moment,
}

impl Export {
    async fn begin(
        by: &Can<ViewDevices>,
        store: &Data<Store>,
        clock: &Clock,
        query: &DeviceQuery,
        list: &'static str,
    ) -> crate::error::Result<Self> {
        let (now, reach, asked, address) = (clock.now(), by.reach().clone(), query.clone(), query.address());
        let (query, moment) =
            store.read(move |conn| Ok::<_, Error>((asked.parse(conn, &reach, now)?, loss::moment(conn, now)?))).await?;
        record(by, store, list, address, now).await?;
        Ok(Self {
            store: store.clone(),
            query: device_list::Query { from: From::Start, limit: CHUNK, ..query },
            moment,
        })
    }

    /// The next rows, and where to go on.
    async fn chunk(mut self) -> (crate::error::Result<Vec<DeviceRow>>, Option<Self>) {
        let (query, moment) = (self.query.clone(), self.moment);
        let read = move |conn: &mut Conn| -> Result<(Vec<DeviceRow>, Option<Cursor>), Error> {
            let page = device_list::page(conn, &query, moment.now)?;
            Ok((report::rows(conn, &page.devices, &moment)?, page.after))
        };
        match self.store.read(read).await {
            Ok((rows, after)) => {
                let next = after.map(|after| {
                    self.query.from = From::After(after);
                    self
                });
                (Ok(rows), next)
            }
            Err(error) => (Err(error), None),
        }
    }
}

async fn one(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<DeviceId>,
) -> ApiResult<HttpResponse> {
    let (id, now, reach) = (id.into_inner(), clock.now(), by.reach().clone());
    let report = store
        .read(move |conn| {
            reach::device(conn, &reach, id)?;
            report::device(conn, id, now)
        })
        .await?;
    Ok(HttpResponse::Ok().json(report.ok_or(Error::NotFound("device"))?))
}
