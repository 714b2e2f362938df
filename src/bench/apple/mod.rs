//! `holdfast bench apple`: what Apple devices cost the server: enrolments, polls and durable token updates, with the load
//! generator on the same cores.
//!
//! Every device enrolls over the real protocol with a certificate of its own. All share one RSA key, which costs the server
//! nothing less: it checks each signature. Polls are signed before the clock starts, as they would be on the devices.
mod hostile;

use crate::app::App;
use crate::bench::check_in::load::{Run, load, spent};
use crate::bench::device::add_token;
use crate::bench::machine;
use crate::bench::server::{run, say};
use crate::config::{Config, Options};
use crate::demo::apple::Client;
use crate::service::enrollment::{self, TokenDraft};
use crate::store::Conn;
use anyhow::{Context, anyhow, bail};
use apple::certificate::Strength;
use apple::cms;
use apple::plist::Dictionary;
use apple::simulated::{Device, Identity, signed};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use domain::activity::Actor;
use domain::by::{By, Presence};
use domain::device::Ownership;
use domain::id::UserId;
use domain::role::{Grants, Role, Scope};
use domain::time::{Time, hours};
use jiff::Timestamp;
use rustix::time::ClockId;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Enrolled devices
    #[arg(long, default_value_t = 1000)]
    devices: usize,
    /// Messages in one run
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// Connections that are kept open
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Runs of each kind; the median counts
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
/// When the server cannot start, or a message is refused: a figure with errors is not a result.
pub fn measure(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure_all(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure_all(args: &Args) -> anyhow::Result<()> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").context("finding a free port")?.local_addr()?;
    let options = Options {
        data: Some(args.folder.clone()),
        database: args.database.clone(),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        apple_listen: Some(free),
        apple_url: Some(format!("https://{free}")),
        apple_topic: Some("com.apple.mgmt.External.bench".to_owned()),
        ..Options::default()
    };
    let app = App::open(Config::new(options)?, Clock::System)?;
    let serving = app.clone();
    let listener = app.apple_listener()?.context("a listener for Apple devices")?;
    let door = listener.local_addr()?;
    let stop = run(move || serving.serve_apple(listener))?;
    let measured = measure_at(&app, door, args);
    stop();
    measured
}

fn measure_at(app: &App, door: SocketAddr, args: &Args) -> anyhow::Result<()> {
    let database = if app.store.is_shared() { "PostgreSQL" } else { "SQLite, WAL, synchronous=FULL" };
    say(&format!("machine   {}", machine::describe()))?;
    say(&format!(
        "settings  {database} on {}, {} devices, {} connections, {} messages a run, RSA-2048, load generator on the same cores",
        machine::file_system(&args.folder),
        args.devices,
        args.connections,
        args.count
    ))?;
    say(&format!("hostile   {}", hostile::worst()?))?;
    let fleet = enroll(app, door, args)?;
    say(&format!("floor     {:.3} CPU ms to check one signature and its certificate, alone", floor(&fleet)? * 1000.0))?;
    say("idle polls")?;
    let polls = |at: Time| requests(&fleet, door, args.count, at, |it| it.device.idle());
    median(app, door, args, "goal      3,000 polls/s or more, at most 0.35 CPU ms each", &polls)?;
    say("durable token updates")?;
    let updates = |at: Time| requests(&fleet, door, args.count, at, |it| it.device.token_update(&it.topic, &[7; 32]));
    median(app, door, args, "goal      at most 0.6 CPU ms each", &updates)
}

/// Enrolls all devices, as many at a time as there are cores, and answers what each is asked first.
fn enroll(app: &App, door: SocketAddr, args: &Args) -> anyhow::Result<Vec<Client>> {
    let now = app.clock.now();
    let count = i64::try_from(args.devices)?;
    let token = app.store.act_blocking(move |conn| token(conn, count, now))?;
    let key = Identity::generate()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from) * 2;
    let (before, began) = (machine::cpu_by_thread(), Instant::now());
    let clients: Vec<anyhow::Result<Vec<Client>>> = std::thread::scope(|scope| {
        let work: Vec<_> = (0..threads)
            .map(|thread| {
                let (token, key) = (&token, &key);
                scope.spawn(move || {
                    let numbers = (thread..args.devices).step_by(threads);
                    numbers.map(|it| Client::enroll((door, &app.clock), device(it), (token, key), &[7; 32])).collect()
                })
            })
            .collect();
        work.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(anyhow!("a device panicked")))).collect()
    });
    let took = began.elapsed();
    let cpu: u64 = spent(&before, &machine::cpu_by_thread()).iter().map(|(_, ticks)| ticks).sum();
    let mut fleet = Vec::with_capacity(args.devices);
    for some in clients {
        fleet.extend(some?);
    }
    let per = |total: f64| total / f64::from(u32::try_from(args.devices).unwrap_or(u32::MAX).max(1));
    say(&format!(
        "enrolment {:.0}/s (profile, SCEP and both check-ins), {:.1} CPU ms each with the devices’ own part; goal 50/s or more",
        1.0 / per(took.as_secs_f64()),
        per(f64::from(u32::try_from(cpu)?) * 10.0)
    ))?;
    for client in &fleet {
        client.talks()?;
    }
    Ok(fleet)
}

fn token(conn: &mut Conn, count: i64, now: Time) -> crate::error::Result<String> {
    // Brings the organisation that a token belongs to.
    add_token(conn, now)?;
    let grants = Grants::new(vec![(Role::Owner, Scope::Organisation)]);
    let by = By { actor: Actor::system(), user: UserId::generate(now), grants, presence: Presence::Script };
    let draft = TokenDraft {
        name: "bench".to_owned(),
        team_id: None,
        ownership: Ownership::Company,
        use_limit: count,
        valid_for: hours(24),
        device_id: None,
    };
    enrollment::make_token(conn, &by, &draft, now).map(|(_, text)| text)
}

fn device(number: usize) -> Device {
    Device {
        udid: format!("00008030-{number:016X}"),
        serial: format!("F2LX{number:06}"),
        name: format!("phone-{number}"),
        product: "iPhone14,5".to_owned(),
        os_version: "17.5".to_owned(),
        is_supervised: false,
    }
}

/// What checking a signature alone takes, in seconds of processor time: no server that checks them can beat it.
fn floor(fleet: &[Client]) -> anyhow::Result<f64> {
    const TIMES: u32 = 2000;
    let client = fleet.first().context("at least one device")?;
    let (body, header) = signed(client.device.idle(), &client.identity, Timestamp::from_second(1_800_000_000)?)?;
    let signature = BASE64_STANDARD.decode(header)?;
    let before = machine::cpu(ClockId::ThreadCPUTime);
    for _ in 0..TIMES {
        cms::verify(&signature, Some(&body), Strength::WithLegacy)?;
    }
    Ok(machine::cpu(ClockId::ThreadCPUTime).saturating_sub(before).as_secs_f64() / f64::from(TIMES))
}

/// This many messages, device after device, ready to be sent.
fn requests(
    fleet: &[Client],
    door: SocketAddr,
    count: usize,
    at: Time,
    message: impl Fn(&Client) -> Dictionary,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let at = Timestamp::from_millisecond(at.millis())?;
    // One signature for each device: what is checked is the same each time.
    let once: Vec<Vec<u8>> = fleet
        .iter()
        .map(|client| {
            let (body, signature) = signed(message(client), &client.identity, at)?;
            let head = format!(
                "PUT /apple/mdm HTTP/1.1\r\nhost: {door}\r\nmdm-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            Ok([head.into_bytes(), body].concat())
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(once.iter().cycle().take(count).cloned().collect())
}

fn median(
    app: &App,
    door: SocketAddr,
    args: &Args,
    goal: &str,
    requests: &dyn Fn(Time) -> anyhow::Result<Vec<Vec<u8>>>,
) -> anyhow::Result<()> {
    let mut runs: Vec<Run> = Vec::new();
    for number in 0..=args.runs {
        let requests = Arc::new(requests(app.clock.now())?);
        let before = machine::cpu_by_thread();
        let mut run = load(door, args.connections, requests)?;
        run.cpu = spent(&before, &machine::cpu_by_thread());
        // The first run warms caches and pages; it is printed but not counted.
        say(&format!("{:8}  {run}", if number == 0 { "warm-up".to_owned() } else { format!("run {number}") }))?;
        if run.errors > 0 {
            bail!("{} messages failed: {}", run.errors, run.first_error);
        }
        if number > 0 {
            runs.push(run);
        }
    }
    runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    say(&format!("median    {}", runs.get(runs.len() / 2).context("at least one run")?))?;
    say(goal)
}
