//! `holdfast bench recovery`: what it takes to find what is verified next, with the ledger of a large organisation.
//!
//! Each device has as many objects as 20 GiB in packs of 16 MiB, read back at times spread over a cycle. The planner of
//! the server's own job is asked for one batch after the other, and each batch is marked as read.
use crate::app::App;
use crate::bench::device::{add_token, device, insert};
use crate::bench::machine;
use crate::bench::server::say;
use crate::config::{Config, Options};
use crate::service::verification::next_batch;
use crate::store::object::Object;
use crate::store::repository::Repository;
use crate::store::{self, Store};
use anyhow::Context;
use clock::Clock;
use domain::id::{DeviceId, EnrollmentTokenId, RepositoryId};
use domain::key_holder::KeyHolder;
use domain::object::{Location, ObjectKind, ObjectName, RepositoryState};
use domain::time::{Time, days, minutes};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Devices
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Objects of each
    #[arg(long, default_value_t = 1_300)]
    objects: u32,
    /// Batches; the median and the slowest count
    #[arg(long, default_value_t = 20)]
    batches: u32,
    /// Folder for the database and backups; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
    /// Another database, such as postgres://…
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

const CYCLE: Duration = days(30);

/// Measures and prints.
///
/// # Errors
/// When the database refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure(args: &Args) -> anyhow::Result<()> {
    let options =
        Options { data: Some(args.folder.join("data")), database: args.database.clone(), ..Options::default() };
    let app = App::open(Config::new(options)?, Clock::System)?;
    let now = app.clock.now();
    say(&format!("machine   {}", machine::describe()))?;
    let database = if app.store.is_shared() { "PostgreSQL" } else { "SQLite" };
    let begun = Instant::now();
    let rows = fill(args, &app.store, now)?;
    say(&format!(
        "settings  {database}, {} devices with {} objects each: {rows} rows, made in {:.0} s",
        args.devices,
        args.objects,
        begun.elapsed().as_secs_f64()
    ))?;
    // Making the rows is no part of what is measured.
    machine::forget_peak().context("forgetting the peak of memory")?;
    let mut took = Vec::new();
    for number in 0..args.batches.max(1) {
        took.push(batch(&app.store, now + minutes(number.into()))?);
    }
    took.sort();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    let slowest = took.last().copied().unwrap_or_default();
    say(&format!(
        "planner   {:9.1}  ms for the next batch, median; {:.1} ms the slowest; goal 1,000, on PostgreSQL",
        ms(median),
        ms(slowest)
    ))?;
    say(&format!("memory    {} of this process, without the database’s own; goal 300 MiB", machine::peak_memory()))
}

/// Finds the next batch, and marks it as read; returns how long finding it took.
fn batch(store: &Store, now: Time) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let batch = store.read_blocking(move |conn| next_batch(conn, Location::Primary, CYCLE, now))?;
    let took = begun.elapsed();
    anyhow::ensure!(!batch.is_empty(), "nothing was due");
    store.write_blocking(move |conn| -> crate::error::Result<()> {
        for it in &batch {
            store::verification::mark_read_back(conn, Location::Primary, it, now)?;
        }
        Ok(())
    })?;
    Ok(took)
}

fn fill(args: &Args, store: &Store, now: Time) -> anyhow::Result<u64> {
    let template = RepositoryId::generate(now);
    let count = args.objects;
    store.act_blocking(move |conn| -> crate::error::Result<()> {
        let token = add_token(conn, now)?;
        add(conn, template, token, count, now)?;
        for number in 0..count {
            let name = ObjectName::from_hash(&secret::sha256(&number.to_le_bytes()));
            let received_at = now - days(90);
            let (kind, size_bytes) = (ObjectKind::Data, 16 << 20);
            let object = Object { repository_id: template, kind, name, size_bytes, received_at };
            store::object::insert(conn, &object, Location::Primary)?;
            // The last ones were never read.
            if number + 10 < count {
                let ago = CYCLE * number / count;
                let seen = next_of(conn, &object)?;
                store::verification::mark_read_back(conn, Location::Primary, &seen, now - ago)?;
            }
        }
        Ok(())
    })?;
    let mut rows = u64::from(count);
    for number in 1..args.devices {
        let later = Duration::from_millis(u64::from(number) * 37);
        rows += store.act_blocking(move |conn| -> crate::error::Result<u64> {
            let (token, id) = (add_token(conn, now)?, RepositoryId::generate(now));
            add(conn, id, token, count, now)?;
            Ok(store::ledger::copy_rows(conn, template, id, later)? as u64)
        })?;
    }
    Ok(rows)
}

fn next_of(conn: &mut store::Conn, object: &Object) -> crate::error::Result<store::verification::SizedCopy> {
    let Object { repository_id, kind, name, size_bytes, received_at } = object.clone();
    let found = store::copy::find(conn, Location::Primary, repository_id, kind, &name)?;
    let rank = found.ok_or(crate::error::Error::NotFound("copy"))?.rank;
    let (verified_at, damaged_at, added_at) = (None, None, received_at);
    Ok(store::verification::SizedCopy {
        repository_id,
        kind,
        name,
        size_bytes,
        rank,
        added_at,
        verified_at,
        damaged_at,
    })
}

fn add(
    conn: &mut store::Conn,
    id: RepositoryId,
    token: EnrollmentTokenId,
    count: u32,
    now: Time,
) -> crate::error::Result<()> {
    let owner = DeviceId::generate(now);
    insert(conn, &device(owner, now), owner.to_string(), token)?;
    let repository = Repository {
        id,
        device_id: owner,
        generation: 1,
        state: RepositoryState::Active,
        sealed_master_key: String::new(),
        team_key_id: None,
        quota_bytes: i64::MAX,
        stored_bytes: i64::from(count) << 24,
        object_count: count.into(),
        newest_at: now,
        created_at: now,
        key_holder: KeyHolder::Server,
    };
    Ok(store::repository::insert(conn, &repository)?)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
