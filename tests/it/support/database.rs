//! A separate database for each test, removed afterwards.
use diesel::{Connection, RunQueryDsl};
use holdfast::store::{Database, Store};
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh, empty database; it goes when this is dropped.
pub struct TestDatabase {
    pub database: Database,
    dropped: Dropped,
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

enum Dropped {
    Folder(#[expect(dead_code, reason = "kept until it is dropped")] tempfile::TempDir),
    Postgres { server: String, name: String },
}

impl TestDatabase {
    /// Makes one on the server of `TEST_DATABASE_URL`, or as an SQLite file.
    pub fn new() -> Self {
        match std::env::var("TEST_DATABASE_URL") {
            Ok(server) => Self::postgres(server),
            Err(_) => {
                let folder = tempfile::tempdir().unwrap();
                Self { database: Database::Sqlite(folder.path().join("holdfast.db")), dropped: Dropped::Folder(folder) }
            }
        }
    }

    fn postgres(server: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("holdfast_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut conn = diesel::PgConnection::establish(&server).expect("TEST_DATABASE_URL answers");
        diesel::sql_query(format!(
            "CREATE DATABASE {name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ))
        .execute(&mut conn)
        .unwrap();
        let (base, query) = server.split_once('?').map_or((server.as_str(), ""), |(base, query)| (base, query));
        let base = base.rsplit_once('/').unwrap().0;
        let url = if query.is_empty() { format!("{base}/{name}") } else { format!("{base}/{name}?{query}") };
        Self { database: Database::Postgres(url), dropped: Dropped::Postgres { server, name } }
    }

    /// What `--database` takes.
    pub fn url(&self) -> String {
        match &self.database {
            Database::Sqlite(path) => path.display().to_string(),
            Database::Postgres(url) => url.clone(),
        }
    }

    /// Opens it, migrated.
    pub fn store(&self) -> Store {
        Store::open(&self.database).unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Dropped::Postgres { server, name } = &self.dropped {
            // A test that proved something does not fail for this: the whole server is thrown away afterwards.
            let Ok(mut conn) = diesel::PgConnection::establish(server) else { return };
            let _ = diesel::sql_query(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).execute(&mut conn);
        }
    }
}
