//! `/users/{id}`: a person, their roles, and what closes or opens their account.
use super::Desk;
use super::invite::InvitedPage;
use super::role::{self, Group};
use crate::auth::{Can, ManageUsers};
use crate::error::{Error, FieldErrors};
use crate::service;
use crate::store::user::{HostSaid, User};
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{self, Pairs};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::{require_password, require_password_in};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::account::UserState;
use domain::by::Author;
use domain::guard::GuardedAct;
use domain::id::UserId;
use domain::role::Scope;
use domain::shown::Shown;
use domain::time::Time;

#[derive(Template, WebTemplate)]
#[template(path = "user/show.html")]
struct ShowPage {
    layout: Layout,
    user: User,
    /// Who made the account.
    creator: String,
    groups: Vec<Group>,
    /// What the form of the roles was shown with.
    version: String,
    host: HostSaid,
    errors: FieldErrors,
}

/// The roles the person held when the form was shown.
fn shown(conn: &mut Conn, id: UserId) -> crate::error::Result<Shown> {
    let (teams, held) = (store::team::all(conn)?, store::user::grants(conn, id)?);
    let name = |scope: &Scope| match scope {
        Scope::Organisation => String::new(),
        Scope::Team(id) => {
            let team = teams.iter().find(|it| it.id == *id).map_or_else(|| id.to_string(), |it| it.name.clone());
            format!(" in team {team}")
        }
    };
    let mut roles: Vec<_> = held.iter().map(|(role, scope)| format!("{}{}", role.name(), name(scope))).collect();
    roles.sort();
    Ok(Shown::new([("Roles", roles.join(", "))]))
}

/// A person as their page shows them.
struct Loaded {
    user: User,
    creator: String,
    groups: Vec<Group>,
    version: String,
    host: HostSaid,
}

impl Loaded {
    fn page(self, layout: Layout, errors: FieldErrors) -> ShowPage {
        let Self { user, creator, groups, version, host } = self;
        ShowPage { layout, user, creator, groups, version, host, errors }
    }
}

fn load(conn: &mut Conn, id: UserId) -> crate::error::Result<Loaded> {
    let user = store::user::find(conn, id)?.ok_or(Error::NotFound("user"))?;
    let creator = match user.created_by {
        Some(by) => store::user::find(conn, by)?.map(|it| it.name).unwrap_or_default(),
        None => "The command line or the set-up link".to_owned(),
    };
    let (teams, held) = (store::team::all(conn)?, store::user::grants(conn, id)?);
    let groups = role::boxes(&teams, |role, scope| held.iter().any(|it| *it == (role, scope)));
    let (version, host) = (shown(conn, id)?.version(), store::user::host_said(conn, id)?);
    Ok(Loaded { user, creator, groups, version, host })
}

#[get("/users/{id}")]
pub async fn show(
    _: Can<ManageUsers>,
    layout: Layout,
    store: Data<Store>,
    id: Path<UserId>,
) -> PageResult<impl Responder> {
    let id = id.into_inner();
    Ok(store.read(move |conn| load(conn, id)).await?.page(layout, FieldErrors::new()))
}

#[post("/users/{id}/roles")]
pub async fn set_roles(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    id: Path<UserId>,
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let (id, now) = (id.into_inner(), clock.now());
    let (roles, acting) = (role::read(&form)?, by.acting());
    let (wanted, version) = (roles.clone(), form::value(&form, "version").to_owned());
    let typed = version.clone();
    let password = form::value(&form, "password");
    let done = match require_password(GuardedAct::ChangeRoles, &by, (&store, &clock, &shared), password).await {
        Ok(()) => {
            store
                .act(move |conn| {
                    shown(conn, id)?.check(&version).map_err(Error::Conflict)?;
                    service::user::set_roles(conn, (&acting).into(), id, &roles, now)
                })
                .await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(see_other(
            format!("/users/{id}"),
            Some(
                "The roles were set. If they changed, all the person’s \
             sessions have ended.",
            ),
        )),
        Err(error) => {
            let is_newer = matches!(error, Error::Conflict(_));
            let (errors, refusal) = form::refusal(error)?;
            let current = store.read(move |conn| load(conn, id)).await?;
            let version = if is_newer { current.version.clone() } else { typed };
            let teams = store.read(store::team::all).await?;
            let groups = role::boxes(&teams, |role, scope| wanted.contains(&(role, scope)));
            refusal.again(&Loaded { groups, version, ..current }.page(layout, errors))
        }
    }
}

/// The password field beside the buttons for the account; the one for the roles is `password`.
const ACCOUNT_PASSWORD: &str = "account-password";

/// Shows a person's page again with the reason why one of its buttons did nothing.
async fn show_again(layout: Layout, store: &Store, id: UserId, error: Error) -> PageResult<HttpResponse> {
    let (errors, refusal) = form::refusal(error)?;
    let loaded = store.read(move |conn| load(conn, id)).await?;
    refusal.again(&loaded.page(layout, errors))
}

/// An act that returns the path of a link.
type MakeLink = fn(&mut Conn, Author<'_>, UserId, Time) -> crate::error::Result<String>;

/// Makes a link for a person with `make`, an act that returns its path, and shows it.
async fn new_link(
    by: &Can<ManageUsers>,
    layout: Layout,
    (store, clock, shared, config): &Desk,
    (id, password): (UserId, &str),
    (act, make): (GuardedAct, MakeLink),
) -> PageResult<HttpResponse> {
    let (now, acting) = (clock.now(), by.acting());
    if let Err(error) = require_password_in(ACCOUNT_PASSWORD, act, by, (store, clock, shared), password).await {
        return show_again(layout, store, id, error).await;
    }
    let path = store.act(move |conn| make(conn, (&acting).into(), id, now)).await?;
    let user = store.read(move |conn| store::user::find(conn, id)).await?.ok_or(Error::NotFound("user"))?;
    form::with_status(&InvitedPage::new(layout, config, user, &path), StatusCode::OK)
}

#[post("/users/{id}/links")]
pub async fn make_link(
    by: Can<ManageUsers>,
    layout: Layout,
    desk: Desk,
    (id, form): (Path<UserId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let asked = (id.into_inner(), form::value(&form, "password"));
    new_link(&by, layout, &desk, asked, (GuardedAct::MakeUserLink, service::user::invite_again)).await
}

#[post("/users/{id}/disable")]
pub async fn disable(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<UserId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, now, acting, password) = (id.into_inner(), clock.now(), by.acting(), form::value(&form, "password"));
    if let Err(error) =
        require_password_in(ACCOUNT_PASSWORD, GuardedAct::DisableUser, &by, (&store, &clock, &shared), password).await
    {
        return show_again(layout, &store, id, error).await;
    }
    store.act(move |conn| service::user::disable(conn, (&acting).into(), id, now)).await?;
    Ok(see_other(
        format!("/users/{id}"),
        Some(
            "The account was disabled. All its sessions and tokens have \
     ended.",
        ),
    ))
}

#[post("/users/{id}/enable")]
pub async fn enable(
    by: Can<ManageUsers>,
    layout: Layout,
    desk: Desk,
    (id, form): (Path<UserId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let asked = (id.into_inner(), form::value(&form, "password"));
    new_link(&by, layout, &desk, asked, (GuardedAct::EnableUser, service::user::enable)).await
}
