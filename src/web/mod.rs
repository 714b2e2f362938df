//! The people's side: pages, one file for each area.
//!
//! `gate` wraps them all: it recognises the person, and lets only [`gate::PUBLIC`] through without one. The
//! permission a page needs is in its handler's signature (`session::Can`).
mod account;
mod activity;
mod api_token;
pub mod approval;
pub mod asset;
mod command;
mod device;
mod enrollment;
pub mod error;
mod export;
pub mod filter;
pub mod form;
pub mod gate;
pub mod hashing;
pub mod layout;
mod login;
pub mod look;
mod loss;
mod nonce;
mod overview;
mod policy;
pub mod restore;
mod restore_test;
pub mod session;
mod setting;
mod setup;
mod span;
mod team;
mod user;
pub mod wipe;
pub mod zone;

use crate::service::ground::Watch;
use crate::store::Store;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, FormConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get};

/// Registers all pages. It takes every address that is left, so it comes last.
pub fn routes(config: &mut ServiceConfig) {
    // The gate reads and bounds the form before its handler does.
    config.app_data(FormConfig::default().limit(gate::MAX_FORM));
    config.service(web::scope("").wrap(from_fn(gate::gate)).configure(areas).default_service(web::to(gate::not_found)));
}

/// Every area, one a line.
fn areas(config: &mut ServiceConfig) {
    config
        .service(health)
        .service(asset::show)
        .configure(account::routes)
        .configure(activity::routes)
        .configure(api_token::routes)
        .configure(approval::routes)
        .configure(command::routes)
        .configure(device::routes)
        .configure(enrollment::routes)
        .configure(login::routes)
        .configure(overview::routes)
        .configure(policy::routes)
        .configure(restore::routes)
        .configure(restore_test::routes)
        .configure(setting::routes)
        .configure(setup::routes)
        .configure(team::routes)
        .configure(user::routes)
        .configure(wipe::routes);
}

#[get("/health")]
async fn health(request: HttpRequest, store: Data<Store>) -> HttpResponse {
    let mut complaints = request.app_data::<Data<Watch>>().map_or_else(Vec::new, |it| it.complaints());
    if store.is_read_only() {
        complaints.insert(0, "the disk of the database is read-only: nothing can be changed or stored".to_owned());
    }
    let (mut answer, word) = if !store.is_answering().await {
        (HttpResponse::ServiceUnavailable(), "the database does not answer\n".to_owned())
    } else if complaints.is_empty() {
        (HttpResponse::Ok(), "ok\n".to_owned())
    } else {
        // The console itself works and is the place to look, so a proxy must not take it out of service.
        (HttpResponse::Ok(), format!("degraded: {}\n", complaints.join("; ")))
    };
    answer.content_type("text/plain; charset=utf-8").body(word)
}
