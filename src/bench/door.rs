//! `holdfast bench door`: what a backup costs the server.
//!
//! A real server on a loopback port. Its CPU time is that of the whole process without the load generator's
//! threads; restic is a separate process.
use crate::app::App;
use crate::bench::server::{say, serve};
use crate::bench::{check_in, machine};
use crate::config::{Config, Options};
use crate::service::repository::Prepared;
use crate::{error, service, store};
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use domain::id::{DeviceId, RepositoryId};
use rustix::time::{ClockId, clock_gettime};
use secret::seal;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Devices that send at the same time, with 4 connections each
    #[arg(long, default_value_t = 8)]
    devices: usize,
    /// Packs of 16 MiB in one run
    #[arg(long, default_value_t = 64)]
    packs: usize,
    /// Objects of 64 KiB in one run
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// MiB of random data that restic backs up, beside 20,000 small files
    #[arg(long, default_value_t = 1024)]
    restic_mib: usize,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Folder for the database and backups; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
}

const CONNECTIONS_PER_DEVICE: usize = 4;
const PACK: usize = 16 << 20;
const SMALL: usize = 64 << 10;

/// Measures and prints.
///
/// # Errors
/// When the server cannot start, or a request fails: a figure with errors is not a result.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure_all(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure_all(args: &Args) -> anyhow::Result<()> {
    let options = Options {
        data: Some(args.folder.join("data")),
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..Options::default()
    };
    let app = App::open(Config::new(options)?, Clock::System)?;
    say(&format!("machine   {}", machine::describe()))?;
    say(&format!(
        "settings  SQLite, WAL, synchronous=FULL, fsync of each object, on {}; {} devices with {CONNECTIONS_PER_DEVICE} connections each, {} workers, load generator on the same cores",
        machine::file_system(&args.folder),
        args.devices,
        app.config.workers
    ))?;
    let (address, stop) = serve(&app)?;
    let measured = figures(args, &app, address);
    stop();
    measured
}

fn figures(args: &Args, app: &App, address: SocketAddr) -> anyhow::Result<()> {
    restic(args, app, address)?;
    let mut devices = Vec::new();
    for _ in 0..args.devices {
        devices.push(Target::make(app, address)?);
    }
    let load = Load { devices, next: AtomicUsize::new(0) };
    let posts = repeat(args.runs, || load.post(PACK, args.packs))?;
    report("16 MiB packs in ", &posts, &|it| it.mib_per_cpu(), "MiB per server CPU-second, goal 640")?;
    let reads = repeat(args.runs, || load.get(args.packs))?;
    report("16 MiB packs out", &reads, &|it| it.mib_per_second() / 1024.0, "GiB/s, goal 1.5")?;
    let small = repeat(args.runs, || load.post(SMALL, args.objects))?;
    report("64 KiB objects in", &small, &|it| it.per_second(), "POST/s, goal 1,900")
}

fn repeat(runs: usize, mut once: impl FnMut() -> anyhow::Result<Run>) -> anyhow::Result<Vec<Run>> {
    (0..runs.max(1)).map(|_| once()).collect()
}

fn report(name: &str, runs: &[Run], figure: &dyn Fn(&Run) -> f64, unit: &str) -> anyhow::Result<()> {
    for run in runs {
        say(&format!("  run     {:9.1}  {run}", figure(run)))?;
    }
    let mut figures: Vec<f64> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    let median = figures.get(figures.len() / 2).copied().unwrap_or_default();
    say(&format!("median    {median:9.1}  {name}: {unit}"))
}

/// One run's figures.
struct Run {
    count: usize,
    bytes: usize,
    took: Duration,
    server_cpu: Duration,
}

#[expect(clippy::cast_precision_loss, reason = "a figure of four digits")]
impl Run {
    fn mib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }

    fn mib_per_cpu(&self) -> f64 {
        self.mib() / self.server_cpu.as_secs_f64()
    }

    fn mib_per_second(&self) -> f64 {
        self.mib() / self.took.as_secs_f64()
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} requests, {:.0} MiB in {:.2} s, {:.0} MiB/s, server CPU {:.2} s",
            self.count,
            self.mib(),
            self.took.as_secs_f64(),
            self.mib_per_second(),
            self.server_cpu.as_secs_f64()
        )
    }
}

fn cpu(clock: ClockId) -> Duration {
    let at = clock_gettime(clock);
    Duration::new(u64::try_from(at.tv_sec).unwrap_or(0), u32::try_from(at.tv_nsec).unwrap_or(0))
}

/// A repository to send to.
struct Target {
    address: SocketAddr,
    id: RepositoryId,
    token: String,
    password: String,
}

impl Target {
    fn make(app: &App, address: SocketAddr) -> anyhow::Result<Self> {
        let now = app.clock.now();
        let (proof_key, _) = seal::generate()?;
        let prepared = Prepared::make(&proof_key, RepositoryId::generate(now))?;
        prepared.store(&*app.blobs)?;
        let made =
            Self { address, id: prepared.id, token: prepared.token.clone(), password: prepared.password.clone() };
        app.store.act_blocking(move |conn| -> error::Result<()> {
            let token = check_in::add_token(conn, now)?;
            let id = DeviceId::generate(now);
            check_in::insert(conn, &check_in::device(id, now), id.to_string(), token)?;
            service::repository::insert(conn, &prepared, id, 1, now)?;
            Ok(())
        })?;
        Ok(made)
    }

    fn head(&self, method: &str, name: &str, headers: &str) -> String {
        let basic = BASE64_STANDARD.encode(format!("{}:{}", self.id, self.token));
        format!(
            "{method} /restic/{}/data/{name} HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic {basic}\r\n{headers}\r\n",
            self.id
        )
    }
}

/// The load generator.
struct Load {
    devices: Vec<Target>,
    /// Makes every object of every run different.
    next: AtomicUsize,
}

/// An object: eight bytes of its own, then what all objects of its size share.
struct Object {
    first: [u8; 8],
    name: String,
}

impl Load {
    fn post(&self, size: usize, count: usize) -> anyhow::Result<Run> {
        let body: Arc<Vec<u8>> = Arc::new(secret::bytes::<64>()?.into_iter().cycle().take(size).collect());
        let objects = self.objects(&body, count);
        self.run(objects, size, |stream, target, object| {
            let head = target.head("POST", &object.name, &format!("Content-Length: {size}\r\n"));
            stream.write_all(head.as_bytes())?;
            stream.write_all(&object.first)?;
            stream.write_all(body.get(8..).unwrap_or_default())?;
            answer(stream, &mut Vec::new()).map(drop)
        })
    }

    fn get(&self, count: usize) -> anyhow::Result<Run> {
        let body: Arc<Vec<u8>> = Arc::new(secret::bytes::<64>()?.into_iter().cycle().take(PACK).collect());
        let objects = self.objects(&body, self.devices.len() * CONNECTIONS_PER_DEVICE);
        let names: Vec<String> = objects.iter().map(|it| it.name.clone()).collect();
        self.run(objects, PACK, |stream, target, object| {
            let head = target.head("POST", &object.name, &format!("Content-Length: {PACK}\r\n"));
            stream.write_all(head.as_bytes())?;
            stream.write_all(&object.first)?;
            stream.write_all(body.get(8..).unwrap_or_default())?;
            answer(stream, &mut Vec::new()).map(drop)
        })?;
        let wanted = (0..count).filter_map(|at| names.get(at % names.len().max(1)));
        let wanted = wanted.map(|name| Object { first: [0; 8], name: name.clone() }).collect();
        self.run(wanted, PACK, |stream, target, object| {
            stream.write_all(target.head("GET", &object.name, "Range: bytes=0-\r\n").as_bytes())?;
            let mut buffer = vec![0; 256 << 10];
            let len = answer(stream, &mut buffer)?;
            if len == PACK { Ok(()) } else { Err(anyhow!("{len} bytes arrived")) }
        })
    }

    fn objects(&self, body: &[u8], count: usize) -> Vec<Object> {
        let make = |_| {
            let first = self.next.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            digest.update(&first);
            digest.update(body.get(8..).unwrap_or_default());
            Object { first, name: hex::encode(digest.finish()) }
        };
        (0..count).map(make).collect()
    }

    /// Object `n` always belongs to the same device, so that a later run can read it.
    fn run(
        &self,
        objects: Vec<Object>,
        size: usize,
        send: impl Fn(&mut BufReader<Stream>, &Target, &Object) -> anyhow::Result<()> + Sync,
    ) -> anyhow::Result<Run> {
        let connections = self.devices.len() * CONNECTIONS_PER_DEVICE;
        let (began, cpu_before) = (Instant::now(), cpu(ClockId::ProcessCPUTime));
        let of_load = std::thread::scope(|scope| {
            let (objects, send) = (&objects, &send);
            let threads: Vec<_> = (0..connections)
                .filter_map(|number| Some((number, self.devices.get(number % self.devices.len())?)))
                .map(|(number, target)| {
                    scope.spawn(move || -> anyhow::Result<Duration> {
                        let mut stream = BufReader::with_capacity(16 << 10, Stream::connect(target.address)?);
                        for object in objects.iter().skip(number).step_by(connections) {
                            send(&mut stream, target, object)?;
                        }
                        Ok(cpu(ClockId::ThreadCPUTime))
                    })
                })
                .collect();
            let ended = threads.into_iter().map(|it| it.join().map_err(|_panic| anyhow!("a load thread panicked"))?);
            ended.sum::<anyhow::Result<Duration>>()
        })?;
        let server_cpu = cpu(ClockId::ProcessCPUTime).saturating_sub(cpu_before).saturating_sub(of_load);
        Ok(Run { count: objects.len(), bytes: objects.len() * size, took: began.elapsed(), server_cpu })
    }
}

/// A connection that is read through a buffer and written directly.
struct Stream(TcpStream);

impl Stream {
    fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

trait WriteAll {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

impl WriteAll for BufReader<Stream> {
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.get_mut().0.write_all(bytes)
    }
}

/// Reads an answer and drops its body; returns the body's length.
fn answer(stream: &mut BufReader<Stream>, buffer: &mut Vec<u8>) -> anyhow::Result<usize> {
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(anyhow!("the server closed the connection"));
        }
        if status.is_empty() {
            status = line.trim().to_owned();
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    if !status.contains(" 200 ") && !status.contains(" 206 ") {
        return Err(anyhow!("the server answered {status}"));
    }
    buffer.resize(buffer.len().max(16 << 10), 0);
    let mut left = length;
    while left > 0 {
        let most = left.min(buffer.len());
        let got = stream.read(buffer.get_mut(..most).unwrap_or_default())?;
        if got == 0 {
            return Err(anyhow!("the body broke off"));
        }
        left -= got;
    }
    Ok(length)
}

/// A backup with the real restic, and what it cost the server.
fn restic(args: &Args, app: &App, address: SocketAddr) -> anyhow::Result<()> {
    let is_there = Command::new("restic").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|it| it.success()) {
        return say("skipped   restic is not installed");
    }
    let source = args.folder.join("source");
    make_source(&source, args.restic_mib)?;
    let mut runs = Vec::new();
    for _ in 0..args.runs.max(1) {
        let target = Target::make(app, address)?;
        let (began, cpu_before) = (Instant::now(), cpu(ClockId::ProcessCPUTime));
        let status = Command::new("restic")
            .args(["--quiet", "--no-cache", "backup"])
            .arg(&source)
            .env(
                "RESTIC_REPOSITORY",
                format!("rest:http://{}:{}@{address}/restic/{}/", target.id, target.token, target.id),
            )
            .env("RESTIC_PASSWORD", &target.password)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(anyhow!("restic ended with {status}"));
        }
        let id = target.id;
        let stored = app.store.read_blocking(move |conn| store::repository::find(conn, id))?;
        let (count, bytes) = stored.map_or((0, 0), |it| (it.object_count, it.stored_bytes));
        runs.push(Run {
            count: usize::try_from(count)?,
            bytes: usize::try_from(bytes)?,
            took: began.elapsed(),
            server_cpu: cpu(ClockId::ProcessCPUTime).saturating_sub(cpu_before),
        });
    }
    report(
        &format!("restic backup of {} MiB random and 20,000 small files", args.restic_mib),
        &runs,
        &|it| it.server_cpu.as_secs_f64(),
        "server CPU-seconds, goal 1.9",
    )?;
    say(&format!("          server memory so far: {}", peak_memory()))
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| {
        status.lines().find_map(|it| it.strip_prefix(name)).map(|it| it.trim().to_owned()).unwrap_or_default()
    };
    format!("{} now, {} at its peak", value("VmRSS:"), value("VmHWM:"))
}

fn make_source(folder: &Path, mib: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut random = std::fs::File::open("/dev/urandom")?.take((mib as u64) << 20);
    std::io::copy(&mut random, &mut std::fs::File::create(folder.join("random"))?)?;
    for number in 0..20_000 {
        let below = folder.join(format!("{:02}", number % 100));
        if number < 100 {
            std::fs::create_dir(&below)?;
        }
        std::fs::write(below.join(format!("{number}.txt")), format!("small file {number}\n").repeat(20))?;
    }
    Ok(())
}
