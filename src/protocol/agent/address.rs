//! Where a request came from.
use crate::config::Config;
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::request::data;
use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use std::net::{IpAddr, Ipv4Addr};

/// The client's address: the socket's, or the one a trusted proxy reports.
///
/// # Errors
/// When the server was built without settings.
pub fn of(request: &HttpRequest) -> Result<IpAddr, Fault> {
    let config = data::<Config>(request)?;
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.ip());
    let forwarded: Vec<_> = request.headers().get_all("x-forwarded-for").map(HeaderValue::as_bytes).collect();
    Ok(config.client_address(peer, forwarded.into_iter()))
}
