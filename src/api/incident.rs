//! What is the matter with the stores, as JSON.
use crate::api::file::record;
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::service::incident::{self, Incident, LastCopy};
use crate::store::Store;
use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use clock::Clock;
use domain::id::DeviceId;
use domain::incident::{Cause, DO_NOT_RESET, Extent, Past, Still};
use domain::time::Time;
use serde::Serialize;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/incident.json", json));
}

/// What happened to a store; times are ISO 8601 in UTC.
#[derive(Serialize)]
struct CauseRow {
    cause: &'static str,
    headline: &'static str,
    since: Option<String>,
    what: String,
    next: &'static str,
    end: &'static str,
}

/// What waits; of all devices if their number is null.
#[derive(Serialize)]
struct StillRow {
    act: &'static str,
    devices: Option<i64>,
    headline: String,
    why: Vec<String>,
}

/// A device that may hold the last copy.
#[derive(Serialize)]
struct DeviceRow {
    device_id: DeviceId,
    name: String,
    person: String,
    why: &'static str,
    next: &'static str,
    last_seen_at: Option<String>,
    newest_backup_at: Option<String>,
    asked_to_back_up: bool,
}

/// An incident of the past, as the activity tells it.
#[derive(Serialize)]
struct PastRow {
    kind: &'static str,
    from: Option<String>,
    until: Option<String>,
    found: usize,
    repaired: usize,
    sentence: String,
}

impl From<&Cause> for CauseRow {
    fn from(it: &Cause) -> Self {
        let (since, what) = (it.since().map(Time::iso), it.what());
        Self { cause: it.as_str(), headline: it.headline(), since, what, next: it.next(), end: it.end() }
    }
}

impl From<&Still> for StillRow {
    fn from(it: &Still) -> Self {
        let devices = match it.extent {
            Extent::All => None,
            Extent::Devices(count) => Some(count),
        };
        Self { act: it.act.as_str(), devices, headline: it.headline(), why: it.why.clone() }
    }
}

impl From<&LastCopy> for DeviceRow {
    fn from(it: &LastCopy) -> Self {
        let (device, status, proof) = (&it.device.device, it.device.status.as_ref(), it.device.proof.as_ref());
        Self {
            device_id: device.id,
            name: device.name.clone(),
            person: device.person.clone(),
            why: it.risk.sentence(),
            next: it.step(),
            last_seen_at: status.and_then(|it| it.last_seen_at).map(Time::iso),
            newest_backup_at: proof.and_then(|it| it.stored_at).map(Time::iso),
            asked_to_back_up: it.is_asked,
        }
    }
}

impl From<&Past> for PastRow {
    fn from(it: &Past) -> Self {
        Self {
            kind: it.kind.as_str(),
            from: it.from.map(Time::iso),
            until: it.until.map(Time::iso),
            found: it.found,
            repaired: it.repaired,
            sentence: it.sentence(),
        }
    }
}

fn rows<'a, Fact, Row: From<&'a Fact>>(all: &'a [Fact]) -> Vec<Row> {
    all.iter().map(Into::into).collect()
}

async fn json(by: Can<ViewDevices>, (store, clock): (Data<Store>, Data<Clock>)) -> ApiResult<HttpResponse> {
    let (reach, now) = (by.reach().clone(), clock.now());
    record(&by, &store, "incident.json", String::new(), now).await?;
    let found: Incident = store.read(move |conn| incident::read(conn, &reach, &Time::iso, now)).await?;
    let (causes, still): (Vec<CauseRow>, Vec<StillRow>) = (rows(&found.causes), rows(&found.still));
    let (devices, past): (Vec<DeviceRow>, Vec<PastRow>) = (rows(&found.last_copies), rows(&found.past));
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "since": found.since().map(Time::iso),
        "causes": causes,
        "still": still,
        "wipes_waiting": found.wipes_waiting,
        "last_copy_count": found.last_copy_count,
        "last_copies": devices,
        "advice": DO_NOT_RESET,
        "past": past,
    })))
}
