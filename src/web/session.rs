//! Who is asking, and what they may do.
//!
//! A handler's signature is its permission: one that takes `by: Can<RequestWipe>`
//! cannot run for anyone who does not hold it.
use crate::config::Config;
use crate::error::{Error, Result};
use crate::problem::HttpError;
use crate::service;
use crate::store::api_token::ApiToken;
use crate::store::session::Session;
use crate::store::user::User;
use crate::store::{self, Conn, Store};
use crate::web::look::Look;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use clock::Clock;
use domain::account;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::By;
use domain::role::{Grants, Permission, Reach};
use domain::time::{Time, minutes};
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// A person who was recognised, by a session or by an API token.
#[derive(Debug)]
pub struct Identity {
    pub user: User,
    pub grants: Grants,
    /// None for an API token.
    pub session: Option<Session>,
    /// The hidden value of forms; empty for an API token.
    pub csrf: String,
    pub address: String,
}

impl Identity {
    /// Whether the password was entered in the last 15 minutes.
    pub(super) fn is_fresh(&self, now: Time) -> bool {
        self.session.as_ref().is_some_and(|it| {
            now < it.reauthenticated_at + account::FRESH_PASSWORD && now + minutes(1) >= it.reauthenticated_at
        })
    }
}

/// The person who is signed in, whatever their roles. Derefs to the user.
#[derive(Debug, Clone)]
pub struct SignedIn(Arc<Identity>);

impl SignedIn {
    /// Who acts, for the activity log.
    pub fn actor(&self) -> Actor {
        Actor {
            kind: ActorKind::User,
            id: Some(self.0.user.id.to_string()),
            name: self.0.user.name.clone(),
            via: if self.0.session.is_some() { Via::Web } else { Via::Api },
            address: self.0.address.clone(),
        }
    }

    /// Who acts, for the services, which ask it how far each permission reaches.
    pub fn acting(&self) -> By {
        By { actor: self.actor(), user: self.0.user.id, grants: self.0.grants.clone() }
    }

    /// All roles of the person.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// The session; none for an API token.
    pub fn session(&self) -> Option<&Session> {
        self.0.session.as_ref()
    }

    /// The hidden value of forms.
    pub fn csrf(&self) -> &str {
        &self.0.csrf
    }

    /// Whether the password was entered in the last 15 minutes.
    pub(super) fn is_fresh(&self, now: Time) -> bool {
        self.0.is_fresh(now)
    }
}

impl Deref for SignedIn {
    type Target = User;
    fn deref(&self) -> &User {
        &self.0.user
    }
}

impl FromRequest for SignedIn {
    type Error = HttpError;
    type Future = Ready<std::result::Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(identity(request).map(Self).ok_or_else(|| Error::SignInNeeded.into()))
    }
}

/// The person whom the gate recognised.
pub(super) fn identity(request: &HttpRequest) -> Option<Arc<Identity>> {
    request.extensions().get::<Arc<Identity>>().cloned()
}

/// A person who holds permission `P` somewhere. Derefs to [`SignedIn`], and so to the user.
#[derive(Debug, Clone)]
pub struct Can<P> {
    who: SignedIn,
    reach: Reach,
    permission: PhantomData<fn() -> P>,
}

impl<P> Can<P> {
    /// The devices the permission covers.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }
}

impl<P> Deref for Can<P> {
    type Target = SignedIn;
    fn deref(&self) -> &SignedIn {
        &self.who
    }
}

/// A permission as a type.
pub trait Grant {
    const PERMISSION: Permission;
    /// Whether it concerns the organisation, so that holding it for a team is not enough.
    const EVERYWHERE: bool;
}

macro_rules! grants {
    ($($name:ident $everywhere:literal),* $(,)?) => { $(
        #[doc = concat!("[`Permission::", stringify!($name), "`] as a type.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Grant for $name {
            const PERMISSION: Permission = Permission::$name;
            const EVERYWHERE: bool = $everywhere;
        }
    )* };
}
grants! {
    ViewDevices false, ViewFileNames false, ViewActivity false, EnrollDevices false, LockDevices false,
    RunBackups false, ReadContents false, ApproveRestore false, RequestWipe false, ApproveWipe false, StopWipe false, Restore false,
    ViewPolicies false, EditPolicies false, ManageUsers true, ManageSettings true,
}

impl<P: Grant> FromRequest for Can<P> {
    type Error = HttpError;
    type Future = Ready<std::result::Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(can(request).map_err(Into::into))
    }
}

fn can<P: Grant>(request: &HttpRequest) -> Result<Can<P>> {
    let who = SignedIn(identity(request).ok_or(Error::SignInNeeded)?);
    let reach = who.grants().reach(P::PERMISSION).ok_or(Error::Forbidden)?;
    if P::EVERYWHERE && reach != Reach::All {
        return Err(Error::Forbidden);
    }
    Ok(Can { who, reach, permission: PhantomData })
}

/// The cookies and the address of a request, as this server's settings read them.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub session: Option<String>,
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

/// The header of a page that refreshes itself. No person did that, so it neither keeps a session alive nor
/// consumes what is shown only once.
pub const REFRESH: &str = "x-refresh";

const SESSION: &str = "holdfast";
const VISIT: &str = "holdfast-visit";
const BROWSER: &str = "holdfast-browser";
const FLASH: &str = "holdfast-flash";
const LOOK: &str = "holdfast-look";

impl Visitor {
    /// Reads a request.
    pub fn of(request: &HttpRequest) -> Self {
        let config = request.app_data::<Data<Config>>();
        let secure = config.is_some_and(|it| it.is_https());
        let cookie = |name: &str| request.cookie(&cookie_name(name, secure)).map(|it| it.value().to_owned());
        let peer = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |it| it.ip());
        let hops: Vec<_> = request.headers().get_all("x-forwarded-for").map(header::HeaderValue::as_bytes).collect();
        Self {
            session: cookie(SESSION),
            visit: cookie(VISIT),
            browser: cookie(BROWSER),
            flash: cookie(FLASH),
            look: cookie(LOOK).map(|it| Look::parse(&it)).unwrap_or_default(),
            address: config.map_or(peer, |it| it.client_address(peer, hops.iter().copied())),
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
    type Future = Ready<std::result::Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// The `__Host-` prefix makes a browser refuse the cookie from any other host, and needs `Secure`.
fn cookie_name(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}

fn cookie(name: &str, value: String, secure: bool) -> Cookie<'static> {
    Cookie::build(cookie_name(name, secure), value)
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .finish()
}

/// The cookie that carries a session; it ends with the browser or with the session.
pub fn session_cookie(id: String, secure: bool) -> Cookie<'static> {
    cookie(SESSION, id, secure)
}

/// The cookie of a browser before sign-in.
pub fn visit_cookie(id: String, secure: bool) -> Cookie<'static> {
    cookie(VISIT, id, secure)
}

/// The cookie that carries a sentence to the next page.
pub fn flash_cookie(text: String, secure: bool) -> Cookie<'static> {
    cookie(FLASH, text, secure)
}

/// The cookie that identifies a browser somebody has signed in from before.
pub fn browser_cookie(token: String, secure: bool) -> Cookie<'static> {
    lasting(cookie(BROWSER, token, secure))
}

/// The cookie that says how pages look in a browser.
pub fn look_cookie(look: Look, secure: bool) -> Cookie<'static> {
    lasting(cookie(LOOK, look.value(), secure))
}

/// As long as browsers keep any cookie.
fn lasting(mut cookie: Cookie<'static>) -> Cookie<'static> {
    cookie.set_max_age(actix_web::cookie::time::Duration::days(400));
    cookie
}

/// Removes the session's cookie.
pub fn no_session_cookie(secure: bool) -> Cookie<'static> {
    let mut cookie = cookie(SESSION, String::new(), secure);
    cookie.make_removal();
    cookie
}

/// The hidden value of a form: only the browser that holds the cookie gets it right.
pub fn csrf_token(cookie: &str) -> String {
    use aws_lc_rs::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    hex::encode(hmac::sign(&key, b"holdfast/form"))
}

/// Recognises who sent a request; none for a visitor.
///
/// # Errors
/// When the database does not answer, or a bearer token is not ours.
pub(super) async fn recognise(request: &HttpRequest) -> Result<Option<Arc<Identity>>> {
    let (Some(store), Some(clock)) = (request.app_data::<Data<Store>>(), request.app_data::<Data<Clock>>()) else {
        return Ok(None);
    };
    let (visitor, now) = (Visitor::of(request), clock.now());
    if let Some(bearer) = bearer(request) {
        return by_token(request, store, &visitor, bearer, now).await.map(Some);
    }
    let Some(id) = visitor.session.clone() else { return Ok(None) };
    let (hash, address) = (secret::hash(&id), visitor.address.to_string());
    let found = store.read(move |conn| find_session(conn, &hash, now)).await?;
    let Some((user, grants, session)) = found else { return Ok(None) };
    let by_hand = !request.headers().contains_key(REFRESH);
    if by_hand && !store.is_read_only() && now.since(session.last_seen_at) >= minutes(1) {
        let hash = session.id_hash.clone();
        noted(store.write(move |conn| store::session::touch(conn, &hash, now)).await);
    }
    Ok(Some(Arc::new(Identity { user, grants, csrf: csrf_token(&id), session: Some(session), address })))
}

/// If the visit cannot be recorded because the disk is full or read-only, the person can still read; the
/// session only ends sooner.
fn noted(kept: Result<()>) {
    if let Err(error) = kept {
        tracing::warn!(%error, "the use of a session or token could not be recorded");
    }
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(|it| it.trim().to_owned())
}

/// API tokens read lists, and nothing else.
async fn by_token(
    request: &HttpRequest,
    store: &Store,
    visitor: &Visitor,
    bearer: String,
    now: Time,
) -> Result<Arc<Identity>> {
    let path = request.path();
    let reads = request.method() == actix_web::http::Method::GET && (path.ends_with(".json") || path.ends_with(".csv"));
    let hash = secret::hash(&bearer);
    let (user, grants, token) =
        store.read(move |conn| find_token(conn, &hash, now)).await?.ok_or(Error::SignInNeeded)?;
    if !reads {
        return Err(Error::Forbidden);
    }
    if !store.is_read_only() && token.last_used_at.is_none_or(|it| now.since(it) >= minutes(1)) {
        noted(store.write(move |conn| store::api_token::touch(conn, token.id, now)).await);
    }
    let address = visitor.address.to_string();
    Ok(Arc::new(Identity { user, grants, session: None, csrf: String::new(), address }))
}

fn find_session(conn: &mut Conn, hash: &str, now: Time) -> Result<Option<(User, Grants, Session)>> {
    let Some(session) = store::session::find(conn, hash)? else { return Ok(None) };
    if !account::session_holds(session.created_at, session.last_seen_at, now) {
        return Ok(None);
    }
    Ok(service::account::active(conn, session.user_id)?.map(|(user, grants)| (user, grants, session)))
}

fn find_token(conn: &mut Conn, hash: &str, now: Time) -> Result<Option<(User, Grants, ApiToken)>> {
    let Some(token) = store::api_token::find_by_hash(conn, hash)? else { return Ok(None) };
    if !token.is_open(now) {
        return Ok(None);
    }
    Ok(service::account::active(conn, token.user_id)?.map(|(user, grants)| (user, grants, token)))
}
