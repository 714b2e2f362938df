//! Sidekick, 2009: a change to the storage without a copy from before it.
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use holdfast::store::{Database, Store, Upgrade, integrity, latest_version};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn open(path: &Path) -> SqliteConnection {
    SqliteConnection::establish(&path.display().to_string()).unwrap()
}

fn version(path: &Path) -> String {
    let sql = "SELECT max(version) AS version FROM __diesel_schema_migrations";
    diesel::sql_query(sql).get_result::<Version>(&mut open(path)).unwrap().version
}

/// A database as the version before left it.
fn older(folder: &Path) -> PathBuf {
    let path = folder.join("holdfast.db");
    drop(Store::open(&Database::Sqlite(path.clone())).unwrap());
    let mut migrations: Vec<PathBuf> =
        fs::read_dir("migrations/sqlite").unwrap().map(|it| it.unwrap().path()).collect();
    migrations.sort();
    let mut conn = open(&path);
    conn.batch_execute("PRAGMA foreign_keys = OFF").unwrap();
    conn.batch_execute(&fs::read_to_string(migrations.last().unwrap().join("down.sql")).unwrap()).unwrap();
    let last = latest_version();
    conn.batch_execute(&format!("DELETE FROM __diesel_schema_migrations WHERE version = '{last}'")).unwrap();
    drop(conn);
    assert_ne!(version(&path), last);
    path
}

fn kept(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.before-{}", path.display(), latest_version()))
}

/// Starts the program; it ends by itself, because it cannot listen at the end.
fn serve(folder: &Path, flags: &[&str]) -> Output {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(["serve", "--listen", &taken.local_addr().unwrap().to_string(), "--data"]).arg(folder).args(flags);
    command.output().unwrap()
}

#[test]
fn d03_an_upgrade_makes_a_copy_first_that_is_whole_and_from_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = older(folder.path());
    let before = version(&path);

    drop(Store::open(&Database::Sqlite(path.clone())).unwrap());

    assert_eq!(version(&path), latest_version());
    assert_eq!(version(&kept(&path)), before);
    let spare = folder.path().join("spare");
    assert_eq!(integrity::faults(&kept(&path), &spare).unwrap(), Vec::<String>::new());
}

#[test]
fn d03_an_upgrade_without_a_good_copy_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = older(folder.path());
    let before = version(&path);

    // No room for the copy where it belongs.
    fs::create_dir_all(kept(&path).join("taken")).unwrap();
    let refused = serve(folder.path(), &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("no good copy"), "{said}");
    assert_eq!(version(&path), before);
    fs::remove_dir_all(kept(&path)).unwrap();

    // A copy of what is damaged is no way back.
    let mut conn = open(&path);
    conn.batch_execute(
        "PRAGMA foreign_keys = OFF; CREATE TABLE child (id INTEGER REFERENCES users (id)); \
                        INSERT INTO child VALUES (1)",
    )
    .unwrap();
    drop(conn);
    let refused = serve(folder.path(), &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("the database is damaged"), "{said}");
    assert_eq!((version(&path), kept(&path).exists()), (before, false));

    let forced = serve(folder.path(), &["--i-have-no-backup"]);
    let said = String::from_utf8_lossy(&forced.stderr);
    assert!(said.contains("without a copy from before"), "{said}");
    assert_eq!(version(&path), latest_version());
    let database = Database::Sqlite(path);
    assert!(Store::open_upgrading(&database, Upgrade::WithCopy).is_ok(), "there is nothing left to change");
}
