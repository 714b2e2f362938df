//! Which device `dr prove` begins with.
use super::world::{World, backs_up};
use crate::support::NOW;
use domain::id::{CopyTestId, DeviceId, RecoveryKeyId};
use domain::proof::{Level, TestResult};
use domain::time::{Time, days};
use holdfast::service::copy_proof;
use holdfast::store;
use holdfast::store::copy_test::CopyTest;
use holdfast::store::recovery_key::RecoveryKey;
use holdfast::store::setting::COPY_ID;

fn key() -> RecoveryKey {
    RecoveryKey {
        id: RecoveryKeyId::generate(NOW),
        name: "K7Q2M9".to_owned(),
        public_key: "public".to_owned(),
        voucher: "voucher".to_owned(),
        made_at: NOW,
        made_by: "host".to_owned(),
        confirmed_at: None,
        confirmed_by: None,
        retired_at: None,
        seal_again_at: None,
    }
}

/// The test of a device's newest backup ended then.
fn ends(world: &World, device: DeviceId, key: RecoveryKeyId, result: TestResult, at: Time) {
    world.door.write(move |conn| {
        let repository = store::repository::active_of_device(conn, device)?.expect("its repository");
        let point = store::uncopied::complete_point(conn, repository.id)?.expect("a complete point");
        let test = CopyTest {
            id: CopyTestId::generate(at),
            device_id: device,
            repository_id: repository.id,
            restore_point_id: point.id,
            point_at: point.received_at,
            store_id: COPY_ID.find(conn)?.unwrap_or_default(),
            recovery_key_id: key,
            runner: "here".to_owned(),
            started_at: at,
            finished_at: at,
            result,
            level: Level::Proven,
            file_count: 1,
            matched_count: 1,
            excluded_count: 0,
            byte_count: 1,
            failures: "{}".to_owned(),
            summary: String::new(),
            valid_until: (result == TestResult::Passed).then_some(at + domain::copy_proof::HOLDS),
            withdrawn_at: None,
            superseded_at: (result == TestResult::Unproven).then_some(at),
        };
        store::copy_test::insert(conn, &test)
    });
}

#[test]
fn a_proof_run_begins_with_what_was_never_proven_so_and_comes_around_however_often_it_is_stopped() {
    let world = World::new();
    let (key, mut devices) = (key(), Vec::new());
    let id = key.id;
    world.door.write(move |conn| store::recovery_key::insert(conn, &key));
    for number in 0..4 {
        let repository = world.door.repository();
        backs_up(&world, &repository, &format!("{number}"));
        devices.push(repository.device);
    }
    world.runs();
    let order = || -> Vec<usize> {
        let found = world.door.read(copy_proof::candidates);
        found.iter().map(|it| devices.iter().position(|id| *id == it.device.id).expect("one of them")).collect()
    };
    ends(&world, devices[0], id, TestResult::Passed, NOW - days(1));
    ends(&world, devices[1], id, TestResult::Unproven, NOW - days(2));
    ends(&world, devices[2], id, TestResult::Passed, NOW - days(30));
    assert_eq!(order(), [3, 2, 1, 0]);

    // Each run is stopped after one device; two of them cannot be proven.
    let mut first = Vec::new();
    for run in 1..=8 {
        let now = NOW + days(run * 20);
        let next = order()[0];
        first.push(next);
        let result = if next == 1 || next == 3 { TestResult::Unproven } else { TestResult::Passed };
        ends(&world, devices[next], id, result, now);
    }
    assert!((0..4).all(|it| first.contains(&it)), "each had its turn: {first:?}");
}
