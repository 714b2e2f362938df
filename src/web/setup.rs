//! The first owner's account, and the accounts of invited people: both by a link that works once.
use crate::config::Config;
use crate::error::{Error, FieldErrors, Result};
use crate::service;
use crate::service::link::Profile;
use crate::store::user::User;
use crate::store::{Conn, Store};
use crate::web::PageResult;
use crate::web::area::Area;
use crate::web::flash::see_other;
use crate::web::form;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::{origin, set_cookie};
use crate::web::visitor::{Visitor, browser_cookie, session_cookie};
use crate::zone;
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::account::{LinkPurpose, check_password};
use domain::baseline;
use domain::name::{NO_ADDRESS, address, check_person};
use domain::policy::Requirement;
use serde::Deserialize;

pub const AREA: Area = Area {
    public: &["/set-up/{token}", "/invite/{token}"],
    pages_with_forms: &["/invite/{token}", "/set-up/{token}"],
    ..Area::new(routes, &["set-up", "invite"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(new).service(set_up).service(show_invite).service(accept);
}

#[derive(Template, WebTemplate)]
#[template(path = "setup/new.html")]
struct SetUpPage {
    layout: Layout,
    /// Where the form goes.
    action: String,
    /// Invited people already have an address.
    invited: Option<String>,
    form: AccountForm,
    errors: FieldErrors,
    /// What the baseline policy asks for, if it is offered.
    baseline: Vec<String>,
}

#[derive(Deserialize, Default, Clone)]
struct AccountForm {
    #[serde(default)]
    email: String,
    name: String,
    time_zone: String,
    password: String,
    again: String,
    /// Any text if the box of the baseline policy is ticked.
    #[serde(default)]
    baseline: String,
}

impl AccountForm {
    fn check(&self, email: &str) -> FieldErrors {
        let mut errors = FieldErrors::new();
        if address(email).is_none() {
            errors.add("email", NO_ADDRESS);
        }
        check_person(&self.name, email, &mut errors);
        zone::check(&self.time_zone, &mut errors);
        new_password(&self.password, &self.again, email, &mut errors);
        errors
    }
}

/// Checks a new password and its repetition.
pub(super) fn new_password(password: &str, again: &str, email: &str, errors: &mut FieldErrors) {
    if let Err(why) = check_password(password, email) {
        errors.add("password", why);
    } else if password != again {
        errors.add("again", "The two passwords differ.");
    }
}

#[get("/set-up/{token}")]
async fn new(
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    token: Path<String>,
) -> PageResult<impl Responder> {
    let (token, now) = (token.into_inner(), clock.now());
    let action = format!("/set-up/{token}");
    let baseline = store
        .read(move |conn| {
            service::link::open_link(conn, &token, LinkPurpose::SetUp, now)?;
            offered(conn)
        })
        .await?;
    let form = AccountForm { baseline: "yes".to_owned(), ..AccountForm::default() };
    Ok(SetUpPage { layout, action, invited: None, form, errors: FieldErrors::new(), baseline })
}

/// What the baseline policy asks for; empty if set-up does not offer it.
fn offered(conn: &mut Conn) -> Result<Vec<String>> {
    if !service::policy::offers_baseline(conn)? {
        return Ok(Vec::new());
    }
    Ok(baseline::requirements().iter().map(Requirement::sentence).collect())
}

/// What the pages of this area need from the server.
struct Desk {
    store: Data<Store>,
    clock: Data<Clock>,
    shared: Data<Shared>,
    config: Data<Config>,
}

impl Desk {
    /// Signs a person in who has just set their password.
    async fn welcome(&self, user: User, visitor: &Visitor, flash: &str) -> PageResult<HttpResponse> {
        let (origin, now) = (origin(visitor), self.clock.now());
        let opened =
            self.store.write(move |conn| service::account::open_session(conn, &user, &origin, None, now)).await?;
        let (mut response, secure) = (see_other("/", Some(flash)), self.config.is_https());
        set_cookie(&mut response, session_cookie(opened.session, secure));
        if let Some(token) = opened.browser {
            set_cookie(&mut response, browser_cookie(token, secure));
        }
        Ok(response)
    }

    /// Whose link it is, if it still works: each try counts, and a link that does not work gets no page.
    async fn open(&self, visitor: &Visitor, token: &str, purpose: LinkPurpose) -> Result<Option<User>> {
        self.shared.count_try(visitor.address)?;
        let (token, now) = (token.to_owned(), self.clock.now());
        self.store.read(move |conn| service::link::open_link(conn, &token, purpose, now)).await
    }

    /// What the form says, for an account with this address.
    async fn profile(&self, form: &AccountForm, email: &str) -> Result<Profile> {
        form.check(email).into_result()?;
        let password_hash = self.shared.hash(form.password.clone()).await?;
        Ok(Profile {
            email: form.email.trim().to_owned(),
            name: form.name.trim().to_owned(),
            time_zone: form.time_zone.clone(),
            password_hash,
        })
    }
}

#[post("/set-up/{token}")]
async fn set_up(
    layout: Layout,
    visitor: Visitor,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    config: Data<Config>,
    token: Path<String>,
    form: Form<AccountForm>,
) -> PageResult<HttpResponse> {
    let (desk, token, form) = (Desk { store, clock, shared, config }, token.into_inner(), form.into_inner());
    let (now, action) = (desk.clock.now(), format!("/set-up/{token}"));
    let opened = desk.open(&visitor, &token, LinkPurpose::SetUp).await;
    let made = match opened {
        Ok(_) => desk.profile(&form, &form.email).await,
        Err(error) => Err(error),
    };
    let owner = match made {
        Ok(owner) => owner,
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            let baseline = desk.store.read(offered).await?;
            return refusal.again(&SetUpPage { layout, action, invited: None, form, errors, baseline });
        }
    };
    let address = visitor.address.to_string();
    let with_baseline = !form.baseline.is_empty();
    let (user, asks) = desk
        .store
        .act(move |conn| {
            let user = service::set_up::set_up(conn, &token, &owner, with_baseline, &address, now)?;
            Ok::<_, Error>((user, service::policy::asks_for_backups(conn)?))
        })
        .await?;
    let flash = if asks {
        "Your account is ready, and you are the owner. The baseline policy asks every device that enrolls for \
         backups."
    } else {
        "Your account is ready, and you are the owner. No policy asks for backups yet."
    };
    desk.welcome(user, &visitor, flash).await
}

#[get("/invite/{token}")]
async fn show_invite(
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    token: Path<String>,
) -> PageResult<impl Responder> {
    let (token, now) = (token.into_inner(), clock.now());
    let action = format!("/invite/{token}");
    let user = store
        .read(move |conn| service::link::open_link(conn, &token, LinkPurpose::Invite, now))
        .await?
        .ok_or(Error::LinkGone)?;
    let form = AccountForm { name: user.name.clone(), time_zone: user.time_zone.clone(), ..AccountForm::default() };
    let (errors, baseline) = (FieldErrors::new(), Vec::new());
    Ok(SetUpPage { layout, action, invited: Some(user.email), form, errors, baseline })
}

#[post("/invite/{token}")]
async fn accept(
    layout: Layout,
    visitor: Visitor,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    config: Data<Config>,
    token: Path<String>,
    form: Form<AccountForm>,
) -> PageResult<HttpResponse> {
    let (desk, token, form) = (Desk { store, clock, shared, config }, token.into_inner(), form.into_inner());
    let (now, action) = (desk.clock.now(), format!("/invite/{token}"));
    let invited = desk.open(&visitor, &token, LinkPurpose::Invite).await?;
    let user = invited.ok_or(Error::LinkGone)?;
    let profile = match desk.profile(&form, &user.email).await {
        Ok(profile) => profile,
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            let (invited, baseline) = (Some(user.email), Vec::new());
            return refusal.again(&SetUpPage { layout, action, invited, form, errors, baseline });
        }
    };
    let address = visitor.address.to_string();
    let user = desk.store.act(move |conn| service::link::accept_invite(conn, &token, &profile, &address, now)).await?;
    desk.welcome(user, &visitor, "Your account is ready.").await
}
