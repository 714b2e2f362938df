//! How a problem looks to a script: JSON, with the same words as on a page.
use crate::problem::{self, Problem};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;

/// Gives a failed answer its JSON.
pub fn dress(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let Some(problem) = Problem::of(response.response()) else { return response };
    let (request, failed) = response.into_parts();
    let mut answer = face(&problem, id);
    problem::keep_headers(&failed, &mut answer);
    ServiceResponse::new(request, answer)
}

fn face(problem: &Problem, id: &str) -> HttpResponse {
    let fields: serde_json::Map<_, _> =
        problem.fields.iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    HttpResponse::build(problem.status).json(
        serde_json::json!({ "error": problem.title, "advice": problem.advice, "fields": fields, "request_id": id }),
    )
}
