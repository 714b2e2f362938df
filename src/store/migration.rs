//! Migrations: the same names for both databases, run at start, under a lock.
use crate::store::Conn;
use anyhow::{Context, anyhow};
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// SQLite before 3.51.3 can corrupt a WAL database when a checkpoint meets a reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Two servers that start together must not both migrate; any constant serves.
const POSTGRES_LOCK: i64 = 7_240_001;

/// The newest schema this program knows.
pub fn latest_version() -> String {
    versions(&SQLITE).pop().unwrap_or_default()
}

fn versions(source: &EmbeddedMigrations) -> Vec<String> {
    let migrations: Vec<Box<dyn Migration<diesel::sqlite::Sqlite>>> = source.migrations().unwrap_or_default();
    let mut names: Vec<_> = migrations.iter().map(|it| it.name().version().to_string()).collect();
    names.sort();
    names
}

/// Brings the schema up to date.
///
/// # Errors
/// When the schema is newer than this program, SQLite is too old, or a migration fails.
pub fn run(conn: &mut Conn) -> anyhow::Result<()> {
    refuse_old_sqlite(conn)?;
    match conn {
        Conn::Sqlite(conn) => {
            // EXCLUSIVE keeps a second process out until the schema is complete.
            conn.batch_execute("BEGIN EXCLUSIVE; COMMIT").context("taking the database for migration")?;
            refuse_newer(&applied(conn.applied_migrations())?)?;
            conn.run_pending_migrations(SQLITE)
                .map_err(|error| anyhow!("{error}"))
                .context("migrating the database")?;
        }
        Conn::Postgres(conn) => {
            conn.batch_execute(&format!("SELECT pg_advisory_lock({POSTGRES_LOCK})"))
                .context("taking the migration lock")?;
            // The limit for a request's statement is too short for a large table. This connection does nothing
            // else.
            conn.batch_execute("SET statement_timeout = 0").context("lifting the time limit for the migration")?;
            let done = refuse_newer(&applied(conn.applied_migrations())?).and_then(|()| {
                conn.run_pending_migrations(POSTGRES)
                    .map(drop)
                    .map_err(|error| anyhow!("{error}"))
                    .context("migrating the database")
            });
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({POSTGRES_LOCK})"))
                .context("releasing the migration lock")?;
            // Only now: the lock is given back whatever came of it.
            done?;
        }
    }
    Ok(())
}

/// Whether a PostgreSQL database has no schema at all; checked without creating anything.
///
/// # Errors
/// When the database refuses.
pub fn is_empty(conn: &mut Conn) -> anyhow::Result<bool> {
    let sql = "SELECT coalesce(CAST(to_regclass('__diesel_schema_migrations') AS TEXT), '') AS version";
    let found: Version = diesel::sql_query(sql).get_result(conn).context("looking for a schema")?;
    Ok(found.version.is_empty())
}

/// Checks that the schema is this program's, without changing it.
///
/// # Errors
/// When it is older or newer.
pub fn check(conn: &mut Conn) -> anyhow::Result<()> {
    refuse_old_sqlite(conn)?;
    let applied = match conn {
        Conn::Sqlite(conn) => applied(conn.applied_migrations())?,
        Conn::Postgres(conn) => applied(conn.applied_migrations())?,
    };
    refuse_newer(&applied)?;
    if applied.iter().max() != Some(&latest_version()) {
        return Err(anyhow!("the database has an older schema than this program: start the server once, it migrates"));
    }
    Ok(())
}

fn applied(versions: diesel::migration::Result<Vec<MigrationVersion<'static>>>) -> anyhow::Result<Vec<String>> {
    let versions = versions.map_err(|error| anyhow!("{error}")).context("reading the schema's version")?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

fn refuse_newer(applied: &[String]) -> anyhow::Result<()> {
    let known = versions(&SQLITE);
    match applied.iter().find(|it| !known.contains(it)) {
        Some(unknown) => Err(anyhow!(
            "the database has schema {unknown}, which is newer than this program ({}): use the newer holdfast, or restore a backup made before the upgrade",
            latest_version()
        )),
        None => Ok(()),
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

fn refuse_old_sqlite(conn: &mut Conn) -> anyhow::Result<()> {
    if conn.is_postgres() {
        return Ok(());
    }
    let found: Version = diesel::sql_query("SELECT sqlite_version() AS version")
        .get_result(conn)
        .context("asking SQLite for its version")?;
    let number = found.version.split('.').try_fold(0, |sum, part| part.parse::<i32>().map(|it| sum * 1000 + it));
    if number.is_ok_and(|it| it >= OLDEST_SQLITE) {
        return Ok(());
    }
    Err(anyhow!(
        "SQLite {} can corrupt this database (fixed in 3.51.3): build holdfast with its bundled SQLite",
        found.version
    ))
}
