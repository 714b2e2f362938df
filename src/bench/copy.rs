//! `holdfast bench copy`: how fast the second store fills.
//!
//! Packs of random bytes, in a backup store with its ledger, are copied to a bucket: read, compared with their names,
//! sent with their hash, and each row written once its object is there. The floor is the same bytes, put by as many
//! threads that do nothing else.
use crate::app::App;
use crate::bench::device::{add_token, device, insert};
use crate::bench::machine;
use crate::bench::server::say;
use crate::blob::BlobStore;
use crate::blob::bucket::{Access, Bucket, Patience};
use crate::config::{Config, Options};
use crate::error;
use crate::service::backup;
use crate::service::copy::Replicator;
use crate::service::repository::{Prepared, Recipients};
use crate::service::setting::COPY_SPEED;
use crate::{service, store};
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::id::{DeviceId, RepositoryId};
use domain::object::{ObjectKind, TokenKind};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer;
use secret::seal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The S3 server, such as `http://127.0.0.1:8333`
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// A bucket that is there; what is measured goes to `bench/` in it, and stays
    #[arg(long)]
    bucket: String,
    #[arg(long, value_name = "KEY", env = "HOLDFAST_COPY_ACCESS_KEY")]
    access_key: String,
    #[arg(long, value_name = "SECRET", env = "HOLDFAST_COPY_SECRET_KEY", hide_env_values = true)]
    secret_key: String,
    /// Packs of 16 MiB in one run
    #[arg(long, default_value_t = 48)]
    packs: usize,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Folder for the database and backups; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
}

const PACK: usize = 16 << 20;
/// As many as are copied at once.
const THREADS: usize = 4;

/// Measures and prints.
///
/// # Errors
/// When an object cannot be copied: a figure with errors is not a result.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure(args: &Args) -> anyhow::Result<()> {
    let options = Options { data: Some(args.folder.join("data")), ..Options::default() };
    let app = App::open(Config::new(options)?, Clock::System)?;
    say(&format!("machine: {}; backups on {}", machine::describe(), machine::file_system(&args.folder)))?;
    say(&format!("settings: {} packs of 16 MiB, {} runs, to {}", args.packs, args.runs, args.endpoint))?;
    app.store.write_blocking(|conn| COPY_SPEED.key.set(conn, &10_000, domain::time::Time::from_millis(0)))?;
    let (repository, packs) = fill(&app, args.packs)?;
    let (mut floors, mut copies) = (Vec::new(), Vec::new());
    for number in 1..=args.runs.max(1) {
        let access = access(args, number);
        floors.push(plain(&access, &packs)?);
        copies.push(copied(&app, &access, repository, args.packs)?);
        let (floor, copy) = (last(&floors), last(&copies));
        say(&format!("run {number}: copied {copy:.1} MiB/s, plain PUTs {floor:.1} MiB/s"))?;
    }
    let (floor, copy) = (median(floors), median(copies));
    say(&format!("median: copied {copy:.1} MiB/s, plain PUTs {floor:.1} MiB/s, ratio {:.2}", copy / floor))
}

fn last(figures: &[f64]) -> f64 {
    figures.last().copied().unwrap_or_default()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Each run has keys of its own.
fn access(args: &Args, number: usize) -> Access {
    Access {
        endpoint: args.endpoint.trim_end_matches('/').to_owned(),
        bucket: args.bucket.clone(),
        prefix: format!("bench/{}/{number}", uuid::Uuid::new_v4().simple()),
        region: "us-east-1".to_owned(),
        access_key: args.access_key.clone(),
        secret_key: args.secret_key.clone(),
    }
}

/// A repository with packs of random bytes; returns these too.
fn fill(app: &App, count: usize) -> anyhow::Result<(RepositoryId, Vec<Vec<u8>>)> {
    let now = app.clock.now();
    let (proof_key, _) = seal::generate()?;
    let prepared = Prepared::make(&Recipients::only(proof_key), RepositoryId::generate(now))?;
    prepared.store(&*app.blobs)?;
    let repository = prepared.id;
    app.store.act_blocking(move |conn| -> error::Result<()> {
        let token = add_token(conn, now)?;
        let id = DeviceId::generate(now);
        insert(conn, &device(id, now), id.to_string(), token)?;
        service::repository::insert(conn, &prepared, id, 1, now).map(drop)
    })?;
    let mut packs = Vec::new();
    for _ in 0..count {
        let mut bytes = vec![0; PACK];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_why| anyhow!("the operating system provided no randomness"))?;
        let kept = backup::keep(&*app.blobs, repository, ObjectKind::Data, &bytes)?;
        let (key, size) = (kept.key.clone(), kept.size);
        app.store.act_blocking(move |conn| backup::received(conn, &key, size, TokenKind::Agent, now))?;
        kept.settle();
        packs.push(bytes);
    }
    Ok((repository, packs))
}

/// MiB per second of the whole way.
fn copied(app: &App, access: &Access, repository: RepositoryId, packs: usize) -> anyhow::Result<f64> {
    app.store.write_blocking(move |conn| store::copy::forget(conn, repository))?;
    let copy: Arc<dyn BlobStore> = Arc::new(Bucket::new(access, Patience::default())?.unnamed());
    let replicator = Replicator::new(app.store.clone(), Arc::clone(&app.blobs), copy);
    let (begun, mut done) = (Instant::now(), 0);
    loop {
        let run = replicator.run(app.clock.now())?;
        if run.failed {
            return Err(anyhow!("an object could not be copied; see the log"));
        }
        done += run.copied;
        // The config and a key are there, too.
        if done >= packs + 2 {
            return Ok(rate(packs, begun.elapsed()));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure of three digits")]
fn rate(packs: usize, took: Duration) -> f64 {
    (packs * PACK) as f64 / f64::from(1 << 20) / took.as_secs_f64()
}

/// MiB per second of the same bytes, put by threads that do nothing else.
fn plain(access: &Access, packs: &[Vec<u8>]) -> anyhow::Result<f64> {
    let addresses = sign(access, packs.len())?;
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let work = || -> anyhow::Result<()> {
        let agent = ureq::Agent::new_with_defaults();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (Some(address), Some(bytes)) = (addresses.get(number), packs.get(number)) else { return Ok(()) };
            agent.put(address).send(bytes.as_slice()).context("putting an object")?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|it| it.join().map_err(|_panic| anyhow!("a thread failed"))?)
    })?;
    Ok(rate(packs.len(), begun.elapsed()))
}

/// Addresses that may be put to without a key.
fn sign(access: &Access, count: usize) -> anyhow::Result<Vec<String>> {
    let s3: AmazonS3 = AmazonS3Builder::new()
        .with_endpoint(&access.endpoint)
        .with_allow_http(true)
        .with_region(&access.region)
        .with_bucket_name(&access.bucket)
        .with_access_key_id(&access.access_key)
        .with_secret_access_key(&access.secret_key)
        .build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let paths = (0..count).map(|number| Path::from(format!("{}/plain/{number}", access.prefix)));
    paths
        .map(|path| {
            let signed = s3.signed_url(ureq::http::Method::PUT, &path, Duration::from_secs(3600));
            Ok(runtime.block_on(signed)?.to_string())
        })
        .collect()
}
