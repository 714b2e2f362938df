//! A database that was put back in time, without anything that knew of it: the backup store has seen more of it.
use crate::support::{NOW, TestDatabase};
use clock::Clock;
use domain::activity::{Action, Actor, Object};
use domain::time::hours;
use holdfast::app::App;
use holdfast::blob::seen::{self, Seen};
use holdfast::config::{Config, Options};
use holdfast::service::activity::{Act, record};
use holdfast::{job, service, store};
use std::path::Path;

fn opens(data: &Path, database: &TestDatabase) -> App {
    let options = Options { data: Some(data.to_owned()), database: Some(database.url()), ..Options::default() };
    App::open(Config::new(options).unwrap(), Clock::fixed(NOW)).unwrap()
}

/// Does something, and notes in the backup store how far the database is, as the server does each minute.
fn works(app: &App) -> Seen {
    let act = Act::done(Action::SettingChanged, Object::new("setting", "one", "one"));
    app.store.act_blocking(move |conn| record(conn, &Actor::system(), &act, NOW)).unwrap();
    job::seen::run_once(&app.store, &app.config.blobs).unwrap();
    seen::read(&app.config.blobs).unwrap().unwrap()
}

/// Since when all is frozen, until when nothing is erased, and how often it was said that the console was brought back.
fn state(app: &App) -> (bool, bool, i64) {
    let read = app.store.read_blocking(|conn| {
        let frozen = service::freeze::standing(conn)?.is_some();
        let calm = service::freeze::calm_until(conn, NOW)?;
        assert!(calm.is_none_or(|it| it == NOW + hours(72)));
        let since = NOW - hours(1);
        let said = store::activity::count_done(conn, Action::ConsoleRestored, None, since, NOW)?.1;
        Ok::<_, holdfast::error::Error>((frozen, calm.is_some(), said))
    });
    read.unwrap()
}

#[test]
fn d08_a_database_that_was_put_back_in_time_erases_nothing_until_somebody_has_looked() {
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new());
    let data = folder.path().join("data");
    let app = opens(&data, &database);
    let (seen, blobs) = (works(&app), app.config.blobs.clone());
    let owner = holdfast::blob::home::read_marker(&blobs).unwrap();
    drop(app);

    let app = opens(&data, &database);
    assert_eq!(state(&app), (false, false, 0), "it went on where it was");
    drop(app);

    // An hour of work that the store saw, and the database has no more.
    let more = Seen { seq: seen.seq + 40, ..seen.clone() };
    seen::write(&blobs, &owner, &more).unwrap();
    let app = opens(&data, &database);
    assert_eq!(state(&app), (true, true, 1));
    let epoch = app.store.read_blocking(service::epoch::current).unwrap();
    assert!(!epoch.confirmed, "devices hear of it");
    assert_ne!(works(&app), more);
    drop(app);
    assert_eq!(state(&opens(&data, &database)).2, 1, "it is noticed once");
}

#[test]
fn d08_a_database_that_went_another_way_since_is_noticed_and_another_databases_mark_is_not() {
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new());
    let data = folder.path().join("data");
    let app = opens(&data, &database);
    let (seen, blobs) = (works(&app), app.config.blobs.clone());
    let owner = holdfast::blob::home::read_marker(&blobs).unwrap();
    drop(app);

    let foreign = Seen { database: "another".to_owned(), seq: seen.seq + 40, ..seen.clone() };
    seen::write(&blobs, &owner, &foreign).unwrap();
    assert_eq!(state(&opens(&data, &database)), (false, false, 0));

    // The number is there again, and is another entry's.
    let other = Seen { entry: domain::id::ActivityId::generate(NOW).to_string(), ..seen };
    seen::write(&blobs, &owner, &other).unwrap();
    assert_eq!(state(&opens(&data, &database)), (true, true, 1));
}
