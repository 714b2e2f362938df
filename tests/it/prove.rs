//! `holdfast prove`, as a person or a script runs it.
use crate::agent::Device;
use crate::kill::server::{Server, World};
use crate::support::server::boss;
use agent::Stop;
use clock::Clock;
use diesel::connection::SimpleConnection;
use domain::device::Ownership;
use domain::time::hours;
use holdfast::service::enrollment::{TokenDraft, make_token};
use holdfast::service::proof;
use holdfast::store::Store;
use std::process::{Command, Output};

fn prove(world: &World, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["prove", "--once", "--json", "--database", &world.database_url, "--log", "error"])
        .arg("--data")
        .arg(world.folder("server"))
        .args(arguments)
        .output()
        .unwrap()
}

/// The JSON that it printed, and whether it ended well.
fn told(output: &Output) -> (serde_json::Value, bool) {
    let error = String::from_utf8_lossy(&output.stderr);
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {error}"));
    (told, output.status.success())
}

#[test]
fn prove_has_a_running_server_test_and_tests_itself_without_one() {
    let world = World::on_sqlite();
    let (now, clock) = (Clock::System.now(), Clock::System);
    let draft = TokenDraft {
        name: "test".to_owned(),
        team_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        valid_for: hours(1),
        device_id: None,
    };
    let store = Store::open(&world.database).unwrap();
    let token = store.act_blocking(move |conn| make_token(conn, &boss(), &draft, now)).unwrap().1;
    drop(store);
    let mut server = Server::start(&world);
    let device = Device::new();
    let agent = device.enroll_with(token, &world.url(), None, clock).unwrap();
    let id = agent.enrollment().device_id.to_string();

    let refused = prove(&world, &["--device", &id]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no backup yet"), "{refused:?}");

    agent.back_up(&Stop::default()).unwrap();
    let (tests, is_good) = told(&prove(&world, &["--device", &id]));
    assert!(is_good);
    assert_eq!(
        (&tests[0]["device"], &tests[0]["result"], &tests[0]["matched_count"]),
        (&id.into(), &"passed".into(), &40.into())
    );
    assert_eq!(tests.as_array().unwrap().len(), 1);
    assert_eq!(told(&prove(&world, &[])), (serde_json::json!([]), true), "nothing waits any more");

    server.end();
    let store = Store::open(&world.database).unwrap();
    let device = agent.enrollment().device_id;
    let asked = store.act_blocking(move |conn| proof::ask(conn, &boss(), device, Clock::System.now())).unwrap();
    drop(store);
    let (tests, is_good) = told(&prove(&world, &[]));
    assert!(is_good);
    assert_eq!((&tests[0]["id"], &tests[0]["result"]), (&asked.to_string().into(), &"passed".into()));

    let store = Store::open(&world.database).unwrap();
    store
        .act_blocking(move |conn| {
            // As for a backup whose list of files never arrived.
            conn.batch_execute("UPDATE restore_points SET manifest_name = NULL")?;
            proof::ask(conn, &boss(), device, Clock::System.now())
        })
        .unwrap();
    drop(store);
    let (tests, is_good) = told(&prove(&world, &[]));
    assert_eq!((&tests[0]["result"], is_good), (&"partial".into(), false));
}
