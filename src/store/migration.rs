//! Migrations: the same names for both databases, run at start, under a lock.
use crate::store::connection::Database;
use crate::store::{Conn, integrity};
use anyhow::{Context, anyhow, bail};
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

/// What there has to be before a schema with data in it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// A copy of the database from before, made now and checked.
    WithCopy,
    /// Nothing: the person who runs the server said so.
    WithoutBackup,
}

/// Brings the schema up to date.
///
/// # Errors
/// When the schema is newer than this program, SQLite is too old, there is no good copy from before, or a migration
/// fails.
pub fn run(conn: &mut Conn, database: &Database, upgrade: Upgrade) -> anyhow::Result<()> {
    refuse_old_sqlite(conn)?;
    match conn {
        Conn::Sqlite(conn) => {
            // EXCLUSIVE keeps a second process out until the schema is complete.
            conn.batch_execute("BEGIN EXCLUSIVE; COMMIT").context("taking the database for migration")?;
            let applied = applied(conn.applied_migrations())?;
            refuse_newer(&applied)?;
            before_upgrade(&applied, database, upgrade)?;
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
            let done = applied(conn.applied_migrations()).and_then(|applied| {
                refuse_newer(&applied)?;
                before_upgrade(&applied, database, upgrade)?;
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

/// Makes sure that there is a way back before a schema that is in use changes.
fn before_upgrade(applied: &[String], database: &Database, upgrade: Upgrade) -> anyhow::Result<()> {
    let is_current = applied.iter().max() == Some(&latest_version());
    if applied.is_empty() || is_current {
        return Ok(());
    }
    match (upgrade, database) {
        (Upgrade::WithoutBackup, _) => {
            tracing::warn!(
                database = database.name(),
                to = latest_version(),
                "the schema is changed without a copy from before, as --i-have-no-backup says"
            );
            Ok(())
        }
        (Upgrade::WithCopy, Database::Sqlite(path)) => {
            let kept = integrity::keep(path, &format!("before-{}", latest_version())).with_context(|| {
                "this version changes the database, and there is no good copy of it from before. Nothing was changed. \
                 To go on without one, start once with --i-have-no-backup"
            })?;
            tracing::info!(copy = %kept.display(), "the database was copied, and the copy checked, before it is changed");
            Ok(())
        }
        (Upgrade::WithCopy, Database::Postgres(_)) => bail!(
            "this version changes the database, and Holdfast cannot copy one of PostgreSQL. Nothing was changed. Make a \
             dump, restore it elsewhere to see that it is good, then start once with --i-have-no-backup: it says that \
             Holdfast itself has none"
        ),
    }
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

/// Whether a version such as `3.53.2` has what this database needs.
fn is_safe(version: &str) -> bool {
    let number = version.split('.').try_fold(0, |sum, part| part.parse::<i32>().map(|it| sum * 1000 + it));
    number.is_ok_and(|it| it >= OLDEST_SQLITE)
}

fn refuse_old_sqlite(conn: &mut Conn) -> anyhow::Result<()> {
    if conn.is_postgres() {
        return Ok(());
    }
    let found: Version = diesel::sql_query("SELECT sqlite_version() AS version")
        .get_result(conn)
        .context("asking SQLite for its version")?;
    if is_safe(&found.version) {
        return Ok(());
    }
    Err(anyhow!(
        "SQLite {} can corrupt this database (fixed in 3.51.3): build holdfast with its bundled SQLite",
        found.version
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d14_a_start_refuses_an_sqlite_that_can_corrupt_its_log() {
        for old in ["3.51.2", "3.7.0", "3.50.4", "2.8.17", "", "3", "3.x.9"] {
            assert!(!is_safe(old), "{old}");
        }
        for new in ["3.51.3", "3.53.2", "4.0.0"] {
            assert!(is_safe(new), "{new}");
        }
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("x.db"));
        let mut conn = crate::store::connection::connect(&database).unwrap();
        assert!(refuse_old_sqlite(&mut conn).is_ok(), "the one that is built in");
    }
}
