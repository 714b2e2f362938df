//! `/policies`: all policies with their results.
use super::team_name;
use crate::auth::{Can, ViewPolicies};
use crate::error::Error;
use crate::service::compliance::{self, Tallies};
use crate::store::policy::Policy;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::layout::Layout;
use actix_web::web::Data;
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::policy::Requirement;
use domain::role::Permission;

#[derive(Template, WebTemplate)]
#[template(path = "policy/list.html")]
struct ListPage {
    layout: Layout,
    policies: Vec<(Policy, Vec<Requirement>, String)>,
    tallies: Tallies,
}

#[get("/policies")]
pub async fn list(
    by: Can<ViewPolicies>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
) -> PageResult<impl Responder> {
    let (reach, now) = (by.reach().clone(), clock.now());
    let (policies, tallies) = store
        .read(move |conn| {
            let teams = store::team::all(conn)?;
            let policies = compliance::within(conn, &reach)?;
            let tallies = compliance::tallies(conn, &policies, &reach, now)?;
            let mut rows = Vec::with_capacity(policies.len());
            for policy in policies {
                let team = team_name(&teams, &policy);
                rows.push((policy.clone(), policy.requirements()?, team));
            }
            Ok::<_, Error>((rows, tallies))
        })
        .await?;
    Ok(ListPage { layout, policies, tallies })
}
