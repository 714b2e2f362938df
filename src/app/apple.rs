//! The listener for Apple devices.
use crate::app::open::apple_tls;
use crate::app::{App, GRACE};
use crate::config::Config;
use crate::job::{self, Job};
use crate::proof::keys::ProofKeys;
use crate::protocol::apple::{Apns, Client, Door, on_connect, routes};
use crate::service::apple::authority::Sealer;
use crate::service::device_secret::Unsealer;
use crate::store::Store;
use crate::traffic;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App as HttpApp, HttpServer};
use anyhow::Context;
use clock::Clock;
use std::net::TcpListener;
use std::sync::Arc;

/// The way in for Apple devices; none if they are not served.
///
/// # Errors
/// When the roots of their keys cannot be read.
pub(super) fn door(
    config: &Config,
    store: &Store,
    clock: &Clock,
    keys: Option<&ProofKeys>,
) -> anyhow::Result<Option<Door>> {
    let Some(settings) = config.apple.clone().filter(|_| !store.is_read_only()) else { return Ok(None) };
    Door::open(store, clock, settings, keys.map(|it| it as &dyn Sealer)).map(Some)
}

/// What wakes them; none if there is no push certificate.
pub(super) fn apns(config: &Config) -> anyhow::Result<Option<Apns>> {
    let Some(settings) = &config.apple else { return Ok(None) };
    let apns = Apns::open(settings, None)?;
    if apns.is_none() {
        tracing::warn!(
            "without --apple-push-certificate no Apple device is woken: orders wait until it comes by itself"
        );
    }
    Ok(apns)
}

impl App {
    /// What opens secrets of devices; none if that key is not here.
    pub(super) fn unsealer(&self) -> Option<Arc<dyn Unsealer>> {
        let door = self.apple.clone()?;
        Some(Arc::new(door))
    }

    /// Wakes Apple devices.
    pub(super) fn apple_job(&self) -> Option<Job> {
        let (apns, store, clock) = (self.apns.clone()?, self.store.clone(), self.clock.clone());
        Some(Job::new("push", job::push::PERIOD, move || job::push::run_once(&store, &apns, clock.now())))
    }

    /// Asks Apple which devices are ours; none if Apple devices are not served.
    pub(super) fn apple_service_job(&self) -> Option<Job> {
        let (door, store, clock) = (self.apple.clone()?, self.store.clone(), self.clock.clone());
        door.authority_certificate()?;
        let client = Client::new(door);
        let run = move || job::apple_service::run_once(&store, &client, clock.now());
        Some(Job::new("apple-service", job::apple_service::PERIOD, run))
    }

    /// Binds the address for Apple devices; none if they are not served.
    ///
    /// # Errors
    /// When the address is taken or is not one of ours.
    pub fn apple_listener(&self) -> anyhow::Result<Option<TcpListener>> {
        let Some(settings) = self.config.apple.as_ref().filter(|_| self.apple.is_some()) else { return Ok(None) };
        let bound = TcpListener::bind(settings.listen);
        bound.map(Some).with_context(|| format!("listening on {} for Apple devices", settings.listen))
    }

    /// Serves Apple devices on `listener` until the handle stops it.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve_apple(&self, listener: TcpListener) -> anyhow::Result<Server> {
        let door = self.apple.clone().context("Apple devices are not served")?;
        let (crowd, least, tls) = (self.crowd.clone(), self.least, self.config.tls.clone());
        let config = Arc::clone(&self.config);
        let authority = door.authority_certificate().map(<[u8]>::to_vec);
        let server = HttpServer::new(move || {
            HttpApp::new()
                .wrap(from_fn(traffic::keep))
                .app_data(Data::new(least))
                .app_data(Data::from(Arc::clone(&config)))
                .app_data(Data::new(door.clone()))
                .configure(routes)
        })
        .workers(self.config.workers)
        .max_connections(self.crowd.room().taken().div_ceil(self.config.workers.max(1)))
        .on_connect(move |io, of_connection| {
            traffic::on_connect(&crowd, io, of_connection);
            on_connect(io, of_connection);
        })
        .shutdown_timeout(GRACE.as_secs())
        .disable_signals();
        let server = match (tls, authority) {
            (Some(tls), Some(authority)) => server.listen_rustls_0_23(listener, apple_tls(&tls, &authority)?)?,
            (Some(_), None) | (None, _) => server.listen(listener)?,
        };
        Ok(server.run())
    }
}
