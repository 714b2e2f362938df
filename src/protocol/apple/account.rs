//! How a personal device enrolls with its person’s Managed Apple Account: it finds this server, its person signs in, and it
//! gets its profile.
//!
//! Source: Apple, “Implementing the simple authentication account-driven enrollment flow”.
use crate::protocol::apple::enroll::handed_out;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::profile;
use crate::protocol::apple::shared::Door;
use crate::service::apple::account::{SignInRefusal, begin, sign_in};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, WWW_AUTHENTICATE,
};
use actix_web::web::{Bytes, Data, Form, Query};
use actix_web::{HttpRequest, HttpResponse};
use anyhow::Context;
use apple::machine_info::SignedMachineInfo;
use askama::Template;
use serde::Deserialize;

/// `GET /.well-known/com.apple.remotemanagement`: where the device of an account goes on. Who has an account here is told to
/// nobody: the answer is the same for all.
pub async fn discover(door: Data<Door>) -> HttpResponse {
    let base = format!("{}/apple/enroll/account", door.settings().url);
    HttpResponse::Ok().json(serde_json::json!({ "Servers": [{ "Version": "mdm-byod", "BaseURL": base }] }))
}

/// `POST /apple/enroll/account`: the profile, for a device whose person signed in; the others are told where to.
///
/// # Errors
/// When what it says of itself is not signed, or the token lets nobody in any more.
pub async fn enroll(request: HttpRequest, body: Bytes, door: Data<Door>) -> Result<HttpResponse, Fault> {
    let opened = door.opened()?;
    if !body.is_empty() {
        SignedMachineInfo::parse(&body).map_err(Fault::bad)?;
    }
    let Some(access) = bearer(&request) else { return Ok(must_sign_in(&door)) };
    let (access, topic, now) = (access.to_owned(), door.settings().topic.clone(), door.now());
    let begun = door.store().write(move |conn| begin(conn, &access, (&topic, &profile::rights), now)).await?;
    match begun {
        Ok(begun) => handed_out(&door, opened, &begun, now),
        Err(SignInRefusal::NotSignedIn) => Ok(must_sign_in(&door)),
        Err(refusal) => Err(Fault::forbidden(refusal)),
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    request.headers().get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// 401 is right here, and only here: this device is not managed yet.
fn must_sign_in(door: &Door) -> HttpResponse {
    let url = format!("{}/apple/enroll/account/sign-in", door.settings().url);
    HttpResponse::Unauthorized()
        .insert_header((WWW_AUTHENTICATE, format!("Bearer method=\"apple-as-web\", url=\"{url}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

#[derive(Template)]
#[template(path = "apple_sign_in.html")]
struct SignInPage<'a> {
    account: &'a str,
    problem: Option<String>,
}

/// `GET /apple/enroll/account/style.css`: how the page looks.
pub async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(include_str!("sign_in.css"))
}

/// What a device adds to the address of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    #[serde(rename = "user-identifier")]
    account: String,
}

/// `GET /apple/enroll/account/sign-in`.
///
/// # Errors
/// When the page cannot be written.
pub async fn sign_in_page(asked: Query<Asked>) -> Result<HttpResponse, Fault> {
    page(&asked.account, None, StatusCode::OK)
}

/// What a person types.
#[derive(Debug, Deserialize)]
pub struct SignInForm {
    account: String,
    token: String,
}

/// `POST /apple/enroll/account/sign-in`: sends the device on with what shows that its person signed in.
///
/// # Errors
/// When the database refuses.
pub async fn signs_in(door: Data<Door>, form: Form<SignInForm>) -> Result<HttpResponse, Fault> {
    let (SignInForm { account, token }, now) = (form.into_inner(), door.now());
    let said = account.clone();
    match door.store().write(move |conn| sign_in(conn, (&said, token.trim()), now)).await? {
        Ok(access) => {
            let to = format!("apple-remotemanagement-user-login://authentication-results?access-token={access}");
            let mut answer = HttpResponse::build(StatusCode::PERMANENT_REDIRECT);
            Ok(answer.insert_header((LOCATION, to)).insert_header((CACHE_CONTROL, "no-store")).finish())
        }
        Err(why) => page(&account, Some(why.to_string()), StatusCode::FORBIDDEN),
    }
}

fn page(account: &str, problem: Option<String>, status: StatusCode) -> Result<HttpResponse, Fault> {
    let written = SignInPage { account, problem }.render().context("writing a page");
    let written = written.map_err(|it| Fault::from(crate::error::Error::from(it)))?;
    // A browser that follows the redirect after the form asks this policy about it, too.
    let policy = "default-src 'none'; style-src 'self'; form-action 'self' apple-remotemanagement-user-login:; \
        base-uri 'none'; frame-ancestors 'none'";
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(written))
}
