//! Where backups are kept, as JSON and as metrics.
use crate::api::file::{iso, record};
use crate::api::gate::get;
use crate::api::{ApiResult, Area};
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::service::copy_proof;
use crate::service::verification::{Affected, Named, Shown, Verifiers, shown};
use crate::store::Store;
use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use clock::Clock;
use domain::role::Reach;
use domain::time::Time;
use serde::Serialize;
use std::fmt::Write;

pub const AREA: Area = Area { routes };

fn routes(config: &mut ServiceConfig) {
    config.service(get("/stores.json", json)).service(get("/metrics", metrics));
}

/// A store as scripts read it; times are ISO 8601 in UTC. What is not known is null.
#[derive(Serialize)]
struct Row {
    location: &'static str,
    standing: &'static str,
    away_since: Option<String>,
    stopped_since: Option<String>,
    stopped_cause: Option<&'static str>,
    free_bytes: Option<i64>,
    total_bytes: Option<i64>,
    object_count: Option<i64>,
    stored_bytes: Option<i64>,
    verified_percent: Option<i64>,
    verified_objects: Option<i64>,
    verified_bytes: Option<i64>,
    never_verified_objects: Option<i64>,
    unlisted_repositories: Option<i64>,
    listed_from: Option<String>,
    listed_until: Option<String>,
    oldest_unverified_at: Option<String>,
    late_seconds: u64,
    damaged_objects: i64,
    damaged_devices: i64,
    budget_mib_per_second: u32,
    cycle_days: u64,
    pace: Option<&'static str>,
    damaged: Vec<Damaged>,
    affected_points: Vec<Hit>,
    /// Of the second store: objects that are still to be copied, and since when the oldest waits.
    waiting_objects: Option<i64>,
    waiting_since: Option<String>,
}

/// What was restored from the second store alone, with recovery shares.
#[derive(Serialize)]
struct Proofs {
    sentence: String,
    devices: i64,
    proven: i64,
    behind: i64,
    failed: i64,
    last_tested_at: Option<String>,
    is_due: bool,
    /// Devices whose key the customer keeps: no share opens their backups, and they are not among the others.
    of_customers: i64,
}

/// A damaged object of a device within reach.
#[derive(Serialize)]
struct Damaged {
    device_id: String,
    device_name: String,
    kind: &'static str,
    name: String,
    damaged_at: String,
    /// The other store has it intact.
    is_elsewhere: bool,
}

impl From<Named> for Damaged {
    fn from(Named { copy, is_elsewhere }: Named) -> Self {
        Self {
            device_id: copy.device_id.to_string(),
            device_name: copy.device_name,
            kind: copy.kind.as_str(),
            name: copy.name.to_string(),
            damaged_at: iso(copy.damaged_at),
            is_elsewhere,
        }
    }
}

/// A restore point with files that no store has intact.
#[derive(Serialize)]
struct Hit {
    device_id: String,
    received_at: String,
    /// Null if any of its files may be affected.
    files: Option<i64>,
    test_id: Option<String>,
}

fn hits(affected: Vec<Affected>) -> Vec<Hit> {
    let of = |device: Affected| {
        let id = device.device_id.to_string();
        device.points.into_iter().map(move |it| Hit {
            device_id: id.clone(),
            received_at: it.received_at.iso(),
            files: it.files,
            test_id: it.test_id.map(|it| it.to_string()),
        })
    };
    affected.into_iter().flat_map(of).collect()
}

impl From<Shown> for Row {
    fn from(it: Shown) -> Self {
        let survey = it.survey.as_ref();
        Self {
            location: it.location.as_str(),
            standing: it.standing.as_str(),
            away_since: it.ground.away.as_ref().map(|it| it.since.iso()),
            stopped_since: it.ground.stopped.as_ref().map(|it| it.since.iso()),
            stopped_cause: it.ground.stopped.as_ref().map(|it| it.cause.as_str()),
            free_bytes: it.room.map(|it| it.now.free_bytes),
            total_bytes: it.room.map(|it| it.now.total_bytes),
            object_count: survey.map(|it| it.tally.all.objects),
            stored_bytes: survey.map(|it| it.tally.all.bytes),
            verified_percent: it.share.and_then(|it| it.percent()),
            verified_objects: it.share.map(|it| it.intact.objects),
            verified_bytes: it.share.map(|it| it.intact.bytes),
            never_verified_objects: survey.map(|it| it.tally.never.objects),
            unlisted_repositories: survey.map(|it| it.tally.unlisted),
            listed_from: survey.map(|it| it.began_at.iso()),
            listed_until: survey.map(|it| it.ended_at.iso()),
            oldest_unverified_at: it.oldest_unread.map(Time::iso),
            late_seconds: it.lag.late().as_secs(),
            damaged_objects: it.damaged.0,
            damaged_devices: it.damaged.1,
            budget_mib_per_second: it.settings.budget.mib_per_second,
            cycle_days: it.settings.cycle.as_secs() / 86_400,
            pace: it.pace.map(domain::verification::Pace::as_str),
            waiting_objects: it.copy.as_ref().map(|it| it.waiting),
            waiting_since: it.copy.as_ref().and_then(|it| it.waiting_since).map(Time::iso),
            damaged: it.named.into_iter().map(Into::into).collect(),
            affected_points: hits(it.affected),
        }
    }
}

async fn read(store: &Store, verifiers: Data<Verifiers>, reach: Reach, now: Time) -> Result<Vec<Shown>, Error> {
    store.read(move |conn| verifiers.0.iter().map(|it| shown(conn, it, &reach, now)).collect()).await
}

async fn json(
    by: Can<ViewDevices>,
    (store, verifiers, clock): (Data<Store>, Data<Verifiers>, Data<Clock>),
) -> ApiResult<HttpResponse> {
    let now = clock.now();
    record(&by, &store, "stores.json", String::new(), now).await?;
    let reach = by.reach().clone();
    let stores = read(&store, verifiers, reach.clone(), now).await?;
    let rows: Vec<Row> = stores.into_iter().map(Into::into).collect();
    let proofs = store.read(move |conn| copy_proof::all(conn, &reach, now)).await?;
    let proofs = Proofs {
        sentence: proofs.sentence(now, &Time::iso),
        devices: proofs.devices,
        proven: proofs.proven,
        behind: proofs.behind,
        failed: proofs.failed,
        last_tested_at: proofs.last_at.map(Time::iso),
        is_due: proofs.is_due(),
        of_customers: proofs.customers,
    };
    Ok(HttpResponse::Ok().json(serde_json::json!({ "stores": rows, "from_second_copy": proofs })))
}

/// One figure of all stores: its name, what it is, and its value; a store of which it is not known has no line.
type Metric = (&'static str, &'static str, fn(&Shown, Time) -> Option<f64>);

#[expect(clippy::cast_precision_loss, reason = "figures for monitoring")]
const METRICS: &[Metric] = &[
    ("holdfast_store_up", "Whether the store can be read.", |it, _| {
        Some(f64::from(u8::from(it.ground.away.is_none())))
    }),
    ("holdfast_store_accepting", "Whether the store takes backups.", |it, _| {
        Some(f64::from(u8::from(it.ground == domain::ground::Ground::default())))
    }),
    ("holdfast_store_free_bytes", "Free space on its disk.", |it, _| it.room.map(|it| it.now.free_bytes as f64)),
    ("holdfast_store_total_bytes", "Space of its disk.", |it, _| it.room.map(|it| it.now.total_bytes as f64)),
    ("holdfast_store_objects", "Stored objects, as last counted.", |it, _| {
        it.survey.as_ref().map(|it| it.tally.all.objects as f64)
    }),
    ("holdfast_store_stored_bytes", "Their bytes, as last counted.", |it, _| {
        it.survey.as_ref().map(|it| it.tally.all.bytes as f64)
    }),
    (
        "holdfast_store_verified_objects",
        "Objects that were read back from the disk and found intact in the last 30 days.",
        |it, _| it.share.map(|it| it.intact.objects as f64),
    ),
    ("holdfast_store_verified_bytes", "Their bytes.", |it, _| it.share.map(|it| it.intact.bytes as f64)),
    ("holdfast_store_listing_age_seconds", "How long ago the last complete listing began.", |it, now| {
        it.survey.as_ref().map(|it| now.since(it.began_at).as_secs_f64())
    }),
    (
        "holdfast_store_oldest_unverified_seconds",
        "How long the oldest object waits that was never read back.",
        |it, now| Some(it.oldest_unread.map_or(0.0, |it| now.since(it).as_secs_f64())),
    ),
    ("holdfast_store_damaged_objects", "Objects known to be missing or changed.", |it, _| Some(it.damaged.0 as f64)),
    ("holdfast_store_damaged_devices", "Devices they belong to.", |it, _| Some(it.damaged.1 as f64)),
    ("holdfast_store_copy_lag_seconds", "How long the oldest object waits for its second copy.", |it, now| {
        let copy = it.copy.as_ref().filter(|it| it.store.is_some())?;
        Some(copy.waiting_since.map_or(0.0, |it| now.since(it).as_secs_f64()))
    }),
    ("holdfast_store_copy_waiting_objects", "Objects that wait for their second copy.", |it, _| {
        it.copy.as_ref().filter(|it| it.store.is_some()).map(|it| it.waiting as f64)
    }),
    ("holdfast_store_verify_budget_bytes", "Bytes that may be read back per second.", |it, _| {
        Some(f64::from(it.settings.budget.mib_per_second) * f64::from(1 << 20))
    }),
];

/// In the text format of Prometheus, version 0.0.4.
async fn metrics(
    by: Can<ViewDevices>,
    (store, verifiers, clock): (Data<Store>, Data<Verifiers>, Data<Clock>),
) -> ApiResult<HttpResponse> {
    let now = clock.now();
    let stores = read(&store, verifiers, by.reach().clone(), now).await?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text(&stores, now)))
}

fn text(stores: &[Shown], now: Time) -> String {
    let mut text = String::new();
    for (name, help, value) in METRICS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for it in stores {
            if let Some(value) = value(it, now) {
                let _ = writeln!(text, "{name}{{location=\"{}\"}} {value}", it.location);
            }
        }
    }
    text
}
