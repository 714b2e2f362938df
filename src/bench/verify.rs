//! `holdfast bench verify`: what reading stored backups back costs.
//!
//! Packs of random bytes in a real store and ledger are read past the system's cache, hashed, and marked in the
//! database, by the code of the server's own job. The processor time is that of the whole process. Beside it stands the
//! floor: hashing as many bytes that are already in memory.
use crate::app::App;
use crate::bench::device::{add_token, device, insert};
use crate::bench::machine;
use crate::bench::server::say;
use crate::config::{Config, Options};
use crate::service::backup;
use crate::service::repository::{self, Prepared, Recipients};
use crate::service::verification::{Place, Turn, Verifier};
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::id::{DeviceId, RepositoryId};
use domain::object::{Location, ObjectKind, TokenKind};
use domain::time::{Time, days};
use domain::verification::{Budget, Settings};
use rustix::time::ClockId;
use secret::seal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Packs
    #[arg(long, default_value_t = 128)]
    packs: u64,
    /// The size of each
    #[arg(long, default_value_t = 16 << 10, value_name = "KIB")]
    size: u64,
    /// Runs; the median counts
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Folder for the database and backups; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
}

const CYCLE: Duration = days(30);

/// Measures and prints.
///
/// # Errors
/// When not every pack was found intact in each run: then the figure does not count.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure(args: &Args) -> anyhow::Result<()> {
    let app =
        App::open(Config::new(Options { data: Some(args.folder.join("data")), ..Options::default() })?, Clock::System)?;
    say(&format!("machine   {}", machine::describe()))?;
    say(&format!(
        "settings  {} packs of {} KiB of random bytes, SQLite with synchronous=FULL, on {}",
        args.packs,
        args.size,
        machine::file_system(&args.folder)
    ))?;
    let now = app.clock.now();
    fill(args, &app, now)?;
    let verifier = Verifier::new(
        app.store.clone(),
        Place { location: Location::Primary, blobs: Arc::clone(&app.blobs) },
        Settings { budget: Budget { mib_per_second: u32::MAX }, cycle: CYCLE },
        Arc::new(|| false),
    );
    let (mut rates, mut floors) = (Vec::new(), Vec::new());
    for number in 0..args.runs.max(1) {
        // Each run is in a cycle of its own.
        let (rate, took) = read_back(args, &verifier, now + CYCLE * number)?;
        let floor = machine::sha256_rate(bytes(args))?;
        say(&format!(
            "  run     {rate:9.0}  MiB/CPU-s, {:.0} MiB/s; SHA-256 alone {floor:.0} MiB/CPU-s",
            mib(bytes(args)) / took.as_secs_f64()
        ))?;
        rates.push(rate);
        floors.push(floor);
    }
    let (rate, floor) = (median(&mut rates), median(&mut floors));
    say(&format!("median    {rate:9.0}  MiB per CPU-second read back, goal 1,536"))?;
    say(&format!("median    {floor:9.0}  MiB per CPU-second by SHA-256 alone; {:.2} of that is reached", rate / floor))
}

const fn bytes(args: &Args) -> u64 {
    args.packs * (args.size << 10)
}

fn fill(args: &Args, app: &App, now: Time) -> anyhow::Result<()> {
    let (proof_key, _) = seal::generate()?;
    let prepared = Prepared::make(&Recipients::only(proof_key), RepositoryId::generate(now))?;
    prepared.store(&*app.blobs)?;
    let id = prepared.id;
    app.store.act_blocking(move |conn| -> crate::error::Result<()> {
        let token = add_token(conn, now)?;
        let owner = DeviceId::generate(now);
        insert(conn, &device(owner, now), owner.to_string(), token)?;
        repository::insert(conn, &prepared, owner, 1, now)?;
        Ok(())
    })?;
    let mut pack = vec![0; usize::try_from(args.size << 10)?];
    for _ in 0..args.packs {
        aws_lc_rs::rand::fill(&mut pack).map_err(|_why| anyhow!("the operating system gave no randomness"))?;
        let kept = backup::keep(&*app.blobs, id, ObjectKind::Data, &pack)?;
        let (key, size) = (kept.key.clone(), kept.size);
        app.store.write_blocking(move |conn| backup::received(conn, &key, size, TokenKind::Agent, now))?;
        kept.settle();
    }
    Ok(())
}

/// Reads everything once; returns MiB per second of processor time, and how long it took.
fn read_back(args: &Args, verifier: &Verifier, now: Time) -> anyhow::Result<(f64, Duration)> {
    let (begun, before) = (Instant::now(), machine::cpu(ClockId::ProcessCPUTime));
    let mut looked_at = 0;
    loop {
        let turn @ Turn { more, damaged, .. } = verifier.read_back(now)?;
        looked_at += turn.looked_at;
        if damaged > 0 {
            return Err(anyhow!("{damaged} packs are damaged"));
        }
        if !more {
            break;
        }
    }
    let (took, used) = (begun.elapsed(), machine::cpu(ClockId::ProcessCPUTime).saturating_sub(before));
    // The packs, and what opens their repository.
    if u64::try_from(looked_at)? != args.packs + 2 {
        return Err(anyhow!("{looked_at} objects were read, not {}", args.packs + 2));
    }
    Ok((mib(bytes(args)) / used.as_secs_f64(), took))
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
