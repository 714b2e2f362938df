//! The people's side: pages, one file for each area.
//!
//! Each area says as its `AREA` what it adds to the whole. `gate` wraps them all: it recognises the person, and lets
//! only an area's `public` addresses through without one. The permission a page needs is in its handler's signature
//! (`auth::Can`).
mod account;
mod activity;
mod api_token;
pub mod approval;
pub mod area;
pub mod asset;
mod command;
mod content;
pub mod csrf;
mod device;
mod disaster;
mod enrollment;
pub mod error;
pub mod filter;
pub mod flash;
pub mod form;
pub mod gate;
pub mod hashing;
mod health;
mod hold;
mod incident;
pub mod layout;
mod login;
pub mod look;
mod loss;
mod nav;
mod nonce;
mod overview;
mod policy;
mod push_certificate;
pub mod restore;
mod restore_test;
mod retention;
mod setting;
mod setup;
mod span;
mod store;
mod team;
mod user;
pub mod visitor;
pub mod wipe;

use crate::problem::HttpError;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, FormConfig, ServiceConfig};
use area::Areas;

/// What a page's handler returns.
pub type PageResult<T> = Result<T, HttpError>;

/// Registers all pages. It takes every address that is left, so it comes last.
pub fn routes(config: &mut ServiceConfig) {
    // The gate reads and bounds the form before its handler does.
    config.app_data(FormConfig::default().limit(csrf::MAX_FORM)).app_data(Data::new(AREAS));
    let areas = AREAS.0.iter().fold(web::scope("").wrap(from_fn(gate::gate)), |scope, it| scope.configure(it.routes));
    config.service(areas.default_service(web::to(gate::not_found)));
}

/// Every area, in the order of the navigation.
pub const AREAS: Areas = Areas(&[
    overview::AREA,
    disaster::AREA,
    device::AREA,
    hold::AREA,
    enrollment::AREA,
    restore_test::AREA,
    restore::AREA,
    store::AREA,
    incident::AREA,
    content::AREA,
    policy::AREA,
    command::AREA,
    approval::AREA,
    wipe::AREA,
    activity::AREA,
    setting::AREA,
    push_certificate::AREA,
    retention::AREA,
    user::AREA,
    team::AREA,
    api_token::AREA,
    account::AREA,
    login::AREA,
    setup::AREA,
    asset::AREA,
    health::AREA,
]);
