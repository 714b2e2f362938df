//! Wiping a device: the page that asks, the request on its way, and the log.
mod ask;
mod decide;
mod list;
mod show;

pub use list::{Row, rows};

use crate::web::area::{Area, Place};
use crate::web::layout::Layout;
use actix_web::web::ServiceConfig;
use domain::wipe::{Difference, Value, WipeState};

pub const AREA: Area = Area {
    place: Place::Below("/commands"),
    forms: &[
        ("/devices/{id}/wipe-requests", "/devices/{id}/wipe"),
        ("/wipe-requests/stops", "/approvals"),
        ("/wipe-requests/{id}/approvals", "/wipe-requests/{id}"),
        ("/wipe-requests/{id}/hold-ends", "/wipe-requests/{id}"),
        ("/wipe-requests/{id}/reviews", "/wipe-requests/{id}"),
        ("/wipe-requests/{id}/stops", "/wipe-requests/{id}"),
    ],
    ..Area::new(routes, &["wipe-requests"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(ask::new)
        .service(ask::create)
        .service(list::list)
        // Before the page of one request, whose pattern would match it.
        .service(decide::stop_all)
        .service(show::show)
        .service(decide::approve)
        .service(decide::end_hold)
        .service(decide::review)
        .service(decide::stop);
}

/// The badge of a state: its class and its icon.
pub const fn badge(state: WipeState) -> (&'static str, &'static str) {
    match state {
        WipeState::Cancelled | WipeState::Expired => ("", "ban"),
        WipeState::Requested => ("held", "circle-help"),
        WipeState::Held => ("held", "snowflake"),
        WipeState::ReviewAgain => ("dated", "triangle-alert"),
        WipeState::Cooling => ("dated", "hourglass"),
        WipeState::Released => ("dated", "send"),
        WipeState::Delivered | WipeState::Acknowledged => ("dated", "eraser"),
        WipeState::Confirmed => ("proven", "circle-check"),
        WipeState::Failed => ("lost", "circle-x"),
    }
}

/// A fact as text, in the reader's zone.
pub fn fact(layout: &Layout, value: &Value) -> String {
    match value {
        Value::Count(Some(count)) => layout.count(*count),
        Value::Bytes(Some(count)) => layout.bytes(*count),
        Value::Count(None) | Value::Bytes(None) => "Unknown".to_owned(),
        Value::When(Some(at)) => layout.zone.full(*at),
        Value::When(None) => "None".to_owned(),
        Value::Text(text) => text.clone(),
    }
}

/// A difference as a page shows it.
pub struct Changed {
    pub what: &'static str,
    pub before: String,
    pub now: String,
    pub is_worse: bool,
}

/// Differences in words.
pub fn changed(layout: &Layout, differences: &[Difference]) -> Vec<Changed> {
    let of = |it: &Difference| Changed {
        what: it.what,
        before: fact(layout, &it.before),
        now: fact(layout, &it.now),
        is_worse: it.is_worse,
    };
    differences.iter().map(of).collect()
}
