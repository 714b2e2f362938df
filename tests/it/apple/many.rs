//! Many devices at once: each gets its own commands, all of them, and nobody else's.
use super::World;
use crate::support::device::apple::{Identity, SimApple};
use crate::support::device::token;
use crate::support::server::admin;
use domain::command::{CommandState, Order};
use holdfast::service::command::{self, Ask};
use holdfast::store;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// How many, unless `HOLDFAST_APPLE_DEVICES` says otherwise: by hand 1,000.
const COUNT: usize = 100;

const THREADS: usize = 8;

fn count() -> usize {
    std::env::vars_os()
        .find(|(name, _)| name == "HOLDFAST_APPLE_DEVICES")
        .map_or(COUNT, |(_, value)| value.to_str().and_then(|it| it.parse().ok()).expect("a number of devices"))
}

/// What a device of this number does with a command: most answer; some first cannot, some go away and come back, some answer
/// twice, and some say that they could not.
fn treats(phone: &SimApple, number: usize) -> BTreeSet<String> {
    let mut got = BTreeSet::new();
    for turn in 0.. {
        let mut next = phone.idles();
        let mut is_over = next.is_none();
        while let Some(asked) = next {
            assert!(got.len() < 50, "asked without end");
            got.insert(asked.id.clone());
            next = match (number % 5, turn) {
                (1, 0) => phone.reports("NotNow", &asked),
                (2, 0) => break,
                (3, _) => {
                    phone.answers(&asked, phone.words(&asked));
                    is_over = false;
                    phone.answers(&asked, phone.words(&asked))
                }
                (4, _) => phone.reports("Error", &asked),
                _ => phone.answers(&asked, phone.words(&asked)),
            };
        }
        if is_over {
            return got;
        }
        assert!(turn < 100, "device {number} is never done");
    }
    got
}

#[test]
fn of_many_devices_at_once_each_gets_all_of_its_own_commands_and_none_is_lost() {
    let (world, count) = (World::new(), count());
    let limit = i64::try_from(count).unwrap();
    let text = token(&world.server, |it| it.use_limit = limit);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (world, text, found) = (&world, &text, &found);
            scope.spawn(move || {
                // Making a key takes longer than all the rest: those of one thread share theirs, each with its own certificate.
                let key = Identity::generate().unwrap();
                for number in (thread..count).step_by(THREADS) {
                    let mut phone = SimApple::phone(world.door, 0);
                    phone.udid = format!("00008030-{number:016}");
                    phone.serial = format!("F2LX{number:06}");
                    phone.enrolls_with(text, &key);
                    let (device, _) = world.device(&phone);
                    let mut ids = BTreeSet::new();
                    for _ in 0..1 + number % 3 {
                        let (of, now) = (device.clone(), world.now());
                        let queue = move |conn: &mut _| {
                            command::queue(conn, &admin(), &of, Ask { order: &Order::lock(), request_key: None }, now)
                        };
                        ids.insert(world.server.act(queue).id.to_string());
                    }
                    let got = treats(&phone, number);
                    assert!(ids.is_subset(&got), "device {number} lost a command");
                    found.lock().unwrap().push((device.id, number, ids));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert_eq!(found.len(), count);
    let ended = world.server.read(|conn| Ok(store::command::newest(conn, 1_000_000)?));
    for (device, number, ids) in &found {
        let of: Vec<_> = ended.iter().filter(|it| it.device_id == *device).collect();
        assert_eq!(of.len(), ids.len(), "device {number}");
        let expected = if number % 5 == 4 { CommandState::Failed } else { CommandState::Acknowledged };
        assert!(of.iter().all(|it| it.state == expected), "device {number}: {of:?}");
    }
}
