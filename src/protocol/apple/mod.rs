//! Apple's device management protocol, on a listener of its own: a browser that is asked for a certificate would ask its user.
mod ability;
mod account;
mod answer;
mod authority;
mod automatic;
mod check_in;
mod command;
mod convert;
mod enroll;
mod escrow;
mod fault;
mod identity;
mod inventory;
mod message;
mod order;
mod profile;
mod push;
mod received;
mod redact;
mod scep;
mod service;
mod shared;

pub use identity::on_connect;
pub use push::Apns;
pub use service::Client;
pub use shared::Door;

use actix_web::web::{PayloadConfig, ServiceConfig, resource, route, scope};

/// The largest message: a list of everything that is installed.
const MAX_BODY: usize = 1 << 20;

/// Where devices ask for certificates, check in and get their profiles.
pub fn routes(config: &mut ServiceConfig) {
    let mdm = resource("/mdm").app_data(PayloadConfig::new(MAX_BODY));
    let scep = resource("/scep").app_data(PayloadConfig::new(MAX_BODY));
    config.service(
        scope("/apple")
            // Apple says PUT; some devices and tools say POST.
            .service(
                mdm.route(actix_web::web::put().to(message::receive))
                    .route(actix_web::web::post().to(message::receive)),
            )
            .service(scep.route(actix_web::web::get().to(scep::answer)).route(actix_web::web::post().to(scep::answer)))
            .route("/enroll/account", actix_web::web::post().to(account::enroll))
            .route("/enroll/account/style.css", actix_web::web::get().to(account::style))
            .route("/enroll/account/sign-in", actix_web::web::get().to(account::sign_in_page))
            .route("/enroll/account/sign-in", actix_web::web::post().to(account::signs_in))
            .route("/enroll/automatic", actix_web::web::post().to(automatic::enroll))
            .route("/enroll/{token}", actix_web::web::get().to(enroll::profile)),
    );
    config.route("/.well-known/com.apple.remotemanagement", actix_web::web::get().to(account::discover));
    config.default_service(route().to(fault::nothing_here));
}
