//! Our own agent's protocol; `docs/protocol/agent.md` describes it.
mod address;
mod answered;
mod backup;
mod body;
mod check_in;
mod convert;
mod copy;
mod enroll;
mod fault;
mod large;
mod manifest;
mod program;
mod reply;
mod request;
mod restore;
mod shared;
mod signed;
pub mod token;
mod wait;
mod wipe;

pub use shared::Shared;

use actix_web::web::{self, ServiceConfig};

/// The routes for agents. Needs [`Shared`] among the app's data, the same for all workers.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(enroll::enroll)
        .service(check_in::check_in)
        .service(wait::wait)
        .service(program::fetch)
        .service(manifest::manifests)
        .service(backup::backups)
        .service(backup::backup_failures)
        .service(wipe::wipe_reports)
        .service(restore::restore_progress)
        .service(restore::restore_result)
        .service(restore::restore_undone)
        // Last: what is left is not a page of the console.
        .service(web::scope("/agent/v1").default_service(web::to(reply::nothing_there)));
}
