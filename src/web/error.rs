//! How a problem looks to a person: a page in the same frame as every other, or the way to where it can be put right.
use crate::problem::{self, Problem};
use crate::web::area::Areas;
use crate::web::flash;
use crate::web::health::HEALTH;
use crate::web::layout::Layout;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

#[derive(Template)]
#[template(path = "error/show.html")]
struct ErrorPage {
    layout: Layout,
    problem: Problem,
    /// The page that the form was on; empty where none was sent.
    back: String,
    request_id: String,
}

/// Gives a failed answer its page, or a redirect to where it can be put right.
pub(super) async fn dress(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let has_face = flash::is_page(response.headers()) || response.request().path() == HEALTH;
    let Some(problem) = Problem::of(response.response()).filter(|_| !has_face) else {
        return flash::carry_cookies(response);
    };
    let (request, failed) = response.into_parts();
    let mut answer = if let Some(way) = way_out(&request, &problem) {
        flash::see_other(way, None)
    } else {
        page_answer(&request, problem, id).await
    };
    problem::keep_headers(&failed, &mut answer);
    ServiceResponse::new(request, answer)
}

/// Where a person who only opens an address is sent: to sign in, or from a form's address to its page.
fn way_out(request: &HttpRequest, problem: &Problem) -> Option<String> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    if problem.sign_in_needed {
        let to = request.uri().path_and_query().map_or("/", |it| it.as_str());
        return Some(format!("/sign-in?{}", serde_urlencoded::to_string([("to", to)]).ok()?));
    }
    if problem.status == StatusCode::NOT_FOUND { page_of_form(request) } else { None }
}

fn page_of_form(request: &HttpRequest) -> Option<String> {
    let path = request.path();
    let page = Areas::in_use(request.app_data()).page_behind(path, request.match_pattern().as_deref())?;
    let id = path.split('/').nth(2).unwrap_or_default();
    Some(page.replace("{id}", id))
}

async fn page_answer(request: &HttpRequest, problem: Problem, id: &str) -> HttpResponse {
    let status = problem.status;
    let layout = Layout::load(request).await.unwrap_or_else(|_| Layout::bare(request));
    let back = match *request.method() {
        Method::POST => page_of_form(request).unwrap_or_else(|| request.path().to_owned()),
        _ if status.is_server_error() => request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned(),
        // What follows `?` is what was wrong.
        _ if status == StatusCode::UNPROCESSABLE_ENTITY => request.path().to_owned(),
        _ => String::new(),
    };
    let page = ErrorPage { layout, problem, back, request_id: id.to_owned() };
    let mut response = HttpResponse::build(status);
    match page.render() {
        Ok(body) => response.content_type("text/html; charset=utf-8").body(body),
        Err(_) => response.finish(),
    }
}
