//! Wiring: settings, database, stores and clock become routes and jobs; start and stop.
mod apple;
mod copy;
mod copy_job;
mod open;

pub use copy::access;
pub use open::make_private_folder;

use crate::api;
use crate::blob::BlobStore;
use crate::blob::pulled::Relay;
use crate::blob::system::{System, ThisMachine};
use crate::config::{Config, CopyTarget};
use crate::content::{Desk, Tools};
use crate::job::{self, Job, Summary};
use crate::mail::Mailer;
use crate::proof::keys::ProofKeys;
use crate::proof::runner::Runner;
use crate::proof::{self, Prover, Pruner};
use crate::protocol;
use crate::service;
use crate::service::console_copy::Keeper;
use crate::service::copy::{Locker, Replicator};
use crate::service::ground::Watch;
use crate::service::verification::{Place, Verifier, Verifiers};
use crate::store::{Database, Store};
use crate::traffic;
use crate::traffic::crowd::{self, Crowd, Room};
use crate::traffic::pace::Least;
use crate::wake::Wake;
use crate::web;
use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App as HttpApp, HttpServer};
use anyhow::Context;
use clock::Clock;
use copy::open_copy;
use domain::object::Location;
use domain::time::Time;
use open::{open_blobs, open_database, tls_config};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Everything a request or a job may need. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub store: Store,
    pub clock: Clock,
    pub blobs: Arc<dyn BlobStore>,
    pub wake: Wake,
    pub watch: Watch,
    /// None if there is no second store.
    pub copy: Option<Replicator>,
    /// Where another Holdfast asks what there is to be copied, if that is the second store.
    pub relay: Option<Relay>,
    /// None if the second store is no bucket.
    pub locker: Option<Locker>,
    /// None if there is no second store, or the database is not ours to copy.
    pub keeper: Option<Keeper>,
    pub verifiers: Verifiers,
    pub agent: protocol::agent::Shared,
    pub door: protocol::restic::Door,
    /// None if Apple devices are not served.
    pub apple: Option<protocol::apple::Door>,
    /// None if they are not woken.
    pub apns: Option<protocol::apple::Apns>,
    /// None if the proof side is on another host.
    pub proof_keys: Option<Arc<ProofKeys>>,
    pub pages: web::hashing::Shared,
    /// Where pages look inside restore points.
    pub desk: Desk,
    /// None if no mail server is set: mails wait.
    pub mailer: Option<Mailer>,
    /// Who is connected.
    pub crowd: Crowd,
    /// How slowly a body may arrive.
    pub least: Least,
    /// None if plain HTTP is served.
    tls: Option<rustls::ServerConfig>,
}

/// How long a running request may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

impl App {
    /// Opens the data directory and the database.
    ///
    /// # Errors
    /// When the certificate or the key cannot be used, a folder cannot be created, the database cannot be opened or
    /// migrated, or the second store would fail together with the first.
    pub fn open(config: Config, clock: Clock) -> anyhow::Result<Self> {
        Self::open_on(config, clock, Arc::new(ThisMachine))
    }

    /// [`App::open`] on a system that says other things of the stores than this machine does.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn open_on(config: Config, clock: Clock, system: Arc<dyn System>) -> anyhow::Result<Self> {
        // First: a server that cannot serve should not create a database or print a link to it.
        let tls = config.tls.as_ref().map(tls_config).transpose()?;
        make_private_folder(&config.data)?;
        let store = open_database(&config)?;
        warn_of_clock(&store, clock.now())?;
        let blobs = open_blobs(&config, &store, &clock)?;
        let relay = relay(&config);
        let (copy, locker) = open_copy(&config, &store, (system, relay.clone()), clock.now())?.unzip();
        let keeper = keeper(&config, &store, copy.as_ref());
        let copy = copy.map(|it| Replicator::new(store.clone(), Arc::clone(&blobs), it));
        keep_place(&config, &store, clock.now())?;
        let proof_keys = ProofKeys::of(&store, &config.proof_key, config.prove, clock.now())?;
        if let Some(keys) = proof_keys.as_ref().filter(|_| !store.is_read_only()) {
            let (holder, now) = (keys.state_holder()?, clock.now());
            store.write_blocking(move |conn| service::console_copy::set_holder(conn, &holder, now))?;
        }
        let door = protocol::restic::Door::new(store.clone(), Arc::clone(&blobs), clock.clone());
        let apple = apple::door(&config, &store, &clock, proof_keys.as_deref())?;
        let apns = apple::apns(&config)?;
        let desk = Desk::new(Tools {
            store: store.clone(),
            blobs: Arc::clone(&blobs),
            keys: proof_keys.clone(),
            clock: clock.clone(),
            runner: Runner::this_program().context("finding this program for reading backups")?,
        });
        let watch = Watch::new(store.clone(), Arc::clone(&blobs), folder_of(&config.database));
        let verifiers = verifiers(&config, &store, (&blobs, copy.as_ref()), &door);
        let mailer = config.mail.as_ref().map(|it| Mailer::smtp(&it.url, &it.from)).transpose()?;
        let crowd = Crowd::new(Room::of(traffic::raise_descriptor_limit()), config.trusted_proxies.clone());
        Ok(Self {
            crowd,
            least: Least::default(),
            config: Arc::new(config),
            wake: store.wake().clone(),
            store,
            clock,
            blobs,
            watch,
            relay,
            copy,
            locker: locker.flatten(),
            keeper,
            verifiers,
            door,
            apple,
            apns,
            desk,
            proof_keys,
            agent: protocol::agent::Shared::new(),
            pages: web::hashing::Shared::new(),
            mailer,
            tls,
        })
    }

    /// Binds the address of the settings.
    ///
    /// # Errors
    /// When the address is taken or is not one of ours.
    pub fn listener(&self) -> anyhow::Result<TcpListener> {
        TcpListener::bind(self.config.listen).with_context(|| {
            format!(
                "listening on {}: is another server running? Choose another address with --listen",
                self.config.listen
            )
        })
    }

    /// Serves on `listener` until the handle stops it.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> anyhow::Result<Server> {
        let (app, crowd) = (self.clone(), self.crowd.clone());
        let around = || from_fn(traffic::keep);
        let server = HttpServer::new(move || HttpApp::new().wrap(around()).configure(|config| app.routes(config)))
            .workers(self.config.workers)
            // Further connections wait in the system's queue: the remaining file handles belong to the
            // database.
            .max_connections(self.crowd.room().taken().div_ceil(self.config.workers.max(1)))
            .on_connect(move |io, of_connection| traffic::on_connect(&crowd, io, of_connection))
            .shutdown_timeout(GRACE.as_secs())
            .disable_signals();
        let server = match &self.tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls.clone())?,
            None => server.listen(listener)?,
        };
        Ok(server.run())
    }

    /// Starts the background work; it ends after [`Wake::stop`].
    pub fn start_jobs(&self) -> job::Running {
        job::start(self.jobs(), &self.wake)
    }

    /// What runs restore tests in this process; none if `holdfast prove` runs them.
    pub fn prover(&self) -> anyhow::Result<Option<Prover>> {
        let Some(keys) = self.proof_keys.as_ref().filter(|_| self.config.prove) else { return Ok(None) };
        Ok(Some(Prover {
            store: self.store.clone(),
            blobs: Arc::clone(&self.blobs),
            keys: Arc::clone(keys),
            clock: self.clock.clone(),
            runner: Runner::this_program().context("finding this program for restore tests")?,
            name: "this server".to_owned(),
            parallel: 1,
        }))
    }

    fn jobs(&self) -> Vec<Job> {
        let crowd = self.crowd.clone();
        let connection = Job::new("connection", crowd::LOOK, move || Ok(Summary::done(crowd.end_paused(crowd::PAUSE))));
        if self.store.is_read_only() {
            // All others keep what they find.
            let watch = self.watch.clone();
            let ground = Job::new("ground", job::ground::PERIOD, move || {
                job::ground::stand_or_fall(&watch);
                Ok(Summary::default())
            });
            return vec![connection, ground];
        }
        let mut jobs = self.own_jobs();
        jobs.push(connection);
        if let Database::Sqlite(path) = &self.config.database {
            let (app, path) = (self.clone(), path.clone());
            jobs.push(Job::new("database", job::database::PERIOD, move || {
                job::database::run_once(&app.store, &app.watch, &path, app.clock.now())
            }));
        }
        jobs.extend(self.verifiers.0.iter().flat_map(|it| self.verification(it)));
        match self.prover() {
            Ok(Some(prover)) => {
                let pruner = Pruner::new(
                    (prover.store.clone(), Arc::clone(&prover.blobs)),
                    Arc::clone(&prover.keys),
                    prover.clock.clone(),
                    prover.runner.clone(),
                );
                jobs.push(Job::new("prune", proof::LOOK, move || Ok(Summary::done(pruner.run_once()?))));
                jobs.push(
                    Job::new("proof", proof::PERIOD, move || Ok(Summary::done(prover.run_once(None)?.len())))
                        .woken_by(self.wake.on_proof()),
                );
            }
            Ok(None) => {}
            Err(error) => tracing::error!(?error, "restore tests cannot run in this process"),
        }
        jobs
    }

    fn verification(&self, verifier: &Verifier) -> [Job; 2] {
        let (reader, lister) = ((verifier.clone(), self.clock.clone()), (verifier.clone(), self.clock.clone()));
        let (reading, listing) = match verifier.location() {
            Location::Primary => ("verification", "listing"),
            Location::Copy => ("verification of the copy", "listing of the copy"),
        };
        [
            Job::new(reading, job::verification::PERIOD, move || {
                job::verification::read_back(&reader.0, reader.1.now())
            }),
            Job::new(listing, job::verification::LIST_PERIOD, move || {
                job::verification::list(&lister.0, lister.1.now())
            }),
        ]
    }

    fn own_jobs(&self) -> Vec<Job> {
        let ground = self.clone();
        let (mail, alert, expiry, command) = (self.clone(), self.clone(), self.clone(), self.clone());
        let (wipe, asking, untested) = (self.clone(), self.clone(), self.clone());
        let (team, trash, anomaly, seen) = (self.clone(), self.clone(), self.clone(), self.clone());
        let mut jobs = vec![
            Job::new("ground", job::ground::PERIOD, move || job::ground::run_once(&ground.watch, ground.clock.now())),
            Job::new("seen", job::seen::PERIOD, move || job::seen::run_once(&seen.store, &seen.config.blobs)),
            Job::new("expiry", job::expiry::PERIOD, move || {
                expiry.agent.forget_addresses();
                job::expiry::run_once(&expiry.store, expiry.clock.now())
            }),
            Job::new("command", job::command::PERIOD, move || {
                job::command::run_once(&command.store, command.clock.now())
            }),
            Job::new("wipe", job::wipe::PERIOD, move || job::wipe::run_once(&wipe.store, &wipe.clock)),
            Job::new("mail", job::mail::PERIOD, move || {
                job::mail::run_once(&mail.store, mail.mailer.as_ref(), &mail.clock)
            })
            .woken_by(self.wake.on_mail()),
            Job::new("trash", job::trash::PERIOD, move || {
                job::trash::run_once(&trash.store, &*trash.blobs, trash.clock.now())
            }),
            Job::new("team quota", job::team_quota::PERIOD, move || {
                job::team_quota::run_once(&team.store, team.clock.now())
            }),
            Job::new("anomaly", job::anomaly::PERIOD, move || {
                job::anomaly::run_once(&anomaly.store, anomaly.clock.now())
            }),
            Job::new("alert", job::alert::PERIOD, move || job::alert::run_once(&alert.store, alert.clock.now())),
            Job::new("untested backups", job::verification::UNTESTED_PERIOD, move || {
                job::verification::note_untested(&untested.store, untested.clock.now())
            }),
            Job::new("asking again", job::verification::ASK_PERIOD, move || {
                job::verification::ask_again(&asking.store, asking.clock.now())
            }),
        ];
        jobs.extend(self.apple_job());
        jobs.extend(self.apple_service_job());
        jobs.extend(self.copy_jobs());
        jobs
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(Data::from(Arc::clone(&self.config)))
            .app_data(Data::new(self.store.clone()))
            .app_data(Data::new(self.clock.clone()))
            .app_data(Data::new(self.least))
            .app_data(Data::from(Arc::clone(&self.blobs)))
            .app_data(Data::new(self.wake.clone()))
            .app_data(Data::new(self.watch.clone()))
            .app_data(Data::new(self.verifiers.clone()))
            .app_data(Data::new(self.proof_keys.clone()))
            .app_data(Data::new(self.agent.clone()))
            .configure(protocol::agent::routes)
            .app_data(Data::new(self.relay.clone()))
            .configure(protocol::pull::routes)
            .app_data(Data::new(self.door.clone()))
            .configure(protocol::restic::routes)
            .app_data(Data::new(self.unsealer()))
            .app_data(Data::new(self.pages.clone()))
            .app_data(Data::new(self.desk.clone()))
            .configure(api::routes)
            // Last: they take every address that is left.
            .configure(web::routes);
    }
}

/// What verifies each location: where devices upload to, and the second store if there is one.
fn verifiers(
    config: &Config,
    store: &Store,
    (blobs, copy): (&Arc<dyn BlobStore>, Option<&Replicator>),
    door: &protocol::restic::Door,
) -> Verifiers {
    let settings = config.verification;
    if settings.budget.is_off() {
        tracing::warn!(
            "--verify-budget is 0: stored backups are not read back, and what rots on the disk is not noticed"
        );
    }
    let primary = Place { location: Location::Primary, blobs: Arc::clone(blobs) };
    let copy = copy.map(|it| Place { location: Location::Copy, blobs: Arc::clone(it.copy()) });
    let verifier = |place| {
        let door = door.clone();
        Verifier::new(store.clone(), place, settings, Arc::new(move || door.is_receiving()))
    };
    Verifiers([primary].into_iter().chain(copy).map(verifier).collect())
}

/// Says that the clock is behind what the database has.
fn warn_of_clock(store: &Store, now: Time) -> anyhow::Result<()> {
    if let Some(newest) = store.read_blocking(move |conn| service::activity::time_ahead(conn, now))? {
        let behind = newest.since(now).as_secs() / 60;
        tracing::warn!(
            "the clock, at {}, is {behind} minutes behind the newest time in the database, {}; set it",
            now.iso(),
            newest.iso()
        );
    }
    Ok(())
}

/// Writes down where this server is: for mails, and for what its place would take with it.
fn keep_place(config: &Config, store: &Store, now: Time) -> anyhow::Result<()> {
    if store.is_read_only() {
        return Ok(());
    }
    let (url, location) = (config.public_url.clone(), config.location.clone());
    let kept = store.write_blocking(move |conn| {
        service::disaster::set_location(conn, &location, now)?;
        service::installation::set_public_url(conn, &url, now)
    });
    kept.context("keeping the server's address")
}

/// What keeps the console's own state; PostgreSQL's dumps are handed over from outside.
fn keeper(config: &Config, store: &Store, copy: Option<&Arc<dyn BlobStore>>) -> Option<Keeper> {
    let copy = copy.filter(|_| !store.is_shared())?;
    Some(Keeper::new(store.clone(), Arc::clone(copy), config.data.clone()))
}

/// Where another Holdfast asks, if that is the second store.
fn relay(config: &Config) -> Option<Relay> {
    match &config.copy.as_ref()?.target {
        CopyTarget::Puller(name) => Some(Relay::new(name)),
        CopyTarget::Folder(_) | CopyTarget::Bucket(_) => None,
    }
}

/// The folder of an SQLite database; none of another machine's.
fn folder_of(database: &Database) -> Option<PathBuf> {
    match database {
        Database::Sqlite(path) => path.parent().map(Path::to_owned),
        Database::Postgres(_) => None,
    }
}

/// Stops a server, letting running requests finish.
pub async fn stop(handle: ServerHandle) {
    handle.stop(true).await;
}
