//! Commands as CSV, and the newest as JSON.
use crate::api::file::{CHUNK, csv_stream, iso, next, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::query::command::CommandQuery;
use crate::service::report::CommandRow;
use crate::store::command::Command;
use crate::store::command_list::{self, Filter, Listed};
use crate::store::device::Label;
use crate::store::{self, Store};
use actix_web::HttpResponse;
use actix_web::web::{Data, Query, ServiceConfig};
use clock::Clock;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/commands.csv", csv)).service(get("/commands.json", json));
}

async fn json(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<CommandQuery>,
) -> ApiResult<HttpResponse> {
    let (filter, reach) = (query.filter()?, by.reach().clone());
    record(&by, &store, "commands.json", query.address(), clock.now()).await?;
    let commands = store.read(move |conn| command_list::newest(conn, &filter, &reach, CHUNK)).await?;
    let rows: Vec<CommandRow> = commands.iter().map(|(command, ..)| CommandRow::new(command)).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "commands": rows })))
}

const COLUMNS: &[&str] = &[
    "id",
    "device_id",
    "device",
    "serial",
    "person",
    "command",
    "state",
    "queued_at",
    "delivered_at",
    "ended_at",
    "expires_at",
    "answer",
];

fn fields(command: Command, device: Label) -> Vec<String> {
    vec![
        command.id.to_string(),
        command.device_id.to_string(),
        device.name,
        device.serial,
        device.person,
        command.kind.to_string(),
        command.state.to_string(),
        command.created_at.iso(),
        iso(command.delivered_at),
        iso(command.finished_at),
        command.expires_at.iso(),
        command.result.unwrap_or_default(),
    ]
}

async fn csv(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<CommandQuery>,
) -> ApiResult<HttpResponse> {
    let (filter, reach) = (query.filter()?, by.reach().clone());
    record(&by, &store, "commands.csv", query.address(), clock.now()).await?;
    Ok(csv_stream("commands.csv", COLUMNS, move |after| {
        let (store, reach) = (store.clone(), reach.clone());
        let filter = Filter { before: after.or(filter.before), ..filter.clone() };
        async move {
            let read = store.read(move |conn| {
                let commands = command_list::newest(conn, &filter, &reach, CHUNK)?;
                let labels = store::device::labels(conn, commands.iter().map(|(it, ..)| it.device_id))?;
                Ok::<_, Error>((commands, labels))
            });
            let (commands, labels) = read.await?;
            let last = next(&commands, |(it, ..)| it.id);
            let row = |(it, ..): Listed| {
                let label = labels.get(&it.device_id).cloned().unwrap_or_default();
                fields(it, label)
            };
            Ok((commands.into_iter().map(row).collect(), last))
        }
    }))
}
