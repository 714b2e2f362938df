//! The browser that a request came from, and the cookies it is given.
use crate::auth;
use crate::auth::cookie::{self, SESSION};
use crate::problem::HttpError;
use crate::web::look::Look;
use actix_web::cookie::Cookie;
use actix_web::cookie::time::Duration;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};
use std::net::IpAddr;

/// What a request says of its browser, as this server's settings read it.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Ties forms on pages before sign-in to one browser.
    pub visit: Option<String>,
    /// Says that someone has signed in from this browser before.
    pub browser: Option<String>,
    /// What the last form did, for the next page.
    pub flash: Option<String>,
    pub look: Look,
    pub address: IpAddr,
    pub user_agent: String,
}

const VISIT: &str = "holdfast-visit";
const BROWSER: &str = "holdfast-browser";
const FLASH: &str = "holdfast-flash";
const LOOK: &str = "holdfast-look";

impl Visitor {
    /// Reads a request.
    pub fn of(request: &HttpRequest) -> Self {
        let cookie = |name: &str| cookie::read(request, name);
        Self {
            visit: cookie(VISIT),
            browser: cookie(BROWSER),
            flash: cookie(FLASH),
            look: cookie(LOOK).map(|it| Look::parse(&it)).unwrap_or_default(),
            address: auth::address(request),
            user_agent: request
                .headers()
                .get(header::USER_AGENT)
                .and_then(|it| it.to_str().ok())
                .map(|it| it.chars().take(200).collect())
                .unwrap_or_default(),
        }
    }
}

impl FromRequest for Visitor {
    type Error = HttpError;
    type Future = Ready<Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// The cookie that carries a session; it ends with the browser or with the session.
pub fn session_cookie(id: String, secure: bool) -> Cookie<'static> {
    cookie::make(SESSION, id, secure)
}

/// Removes the session's cookie.
pub fn no_session_cookie(secure: bool) -> Cookie<'static> {
    let mut cookie = cookie::make(SESSION, String::new(), secure);
    cookie.make_removal();
    cookie
}

/// The cookie of a browser before sign-in.
pub fn visit_cookie(id: String, secure: bool) -> Cookie<'static> {
    cookie::make(VISIT, id, secure)
}

/// The cookie that carries a sentence to the next page.
pub fn flash_cookie(text: String, secure: bool) -> Cookie<'static> {
    cookie::make(FLASH, text, secure)
}

/// The cookie that identifies a browser somebody has signed in from before.
pub fn browser_cookie(token: String, secure: bool) -> Cookie<'static> {
    lasting(cookie::make(BROWSER, token, secure))
}

/// The cookie that says how pages look in a browser.
pub fn look_cookie(look: Look, secure: bool) -> Cookie<'static> {
    lasting(cookie::make(LOOK, look.value(), secure))
}

/// As long as browsers keep any cookie.
fn lasting(mut cookie: Cookie<'static>) -> Cookie<'static> {
    cookie.set_max_age(Duration::days(400));
    cookie
}
