//! API tokens, with which scripts read lists.
use crate::auth::{Can, ManageUsers};
use crate::error::FieldErrors;
use crate::service;
use crate::store::api_token::ApiToken;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::account::MAX_API_TOKEN_DAYS;
use domain::guard::GuardedAct;
use domain::id::ApiTokenId;
use domain::role::Permission;
use serde::Deserialize;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/api-tokens", label: "API tokens", needs: Some(Permission::ManageUsers) },
    pages_with_forms: &["/api-tokens"],
    forms: &[("/api-tokens/{id}/revoke", "/api-tokens")],
    ..Area::new(routes, &["api-tokens"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(make).service(revoke);
}

#[derive(Template, WebTemplate)]
#[template(path = "api_token/list.html")]
struct ListPage {
    layout: Layout,
    /// Each token with the name of the person it reads for.
    tokens: Vec<(ApiToken, String)>,
    form: TokenForm,
    errors: FieldErrors,
    /// The token that was just made; shown once.
    made: Option<String>,
}

#[derive(Deserialize, Clone)]
struct TokenForm {
    name: String,
    days: String,
    #[serde(default)]
    password: String,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self { name: String::new(), days: "30".to_owned(), password: String::new() }
    }
}

async fn load(store: &Store) -> PageResult<Vec<(ApiToken, String)>> {
    let (tokens, users) = store
        .read(|conn| -> crate::error::Result<_> { Ok((store::api_token::all(conn)?, store::user::all(conn)?)) })
        .await?;
    let owner = |token: &ApiToken| users.iter().find(|it| it.id == token.user_id).map(|it| it.name.clone());
    Ok(tokens.into_iter().map(|it| (owner(&it).unwrap_or_default(), it)).map(|(name, it)| (it, name)).collect())
}

#[get("/api-tokens")]
async fn list(_: Can<ManageUsers>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let tokens = load(&store).await?;
    Ok(ListPage { layout, tokens, form: TokenForm::default(), errors: FieldErrors::new(), made: None })
}

#[post("/api-tokens")]
async fn make(
    by: Can<ManageUsers>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    form: Form<TokenForm>,
) -> PageResult<HttpResponse> {
    let (form, acting, user, now) = (form.into_inner(), by.acting(), by.id, clock.now());
    let mut errors = FieldErrors::new();
    let name = form::required(&form.name, "name", 60, &mut errors);
    let days = form::number(&form.days, "days", 1..=MAX_API_TOKEN_DAYS, &mut errors);
    let asked = match errors.into_result() {
        Ok(()) => require_password(GuardedAct::MakeApiToken, &by, (&store, &clock, &shared), &form.password).await,
        Err(errors) => Err(errors.into()),
    };
    let done = match asked {
        Ok(()) => store.act(move |conn| service::api_token::make(conn, (&acting).into(), user, &name, days, now)).await,
        Err(error) => Err(error),
    };
    let tokens = load(&store).await?;
    match done {
        Ok((_, secret)) => {
            let (form, errors) = (TokenForm::default(), FieldErrors::new());
            let page = ListPage { layout, tokens, form, errors, made: Some(secret) };
            form::with_status(&page, actix_web::http::StatusCode::OK)
        }
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&ListPage { layout, tokens, form, errors, made: None })
        }
    }
}

#[post("/api-tokens/{id}/revoke")]
async fn revoke(
    by: Can<ManageUsers>,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<ApiTokenId>,
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    store.act(move |conn| service::api_token::revoke(conn, (&acting).into(), id, now)).await?;
    Ok(see_other("/api-tokens", Some("The token was revoked.")))
}
