//! The two ways into the database: read and write.
use crate::error::{self, Error};
use crate::store::connection::{Conn, Database, SetUp, connect, database_url, in_transaction};
use crate::store::migration::{self, Upgrade};
use crate::store::presence::Presence;
use crate::store::wanted;
use crate::store::writer::Writer;
use crate::wake::Wake;
use anyhow::{Context, anyhow};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Waits at most this long for a connection; then the answer is "busy".
const POOL_WAIT: Duration = Duration::from_secs(2);

/// How long a request waits for the database's answer: longer than PostgreSQL itself lets a statement run. A
/// halted server keeps its connections open and answers nothing.
const PATIENCE: Duration = Duration::from_secs(35);

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<ConnectionManager<Conn>>,
    presence: Presence,
    patience: Duration,
    /// Told after each commit what it made work for.
    wake: Wake,
    /// SQLite only: the thread that owns the one write connection.
    writer: Option<Arc<Writer>>,
    /// The disk accepts no writes: what is there can be read.
    is_read_only: bool,
}

impl Store {
    /// Opens the database, runs its migrations, and starts the writer.
    ///
    /// # Errors
    /// When it cannot be opened, is newer than this program, SQLite is too old, or it would be changed without a
    /// good copy from before.
    pub fn open(database: &Database) -> anyhow::Result<Self> {
        Self::open_upgrading(database, Upgrade::WithCopy)
    }

    /// [`Store::open`], with what there has to be before its schema changes.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_upgrading(database: &Database, upgrade: Upgrade) -> anyhow::Result<Self> {
        let url = database_url(database);
        if let Database::Sqlite(path) = database {
            make_private(path)?;
        }
        let mut conn = connect(database)?;
        migration::run(&mut conn, database, upgrade)?;
        let wake = Wake::new();
        let writer = match database {
            Database::Sqlite(path) => Some(Arc::new(Writer::start(path.clone(), conn, wake.clone())?)),
            Database::Postgres(_) => None,
        };
        let presence = Presence::default();
        Ok(Self {
            pool: pool(url, if writer.is_some() { 4 } else { 16 }, &presence)?,
            presence,
            patience: PATIENCE,
            wake,
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
            wake: Wake::new(),
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
        Ok(Self {
            pool: pool(url, 4, &presence)?,
            presence,
            patience: PATIENCE,
            wake: Wake::new(),
            writer: None,
            is_read_only: true,
        })
    }

    /// What is told after each commit, for those who wait.
    pub const fn wake(&self) -> &Wake {
        &self.wake
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
        // SQLite without a writer was opened only for reading, beside a server.
        if !conn.is_postgres() {
            return Err(anyhow!("this connection is read-only").into());
        }
        let (result, noted) = wanted::collect(|| in_transaction(&mut conn, work));
        noted.into_iter().for_each(|it| self.wake.tell(it));
        result
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

fn in_order<T, E: Into<Error>>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> error::Result<T> {
    crate::store::activity::lock(conn)?;
    work(conn).map_err(Into::into)
}

fn stopped() -> Error {
    Error::Internal(anyhow!("the database writer has stopped"))
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
