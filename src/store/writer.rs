//! The one writer of an SQLite database: a thread that commits waiting writes in groups.
//!
//! Each write runs in its own savepoint, so that a failing one undoes only itself; the group is committed once,
//! with `synchronous=FULL`, and only then is anyone answered. One sync serves many writers: that is what makes
//! thousands of durable check-ins a second possible on a disk that can sync
//! only hundreds of times.
use crate::error::{Error, Result};
use crate::store::connection::{Conn, Database, Transactions, connect};
use crate::store::wanted;
use crate::wake::{Wake, Wanted};
use anyhow::anyhow;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The most writes that share one commit.
const GROUP: usize = 256;

/// How many pages the log may hold before they are copied; SQLite's own default.
const LOG_PAGES: i64 = 1000;

/// What a write left: whether to keep it, and whom to wake and to answer after the commit.
struct Done {
    keep: bool,
    wanted: Vec<Wanted>,
    answer: Answer,
}

/// Receives why the commit failed, if it did.
type Answer = Box<dyn FnOnce(std::result::Result<(), &str>) + Send>;

type Write = Box<dyn FnOnce(&mut Conn) -> Done + Send>;

/// The writer thread; it ends, after the writes it has taken, when this is dropped.
pub(super) struct Writer {
    queue: Option<Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread with its connection; `path` is for opening it again.
    pub fn start(path: PathBuf, conn: Conn, wake: Wake) -> anyhow::Result<Self> {
        let mut conn = conn;
        prepare(&mut conn)?;
        let (queue, waiting) = channel();
        let thread =
            std::thread::Builder::new().name("writer".to_owned()).spawn(move || run(&path, conn, &waiting, &wake))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands over a write; the receiver gets its result after the commit.
    pub fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T>>> {
        let (sender, receiver) = oneshot::channel();
        let write: Write = Box::new(move |conn| {
            let (result, wanted) = wanted::collect(|| work(conn));
            let keep = result.is_ok();
            // A send fails only if the caller has gone: then nobody is left to tell.
            let answer: Answer = Box::new(move |commit: std::result::Result<(), &str>| {
                let _ = sender.send(match commit {
                    Ok(()) => result,
                    // If the write itself failed, its own reason says more.
                    Err(why) => result.and(Err(commit_failed(why))),
                });
            });
            Done { keep, wanted, answer }
        });
        let queue = self.queue.as_ref().ok_or_else(|| anyhow!("the database writer has stopped"))?;
        queue.send(write).map_err(|_gone| anyhow!("the database writer has stopped"))?;
        Ok(receiver)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database writer ended in a panic");
        }
    }
}

fn commit_failed(why: &str) -> Error {
    if why.contains("database or disk is full") {
        Error::Full(crate::error::DISK_FULL.to_owned())
    } else if why.contains("readonly database") {
        Error::Full(crate::error::DISK_READ_ONLY.to_owned())
    } else {
        Error::Internal(anyhow!("the change was not kept: {why}"))
    }
}

fn run(path: &std::path::Path, mut conn: Conn, waiting: &Receiver<Write>, wake: &Wake) {
    while let Ok(first) = waiting.recv() {
        // Only what waits already: nobody waits for a group to fill.
        let group: Vec<Write> = std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1)).collect();
        let clean = commit_group(&mut conn, group, wake);
        if clean {
            checkpoint(&mut conn);
        } else {
            let fresh = connect(&Database::Sqlite(path.to_owned())).and_then(|mut it| {
                prepare(&mut it)?;
                Ok(it)
            });
            match fresh {
                Ok(fresh) => conn = fresh,
                // The old one stays: opening is tried again after the next group that fails.
                Err(error) => tracing::error!(?error, "the database could not be opened again"),
            }
        }
    }
}

/// A group of check-ins touches more pages than a reader's cache holds. The log is copied by [`checkpoint`].
fn prepare(conn: &mut Conn) -> QueryResult<()> {
    conn.batch_execute("PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 0")
}

#[derive(QueryableByName)]
struct Log {
    #[diesel(sql_type = BigInt)]
    log: i64,
    #[diesel(sql_type = BigInt)]
    checkpointed: i64,
}

/// Copies the log into the database's file when it has become long. SQLite would do so by itself after a commit,
/// but says nothing if the file could not be synced.
fn checkpoint(conn: &mut Conn) {
    let mut log = |mode| diesel::sql_query(format!("PRAGMA wal_checkpoint({mode})")).get_result::<Log>(conn);
    let done = log("NOOP").and_then(|it| {
        let is_long = it.log >= LOG_PAGES && it.log > it.checkpointed;
        if is_long { log("PASSIVE").map(drop) } else { Ok(()) }
    });
    if let Err(error) = done {
        let why = error.to_string();
        stop_on_sync_error(&why);
        tracing::warn!(why, "the database's log could not be copied into its file; it is tried again");
    }
}

/// Runs a group in one transaction and answers it. False when the connection must be replaced.
fn commit_group(conn: &mut Conn, group: Vec<Write>, wake: &Wake) -> bool {
    if let Err(error) = begin(conn) {
        // Dropped without running: each sender goes with its write, and each caller learns that nothing was
        // kept.
        tracing::error!(%error, count = group.len(), "a group of writes could not begin");
        return false;
    }
    let mut done = Vec::with_capacity(group.len());
    let mut panicked = false;
    for write in group {
        if panicked {
            // Not run: its sender is dropped, and the caller learns that it was not kept.
            drop(write);
            continue;
        }
        match catch_unwind(AssertUnwindSafe(|| in_savepoint(conn, write))) {
            Ok(Ok(it)) => done.push(it),
            Ok(Err((it, error))) => {
                // SQLite has rolled the whole transaction back (a full disk, an I/O error).
                done.extend(it);
                return answer_all(done, Err(&error.to_string()), false);
            }
            Err(_) => panicked = true,
        }
    }
    if panicked {
        tracing::error!("a database write panicked; its group was not kept");
        return answer_all(done, Err("another write in the same group failed badly; try again"), false);
    }
    match Transactions::commit_transaction(conn) {
        Ok(()) => {
            // Only now: whoever is woken must find the rows.
            done.iter().flat_map(|it| &it.wanted).for_each(|it| wake.tell(*it));
            answer_all(done, Ok(()), true)
        }
        Err(error) => {
            let why = error.to_string();
            stop_on_sync_error(&why);
            answer_all(done, Err(&why), false)
        }
    }
}

fn begin(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        // The write lock first: a transaction that reads first and writes later
        // fails at once when another writer came between.
        Conn::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
        Conn::Postgres(_) => Transactions::begin_transaction(conn),
    }
}

fn in_savepoint(conn: &mut Conn, write: Write) -> std::result::Result<Done, (Option<Done>, diesel::result::Error)> {
    if let Err(error) = Transactions::begin_transaction(conn) {
        return Err((None, error));
    }
    let done = write(conn);
    let ended =
        if done.keep { Transactions::commit_transaction(conn) } else { Transactions::rollback_transaction(conn) };
    match ended {
        Ok(()) => Ok(done),
        Err(error) => Err((Some(done), error)),
    }
}

fn answer_all(done: Vec<Done>, commit: std::result::Result<(), &str>, clean: bool) -> bool {
    for it in done {
        (it.answer)(commit);
    }
    clean
}

/// After a failed sync nobody knows what is on disk, and a second try would
/// "succeed" while data is gone (PostgreSQL's fsync lesson of 2018): stop, so
/// that the next start reads what is really there.
fn stop_on_sync_error(why: &str) {
    if why.contains("disk I/O error") {
        tracing::error!(
            why,
            "the disk failed while committing; stopping, so that nothing is acknowledged that was not kept"
        );
        std::process::exit(70);
    }
}

#[cfg(test)]
mod tests {
    use crate::store::setting::Key;
    use crate::store::{Database, Store};
    use domain::time::Time;

    #[test]
    fn the_log_is_copied_into_the_file_before_it_grows_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let store = Store::open(&Database::Sqlite(path.clone())).unwrap();
        for number in 0..400 {
            let key: Key<String> = Key::new("long");
            let value = format!("{number}").repeat(7_000);
            store.write_blocking(move |conn| key.set(conn, &value, Time::from_millis(number))).unwrap();
        }

        // All of it would be 10 MB and more.
        let log = path.with_extension("db-wal").metadata().unwrap().len();
        assert!(log < 5 << 20, "{log} bytes");
    }
}
