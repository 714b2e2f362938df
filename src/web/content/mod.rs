//! Looking inside restore points, and downloads from them.
//!
//! Whatever is shown here was written by a device: names are text, never an address or a header of their own.
mod all;
mod changes;
mod download;
mod files;
mod points;
mod search;

use crate::web::area::{Area, Place};
use actix_web::web::ServiceConfig;

pub const AREA: Area = Area {
    place: Place::Below("/restore-tests"),
    forms: &[("/restore-points/{id}/downloads", "/restore-points/{id}/files")],
    ..Area::new(routes, &["restore-points"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(all::list)
        .service(points::list)
        .service(search::search)
        .service(files::show)
        .service(changes::show)
        .service(download::make);
}
