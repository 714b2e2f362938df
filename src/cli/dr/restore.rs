//! `holdfast dr restore`: an empty data folder, the way to the second store and three shares become the console again.
//!
//! Everything is made in `DATA/restore.part`, and the database is put in its place as the last step: as long as it is not
//! there, the same command begins again, and finds the backups that it has brought back already.
use super::blobs::{Back, bring_back};
use super::keys::{Brought, KeyOptions, renew};
use super::open::second_store;
use super::rebuilt::{Origin, Place, Rebuilt};
use super::report::{self, Report};
use super::stateless;
use crate::app;
use crate::blob::BlobStore;
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Identity, Opening, holds_backups};
use crate::cli::lock::Lock;
use crate::cli::output::say;
use crate::cli::serve::take;
use crate::config::{Config, Options};
use crate::error::Error;
use crate::proof;
use crate::service;
use crate::service::console_copy::Source;
use crate::store::{self, Database, Store};
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::activity::Actor;
use domain::id::RepositoryId;
use domain::time::Time;
use domain::words;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// What `dr restore` needs.
#[derive(Debug, clap::Args)]
pub struct RestoreOptions {
    #[command(flatten)]
    key: KeyOptions,
    /// Use no state of the console: bring devices and backups back from the escrow records beside them, and nothing else.
    /// For the day on which no state there can be read
    #[arg(long)]
    without_state: bool,
    #[command(flatten)]
    server: Options,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The folder in which a restore is made.
const PART: &str = "restore.part";

/// Brings the console back.
///
/// # Errors
/// When something is there already, the second store or the key cannot be read, or nothing there opens with it.
pub fn run(options: RestoreOptions, file: Options) -> anyhow::Result<ExitCode> {
    proof::confine::close_memory()?;
    let RestoreOptions { key: options_key, without_state, server, json } = options;
    let config = Config::new(server.or(file))?;
    let Database::Sqlite(database) = config.database.clone() else {
        return Err(anyhow!(
            "this restores an SQLite database. For PostgreSQL, `holdfast dr export` gives the newest dump: load it with \
             pg_restore, then start the server with --adopt-blobs and its proof key"
        ));
    };
    let _lock: Lock = take(&config.data)?;
    let part = config.data.join(PART);
    refuse_over_something(&config, &database, &part)?;
    let copy = second_store(&config)?;
    let brought = Brought::read(&options_key)?;
    let earlier = earlier(&part);
    clear(&part, earlier.as_ref())?;
    let (in_part, key) = (part.join("holdfast.db"), part.join("proof.key"));
    let place = Place { database: in_part, key, blobs: config.blobs.clone(), earlier };
    let done = rebuild(&*copy, &brought, &place, without_state, Clock::System.now())?;
    let report = Report::of(&done);
    // Nobody may have the database open while it is moved.
    drop(done);
    finish(&part, &place, &database, &config.proof_key)?;
    report::print_report(&report, json)?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn refuse_over_something(config: &Config, database: &Path, part: &Path) -> anyhow::Result<()> {
    let is_interrupted = part.exists();
    let found = if !Store::is_new(&config.database)? {
        format!("there is a database at {}", database.display())
    } else if !is_interrupted && config.proof_key.try_exists()? {
        format!("there is a key at {}", config.proof_key.display())
    } else if !is_interrupted && holds_backups(&config.blobs).context("looking for backups")? {
        format!("{} holds backups", config.blobs.display())
    } else {
        return Ok(());
    };
    Err(anyhow!("{found}: nothing is restored over it. Choose an empty folder with --data, or move it away"))
}

/// The identity that an interrupted attempt gave its database, and the folder of backups with it; none if there is none to
/// be read.
fn earlier(part: &Path) -> Option<Identity> {
    let database = part.join("holdfast.db");
    let of_database = || {
        let store = Store::open_read_only(&Database::Sqlite(database.clone())).ok()?;
        store.read_blocking(service::ground::known_identity).ok()?
    };
    let of_file = || serde_json::from_slice(&fs::read(part.join(EARLIER)).ok()?).ok();
    database.exists().then(of_database).flatten().or_else(of_file)
}

/// In the folder of an attempt: the identity that the one before made.
const EARLIER: &str = "identity.json";

/// Removes what an interrupted attempt left, except for the identity that it made: that is on the disk before anything goes,
/// or the folder of backups would bear one that nobody knows.
fn clear(part: &Path, earlier: Option<&Identity>) -> anyhow::Result<()> {
    if let Some(earlier) = earlier {
        // Beside it and renamed: the file of the attempt before that one stays whole until then.
        let new = part.join("identity.part");
        let mut file = fs::File::create(&new).context("keeping what an earlier attempt made")?;
        file.write_all(&serde_json::to_vec(earlier)?)?;
        file.sync_all()?;
        fs::rename(new, part.join(EARLIER))?;
        fs::File::open(part)?.sync_all()?;
    }
    let entries = match fs::read_dir(part) {
        Err(error) if error.kind() == ErrorKind::NotFound => return app::make_private_folder(part),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == EARLIER && earlier.is_some() {
            continue;
        }
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    app::make_private_folder(part)
}

/// What to do if no state can be used.
const WITHOUT: &str = "with `--without-state` and three recovery shares, devices and backups come back from the escrow \
                       records there, and nothing else does";

/// Brings database, keys and backups back to `place`, and leaves the second store as it is.
///
/// # Errors
/// When nothing there opens with the key, nothing is whole, or something cannot be written.
pub fn rebuild(
    copy: &dyn BlobStore,
    brought: &Brought,
    place: &Place,
    without_state: bool,
    now: Time,
) -> anyhow::Result<Rebuilt> {
    if without_state {
        return stateless::rebuild(copy, brought, place, now);
    }
    say("Looking for the newest state of the console…");
    let holders = [brought.holder()?];
    let fetched = service::console_copy::fetch(copy, &holders, &place.database, now).context(WITHOUT)?;
    let fetched = fetched.ok_or_else(|| {
        anyhow!(
            "no state there opens with this key: either it is of another console, or the second store is not the right \
             one, or the server never kept its state there, or somebody deleted what was there: `holdfast dr undelete` \
             looks for that in a bucket that keeps versions; {WITHOUT}"
        )
    })?;
    if fetched.source == Source::Dump {
        return Err(anyhow!("the newest state is a dump of PostgreSQL: get it with `holdfast dr export`"));
    }
    service::console_copy::check(&place.database, fetched.counts.as_ref())?;
    say(&format!("The state of {} is whole.", fetched.head.taken_at.iso()));
    let store = Store::open(&Database::Sqlite(place.database.clone()))?;
    let closed = renew(&store, brought, &place.key, now)?;
    let identity = store.write_blocking(move |conn| service::ground::identity(conn, now))?;
    let blobs: Arc<dyn BlobStore> = Arc::new(FsBlobs::open_home(&place.blobs, &identity, Opening::New)?);
    let back = bring_all_back(&store, copy, &*blobs, now)?;
    let taken_at = fetched.head.taken_at;
    store.act_blocking(move |conn| service::console_copy::restored(conn, &Actor::system(), taken_at, now))?;
    Ok(Rebuilt { store, blobs, from: Origin::State(fetched), closed, back })
}

fn bring_all_back(
    store: &Store,
    copy: &dyn BlobStore,
    blobs: &dyn BlobStore,
    now: Time,
) -> anyhow::Result<Vec<(RepositoryId, Back)>> {
    let ids = store.read_blocking(store::ground::repositories)?;
    let (mut bytes, mut back) = (0, Vec::new());
    for (at, id) in ids.iter().enumerate() {
        let one = bring_back(store, (copy, blobs), *id, now)?;
        bytes += one.bytes;
        back.push((*id, one));
        say(&format!("{} of {} repositories, {}", at + 1, ids.len(), words::bytes(bytes)));
    }
    Ok(back)
}

/// Puts key and database in their place: the database last, as it is what says that all is done.
fn finish(part: &Path, place: &Place, database: &Path, key: &Path) -> anyhow::Result<()> {
    let rename = |from: &Path, to: &Path| -> anyhow::Result<()> {
        fs::rename(from, to).with_context(|| format!("moving {} to {}", from.display(), to.display()))?;
        let folder = to.parent().unwrap_or(to);
        fs::File::open(folder)?.sync_all().with_context(|| format!("writing {}", folder.display()))
    };
    store::checkpoint(&place.database)?;
    rename(&place.key.with_extension("pub"), &key.with_extension("pub"))?;
    rename(&place.key, key)?;
    rename(&place.database, database)?;
    fs::remove_dir_all(part).map_err(|error| Error::Internal(error.into()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_was_interrupted_is_known_again_however_far_it_had_come() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join(PART);
        assert_eq!(earlier(&part), None);
        clear(&part, None).unwrap();
        assert_eq!(earlier(&part), None, "it had made nothing");
        let store = Store::open(&Database::Sqlite(part.join("holdfast.db"))).unwrap();
        let made = store.write_blocking(|conn| service::ground::identity(conn, Time::from_millis(1))).unwrap();
        drop(store);
        assert_eq!(earlier(&part).as_ref(), Some(&made));

        // The next one ends before it has a database.
        clear(&part, Some(&made)).unwrap();
        assert!(!part.join("holdfast.db").exists());
        assert_eq!(earlier(&part).as_ref(), Some(&made));
        clear(&part, Some(&made)).unwrap();
        assert_eq!(earlier(&part).as_ref(), Some(&made), "and again");
        fs::write(part.join(EARLIER), b"{").unwrap();
        assert_eq!(earlier(&part), None);
    }
}
