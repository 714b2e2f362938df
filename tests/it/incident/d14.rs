//! SQLite's WAL reset, 2026: two writers or checkpointers could corrupt a database before 3.51.3.
use crate::support::device::SimDevice;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::role::Role;
use domain::time::{days, hours};
use holdfast::job;
use holdfast::store::Database;
use std::path::Path;
use std::sync::Barrier;

const WRITERS: i64 = 2;
const ROUNDS: i64 = 1_500;

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn open(path: &Path) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(&path.display().to_string()).unwrap();
    let set_up = "PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; \
                  PRAGMA wal_autocheckpoint = 3";
    conn.batch_execute(set_up).unwrap();
    conn
}

/// Writes, and resets the log again and again, as soon as the other allows it.
fn write(path: &Path, writer: i64, together: &Barrier) {
    let mut conn = open(path);
    together.wait();
    for round in 0..ROUNDS {
        let insert = format!("INSERT INTO rows VALUES ({writer}, {round}, hex(randomblob(200)))");
        conn.batch_execute(&insert).unwrap();
        if round % 3 == writer {
            // Fails while the other one writes: then the next one does it.
            let _ = conn.batch_execute("PRAGMA wal_checkpoint(RESTART)");
        }
    }
}

#[test]
fn d14_two_writers_and_checkpointers_leave_the_bundled_sqlite_intact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let mut conn = open(&path);
    let table = "CREATE TABLE rows (writer INTEGER, round INTEGER, text TEXT); \
                 CREATE UNIQUE INDEX once ON rows (writer, round); CREATE INDEX words ON rows (text)";
    conn.batch_execute(table).unwrap();
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (path, together) = (&path, &together);
            scope.spawn(move || write(path, writer, together));
        }
    });

    let said: Vec<Said> = diesel::sql_query("PRAGMA integrity_check").load(&mut conn).unwrap();
    assert_eq!(said.iter().map(|it| it.integrity_check.as_str()).collect::<Vec<_>>(), ["ok"]);
    let count: Count = diesel::sql_query("SELECT count(*) AS count FROM rows").get_result(&mut conn).unwrap();
    assert_eq!(count.count, WRITERS * ROUNDS);
}

#[test]
fn d14_a_damaged_database_is_found_within_a_day_and_told_everywhere() {
    let server = TestServer::start();
    let Database::Sqlite(path) = server.app.config.database.clone() else { return };
    let owner = colleague(&server, "owner", Role::Owner);
    SimDevice::join(&server);
    let look = || job::database::run_once(server.store(), &server.app.watch, &path, server.app.clock.now()).unwrap();
    let said = || String::from_utf8(server.request("GET", "/health", &[], b"").body).unwrap();
    look();
    assert_eq!(said(), "ok\n");

    // By the hand of somebody who cannot leave it alone.
    let mut conn = SqliteConnection::establish(&path.display().to_string()).unwrap();
    conn.batch_execute("PRAGMA foreign_keys = OFF; DELETE FROM devices").unwrap();
    server.app.clock.advance(hours(23));
    look();
    assert_eq!(said(), "ok\n", "it is not due");
    server.app.clock.advance(hours(1));
    look();

    assert!(said().starts_with("degraded: the database is damaged: a row of "), "{}", said());
    let page = text(&Visit::of(&server, owner).get("/"));
    assert!(page.contains("The database is damaged, as found at"), "{page}");
    let told =
        |server: &TestServer| server.mails().iter().filter(|it| it.subject.contains("database is damaged")).count();
    assert_eq!(told(&server), 1);
    server.app.clock.advance(days(1));
    look();
    assert_eq!(told(&server), 0, "once");
}
