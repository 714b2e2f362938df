//! Devices: the list, one device's page, and what people ask of devices.
mod act;
mod answer;
mod bulk;
mod choice;
mod client;
mod column;
mod edit;
mod export;
mod list;
mod query;
mod show;
mod strip;

pub(in crate::web) use answer::Answer;
pub(in crate::web) use edit::{parse_team, team_options};
pub(in crate::web) use list::Row;
pub(in crate::web) use show::measured;

use actix_web::web::ServiceConfig;

/// Registers the pages. The lists come first: `/devices/{id}` would take their addresses too.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(list::show)
        .service(export::csv_list)
        .service(export::json)
        .service(column::choose)
        .service(bulk::lock)
        .service(bulk::back_up)
        .service(bulk::prove)
        .service(export::one)
        .service(show::show)
        .service(act::lock)
        .service(act::back_up)
        .service(act::prove)
        .service(act::enroll_again)
        .service(edit::edit)
        .service(edit::change)
        .service(edit::stop_removal)
        .service(edit::remove)
        .service(client::make)
        .service(client::revoke);
}
