//! `holdfast bench check-in`: how many durable check-ins per second.
//!
//! A real server on a loopback port, and a load generator with persistent connections on the same cores. Each
//! request is signed by its own device before the clock starts, as it would be on the device; each is verified,
//! written and synced before it is answered.
pub(in crate::bench) mod load;
mod request;

use crate::app::App;
use crate::bench::device::{add_token, device, insert};
use crate::bench::machine;
use crate::bench::server::{say, serve};
use crate::config::{Config, Options};
use crate::error;
use crate::service::{enrollment, policy};
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};
use anyhow::{Context, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clock::Clock;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::{By, Presence};
use domain::id::{DeviceId, UserId};
use domain::policy::Requirement;
use domain::role::{Grants, Role, Scope};
use domain::time::Time;
use load::{load, spent};
use request::request;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Enrolled devices
    #[arg(long, default_value_t = 10_000)]
    devices: usize,
    /// Check-ins in one run
    #[arg(long, default_value_t = 50_000)]
    count: usize,
    /// Connections that are kept open
    #[arg(long, default_value_t = 500)]
    connections: usize,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Folder for the database; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
    /// Another database, such as postgres://…
    #[arg(long)]
    database: Option<String>,
}

/// Measures and prints.
///
/// # Errors
/// When the server cannot start, or a check-in fails: a figure with errors is not a result.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure_all(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure_all(args: &Args) -> anyhow::Result<()> {
    let options = Options {
        data: Some(args.folder.clone()),
        database: args.database.clone(),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..Options::default()
    };
    let app = App::open(Config::new(options)?, Clock::System)?;
    let fleet = Fleet::make(&app, args.devices)?;
    print_settings(&app, args, &args.folder)?;
    let (address, stop) = serve(&app)?;
    // The first run warms caches and pages; it is printed but not counted.
    let mut runs = Vec::new();
    for number in 0..=args.runs {
        let requests = Arc::new(fleet.sign(args.count, &address, app.clock.now())?);
        let before = machine::cpu_by_thread();
        let mut run = load(address, args.connections, requests)?;
        run.cpu = spent(&before, &machine::cpu_by_thread());
        let name = if number == 0 { "warm-up".to_owned() } else { format!("run {number}") };
        say(&format!("{name:8}  {run}"))?;
        if run.errors > 0 {
            stop();
            return Err(anyhow!("{} check-ins failed: {}", run.errors, run.first_error));
        }
        if number > 0 {
            runs.push(run);
        }
    }
    stop();
    fleet.check(&app)?;
    runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let median = runs.get(runs.len() / 2).context("at least one run")?;
    say(&format!("median    {median}"))?;
    say("goal      5,000 check-ins/s or more, p99 under 150 ms, 0 errors")
}

fn print_settings(app: &App, args: &Args, folder: &Path) -> anyhow::Result<()> {
    let database = if app.store.is_shared() { "PostgreSQL" } else { "SQLite, WAL, synchronous=FULL" };
    say(&format!("machine   {}", machine::describe()))?;
    say(&format!(
        "settings  {database} on {}, {} devices, {} connections, {} check-ins a run, {} workers, load generator on the same cores",
        machine::file_system(folder),
        args.devices,
        args.connections,
        args.count,
        app.config.workers
    ))
}

/// Devices with their keys.
struct Fleet {
    devices: Vec<(DeviceId, Ed25519KeyPair)>,
    audience: String,
    before: Time,
}

impl Fleet {
    fn make(app: &App, count: usize) -> anyhow::Result<Self> {
        let now = app.clock.now();
        let mut devices = Vec::with_capacity(count);
        for _ in 0..count {
            let key = Ed25519KeyPair::generate().context("making a key")?;
            devices.push((DeviceId::generate(now), key));
        }
        let rows: Vec<_> =
            devices.iter().map(|(id, key)| (*id, BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref()))).collect();
        let audience = app.store.act_blocking(move |conn| {
            add_policies(conn, now)?;
            let token = add_token(conn, now)?;
            for (id, key) in rows {
                insert(conn, &device(id, now), key, token)?;
                store::device_status::set(conn, &DeviceStatus::new(id))?;
            }
            enrollment::agent::make_audience(conn, now)
        })?;
        Ok(Self { devices, audience, before: now })
    }

    /// This many requests, device after device, ready to be sent.
    fn sign(&self, count: usize, address: &SocketAddr, now: Time) -> anyhow::Result<Vec<Vec<u8>>> {
        let devices = self.devices.iter().cycle().take(count).enumerate();
        devices.map(|(at, (id, key))| request(*id, key, &self.audience, (address, now, at))).collect()
    }

    /// Each device must be in the database as seen: what was answered was written.
    fn check(&self, app: &App) -> anyhow::Result<()> {
        for (id, _) in &self.devices {
            let status = app.store.read_blocking(|conn| store::device_status::find(conn, *id))?;
            if status.and_then(|it| it.last_seen_at).is_none_or(|it| it < self.before) {
                return Err(anyhow!("the check-in of device {id} was answered but is not in the database"));
            }
        }
        Ok(())
    }
}

fn add_policies(conn: &mut Conn, now: Time) -> error::Result<()> {
    let actor = Actor { kind: ActorKind::System, via: Via::CommandLine, ..Actor::system() };
    let grants = Grants::new(vec![(Role::Owner, Scope::Organisation)]);
    let by = By { actor, user: UserId::generate(now), grants, presence: Presence::Script };
    let requirements = vec![
        Requirement::StorageEncrypted,
        Requirement::ProvenRestorePoint { within_minutes: 24 * 60 },
        Requirement::BackupEvery { minutes: 6 * 60 },
        Requirement::CheckInWithin { minutes: 60 },
    ];
    policy::add(conn, &by, &policy::Draft { name: "Everyone".to_owned(), team_id: None, requirements }, now)?;
    let requirements = vec![Requirement::PasscodeSet];
    policy::add(conn, &by, &policy::Draft { name: "Passcode".to_owned(), team_id: None, requirements }, now)?;
    Ok(())
}
