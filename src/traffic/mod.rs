//! Strangers and noisy devices: the limits for every connection and every request, whatever its route.
mod answer;
pub mod crowd;
pub mod pace;

use crate::auth::Identity;
use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use answer::{Answer, Turn};
use crowd::{Connection, Crowd, Owner};
use domain::id::DeviceId;
use pace::{Least, Paced};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::any::Any;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// A client that acknowledges nothing for this long, or takes nothing of what it asked for, has gone.
const TAKES_NOTHING: Duration = Duration::from_secs(60);

/// Raises the limit of file descriptors to what the system allows this process; returns it.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    // If the system refuses, the limit stays as it was.
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }) {
        Ok(()) => most,
        Err(_) => limit.current.unwrap_or(most),
    }
}

/// Registers a connection as soon as it is there, before a byte of it is read.
pub fn on_connect(crowd: &Crowd, io: &dyn Any, of_connection: &mut Extensions) {
    let tls = || io.downcast_ref::<actix_tls::accept::rustls_0_23::TlsStream<TcpStream>>().map(|it| it.get_ref().0);
    let Some(stream) = io.downcast_ref::<TcpStream>().or_else(tls) else { return };
    let Ok(address) = stream.peer_addr() else { return };
    let patience = u32::try_from(TAKES_NOTHING.as_millis()).unwrap_or(u32::MAX);
    // Not available on every system; there the connection only lives longer.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, patience);
    match crowd.enter(address.ip().to_canonical(), stream) {
        Some(connection) => {
            of_connection.insert(Arc::new(connection));
        }
        // No descriptor is left: anything that comes now makes it worse.
        None => drop(rustix::net::shutdown(stream.as_fd(), rustix::net::Shutdown::Both)),
    }
}

/// The middleware around everything: a body must keep a pace, and a connection is recognised once a request on
/// it is.
///
/// # Errors
/// As what is around.
pub async fn keep(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let connection = request.conn_data::<Arc<Connection>>().map(Arc::clone);
    let turn = connection.clone().map(Turn::begin);
    let is_stranger = turn.as_ref().is_none_or(Turn::is_strangers);
    if is_stranger {
        // Many requests that a stranger sends at once take turns with everybody else's.
        tokio::task::yield_now().await;
    }
    let least = request.app_data::<Data<Least>>().map(|it| ***it).unwrap_or_default();
    let body = request.take_payload();
    request.set_payload(match body {
        Payload::None => Payload::None,
        body @ (Payload::H1 { .. } | Payload::Stream { .. }) => {
            Payload::Stream { payload: Box::pin(Paced::new(body, least)) }
        }
    });
    let response = next.call(request).await?;
    let person = response.request().extensions().get::<Arc<Identity>>().map(|it| it.user.id);
    if let (Some(connection), Some(person)) = (connection, person) {
        connection.belongs_to(Owner::Person(person));
    }
    Ok(response.map_body(|_, body| Answer::new(body, turn)))
}

/// A device showed who it is; noted before its request is done, which may be a wait of a minute.
pub fn is_of_device(request: &HttpRequest, device: DeviceId) {
    if let Some(connection) = request.conn_data::<Arc<Connection>>() {
        connection.belongs_to(Owner::Device(device));
    }
}

/// The other Holdfast showed its token; noted before its request is done, which may be a wait.
pub fn is_of_puller(request: &HttpRequest) {
    if let Some(connection) = request.conn_data::<Arc<Connection>>() {
        connection.belongs_to(Owner::Puller);
    }
}
