//! `holdfast bench check-in`: how many durable check-ins per second.
//!
//! A real server on a loopback port, and a load generator with persistent connections on the same cores. Each
//! request is signed by its own device before the clock starts, as it would be on the device; each is verified,
//! written and synced before it is answered.
use crate::app::App;
use crate::bench::machine;
use crate::bench::server::{say, serve};
use crate::config::{Config, Options};
use crate::error::{self, Error};
use crate::service::{enrollment, policy};
use crate::store::agent_enrollment::AgentEnrollment;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::enrollment::Enrollment;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use anyhow::{Context, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use clock::Clock;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::By;
use domain::channel::Channel;
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::fact::{Changes, EncryptionFact};
use domain::id::{DeviceId, EnrollmentTokenId, UserId};
use domain::policy::Requirement;
use domain::role::{Grants, Role, Scope};
use domain::time::{Time, days};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::{CHECK_IN, CheckIn, Claims, DeviceFacts, Fact};

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
    let by = By { actor, user: UserId::generate(now), grants };
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

pub(super) fn add_token(conn: &mut Conn, now: Time) -> error::Result<EnrollmentTokenId> {
    let token = EnrollmentToken {
        id: EnrollmentTokenId::generate(now),
        token_hash: secret::hash(&secret::generate("")?),
        name: "bench".to_owned(),
        team_id: None,
        device_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        use_count: 1,
        created_by: "bench".to_owned(),
        created_at: now,
        expires_at: now + days(1),
        revoked_at: None,
    };
    store::enrollment_token::insert(conn, &token)?;
    Ok(token.id)
}

/// Puts a device in, enrolled through our agent with this key.
pub(super) fn insert(
    conn: &mut Conn,
    device: &Device,
    signing_key: String,
    token: EnrollmentTokenId,
) -> Result<(), Error> {
    let (device_id, generation) = (device.id, device.generation);
    store::device::insert(conn, device)?;
    let enrollment = Enrollment {
        device_id,
        generation,
        channel: Channel::AGENT.to_owned(),
        identity: signing_key,
        carries: serde_json::to_string(&Channel::agent().carries).context("writing what the agent carries")?,
        token_id: token,
        enrolled_at: device.enrolled_at,
        ended_at: None,
    };
    store::enrollment::insert(conn, &enrollment)?;
    let agent = AgentEnrollment {
        device_id,
        generation,
        sealing_key: BASE64_STANDARD.encode([0; 32]),
        protected_roots: "[\"/home/grace\"]".to_owned(),
        version: "0.1.0".to_owned(),
    };
    Ok(store::agent_enrollment::insert(conn, &agent)?)
}

pub(super) fn device(id: DeviceId, now: Time) -> Device {
    Device {
        id,
        name: format!("bench-{}", id.as_str().get(24..).unwrap_or_default()),
        person: "Grace Hopper".to_owned(),
        team_id: None,
        platform: Platform::Linux,
        model: "ThinkPad X1".to_owned(),
        serial: id.as_str().get(24..).unwrap_or_default().to_owned(),
        os_version: "Debian GNU/Linux 12.5".to_owned(),
        ownership: Ownership::Company,
        state: DeviceState::Enrolled,
        generation: 1,
        enrolled_at: now,
        erased_at: None,
    }
}

fn facts(now: Time, at: usize) -> DeviceFacts {
    fn fact<T>(value: T, source: &str, measured_at: Time) -> Option<Fact<T>> {
        Some(Fact { value, source: source.to_owned(), measured_at })
    }
    let small = i64::try_from(at % 100).unwrap_or(0);
    let encryption = EncryptionFact { state: Encryption::On, method: "LUKS2".to_owned() };
    DeviceFacts {
        encryption: fact(encryption, "dm-crypt", now),
        passcode_set: fact(true, "pam", now),
        os_version: fact("Debian GNU/Linux 12.5".to_owned(), "os-release", now),
        model: fact("ThinkPad X1".to_owned(), "dmi", now),
        serial: fact("SN-1".to_owned(), "dmi", now),
        free_bytes: fact(200_000_000_000 + small, "statvfs", now),
        battery_percent: fact(small, "power_supply", now),
        changes: fact(Changes { files: small, bytes: small * 4096 }, "file times", now),
        roots_away: None,
    }
}

fn request(
    id: DeviceId,
    key: &Ed25519KeyPair,
    audience: &str,
    (address, now, at): (&SocketAddr, Time, usize),
) -> anyhow::Result<Vec<u8>> {
    let message = CheckIn {
        generation: 1,
        agent_version: "0.1.0".to_owned(),
        facts: facts(now, at),
        results: Vec::new(),
        policy_version: String::new(),
        continuity: None,
    };
    let body = serde_json::to_vec(&message)?;
    let claims = Claims {
        sub: id.to_string(),
        aud: audience.to_owned(),
        iat: now.seconds(),
        exp: now.seconds() + 120,
        jti: secret::generate("")?,
        htm: "POST".to_owned(),
        htu: CHECK_IN.to_owned(),
        body_sha256: hex::encode(secret::sha256(&body)),
    };
    let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{id}"}}"#));
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    let mut request = format!(
        "POST {CHECK_IN} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         authorization: Bearer {signed}.{signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    Ok(request)
}

/// What was spent between two samples, the most first.
fn spent(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let spent =
        after.iter().map(|(name, ticks)| (name.clone(), ticks - before.get(name).copied().unwrap_or(0).min(*ticks)));
    let mut spent: Vec<_> = spent.filter(|(_, ticks)| *ticks > 0).collect();
    spent.sort_by_key(|(_, ticks)| std::cmp::Reverse(*ticks));
    spent
}

/// One run's figures.
struct Run {
    took: Duration,
    latencies: Vec<Duration>,
    /// Hundredths of a second of processor time, by thread.
    cpu: Vec<(String, u64)>,
    errors: usize,
    first_error: String,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "a figure of four digits")]
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> Duration {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        write!(
            f,
            "{:6.0} check-ins/s, p50 {:5.1} ms, p99 {:5.1} ms, worst {:5.1} ms, {} errors; CPU a check-in:",
            self.rate(),
            millis(50),
            millis(99),
            millis(100),
            self.errors
        )?;
        let count = (self.latencies.len() as u64).max(1);
        let all: u64 = self.cpu.iter().map(|(_, ticks)| ticks).sum();
        write!(f, " {} µs", all * 10_000 / count)?;
        for (name, ticks) in &self.cpu {
            write!(f, ", {name} {}", ticks * 10_000 / count)?;
        }
        Ok(())
    }
}

/// Sends all requests over persistent connections, each as soon as the previous one was answered.
fn load(address: SocketAddr, connections: usize, requests: Arc<Vec<Vec<u8>>>) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let tasks: Vec<_> = streams
            .into_iter()
            .map(|stream| tokio::spawn(client(stream, Arc::clone(&requests), Arc::clone(&next))))
            .collect();
        let mut run =
            Run { took: Duration::ZERO, latencies: Vec::new(), cpu: Vec::new(), errors: 0, first_error: String::new() };
        for task in tasks {
            match task.await? {
                Ok(latencies) => run.latencies.extend(latencies),
                Err(error) => {
                    run.errors += 1;
                    run.first_error = format!("{error:#}");
                }
            }
        }
        run.took = began.elapsed();
        run.latencies.sort_unstable();
        Ok(run)
    })
}

async fn client(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut answer = Vec::with_capacity(4096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        stream.write_all(request).await?;
        answer.clear();
        while !is_whole(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(anyhow!("the server closed the connection"));
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(anyhow!("the server answered {}", String::from_utf8_lossy(&answer)));
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// Whether an answer is as long as its headers say.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let head = answer.get(..end).unwrap_or_default();
    let mut lines = head.split(|it| *it == b'\n').filter_map(|it| std::str::from_utf8(it).ok());
    let length = lines.find_map(|it| it.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}
