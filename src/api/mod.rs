//! The side of scripts: lists and single things as CSV and JSON, one file for each noun.
//!
//! The downloads of pages lead here too, so a session is as good as an API token. Each noun says as its `AREA` what it
//! adds. `gate` stands around every address: it lets nobody through who was not recognised, and each refusal is data. The
//! permission that an address needs is in its handler's signature (`auth::Can`).
mod activity;
mod command;
mod content;
mod device;
mod disaster;
mod error;
mod file;
mod gate;
mod incident;
mod restore_point;
mod restore_point_list;
mod restore_test;
mod store;
mod wipe;

use crate::problem::HttpError;
use actix_web::web::ServiceConfig;

/// What a handler of the API returns.
pub type ApiResult<T> = Result<T, HttpError>;

/// What a noun's module exports as `AREA`.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// Registers its addresses.
    routes: fn(&mut ServiceConfig),
}

const AREAS: &[Area] = &[
    device::AREA,
    disaster::AREA,
    content::AREA,
    restore_point::AREA,
    restore_point_list::AREA,
    restore_test::AREA,
    command::AREA,
    wipe::AREA,
    store::AREA,
    incident::AREA,
    activity::AREA,
];

/// Registers the API. It takes every address that ends in `.json` or `.csv`, so it comes before the pages.
pub fn routes(config: &mut ServiceConfig) {
    for area in AREAS {
        config.configure(area.routes);
    }
    config.service(gate::rest());
}
