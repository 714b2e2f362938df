//! One connection type over two databases, and the two ways in: read and write.
use crate::error::{self, Error};
use crate::store::wanted;
use anyhow::{Context, anyhow};
use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::CustomizeConnection;
use domain::time::Time;
use std::path::{Path, PathBuf};

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
                // From the last "@": a password may have one in it.
                let place = url.rsplit_once('@').or_else(|| url.split_once("://")).map_or("", |it| it.1);
                format!("postgres://{}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct SetUp;

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
        // For each connection: of these, the file keeps only the journal mode.
        Conn::Sqlite(_) => {
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000"
        }
    })
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

pub(super) fn database_url(database: &Database) -> String {
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

pub(super) fn open_sqlite(path: &Path) -> anyhow::Result<SqliteConnection> {
    SqliteConnection::establish(&path.display().to_string())
        .with_context(|| format!("opening the database {}", path.display()))
}

/// Makes an SQLite database one file that is all of it and on the disk. Nobody may have it open.
///
/// # Errors
/// When it cannot be opened or written, or somebody has it open.
pub fn checkpoint(path: &Path) -> anyhow::Result<()> {
    let mut conn = connect(&Database::Sqlite(path.to_owned()))?;
    conn.batch_execute("PRAGMA journal_mode = DELETE").context("writing the database to one file")?;
    drop(conn);
    std::fs::File::open(path)?.sync_all().with_context(|| format!("writing {}", path.display()))
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
    let mark = wanted::mark();
    match work(conn) {
        Ok(value) => {
            Transactions::commit_transaction(conn)?;
            Ok(value)
        }
        Err(error) => {
            let error = error.into();
            wanted::forget_since(mark);
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
    use crate::store::Store;
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

    #[test]
    fn every_connection_to_postgresql_gives_up_on_a_silent_server() {
        let database = Database::parse("postgres://u@h/n").unwrap();
        assert!(database_url(&database).contains("?connect_timeout=5&tcp_user_timeout=10000"));
        // A server that takes the connection and then says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://u@{}/n?connect_timeout=2", silent.local_addr().unwrap());
        assert!(connect(&Database::Postgres(url)).is_err());
    }
}
