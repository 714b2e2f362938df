//! Teams.
use crate::auth::{Can, ManageUsers};
use crate::error::{Error, FieldErrors};
use crate::service;
use crate::store::team::Team;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form;
use crate::web::layout::Layout;
use actix_web::web::{Data, Form, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::role::Permission;
use serde::Deserialize;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/teams", label: "Teams", needs: Some(Permission::ManageUsers) },
    pages_with_forms: &["/teams"],
    ..Area::new(routes, &["teams"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(add);
}

#[derive(Template, WebTemplate)]
#[template(path = "team/list.html")]
struct ListPage {
    layout: Layout,
    /// Each team with how many devices it has.
    teams: Vec<(Team, i64)>,
    name: String,
    errors: FieldErrors,
}

async fn load(store: &Store) -> PageResult<Vec<(Team, i64)>> {
    let (teams, counts) = store
        .read(|conn| -> crate::error::Result<_> { Ok((store::team::all(conn)?, store::team::device_counts(conn)?)) })
        .await?;
    let count = |team: &Team| counts.iter().find(|(id, _)| *id == team.id).map_or(0, |(_, count)| *count);
    Ok(teams.into_iter().map(|team| (count(&team), team)).map(|(count, team)| (team, count)).collect())
}

#[get("/teams")]
async fn list(_: Can<ManageUsers>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    Ok(ListPage { layout, teams: load(&store).await?, name: String::new(), errors: FieldErrors::new() })
}

#[derive(Deserialize)]
struct TeamForm {
    name: String,
}

#[post("/teams")]
async fn add(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    form: Form<TeamForm>,
) -> PageResult<HttpResponse> {
    let (mut errors, acting, now) = (FieldErrors::new(), by.acting(), clock.now());
    let name = form::required(&form.name, "name", 60, &mut errors);
    let (wanted, given) = (name.clone(), form.name.clone());
    let done = match errors.into_result() {
        Ok(()) => store.act(move |conn| service::team::add(conn, &acting, &wanted, now)).await,
        Err(errors) => Err(Error::Invalid(errors)),
    };
    match done {
        Ok(_) => Ok(see_other("/teams", Some(&format!("Team {name} was added.")))),
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&ListPage { layout, teams: load(&store).await?, name: given, errors })
        }
    }
}
