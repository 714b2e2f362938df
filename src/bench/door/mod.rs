//! `holdfast bench door`: what a backup costs the server.
//!
//! A real server on a loopback port. Its CPU time is that of the whole process without the load generator's
//! threads; restic is a separate process.
mod load;
mod restic;
mod run;
mod target;

use crate::app::App;
use crate::bench::machine;
use crate::bench::server::{say, serve};
use crate::config::{Config, Options};
use anyhow::Context;
use clock::Clock;
use load::Load;
use restic::restic;
use run::{Run, report};
use std::net::SocketAddr;
use std::path::PathBuf;
use target::Target;

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
/// How much is hashed for the floor.
const FLOOR_BYTES: u64 = 1 << 30;

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
    let load = Load::new(devices);
    let posts = repeat(args.runs, || load.post(PACK, args.packs))?;
    let rate = report("16 MiB packs in ", &posts, &|it| it.mib_per_cpu(), "MiB per server CPU-second, goal 1,100")?;
    let floor = machine::sha256_rate(FLOOR_BYTES)?;
    let ratio = rate / floor;
    say(&format!("floor     {floor:9.1}  MiB per CPU-second by SHA-256 alone; {ratio:.2} of that is reached"))?;
    let reads = repeat(args.runs, || load.get(args.packs))?;
    report("16 MiB packs out", &reads, &|it| it.mib_per_second() / 1024.0, "GiB/s, goal 1.5")?;
    let small = repeat(args.runs, || load.post(SMALL, args.objects))?;
    report("64 KiB objects in", &small, &|it| it.per_second(), "POST/s, goal 1,900").map(drop)
}

fn repeat(runs: usize, mut once: impl FnMut() -> anyhow::Result<Run>) -> anyhow::Result<Vec<Run>> {
    (0..runs.max(1)).map(|_| once()).collect()
}
