//! Wipe requests as CSV.
use crate::api::file::{CHUNK, csv_stream, iso, next, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, Result};
use crate::query::wipe::WipeQuery;
use crate::store::wipe::Listed;
use crate::store::{self, Store};
use actix_web::HttpResponse;
use actix_web::web::{Data, Query, ServiceConfig};
use clock::Clock;
use domain::id::UserId;
use domain::time::Time;
use std::collections::HashMap;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/wipe-requests.csv", csv));
}

const COLUMNS: &[&str] = &[
    "id",
    "device_id",
    "device",
    "serial",
    "person",
    "action",
    "reason",
    "ticket",
    "loss_accepted",
    "state",
    "requested_by",
    "requested_at",
    "approved_by",
    "approved_at",
    "delivered_at",
    "finished_at",
    "stopped_by",
    "note",
];

fn fields(listed: Listed, names: &HashMap<UserId, String>) -> Result<Vec<String>> {
    let Listed { request, device_name, serial, person, requester, .. } = listed;
    let lost = request.agreed()?.lost_by(request.action, &Time::iso);
    let approver = request.approved_by.and_then(|it| names.get(&it)).cloned().unwrap_or_default();
    Ok(vec![
        request.id.to_string(),
        request.device_id.to_string(),
        device_name,
        serial,
        person,
        request.action.to_string(),
        request.reason.to_string(),
        request.ticket,
        lost,
        request.state.to_string(),
        requester,
        request.requested_at.iso(),
        approver,
        iso(request.approved_at),
        iso(request.delivered_at),
        iso(request.finished_at),
        request.stopped_by.unwrap_or_default(),
        request.state_note,
    ])
}

async fn csv(
    by: Can<ViewDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<WipeQuery>,
) -> ApiResult<HttpResponse> {
    let states = query.states()?;
    record(&by, &store, "wipe-requests.csv", query.address(), clock.now()).await?;
    let reach = by.reach().clone();
    Ok(csv_stream("wipe-requests.csv", COLUMNS, move |after| {
        let (store, states, reach) = (store.clone(), states.clone(), reach.clone());
        async move {
            let read = store.read(move |conn| {
                let listed = store::wipe::list(conn, &states, &reach, after, CHUNK)?;
                let approvers: Vec<_> = listed.iter().filter_map(|it| it.request.approved_by).collect();
                let names = store::person::names(conn, &approvers)?;
                Ok::<_, Error>((listed, names))
            });
            let (listed, names) = read.await?;
            let last = next(&listed, |it| it.request.id);
            let rows: Result<_> = listed.into_iter().map(|it| fields(it, &names)).collect();
            Ok((rows?, last))
        }
    }))
}
