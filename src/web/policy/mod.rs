//! Policies: the list with its results, each one's page, and the form that writes one; and what is set on Apple devices.
mod apple;
mod apple_form;
mod edit;
mod form;
mod list;
mod show;

use crate::auth::{Can, EditPolicies};
use crate::error::Error;
use crate::service::policy::{self, Draft};
use crate::store::policy::Policy;
use crate::store::team::Team;
use crate::store::{self, Conn, Store};
use crate::web::area::{Area, Link, Place};
use crate::web::hashing::Shared;
use crate::web::login::require_password;
use actix_web::web::{Data, ServiceConfig};
use clock::Clock;
use domain::guard::GuardedAct;
use domain::id::PolicyId;
use domain::policy::Requirement;
use domain::role::Permission;

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/policies",
        icon: "list-checks",
        label: "Policies",
        needs: Some(Permission::ViewPolicies),
    }),
    pages_with_forms: &["/policies", "/policies/{id}", "/policies/apple/{scope}"],
    forms: &[
        ("/policies/{id}/removals", "/policies/{id}"),
        ("/policies/apple/{scope}/removals", "/policies/apple/{scope}"),
    ],
    ..Area::new(routes, &["policies"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(list::list)
        .service(edit::new)
        .service(apple::list)
        .service(apple::on_devices)
        .service(apple_form::edit)
        .service(apple_form::set)
        .service(apple_form::give_up)
        .service(edit::add)
        .service(show::show)
        .service(edit::edit)
        .service(edit::change)
        .service(show::remove);
}

fn team_name(teams: &[Team], policy: &Policy) -> String {
    match policy.team_id {
        None => "All devices".to_owned(),
        Some(id) => teams.iter().find(|it| it.id == id).map_or("A team", |it| it.name.as_str()).to_owned(),
    }
}

/// A policy with what it requires, and all teams.
type Loaded = (Policy, Vec<Requirement>, Vec<Team>);

fn load(conn: &mut Conn, policy: Option<Policy>) -> Result<Loaded, Error> {
    let policy = policy.filter(|it| it.removed_at.is_none()).ok_or(Error::NotFound("policy"))?;
    Ok((policy.clone(), policy.requirements()?, store::team::all(conn)?))
}

/// A policy that the person may change.
async fn editable(store: &Store, by: &Can<EditPolicies>, id: PolicyId) -> Result<Loaded, Error> {
    let acting = by.acting();
    let read = move |conn: &mut Conn| {
        let policy = policy::editable(conn, &acting, id)?;
        load(conn, Some(policy))
    };
    store.read(read).await
}

type Desk = (Data<Store>, Data<Clock>, Data<Shared>);

/// Asks for a fresh password if a change or a removal weakens a policy that guards data.
async fn guarded(
    by: &Can<EditPolicies>,
    (store, clock, shared): &Desk,
    id: PolicyId,
    draft: Option<&Draft>,
    password: &str,
) -> Result<(), Error> {
    let (acting, draft) = (by.acting(), draft.cloned());
    if store.read(move |conn| policy::is_guarded(conn, &acting, id, draft.as_ref())).await? {
        require_password(GuardedAct::LoosenPolicy, by, (store, clock, shared), password).await?;
    }
    Ok(())
}
