//! One's own account: name, time zone, password and sessions.
use crate::auth::SignedIn;
use crate::config::Config;
use crate::error::{Error, FieldErrors};
use crate::service;
use crate::store::session::Session;
use crate::store::user::User;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::{is_own_password, set_cookie};
use crate::web::look::Look;
use crate::web::setup::new_password;
use crate::web::visitor::{look_cookie, no_session_cookie};
use crate::zone;
use actix_web::web::{Data, Form, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::name::check_person;
use domain::shown::Shown;
use serde::Deserialize;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/account", label: "My account", needs: None },
    pages_with_forms: &["/account"],
    forms: &[
        ("/account/appearance", "/account"),
        ("/account/password", "/account"),
        ("/account/sessions/end", "/account"),
        ("/account/sign-out-everywhere", "/account"),
    ],
    ..Area::new(routes, &["account"])
};

fn routes(config: &mut ServiceConfig) {
    config
        .service(show)
        .service(change_profile)
        .service(change_look)
        .service(change_password)
        .service(end_session)
        .service(sign_out_everywhere);
}

#[derive(Template, WebTemplate)]
#[template(path = "account/show.html")]
struct AccountPage {
    layout: Layout,
    email: String,
    name: String,
    time_zone: String,
    /// The values shown in the form for name and time zone.
    version: String,
    errors: FieldErrors,
    /// Each session, and whether it is this one.
    sessions: Vec<(Session, bool)>,
}

async fn page(by: &SignedIn, layout: Layout, store: &Store, errors: FieldErrors) -> PageResult<AccountPage> {
    let (id, here) = (by.id, by.session().map(|it| it.id_hash.clone()).unwrap_or_default());
    let sessions = store.read(move |conn| store::session::of_user(conn, id)).await?;
    Ok(AccountPage {
        layout,
        email: by.email.clone(),
        name: by.name.clone(),
        time_zone: by.time_zone.clone(),
        version: shown(by).version(),
        errors,
        sessions: sessions.into_iter().map(|it| (it.id_hash == here, it)).map(|(here, it)| (it, here)).collect(),
    })
}

fn shown(user: &User) -> Shown {
    Shown::new([("Name", user.name.clone()), ("Time zone", user.time_zone.clone())])
}

#[get("/account")]
async fn show(by: SignedIn, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    page(&by, layout, &store, FieldErrors::new()).await
}

#[derive(Deserialize)]
struct ProfileForm {
    name: String,
    time_zone: String,
    #[serde(default)]
    version: String,
}

#[post("/account")]
async fn change_profile(
    by: SignedIn,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    form: Form<ProfileForm>,
) -> PageResult<HttpResponse> {
    let mut errors = FieldErrors::new();
    let name = form.name.trim().to_owned();
    check_person(&name, &by.email, &mut errors);
    zone::check(&form.time_zone, &mut errors);
    let (acting, zone, now, version) = (by.acting(), form.time_zone.clone(), clock.now(), form.version.clone());
    let id = by.id;
    let done = match errors.into_result() {
        Ok(()) => {
            store
                .act(move |conn| {
                    let user = store::user::find(conn, id)?.ok_or(Error::NotFound("user"))?;
                    shown(&user).check(&version).map_err(Error::Conflict)?;
                    service::account::change_profile(conn, &acting, &name, &zone, now)
                })
                .await
        }
        Err(errors) => Err(errors.into()),
    };
    let Err(error) = done else { return Ok(see_other("/account", Some("Your account was changed."))) };
    let is_newer = matches!(error, Error::Conflict(_));
    let (errors, refusal) = form::refusal(error)?;
    let page = page(&by, layout, &store, errors).await?;
    let current = store.read(move |conn| store::user::find(conn, id)).await?.map(|it| shown(&it).version());
    let version = current.filter(|_| is_newer).unwrap_or_else(|| form.version.clone());
    refusal.again(&AccountPage { name: form.name.clone(), time_zone: form.time_zone.clone(), version, ..page })
}

#[derive(Deserialize)]
struct LookForm {
    theme: String,
    density: String,
}

#[post("/account/appearance")]
async fn change_look(_: SignedIn, config: Data<Config>, form: Form<LookForm>) -> PageResult<HttpResponse> {
    let mut response = see_other("/account", Some("The appearance was changed in this browser."));
    set_cookie(&mut response, look_cookie(Look::new(&form.theme, &form.density), config.is_https()));
    Ok(response)
}

#[derive(Deserialize)]
struct PasswordForm {
    current: String,
    password: String,
    again: String,
}

#[post("/account/password")]
async fn change_password(
    by: SignedIn,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    config: Data<Config>,
    form: Form<PasswordForm>,
) -> PageResult<HttpResponse> {
    let (form, mut errors) = (form.into_inner(), FieldErrors::new());
    new_password(&form.password, &form.again, &by.email, &mut errors);
    if errors.is_empty() && !is_own_password(&by, &store, &clock, &shared, form.current).await? {
        errors.add("current", "This is not your password. You have to wait longer after each try.");
    }
    if !errors.is_empty() {
        return form::again(&page(&by, layout, &store, errors).await?);
    }
    let (hash, acting, now) = (shared.hash(form.password).await?, by.acting(), clock.now());
    store.act(move |conn| service::account::change_password(conn, &acting, &hash, now)).await?;
    let mut response = see_other("/sign-in", Some("Your password was changed. Sign in with the new one."));
    set_cookie(&mut response, no_session_cookie(config.is_https()));
    Ok(response)
}

#[derive(Deserialize)]
struct SessionForm {
    session: String,
}

#[post("/account/sessions/end")]
async fn end_session(
    by: SignedIn,
    (store, clock): (Data<Store>, Data<Clock>),
    form: Form<SessionForm>,
) -> PageResult<HttpResponse> {
    let (acting, session, now) = (by.acting(), form.into_inner().session, clock.now());
    if session.len() != 64 {
        return Err(Error::NotFound("session").into());
    }
    store.act(move |conn| service::account::end_session(conn, &acting, &session, now)).await?;
    Ok(see_other("/account", Some("The session was ended.")))
}

#[post("/account/sign-out-everywhere")]
async fn sign_out_everywhere(
    by: SignedIn,
    (store, clock, config): (Data<Store>, Data<Clock>, Data<Config>),
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    store.act(move |conn| service::account::sign_out_everywhere(conn, &acting, now)).await?;
    let mut response = see_other("/sign-in", Some("You are signed out everywhere."));
    set_cookie(&mut response, no_session_cookie(config.is_https()));
    Ok(response)
}

/// "Firefox on Linux"; an unknown browser keeps the name it sent.
fn browser(user_agent: &str) -> String {
    let known = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    // Nearly all of them claim to be Safari, and most claim to be Chrome: the more specific ones come first.
    let browser = known(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = known(&[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        _ => user_agent.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_has_the_name_that_people_know_it_by() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
                "Safari on iOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox on Linux"),
            ("curl/8.10", "curl/8.10"),
        ] {
            assert_eq!(browser(user_agent), expected);
        }
    }
}
