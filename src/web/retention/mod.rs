//! What is kept of every device: the rule and its changes, what a change would end, and the trash.
mod change;
mod ends;
mod show;
mod trash;

use crate::web::area::{Area, Place};
use actix_web::web::ServiceConfig;
use domain::role::Permission;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/retention", label: "Retention", needs: Some(Permission::ViewDevices) },
    pages_with_forms: &["/retention"],
    forms: &[
        ("/retention/previews", "/retention"),
        ("/retention/{id}/approvals", "/retention"),
        ("/retention/{id}/cancellations", "/retention"),
        ("/prunes/{id}/undos", "/retention"),
    ],
    ..Area::new(routes, &["retention", "prunes"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(show::show)
        .service(ends::show)
        .service(change::preview)
        .service(change::change)
        .service(change::approve)
        .service(change::cancel)
        .service(trash::undo);
}
