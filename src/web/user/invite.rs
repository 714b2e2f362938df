//! `/users/new`: inviting somebody, and the link that they get.
use super::Desk;
use super::role::{self, Group};
use crate::auth::{Can, ManageUsers};
use crate::config::Config;
use crate::error::{Error, FieldErrors};
use crate::service;
use crate::service::user::Invitation;
use crate::store::user::User;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::form::{self, Pairs};
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use domain::guard::GuardedAct;

#[derive(Template, WebTemplate)]
#[template(path = "user/new.html")]
struct NewPage {
    layout: Layout,
    email: String,
    name: String,
    groups: Vec<Group>,
    errors: FieldErrors,
}

#[get("/users/new")]
pub async fn new(_: Can<ManageUsers>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let teams = store.read(store::team::all).await?;
    let groups = role::boxes(&teams, |_, _| false);
    Ok(NewPage { layout, email: String::new(), name: String::new(), groups, errors: FieldErrors::new() })
}

#[derive(Template, WebTemplate)]
#[template(path = "user/invited.html")]
pub(super) struct InvitedPage {
    layout: Layout,
    user: User,
    url: String,
    /// Whether a mail server is set.
    is_mailed: bool,
}

impl InvitedPage {
    pub(super) fn new(layout: Layout, config: &Config, user: User, path: &str) -> Self {
        Self { layout, user, url: format!("{}{path}", config.public_url), is_mailed: config.mail.is_some() }
    }
}

#[post("/users")]
pub async fn invite(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock, shared, config): Desk,
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let now = clock.now();
    let (email, mut errors) = (form::value(&form, "email").trim().to_owned(), FieldErrors::new());
    let name = form::required(form::value(&form, "name"), "name", 100, &mut errors);
    let roles = role::read(&form)?;
    let who = Invitation { email: email.clone(), name: name.clone(), roles: roles.clone() };
    let acting = by.acting();
    let password = form::value(&form, "password");
    let done = match errors.into_result() {
        Ok(()) => match require_password(GuardedAct::InviteUser, &by, (&store, &clock, &shared), password).await {
            Ok(()) => store.act(move |conn| service::user::invite(conn, (&acting).into(), &who, now)).await,
            Err(error) => Err(error),
        },
        Err(errors) => Err(Error::Invalid(errors)),
    };
    match done {
        Ok((user, path)) => form::with_status(&InvitedPage::new(layout, &config, user, &path), StatusCode::OK),
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            let teams = store.read(store::team::all).await?;
            let groups = role::boxes(&teams, |role, scope| roles.contains(&(role, scope)));
            refusal.again(&NewPage { layout, email, name, groups, errors })
        }
    }
}
