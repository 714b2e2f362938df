//! Teams.
use crate::auth::{Can, ManageUsers};
use crate::error::{Error, FieldErrors, Result};
use crate::service;
use crate::service::team_quota::{MOST, UNIT};
use crate::store::team::Team;
use crate::store::team_quota::TeamQuota;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form::{self, Pairs};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::guard::GuardedAct;
use domain::id::TeamId;
use domain::key_holder::{COSTS, HAS_DEVICES, KeyHolder};
use domain::role::Permission;
use domain::space::{Room, Space};
use serde::Deserialize;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/teams", label: "Teams", needs: Some(Permission::ManageUsers) },
    pages_with_forms: &["/teams"],
    forms: &[("/teams/{id}/quotas", "/teams"), ("/teams/{id}/key-handovers", "/teams/{id}/key")],
    ..Area::new(routes, &["teams"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(add).service(set_quota).service(show_key).service(hand_over_keys);
}

#[derive(Template, WebTemplate)]
#[template(path = "team/list.html")]
struct ListPage {
    layout: Layout,
    teams: Vec<Row>,
    name: String,
    errors: FieldErrors,
}

/// A team as the page lists it.
struct Row {
    team: Team,
    device_count: i64,
    /// What its backups take of what they may; none without a limit.
    space: Option<Space>,
    key_holder: KeyHolder,
}

impl Row {
    /// What the field of its space shows.
    fn quota(&self) -> String {
        self.space.map(|it| (it.quota_bytes / UNIT).to_string()).unwrap_or_default()
    }
}

async fn load(store: &Store) -> PageResult<Vec<Row>> {
    let read = |conn: &mut Conn| -> Result<_> {
        let customers = store::team::of_customers(conn)?;
        Ok((store::team::all(conn)?, store::team::device_counts(conn)?, store::team_quota::all(conn)?, customers))
    };
    let (teams, counts, quotas, customers) = store.read(read).await?;
    let rows = teams.into_iter().map(|team| Row {
        device_count: counts.iter().find(|(id, _)| *id == team.id).map_or(0, |(_, count)| *count),
        space: quotas.iter().find(|it| it.team_id == team.id).map(TeamQuota::space),
        key_holder: if customers.contains(&team.id) { KeyHolder::Customer } else { KeyHolder::Server },
        team,
    });
    Ok(rows.collect())
}

#[derive(Deserialize)]
struct QuotaForm {
    /// In gigabytes; empty for no limit.
    quota: String,
}

#[post("/teams/{id}/quotas")]
async fn set_quota(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    (id, form): (Path<TeamId>, Form<QuotaForm>),
) -> PageResult<HttpResponse> {
    let (mut errors, acting, now, id) = (FieldErrors::new(), by.acting(), clock.now(), id.into_inner());
    let typed = form.quota.trim();
    let wanted = (!typed.is_empty()).then(|| form::number(typed, "quota", 1..=MOST, &mut errors));
    let done = match errors.into_result() {
        Ok(()) => store.act(move |conn| service::team_quota::set(conn, &acting, id, wanted, now)).await,
        Err(errors) => Err(Error::Invalid(errors)),
    };
    match done {
        Ok(team) => Ok(see_other("/teams", Some(&format!("The space of {} was changed.", team.name)))),
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&ListPage { layout, teams: load(&store).await?, name: String::new(), errors })
        }
    }
}

#[get("/teams")]
async fn list(_: Can<ManageUsers>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    Ok(ListPage { layout, teams: load(&store).await?, name: String::new(), errors: FieldErrors::new() })
}

#[derive(Template, WebTemplate)]
#[template(path = "team/key.html")]
struct KeyPage {
    layout: Layout,
    row: Row,
    errors: FieldErrors,
}

async fn load_one(store: &Store, id: TeamId) -> PageResult<Row> {
    let found = load(store).await?.into_iter().find(|it| it.team.id == id);
    Ok(found.ok_or(Error::NotFound("team"))?)
}

#[get("/teams/{id}/key")]
async fn show_key(
    _: Can<ManageUsers>,
    layout: Layout,
    store: Data<Store>,
    id: Path<TeamId>,
) -> PageResult<impl Responder> {
    Ok(KeyPage { layout, row: load_one(&store, *id).await?, errors: FieldErrors::new() })
}

#[post("/teams/{id}/key-handovers")]
async fn hand_over_keys(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<TeamId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now, password) = (*id, by.acting(), clock.now(), form::value(&form, "password"));
    let done = match require_password(GuardedAct::HandOverKeys, &by, (&store, &clock, &shared), password).await {
        Ok(()) => store.act(move |conn| service::team::hand_over_keys(conn, &acting, id, now)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(team) => {
            Ok(see_other("/teams", Some(&format!("The customer keeps the keys of {} from now on.", team.name))))
        }
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&KeyPage { layout, row: load_one(&store, id).await?, errors })
        }
    }
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
