//! A word for monitoring.
use crate::service::ground::Watch;
use crate::store::Store;
use crate::web::area::Area;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get};

pub const AREA: Area = Area { public: &[HEALTH], ..Area::new(routes, &["health"]) };

fn routes(config: &mut ServiceConfig) {
    config.service(health);
}

/// Monitoring asks here, and gets a word instead of a page.
pub const HEALTH: &str = "/health";

#[get("/health")]
async fn health(request: HttpRequest, store: Data<Store>) -> HttpResponse {
    let mut complaints = request.app_data::<Data<Watch>>().map_or_else(Vec::new, |it| it.complaints());
    if store.is_read_only() {
        complaints.insert(0, "the disk of the database is read-only: nothing can be changed or stored".to_owned());
    }
    let (mut answer, word) = if !store.is_answering().await {
        (HttpResponse::ServiceUnavailable(), "the database does not answer\n".to_owned())
    } else if complaints.is_empty() {
        (HttpResponse::Ok(), "ok\n".to_owned())
    } else {
        // The console itself works and is the place to look, so a proxy must not take it out of service.
        (HttpResponse::Ok(), format!("degraded: {}\n", complaints.join("; ")))
    };
    answer.content_type("text/plain; charset=utf-8").body(word)
}
