//! One connection type over two databases, and the two ways in: read and write.
use crate::error::{self, Error};
use crate::store::migration;
use crate::store::presence::Presence;
use crate::store::writer::Writer;
use anyhow::{Context, anyhow};
use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use domain::time::Time;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Postgres(PgConnection),
    // Last: the SQLite driver takes any string as a path.
    Sqlite(SqliteConnection),
}

impl Conn {
    /// Whether this is PostgreSQL, for the few statements that differ.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

pub(super) type Transactions = <Conn as Connection>::TransactionManager;

/// Which database, read from a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    /// `postgres://user@host/name`.
    Postgres(String),
}

impl Database {
    /// Reads `postgres://…`, `sqlite://path` or a path.
    ///
    /// # Errors
    /// When the text has another scheme: a typo must not become a new, empty file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").unwrap_or(text);
        if path.contains("://") {
            return Err(anyhow!("the database must be `postgres://…`, `sqlite://PATH` or a path, not `{text}`"));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// Its name in messages, never with its password.
    pub fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(url) => {
                let place = url.rsplit_once('@').or_else(|| url.split_once("://")).map_or("", |it| it.1);
                format!("postgres://{}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

/// Waits at most this long for a connection; then the answer is "busy".
const POOL_WAIT: Duration = Duration::from_secs(2);

/// How long a request waits for the database's answer: longer than PostgreSQL itself lets a statement run. A
/// halted server keeps its connections open and answers nothing.
const PATIENCE: Duration = Duration::from_secs(35);

#[derive(Debug)]
struct SetUp;

impl CustomizeConnection<Conn, diesel::r2d2::Error> for SetUp {
    fn on_acquire(&self, conn: &mut Conn) -> Result<(), diesel::r2d2::Error> {
        set_up(conn).map_err(diesel::r2d2::Error::QueryError)
    }
}

pub(super) fn set_up(conn: &mut Conn) -> QueryResult<()> {
    conn.batch_execute(match conn {
        // An answer comes after the commit is on disk: no setting of the database server may undermine that.
        Conn::Postgres(_) => {
            "SET TIME ZONE 'UTC'; SET statement_timeout = '30s'; SET lock_timeout = '5s';
             SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') = 'off'"
        }
        Conn::Sqlite(_) => {
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000"
        }
    })
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<ConnectionManager<Conn>>,
    presence: Presence,
    patience: Duration,
    /// SQLite only: the thread that owns the one write connection.
    writer: Option<Arc<Writer>>,
    /// The disk accepts no writes: what is there can be read.
    is_read_only: bool,
}

impl Store {
    /// Opens the database, runs its migrations, and starts the writer.
    ///
    /// # Errors
    /// When it cannot be opened, is newer than this program, or SQLite is too old.
    pub fn open(database: &Database) -> anyhow::Result<Self> {
        let url = database_url(database);
        if let Database::Sqlite(path) = database {
            make_private(path)?;
        }
        let mut conn = connect(database)?;
        migration::run(&mut conn)?;
        let writer = match database {
            Database::Sqlite(path) => Some(Arc::new(Writer::start(path.clone(), conn)?)),
            Database::Postgres(_) => None,
        };
        let presence = Presence::default();
        Ok(Self {
            pool: pool(url, if writer.is_some() { 4 } else { 16 }, &presence)?,
            presence,
            patience: PATIENCE,
            writer,
            is_read_only: false,
        })
    }

    /// Whether there is no database yet, or one that no server has adopted.
    ///
    /// # Errors
    /// When that cannot be determined.
    pub fn is_new(database: &Database) -> anyhow::Result<bool> {
        match database {
            Database::Sqlite(path) => match path.metadata() {
                Ok(found) => Ok(found.len() == 0),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
                Err(error) => Err(error).with_context(|| format!("looking at the database {}", path.display())),
            },
            Database::Postgres(_) => migration::is_empty(&mut connect(database)?),
        }
    }

    /// Opens the database for reading only, beside a server that writes.
    ///
    /// # Errors
    /// When it is not there or has a schema other than this program's.
    pub fn open_read_only(database: &Database) -> anyhow::Result<Self> {
        if let Database::Sqlite(path) = database
            && !path.exists()
        {
            return Err(anyhow!("there is no database at {}", path.display()));
        }
        migration::check(&mut connect(database)?)?;
        let presence = Presence::default();
        Ok(Self {
            pool: pool(database_url(database), 1, &presence)?,
            presence,
            patience: PATIENCE,
            writer: None,
            is_read_only: false,
        })
    }

    /// Opens an SQLite database whose disk is mounted read-only: reads work, and every write is refused with the reason.
    ///
    /// # Errors
    /// When it is not there, has a schema other than this program's, or SQLite's own files beside it do not
    /// allow it.
    pub fn open_on_read_only_disk(path: &Path) -> anyhow::Result<Self> {
        let url = read_only_url(path);
        let mut conn = Conn::Sqlite(SqliteConnection::establish(&url).context("opening the database for reading")?);
        migration::check(&mut conn)?;
        let presence = Presence::default();
        Ok(Self { pool: pool(url, 4, &presence)?, presence, patience: PATIENCE, writer: None, is_read_only: true })
    }

    /// Whether the database's disk accepts no writes, so that [`Store::write`] refuses them all.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn refuse_writes(&self) -> error::Result<()> {
        if self.is_read_only { Err(Error::Full(error::DISK_READ_ONLY.to_owned())) } else { Ok(()) }
    }

    /// Runs `work` on a blocking thread with a read-only connection.
    ///
    /// # Errors
    /// What `work` returns; `DatabaseAway` or `Busy` when there is no connection for 2 s, or no answer for 35 s.
    pub async fn read<T, E>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> error::Result<T>
    where
        T: Send + 'static,
        E: Into<Error>,
    {
        let store = self.clone();
        self.in_time(actix_web::web::block(move || store.read_blocking(work)))
            .await?
            .context("running a database task")?
    }

    /// [`Store::read`] for code on its own thread.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E: Into<Error>>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> error::Result<T> {
        let mut conn = self.connection()?;
        work(&mut conn).map_err(Into::into)
    }

    /// Runs `work` in one transaction: all of it is kept, or none. The answer comes after the commit is on
    /// disk.
    ///
    /// # Errors
    /// What `work` returns, or that the commit failed; `DatabaseAway` when there is no answer for 35 s.
    pub async fn write<T, E>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> error::Result<T>
    where
        T: Send + 'static,
        E: Into<Error>,
    {
        self.refuse_writes()?;
        if let Some(writer) = &self.writer {
            let done = writer.send(move |conn| work(conn).map_err(Into::into))?;
            return self.in_time(done).await?.map_err(|_gone| stopped())?;
        }
        let store = self.clone();
        self.in_time(actix_web::web::block(move || store.write_blocking(work)))
            .await?
            .context("running a database task")?
    }

    /// Waits for the database, but not forever. The work may still be done after that, as with a broken
    /// connection: whoever asked looks, or asks again.
    async fn in_time<T>(&self, done: impl Future<Output = T>) -> error::Result<T> {
        tokio::time::timeout(self.patience, done).await.map_err(|_late| Error::DatabaseAway(POOL_WAIT))
    }

    /// The same database for callers that wait no longer than `patience`.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// [`Store::write`] for code on its own thread.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E>(
        &self,
        work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> error::Result<T>
    where
        T: Send + 'static,
        E: Into<Error>,
    {
        self.refuse_writes()?;
        if let Some(writer) = &self.writer {
            return writer
                .send(move |conn| work(conn).map_err(Into::into))?
                .blocking_recv()
                .map_err(|_gone| stopped())?;
        }
        let mut conn = self.connection()?;
        if !conn.is_postgres() {
            return Err(anyhow!("this connection is read-only").into());
        }
        in_transaction(&mut conn, work)
    }

    /// [`Store::write`] for an act: something that a person or a rule decides
    /// and that writes an activity entry. Acts run one after the other on both
    /// databases, so a rule checked in one sees every earlier act.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn act<T, E>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> error::Result<T>
    where
        T: Send + 'static,
        E: Into<Error>,
    {
        self.write(move |conn| in_order(conn, work)).await
    }

    /// [`Store::act`] for code on its own thread.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn act_blocking<T, E>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> error::Result<T>
    where
        T: Send + 'static,
        E: Into<Error>,
    {
        self.write_blocking(move |conn| in_order(conn, work))
    }

    /// Whether the database answers a trivial query in time.
    pub async fn is_answering(&self) -> bool {
        let asked = self.read(|conn| diesel::sql_query("SELECT 1").execute(conn));
        matches!(tokio::time::timeout(POOL_WAIT, asked).await, Ok(Ok(_)))
    }

    fn connection(&self) -> error::Result<PooledConnection<ConnectionManager<Conn>>> {
        match self.pool.get() {
            Ok(conn) => {
                self.presence.is_there();
                Ok(conn)
            }
            Err(_timeout) if self.presence.is_away() => Err(Error::DatabaseAway(POOL_WAIT)),
            Err(_timeout) => Err(Error::Busy(POOL_WAIT)),
        }
    }

    /// Whether this is PostgreSQL, where other processes may write too.
    pub fn is_shared(&self) -> bool {
        self.writer.is_none() && !self.is_read_only
    }
}

#[derive(QueryableByName)]
struct Millis {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    millis: i64,
}

/// The database's own clock; none for SQLite, which uses the caller's clock.
pub fn clock_of(conn: &mut Conn) -> QueryResult<Option<Time>> {
    if !conn.is_postgres() {
        return Ok(None);
    }
    let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS millis";
    let now: Millis = diesel::sql_query(sql).get_result(conn)?;
    Ok(Some(Time::from_millis(now.millis)))
}

fn in_order<T, E: Into<Error>>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> error::Result<T> {
    crate::store::activity::lock(conn)?;
    work(conn).map_err(Into::into)
}

fn stopped() -> Error {
    Error::Internal(anyhow!("the database writer has stopped"))
}

fn database_url(database: &Database) -> String {
    match database {
        Database::Sqlite(path) => path.display().to_string(),
        Database::Postgres(url) => with_time_limits(url),
    }
}

/// How soon a connection whose other end has silently gone (a power cut, a lost network) counts as broken.
/// Linux alone waits for 15 minutes. (PostgreSQL: "Database Connection Control Functions", 34.1.2.)
const TIME_LIMITS: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "10000"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
];

/// Adds the limits that the address does not set itself.
fn with_time_limits(url: &str) -> String {
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    let is_set = |name: &str| query.split('&').any(|it| it.split('=').next() == Some(name));
    let missing = TIME_LIMITS.iter().filter(|(name, _)| !is_set(name));
    missing.fold(url.to_owned(), |url, (name, value)| {
        let sign = if url.contains('?') { '&' } else { '?' };
        format!("{url}{sign}{name}={value}")
    })
}

fn pool(url: String, size: u32, presence: &Presence) -> anyhow::Result<Pool<ConnectionManager<Conn>>> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        .connection_timeout(POOL_WAIT)
        .connection_customizer(Box::new(SetUp))
        .error_handler(Box::new(presence.clone()))
        .build(ConnectionManager::new(url))
        .context("opening the database's connections")
}

/// Opens by the kind of database, never by trial and error: the derived `establish` tries each in turn.
pub(super) fn connect(database: &Database) -> anyhow::Result<Conn> {
    let mut conn = match database {
        Database::Sqlite(path) => Conn::Sqlite(open_sqlite(path)?),
        Database::Postgres(url) => {
            Conn::Postgres(PgConnection::establish(&with_time_limits(url)).context("connecting to PostgreSQL")?)
        }
    };
    set_up(&mut conn).context("setting up the database connection")?;
    Ok(conn)
}

/// Creates the file if there is none, accessible only to its owner: SQLite would create one that everyone may
/// read. What SQLite puts beside it gets the same permissions; existing files are narrowed too.
fn make_private(path: &Path) -> anyhow::Result<()> {
    // An existing one is not opened: closing it would end this process's locks on it.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => drop(made.with_context(|| format!("opening the database {}", path.display()))?),
    }
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        secret::keep_private(Path::new(&name));
    }
    Ok(())
}

/// How SQLite opens a database that nobody can write to. If there is a log beside it, its index in `-shm` is
/// read as it is; otherwise everything is in the database, which is then read without any other file. (SQLite:
/// "Write-Ahead Logging", 5, and "URI Filenames", 3.)
fn read_only_url(path: &Path) -> String {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = Path::new(&log).metadata().is_ok_and(|it| it.len() > 0);
    let name = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{name}?{}", if has_log { "mode=ro" } else { "immutable=1" })
}

fn open_sqlite(path: &Path) -> anyhow::Result<SqliteConnection> {
    SqliteConnection::establish(&path.display().to_string())
        .with_context(|| format!("opening the database {}", path.display()))
}

/// Runs `work` in a transaction, or in a savepoint of the open one: if it fails, what it did is undone, and
/// nothing else.
///
/// # Errors
/// As `work`, and when the database refuses.
pub fn in_transaction<T, E: Into<Error>>(
    conn: &mut Conn,
    work: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> error::Result<T> {
    Transactions::begin_transaction(conn)?;
    match work(conn) {
        Ok(value) => {
            Transactions::commit_transaction(conn)?;
            Ok(value)
        }
        Err(error) => {
            let error = error.into();
            if let Err(rollback) = Transactions::rollback_transaction(conn) {
                tracing::warn!(%rollback, "a transaction could not be rolled back");
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn modes(path: &Path) -> Vec<u32> {
        let mode = |end: &str| {
            let file = std::fs::metadata(format!("{}{end}", path.display())).unwrap();
            file.permissions().mode() & 0o777
        };
        ["", "-wal", "-shm"].map(mode).to_vec()
    }

    #[test]
    fn only_its_owner_reads_the_database_in_whatever_folder_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("x.db");
        let database = Database::Sqlite(path.clone());

        let store = Store::open(&database).unwrap();
        assert_eq!(modes(&path), [0o600; 3], "made");

        for end in ["", "-wal", "-shm"] {
            std::fs::set_permissions(format!("{}{end}", path.display()), Permissions::from_mode(0o644)).unwrap();
        }
        let again = Store::open(&database).unwrap();
        assert_eq!(modes(&path), [0o600; 3], "narrowed");
        drop((store, again));
    }

    #[test]
    fn a_lost_connection_to_postgresql_is_noticed_in_time_unless_the_address_says_otherwise() {
        let limits =
            "connect_timeout=5&tcp_user_timeout=10000&keepalives_idle=5&keepalives_interval=2&keepalives_count=3";
        assert_eq!(with_time_limits("postgres://u@h/n"), format!("postgres://u@h/n?{limits}"));
        let own = limits.replace("connect_timeout=5", "connect_timeout=60");
        assert_eq!(with_time_limits("postgres://u@h/n?connect_timeout=60"), format!("postgres://u@h/n?{own}"));
    }

    #[test]
    fn an_unknown_scheme_is_refused() {
        assert!(Database::parse("postgress://db/x").is_err());
        assert_eq!(Database::parse("/var/x.db").unwrap(), Database::Sqlite("/var/x.db".into()));
        assert!(matches!(Database::parse("postgresql://db/x").unwrap(), Database::Postgres(_)));
    }
}
