//! Enrolment tokens: made, shown once as text, command and QR code, and revoked.
mod made;

pub use made::{Made, made_page};

use crate::auth::{Can, EnrollDevices};
use crate::config::Config;
use crate::error::Error;
use crate::service::apple::account;
use crate::service::enrollment::{self, TokenDraft};
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::team::Team;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::device::{parse_team, team_options};
use crate::web::flash::see_other;
use crate::web::form::{number, refusal};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::by::By;
use domain::device::Ownership;
use domain::fields::FieldErrors;
use domain::guard::GuardedAct;
use domain::id::EnrollmentTokenId;
use domain::role::Reach;
use domain::time::{Time, hours};
use serde::Deserialize;

pub const AREA: Area = Area {
    place: Place::Below("/devices"),
    forms: &[("/enrollment-tokens", "/enrollment"), ("/enrollment-tokens/{id}/revocations", "/enrollment")],
    ..Area::new(routes, &["enrollment", "enrollment-tokens"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(make).service(revoke);
}

/// How many tokens are listed.
const LISTED: i64 = 200;

#[derive(Template, WebTemplate)]
#[template(path = "enrollment/list.html")]
struct ListPage {
    layout: Layout,
    tokens: Vec<(EnrollmentToken, String)>,
    form: TokenForm,
    teams: Vec<(String, String)>,
    ownerships: Vec<(String, String)>,
    spans: Vec<(String, String)>,
    errors: FieldErrors,
}

/// What a person types for a new token.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct TokenForm {
    name: String,
    team: String,
    ownership: String,
    use_limit: String,
    valid_hours: String,
    /// Of a personal Apple device: its person's Managed Apple Account.
    account: String,
    password: String,
}

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            team: String::new(),
            ownership: Ownership::Company.as_str().to_owned(),
            use_limit: "1".to_owned(),
            valid_hours: "24".to_owned(),
            account: String::new(),
            password: String::new(),
        }
    }
}

impl TokenForm {
    fn parse(&self) -> Result<TokenDraft, FieldErrors> {
        let mut errors = FieldErrors::new();
        let team_id = parse_team(&self.team, &mut errors);
        let ownership = Ownership::parse(&self.ownership);
        if ownership.is_none() {
            errors.add("ownership", "Say who owns the devices.");
        }
        let use_limit = number(&self.use_limit, "use_limit", 1..=100_000, &mut errors);
        let valid = number(&self.valid_hours, "valid_hours", 1..=24 * 366, &mut errors);
        errors.into_result()?;
        Ok(TokenDraft {
            name: self.name.clone(),
            team_id,
            ownership: ownership.unwrap_or(Ownership::Company),
            use_limit,
            valid_for: hours(u64::try_from(valid).unwrap_or(1)),
            device_id: None,
        })
    }
}

/// The state of a token.
fn word(token: &EnrollmentToken, now: &Time) -> &'static str {
    if token.revoked_at.is_some() {
        "Revoked"
    } else if token.use_count >= token.use_limit {
        "Used up"
    } else if token.expires_at <= *now {
        "Expired"
    } else {
        "Open"
    }
}

impl ListPage {
    fn new(layout: Layout, read: (Vec<EnrollmentToken>, Vec<Team>), form: TokenForm, errors: FieldErrors) -> Self {
        let (tokens, teams) = read;
        let name = |token: &EnrollmentToken| {
            let team = teams.iter().find(|it| Some(it.id) == token.team_id);
            team.map(|it| it.name.clone()).unwrap_or_default()
        };
        let pair = |value: &str, text: &str| (value.to_owned(), text.to_owned());
        Self {
            tokens: tokens.into_iter().map(|it| (it.clone(), name(&it))).collect(),
            form,
            ownerships: vec![pair("company", "Company"), pair("personal", "Personal: never wiped whole")],
            spans: vec![
                pair("1", "1 hour"),
                pair("24", "1 day"),
                pair("168", "7 days"),
                pair("720", "30 days"),
                pair("8760", "1 year"),
            ],
            teams: team_options(teams),
            errors,
            layout,
        }
    }
}

fn read(conn: &mut Conn, reach: &Reach) -> crate::error::Result<(Vec<EnrollmentToken>, Vec<Team>)> {
    Ok((store::enrollment_token::newest(conn, reach, LISTED)?, store::team::all(conn)?))
}

#[get("/enrollment")]
async fn list(by: Can<EnrollDevices>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let reach = by.reach().clone();
    let read = store.read(move |conn| read(conn, &reach)).await?;
    Ok(ListPage::new(layout, read, TokenForm::default(), FieldErrors::new()))
}

#[post("/enrollment-tokens")]
async fn make(
    by: Can<EnrollDevices>,
    layout: Layout,
    store: Data<Store>,
    (clock, config, shared): (Data<Clock>, Data<Config>, Data<Shared>),
    form: Form<TokenForm>,
) -> PageResult<HttpResponse> {
    let (acting, reach, now, form) = (by.acting(), by.reach().clone(), clock.now(), form.into_inner());
    let account = form.account.trim().to_owned();
    let done = match form.parse() {
        Ok(draft) => match require_sign_in(&by, (&store, &clock, &shared), &draft, &form.password).await {
            Ok(act) => {
                let account = account.clone();
                store.act(move |conn| make_as(conn, act, &acting, (&draft, &account), now)).await
            }
            Err(error) => Err(error),
        },
        Err(errors) => Err(errors.into()),
    };
    match done {
        Ok((token, text)) => {
            let team = token.team_id;
            let key_holder = store.read(move |conn| store::team::key_holder(conn, team)).await?;
            let (server, apple) = (config.public_url.clone(), config.apple.as_ref().map(|it| it.url.clone()));
            made_page(layout, Made { token, text, server, protect: Vec::new(), key_holder, apple, account }).await
        }
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            let read = store.read(move |conn| read(conn, &reach)).await?;
            refusal.again(&ListPage::new(layout, read, form, errors))
        }
    }
}

/// Asks for the password if the token admits many devices; returns which act it is.
async fn require_sign_in(
    by: &Can<EnrollDevices>,
    (store, clock, shared): (&Store, &Clock, &Shared),
    draft: &TokenDraft,
    password: &str,
) -> crate::error::Result<GuardedAct> {
    let (acting, draft, now) = (by.acting(), draft.clone(), clock.now());
    let act = store.read(move |conn| enrollment::act_of(conn, &acting, &draft, now)).await?;
    require_password(act, by, (store, clock, shared), password).await?;
    Ok(act)
}

/// Makes the token, unless the act is no longer the one the password was asked for.
fn make_as(
    conn: &mut Conn,
    asked: GuardedAct,
    by: &By,
    (draft, account): (&TokenDraft, &str),
    now: Time,
) -> crate::error::Result<(EnrollmentToken, String)> {
    let is = enrollment::act_of(conn, by, draft, now)?;
    if is.guard().fresh && !asked.guard().fresh {
        return Err(Error::Conflict("another token was made at the same time; send the form again".to_owned()));
    }
    match account {
        "" => enrollment::make_token(conn, by, draft, now),
        account => account::make_token(conn, by, (draft, account), now),
    }
}

#[post("/enrollment-tokens/{id}/revocations")]
async fn revoke(
    by: Can<EnrollDevices>,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<EnrollmentTokenId>,
) -> PageResult<HttpResponse> {
    let (acting, now, id) = (by.acting(), clock.now(), id.into_inner());
    store.act(move |conn| enrollment::revoke_token(conn, &acting, id, now)).await?;
    Ok(see_other("/enrollment", Some("The token was revoked: nobody can enroll with it any more.")))
}
