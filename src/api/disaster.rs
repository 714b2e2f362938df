//! "If we lost…" as JSON: what one event would leave of each device's backups.
use crate::api::file::record;
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::query::disaster::{self, DisasterQuery};
use crate::service::disaster::Known;
use crate::store::Store;
use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use clock::Clock;
use domain::disaster::{Fate, Reason};
use domain::id::DeviceId;
use serde::Serialize;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/if-lost/{event}.json", json));
}

/// A device, and what would become of its backups.
#[derive(Serialize)]
struct Row {
    device_id: DeviceId,
    fate: Fate,
    reason: Reason,
    /// How much time's work would be lost, where only that would.
    recent_seconds: Option<u64>,
}

async fn json(
    by: Can<ViewDevices>,
    (store, clock): (Data<Store>, Data<Clock>),
    event: Path<String>,
    query: Query<DisasterQuery>,
) -> ApiResult<HttpResponse> {
    let (event, fate) = (disaster::event(&event)?, query.fate()?);
    let (reach, now) = (by.reach().clone(), clock.now());
    record(&by, &store, "if-lost.json", format!("event={event}&fate={}", query.fate), now).await?;
    let known = store.read(move |conn| Known::read(conn, &reach, now)).await?;
    let tally = known.tally(event);
    let row = |(device_id, it): (DeviceId, domain::disaster::Outcome)| Row {
        device_id,
        fate: it.fate,
        reason: it.reason,
        recent_seconds: it.recent.map(|it| it.as_secs()),
    };
    let rows: Vec<Row> = known.list(event, fate).into_iter().map(row).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "event": event,
        "lost": event.name(&known.means),
        "sentence": tally.sentence(),
        "lose_all": tally.lose_all,
        "at_risk": tally.at_risk,
        "cannot_say": tally.cannot_say,
        "restorable": tally.restorable,
        "recent_median_seconds": tally.recent().map(|it| it.0.as_secs()),
        "recent_worst_seconds": tally.recent().map(|it| it.1.as_secs()),
        "devices": rows,
    })))
}
