//! People and their roles.
mod invite;
mod list;
mod role;
mod show;

use crate::config::Config;
use crate::store::Store;
use crate::web::area::{Area, Place};
use crate::web::hashing::Shared;
use actix_web::web::{Data, ServiceConfig};
use clock::Clock;
use domain::role::Permission;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/users", label: "Users", needs: Some(Permission::ManageUsers) },
    pages_with_forms: &["/users"],
    forms: &[
        ("/users/{id}/disable", "/users/{id}"),
        ("/users/{id}/enable", "/users/{id}"),
        ("/users/{id}/links", "/users/{id}"),
        ("/users/{id}/roles", "/users/{id}"),
    ],
    ..Area::new(routes, &["users"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(list::list)
        .service(invite::new)
        .service(invite::invite)
        .service(show::show)
        .service(show::set_roles)
        .service(show::make_link)
        .service(show::disable)
        .service(show::enable);
}

/// What an act on an account needs from the server.
type Desk = (Data<Store>, Data<Clock>, Data<Shared>, Data<Config>);
