//! kill -9 while master keys are sealed to other keys.
use crate::kill::server::{Server, World};
use crate::recovery_key::{DEVICE, DEVICE_ID, add_repositories, run};
use crate::support::TestDatabase;
use diesel::connection::SimpleConnection;
use domain::id::DeviceId;
use domain::recovery_key::Recoverability;
use domain::team_key::Progress;
use holdfast::cli::control;
use holdfast::proof::keys::ProofKeys;
use holdfast::service::{recovery_key, team_key};
use holdfast::store::{self, Store};
use secret::recovery::RecoveryKey;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const REPOSITORIES: i64 = 1_500;

/// Runs the proof side, and kills it after `time`, or a `moment` after it has got on, however long that takes here;
/// true if it had ended by then.
fn prove_for(world: &World, time: Duration, moment: Duration) -> bool {
    let store = Store::open(&world.database).unwrap();
    let before = counts(&store);
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["prove", "--once", "--database", &world.database_url, "--log", "error", "--data"])
        .arg(world.folder("server"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while begun.elapsed() < time && counts(&store) == before && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(moment);
    // Whoever looks next finds what the killed one left, and nobody who has it open.
    drop(store);
    let has_ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    has_ended
}

/// How many repositories are sealed to keys in use, and how many have escrow records.
fn counts(store: &Store) -> (i64, i64) {
    let Progress { wrapped, .. } = store.read_blocking(team_key::progress).unwrap();
    (wrapped, store.read_blocking(|conn| store::escrow::covered(conn, None)).unwrap())
}

/// Every master key, opened, and the [`counts`].
fn look(world: &World) -> (Vec<String>, (i64, i64)) {
    let store = Store::open(&world.database).unwrap();
    let keys = ProofKeys::open(&world.folder("server").join("proof.key")).unwrap().beside(&store);
    let ids = store.read_blocking(store::ground::repositories).unwrap();
    let open = |id| {
        let repository = store.read_blocking(|conn| store::repository::find(conn, id)).unwrap().unwrap();
        keys.open_master_key(&repository).unwrap().to_base64().to_string()
    };
    (ids.into_iter().map(open).collect(), counts(&store))
}

#[test]
fn keys_are_replaced_without_a_moment_in_which_a_repository_cannot_be_opened() {
    let database = TestDatabase::new();
    let world = World::new(&database);
    Server::start(&world).end();
    let store = Store::open(&world.database).unwrap();
    store.write_blocking(|conn| conn.batch_execute(DEVICE)).unwrap();
    let proof = ProofKeys::open(&world.folder("server").join("proof.key")).unwrap();
    add_repositories(&store, DeviceId::parse(DEVICE_ID).unwrap(), proof.public(), REPOSITORIES);
    let key = RecoveryKey::make().unwrap();
    let (public, voucher) = (key.public().as_str().to_owned(), proof.vouch_for(key.public()).unwrap());
    let now = clock::Clock::System.now();
    store
        .act_blocking(move |conn| -> holdfast::error::Result<()> {
            recovery_key::make(conn, &control::actor(0), &public, &voucher, now)?;
            recovery_key::confirm(conn, &control::actor(0), &public, now)?;
            Ok(())
        })
        .unwrap();
    drop(store);
    let (before, _) = look(&world);

    let (mut cut, mut time) = ([false, false], Duration::from_millis(40));
    for turn in 0.. {
        let has_ended = prove_for(&world, time, Duration::from_millis(turn * 7 % 30));
        let (opened, (wrapped, covered)) = look(&world);
        assert_eq!(opened, before, "turn {turn}");
        let is_part = |count| 0 < count && count < REPOSITORIES;
        cut = [cut[0] || is_part(wrapped), cut[1] || is_part(covered)];
        if has_ended && (wrapped, covered) == (REPOSITORIES, REPOSITORIES) {
            break;
        }
        assert!(turn < 200, "it gets nowhere: {wrapped} and {covered} of {REPOSITORIES}");
        time += time / 8;
    }
    assert_eq!(cut, [true, true], "no kill came in the middle");
    let (output, said) = run(&world, &["key", "status"], "");
    assert!(output.status.success() && said.contains("All 1,500 repositories are sealed"), "{said}");
    let store = Store::open(&world.database).unwrap();
    let found = store.read_blocking(|conn| recovery_key::recoverability(conn, now)).unwrap();
    assert!(matches!(found, Recoverability::Confirmed { covered: REPOSITORIES, total: REPOSITORIES, .. }), "{found:?}");
}
