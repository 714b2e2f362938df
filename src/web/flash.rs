//! What passes from one answer to the next page: a sentence that is shown once, and the visit of a browser before
//! sign-in.
use crate::auth::REFRESH;
use crate::config::Config;
use crate::web::visitor::{self, Visitor};
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::words;

/// The visit that this page's forms belong to: the browser's, or a new one that `see` hands out.
pub(super) fn visit(request: &HttpRequest) -> Option<String> {
    if let Some(new) = request.extensions().get::<NewVisit>() {
        return Some(new.0.clone());
    }
    if let Some(known) = Visitor::of(request).visit {
        return Some(known);
    }
    let new = secret::generate("").ok()?;
    request.extensions_mut().insert(NewVisit(new.clone()));
    Some(new)
}

/// A visit that the browser does not know about yet.
struct NewVisit(String);

/// Sends the browser to another page, which then shows `flash` once.
pub fn see_other(url: impl AsRef<str>, flash: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::SeeOther().insert_header((header::LOCATION, url.as_ref())).finish();
    if let Some(text) = flash {
        response.extensions_mut().insert(Flash { text: text.to_owned(), is_refusal: false });
    }
    response
}

/// Sends the browser to a page, which then says once why nothing was changed.
pub fn see_other_refused(url: impl AsRef<str>, why: &str) -> HttpResponse {
    let mut response = see_other(url, None);
    response.extensions_mut().insert(Flash { text: words::sentence(why), is_refusal: true });
    response
}

/// What the next page says once; `carry_cookies` gives it to the browser.
#[derive(Debug, Clone)]
pub struct Flash {
    pub text: String,
    /// Whether it says why nothing was changed.
    pub is_refusal: bool,
}

/// Precedes the text of a refusal in its cookie.
const REFUSAL: char = '!';

impl Flash {
    fn encode(&self) -> String {
        let mark = if self.is_refusal { String::from(REFUSAL) } else { String::new() };
        BASE64_URL_SAFE_NO_PAD.encode(mark + &self.text)
    }

    fn decode(cookie: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?).ok().filter(|it| it.len() <= 500)?;
        Some(match text.strip_prefix(REFUSAL) {
            Some(why) => Self { text: why.to_owned(), is_refusal: true },
            None => Self { text, is_refusal: false },
        })
    }
}

pub(super) fn read(request: &HttpRequest) -> Option<Flash> {
    Flash::decode(&Visitor::of(request).flash?)
}

/// Whether an answer is a page.
pub(super) fn is_page(headers: &header::HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/html"))
}

/// Sets the flash cookie of a redirect, removes it once a page has shown it, and sets the visit's cookie.
pub(super) fn carry_cookies(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let request = response.request().clone();
    let secure = request.app_data::<Data<Config>>().is_some_and(|it| it.is_https());
    let mut cookies = Vec::new();
    let flash = response.response().extensions().get::<Flash>().map(Flash::encode);
    cookies.extend(flash.map(|it| visitor::flash_cookie(it, secure)));
    if is_page(response.headers()) {
        if Visitor::of(&request).flash.is_some() && !request.headers().contains_key(REFRESH) {
            let mut gone = visitor::flash_cookie(String::new(), secure);
            gone.make_removal();
            cookies.push(gone);
        }
        if let Some(new) = request.extensions().get::<NewVisit>() {
            cookies.push(visitor::visit_cookie(new.0.clone(), secure));
        }
    }
    for cookie in cookies {
        if response.response_mut().add_cookie(&cookie).is_err() {
            tracing::warn!("a cookie could not be set");
        }
    }
    response
}
