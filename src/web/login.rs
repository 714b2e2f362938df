//! Signing in and out, and the password that comes with a form.
use crate::auth::SignedIn;
use crate::config::Config;
use crate::error::{Error, FieldErrors, Result};
use crate::service;
use crate::service::account::{Attempt, Origin};
use crate::store::user::User;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::Area;
use crate::web::flash::see_other;
use crate::web::form;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::visitor::{Visitor, browser_cookie, no_session_cookie, session_cookie};
use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::guard::GuardedAct;
use serde::Deserialize;

pub const AREA: Area = Area {
    public: &["/sign-in"],
    pages_with_forms: &["/sign-in"],
    forms: &[("/sign-out", "/sign-in")],
    ..Area::new(routes, &["sign-in", "sign-out"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(new).service(sign_in).service(sign_out);
}

#[derive(Template, WebTemplate)]
#[template(path = "login/new.html")]
struct SignInPage {
    layout: Layout,
    email: String,
    to: String,
    errors: FieldErrors,
    needs_set_up: bool,
}

#[derive(Deserialize)]
struct To {
    #[serde(default)]
    to: String,
}

#[get("/sign-in")]
async fn new(layout: Layout, store: Data<Store>, to: Query<To>) -> PageResult<HttpResponse> {
    if layout.person.is_some() {
        return Ok(see_other(form::local(&to.to), None));
    }
    let needs_set_up = !store.read(store::user::has_owner).await?;
    let page = SignInPage {
        layout,
        email: String::new(),
        to: form::local(&to.to).to_owned(),
        errors: FieldErrors::new(),
        needs_set_up,
    };
    form::with_status(&page, StatusCode::OK)
}

#[derive(Deserialize)]
struct SignInForm {
    email: String,
    password: String,
    #[serde(default)]
    to: String,
}

/// What signing in needs from the server.
struct Desk {
    store: Data<Store>,
    clock: Data<Clock>,
    shared: Data<Shared>,
}

impl Desk {
    /// Checks one try; none if the password is wrong.
    async fn check(&self, form: &SignInForm, visitor: &Visitor) -> Result<Option<(Attempt, User)>> {
        let (email, browser, now) = (form.email.clone(), visitor.browser.clone(), self.clock.now());
        let is_known = match browser.clone() {
            Some(browser) => {
                let email = email.clone();
                self.store.read(move |conn| service::account::knows_browser(conn, &email, &browser)).await?
            }
            None => false,
        };
        // A known browser has its own delay, so its network does not need to be bounded as well.
        if !is_known {
            self.shared.count_try(visitor.address)?;
        }
        let place = self.shared.place()?;
        // One after the other, like acts: on PostgreSQL two simultaneous tries would not see each other.
        let attempt =
            self.store.act(move |conn| service::account::admit(conn, &email, browser.as_deref(), now)).await?;
        let stored = attempt.user.as_ref().and_then(|it| it.password_hash.clone());
        let is_right = place.is_right(form.password.clone(), stored.clone()).await?;
        match attempt.user.clone() {
            Some(user) if is_right => {
                self.keep_strong(&user, &form.password, stored).await?;
                Ok(Some((attempt, user)))
            }
            _ => {
                let address = visitor.address.to_string();
                self.store.act(move |conn| service::account::sign_in_failed(conn, &attempt, &address, now)).await?;
                Ok(None)
            }
        }
    }

    /// Rehashes what was hashed with parameters other than today's.
    async fn keep_strong(&self, user: &User, password: &str, stored: Option<String>) -> Result<()> {
        if let Some(old) = stored.filter(|it| service::password::is_outdated(it)) {
            let (fresh, id) = (self.shared.hash(password.to_owned()).await?, user.id);
            self.store.write(move |conn| store::user::rehash(conn, id, &old, &fresh)).await?;
        }
        Ok(())
    }
}

#[post("/sign-in")]
async fn sign_in(
    layout: Layout,
    visitor: Visitor,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    config: Data<Config>,
    form: Form<SignInForm>,
) -> PageResult<HttpResponse> {
    let (form, desk) = (form.into_inner(), Desk { store, clock, shared });
    let checked = desk.check(&form, &visitor).await;
    if let Ok(Some((attempt, user))) = checked {
        let (origin, now) = (origin(&visitor), desk.clock.now());
        let opened = desk.store.act(move |conn| service::account::sign_in(conn, &attempt, &user, &origin, now)).await?;
        let mut response = see_other(form::local(&form.to), None);
        let secure = config.is_https();
        set_cookie(&mut response, session_cookie(opened.session, secure));
        if let Some(token) = opened.browser {
            set_cookie(&mut response, browser_cookie(token, secure));
        }
        return Ok(response);
    }
    let page = |errors| SignInPage { layout, email: form.email, to: form.to, errors, needs_set_up: false };
    if let Err(error) = checked {
        let (errors, refusal) = form::refusal(error)?;
        return refusal.again(&page(errors));
    }
    let mut errors = FieldErrors::new();
    errors.add(
        "email",
        "The address and the password do not match. Check both; you have to wait longer after \
     each try.",
    );
    form::with_status(&page(errors), StatusCode::UNAUTHORIZED)
}

#[post("/sign-out")]
async fn sign_out(
    by: SignedIn,
    store: Data<Store>,
    clock: Data<Clock>,
    config: Data<Config>,
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    if let Some(session) = by.session().map(|it| it.id_hash.clone()) {
        store.act(move |conn| service::account::end_session(conn, &acting, &session, now)).await?;
    }
    let mut response = see_other("/sign-in", Some("You are signed out."));
    set_cookie(&mut response, no_session_cookie(config.is_https()));
    Ok(response)
}

/// If the table of guards says so, requires a password entered recently, or the right one in the form itself,
/// so that nothing typed is lost on the way to another page. A password sent with a form counts for that form.
///
/// # Errors
/// `Invalid` in the field `password`.
pub(super) async fn require_password(
    act: GuardedAct,
    by: &SignedIn,
    desk: (&Store, &Clock, &Shared),
    password: &str,
) -> Result<()> {
    require_password_in("password", act, by, desk, password).await
}

/// [`require_password`] for a form whose field has the id `field`, for pages with two of them.
///
/// # Errors
/// `Invalid` in that field.
pub(super) async fn require_password_in(
    field: &'static str,
    act: GuardedAct,
    by: &SignedIn,
    (store, clock, shared): (&Store, &Clock, &Shared),
    password: &str,
) -> Result<()> {
    if !act.guard().fresh || by.is_fresh(clock.now()) {
        return Ok(());
    }
    if password.is_empty() {
        return Err(Error::invalid(field, "Enter your password again: you last entered it too long ago."));
    }
    if is_own_password(by, store, clock, shared, password.to_owned()).await? {
        return Ok(());
    }
    Err(Error::invalid(field, NOT_YOURS))
}

const NOT_YOURS: &str = "This is not your password. You have to wait longer after each try.";

/// Checks the password of the person who is signed in, and records a wrong one.
pub(super) async fn is_own_password(
    by: &SignedIn,
    store: &Store,
    clock: &Clock,
    shared: &Shared,
    password: String,
) -> Result<bool> {
    let (id, now) = (by.id, clock.now());
    let place = shared.place()?;
    store.act(move |conn| service::account::admit_again(conn, id, now)).await?;
    let is_right = place.is_right(password, by.password_hash.clone()).await?;
    if is_right {
        store.write(move |conn| service::account::admitted_again(conn, id)).await?;
    } else {
        let acting = by.acting();
        store.act(move |conn| service::account::confirm_failed(conn, &acting, now)).await?;
    }
    Ok(is_right)
}

pub(super) fn origin(visitor: &Visitor) -> Origin {
    Origin { address: visitor.address.to_string(), user_agent: visitor.user_agent.clone() }
}

pub(super) fn set_cookie(response: &mut HttpResponse, cookie: Cookie<'static>) {
    if response.add_cookie(&cookie).is_err() {
        tracing::warn!("a cookie could not be set");
    }
}
