//! Cookies as this server names and protects them.
use crate::config::Config;
use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::web::Data;

/// The cookie that carries a session.
pub const SESSION: &str = "holdfast";

/// A cookie of a request.
pub fn read(request: &HttpRequest, name: &str) -> Option<String> {
    let secure = request.app_data::<Data<Config>>().is_some_and(|it| it.is_https());
    request.cookie(&full_name(name, secure)).map(|it| it.value().to_owned())
}

/// A cookie that ends with the browser, and that no script reads.
pub fn make(name: &str, value: String, secure: bool) -> Cookie<'static> {
    Cookie::build(full_name(name, secure), value)
        .path("/")
        .http_only(true)
        .secure(secure)
        .same_site(SameSite::Lax)
        .finish()
}

/// The `__Host-` prefix makes a browser refuse the cookie from any other host, and needs `Secure`.
fn full_name(name: &str, secure: bool) -> String {
    if secure { format!("__Host-{name}") } else { name.to_owned() }
}
