//! Devices: the list, one device's page, and what people ask of devices.
mod act;
mod answer;
mod bulk;
mod choice;
mod chosen;
mod client;
mod column;
mod detail;
mod edit;
mod inventory;
mod list;
mod lost;
mod messages;
mod order;
mod phone;
mod secret;
mod show;
mod strip;
use domain::role::Permission;

pub(in crate::web) use answer::Answer;
pub(in crate::web) use detail::measured;
pub(in crate::web) use edit::{parse_team, team_options};
pub(in crate::web) use list::Row;

use crate::web::area::{Area, Link, Place};
use actix_web::web::ServiceConfig;

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/devices",
        icon: "smartphone",
        label: "Devices",
        needs: Some(Permission::ViewDevices),
    }),
    pages_with_forms: &["/devices/{id}", "/devices/{id}/orders/{kind}", "/devices/{id}/passcode-clearings"],
    forms: &[
        ("/devices/backup-commands", "/devices"),
        ("/devices/columns", "/devices"),
        ("/devices/lock-commands", "/devices"),
        ("/devices/restore-tests", "/devices"),
        ("/devices/{id}/backup-commands", "/devices/{id}"),
        ("/devices/{id}/enrollment-tokens", "/devices/{id}"),
        ("/devices/{id}/lock-commands", "/devices/{id}"),
        ("/device-secrets/{id}/readings", "/device-secrets/{id}"),
        ("/devices/{id}/removals", "/devices/{id}/edit"),
        ("/devices/{id}/removals/stops", "/devices/{id}"),
        ("/devices/{id}/repository-tokens", "/devices/{id}"),
        ("/devices/{id}/restore-tests", "/devices/{id}"),
        ("/repository-tokens/{id}/revocations", "/devices"),
    ],
    ..Area::new(routes, &["device-secrets", "devices", "repository-tokens"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(list::show)
        .service(column::choose)
        .service(bulk::lock)
        .service(bulk::back_up)
        .service(bulk::prove)
        .service(messages::show)
        .service(inventory::show)
        .service(lost::show)
        .service(order::list)
        .service(order::show)
        .service(order::ask)
        .service(order::show_passcode)
        .service(order::clear_passcode)
        .service(secret::list)
        .service(secret::ask)
        .service(secret::read)
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
