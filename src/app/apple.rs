//! The listener for Apple devices.
use crate::app::open::apple_tls;
use crate::app::{App, GRACE};
use crate::config::Config;
use crate::job::{self, Job, Summary};
use crate::proof::keys::ProofKeys;
use crate::protocol::apple::{Door, Pusher, on_connect, routes};
use crate::service::apple::authority::Sealer;
use crate::service::apple::push_certificate::{Given, Keys};
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
use std::path::PathBuf;
use std::sync::Arc;

/// The way in for Apple devices; none if they are not served.
///
/// # Errors
/// When a file of the settings cannot be read.
pub(super) fn door(
    config: &Config,
    store: &Store,
    clock: &Clock,
    keys: Option<&ProofKeys>,
) -> anyhow::Result<Option<Door>> {
    let settings = config.apple.clone().filter(|_| !store.is_read_only());
    let open = |settings| Door::open(store, clock, settings, keys.map(|it| it as &dyn Sealer));
    settings.map(open).transpose()
}

/// What wakes them; none if they are not served.
pub(super) fn pusher(door: Option<&Door>) -> anyhow::Result<Option<Pusher>> {
    let root = door.and_then(|it| it.settings().push_root.clone());
    let read =
        |file: PathBuf| std::fs::read(&file).with_context(|| format!("reading {} (apple-push-root)", file.display()));
    let root = root.map(read).transpose()?;
    let pusher = door.map(|it| Pusher::open(it, root.as_deref())).transpose()?;
    if let Some(pusher) = &pusher
        && !matches!(pusher.current(), Ok(Some(_)))
    {
        tracing::warn!(
            "no push certificate can be used: no Apple device is woken, and orders wait until it comes by itself"
        );
    }
    Ok(pusher)
}

impl App {
    /// What opens secrets of devices; none if that key is not here.
    pub(super) fn unsealer(&self) -> Option<Arc<dyn Unsealer>> {
        let door = self.apple.clone()?;
        Some(Arc::new(door))
    }

    /// Wakes Apple devices.
    pub(super) fn apple_job(&self) -> Option<Job> {
        let (pusher, store, clock) = (self.pusher.clone()?, self.store.clone(), self.clock.clone());
        Some(Job::new("push", job::push::PERIOD, move || match pusher.current()? {
            Some(apns) => job::push::run_once(&store, &apns, clock.now()),
            None => Ok(Summary::default()),
        }))
    }

    /// Tells in time that the push certificate ends.
    pub(super) fn push_certificate_job(&self) -> Option<Job> {
        let (door, clock) = (self.apple.clone()?, self.clock.clone());
        Some(Job::new("push certificate", job::push_certificate::PERIOD, move || {
            job::push_certificate::run_once(door.store(), door.given(), clock.now())
        }))
    }

    /// What the pages need to know of the push certificate, and who has its keys; none if Apple devices are not served.
    pub(super) fn push_certificate(&self) -> (Given, Option<Arc<dyn Keys>>) {
        let given = self.apple.as_ref().map(|it| it.given().clone()).unwrap_or_default();
        let keys = self.apple.clone().filter(|it| it.authority_certificate().is_some());
        (given, keys.map(|it| Arc::new(it) as Arc<dyn Keys>))
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
