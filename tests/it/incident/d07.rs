//! GitLab, 2017: the right command on the wrong machine, whose prompt looked the same.
use crate::support::TestDatabase;
use crate::support::server::TestServer;
use clock::Clock;
use holdfast::app::App;
use holdfast::blob::home::read_marker;
use holdfast::config::{Config, Options};
use std::path::Path;

fn adopt(blobs: &Path, database: &TestDatabase, typed: &str) -> Result<App, String> {
    let options = Options {
        data: Some(blobs.with_extension("other")),
        database: Some(database.url()),
        blobs: Some(blobs.to_owned()),
        adopt_blobs: Some(typed.to_owned()),
        ..Options::default()
    };
    App::open(Config::new(options).unwrap(), Clock::fixed(crate::support::NOW)).map_err(|error| format!("{error:#}"))
}

#[test]
fn d07_another_servers_backups_are_taken_over_only_by_its_name_and_never_while_it_runs() {
    let server = TestServer::start();
    let (blobs, database) = (server.app.config.blobs.clone(), TestDatabase::new());
    let owner = read_marker(&blobs).unwrap();
    // So that there is a server of its own.
    drop(database.store());

    for typed in ["", "yes", &owner.server[..8], &owner.database] {
        let refused = adopt(&blobs, &database, typed).map(drop).unwrap_err();
        assert!(refused.contains(&format!("--adopt-blobs={}", owner.server)), "{typed}: {refused}");
    }
    let refused = adopt(&blobs, &database, &owner.server).map(drop).unwrap_err();
    assert!(refused.contains("another server is using"), "{refused}");
    assert_eq!(read_marker(&blobs).unwrap(), owner, "it kept its own");
    server.app.watch.look(server.app.clock.now()).unwrap();
    assert_eq!(server.request("GET", "/health", &[], b"").body, b"ok\n");
}
