//! The two ways into the database, on both databases.
use crate::support::{NOW, TestDatabase};
use diesel::connection::SimpleConnection;
use domain::activity::{Action, Actor, Object};
use domain::time::minutes;
use holdfast::error::Error;
use holdfast::service::activity::{Act, record, time_ahead};
use holdfast::store::{self, Conn};
use std::time::Duration;

fn act(name: &str) -> Act<'static> {
    Act::done(Action::TeamAdded, Object::new("team", name, name))
}

#[test]
fn a_write_that_fails_undoes_only_itself() {
    let database = TestDatabase::new();
    let store = database.store();

    let kept = store.act_blocking(|conn| record(conn, &Actor::system(), &act("kept"), NOW));
    let undone = store.act_blocking(|conn| -> Result<(), Error> {
        record(conn, &Actor::system(), &act("undone"), NOW)?;
        Err(Error::Refused("a rule says no".to_owned()))
    });
    store.act_blocking(|conn| record(conn, &Actor::system(), &act("also kept"), NOW)).unwrap();

    assert!(kept.is_ok());
    assert!(matches!(undone, Err(Error::Refused(_))));
    assert_eq!(store.read_blocking(names).unwrap(), ["1 kept", "2 also kept"], "and no number is missing");
}

#[test]
fn many_writers_at_once_leave_a_history_without_gaps() {
    let database = TestDatabase::new();
    let store = database.store();

    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for turn in 0..25 {
                    let name = format!("{writer}-{turn}");
                    store.act_blocking(move |conn| record(conn, &Actor::system(), &act(&name), NOW)).unwrap();
                }
            });
        }
    });

    let names = store.read_blocking(names).unwrap();
    let numbers: Vec<i64> = names.iter().map(|it| it.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<i64>>());
}

#[test]
fn a_panic_in_a_write_is_an_error_and_the_next_write_works() {
    let database = TestDatabase::new();
    if matches!(database.database, store::Database::Postgres(_)) {
        return; // the writer thread is SQLite's
    }
    let store = database.store();

    let panicked = store.write_blocking(|_| -> Result<(), Error> { panic!("a defect") });

    assert!(panicked.is_err());
    store.act_blocking(|conn| record(conn, &Actor::system(), &act("after"), NOW)).unwrap();
    assert_eq!(store.read_blocking(names).unwrap(), ["1 after"]);
}

#[test]
fn a_newer_schema_is_refused() {
    let database = TestDatabase::new();
    let store = database.store();
    store
        .write_blocking(|conn| {
            conn.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')")
        })
        .unwrap();
    drop(store);

    let error = store::Store::open(&database.database).err().expect("refused");

    assert!(format!("{error:#}").contains("newer than this program"), "{error:#}");
}

#[test]
fn every_column_of_the_schema_is_in_the_database() {
    let database = TestDatabase::new();
    let store = database.store();
    let folder = std::fs::read_dir("src/store/schema").unwrap();
    let schema: String = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert!(schema.matches("diesel::table! {").count() > 30, "the tables were not found");
    for table in schema.split("diesel::table! {").skip(1) {
        let name = table.trim_start().split(' ').next().unwrap();
        let columns: Vec<&str> =
            table.lines().filter_map(|line| line.trim().split_once(" -> ")).map(|(column, _)| column).collect();
        let query = format!("SELECT {} FROM {name}", columns.join(", "));
        store.write_blocking(move |conn| conn.batch_execute(&query)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn names(conn: &mut Conn) -> Result<Vec<String>, Error> {
    let all = store::activity::all(conn)?;
    Ok(all.iter().map(|it| format!("{} {}", it.seq, it.object_name)).collect())
}

#[test]
fn a_clock_that_is_behind_what_was_recorded_is_found() {
    let database = TestDatabase::new();
    let store = database.store();
    let ahead = |now| store.read_blocking(move |conn| time_ahead(conn, now)).unwrap();
    assert_eq!(ahead(NOW), None, "nothing is recorded");

    store.act_blocking(|conn| record(conn, &Actor::system(), &act("now"), NOW)).unwrap();

    assert_eq!([NOW, NOW - minutes(5), NOW + minutes(9)].map(ahead), [None; 3]);
    assert_eq!(ahead(NOW - minutes(6)), Some(NOW));
}

#[actix_web::test]
async fn nobody_waits_without_end_for_a_database_that_is_halted() {
    let database = TestDatabase::new();
    let store = database.store().with_patience(Duration::from_millis(50));
    let (end, halted) = std::sync::mpsc::channel::<()>();
    let halted = std::sync::Mutex::new(halted);

    let read = store
        .read(move |_| {
            let _over = halted.lock().unwrap().recv();
            Ok::<_, Error>(())
        })
        .await;

    assert!(matches!(read, Err(Error::DatabaseAway(_))), "{read:?}");
    drop(end);
    store.with_patience(Duration::from_secs(30)).write(|_| Ok::<_, Error>(())).await.unwrap();
}

#[actix_web::test]
async fn nobody_waits_without_end_for_a_write_to_a_database_that_is_halted() {
    let database = TestDatabase::new();
    let store = database.store().with_patience(Duration::from_millis(50));
    let (end, halted) = std::sync::mpsc::channel::<()>();
    let halted = std::sync::Mutex::new(halted);

    let written = store.write(move |_| {
        let _over = halted.lock().unwrap().recv_timeout(Duration::from_secs(20));
        Ok::<_, Error>(())
    });
    let written = written.await;

    assert!(matches!(written, Err(Error::DatabaseAway(_))), "{written:?}");
    drop(end);
    store.with_patience(Duration::from_secs(30)).write(|_| Ok::<_, Error>(())).await.unwrap();
}

#[test]
fn whoever_finds_every_connection_taken_is_answered_come_again_after_seconds() {
    let database = TestDatabase::new();
    let store = database.store();
    let (taken, all) = std::sync::mpsc::channel();
    let (end, over) = std::sync::mpsc::channel::<()>();
    let over = std::sync::Mutex::new(over);
    let (over, store) = (&over, &store);
    std::thread::scope(|scope| {
        // More than there are, so that the last ones find none.
        for _ in 0..20 {
            let taken = taken.clone();
            scope.spawn(move || {
                let done = store.read_blocking(|_| {
                    let _over = over.lock().unwrap().recv();
                    Ok::<_, Error>(())
                });
                let _ = taken.send(done);
            });
        }
        let refused = all.recv_timeout(Duration::from_secs(20));
        drop(end);
        assert!(matches!(refused, Ok(Err(Error::Busy(_)))), "{refused:?}");
    });
}
