//! The history as people search it, and the lists downloaded as files.
use crate::support::NOW;
use crate::support::people::colleague;
use crate::support::visit::{Visit, text};
use crate::wipe::World;
use domain::role::Role;

/// The acts of a CSV file of the history, oldest first.
fn acts(csv: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let column = reader.headers().unwrap().iter().position(|it| it == "action").unwrap();
    let mut acts: Vec<String> = reader.records().map(|it| it.unwrap()[column].to_owned()).collect();
    acts.reverse();
    acts
}

#[test]
fn one_filter_tells_the_whole_story_of_a_wipe_and_nothing_else() {
    let world = World::new();
    let auditor = Visit::of(&world.server, colleague(&world.server, "ada", Role::Auditor));
    let first = world.requested();
    world.stops(first.id).unwrap();
    let request = world.released();
    world.fetches();
    world.sends(&world.report(&world.find(request.id), &[]));

    let story = acts(&text(&auditor.get(&format!("/activity.csv?wipe={}", request.id))));

    for act in ["wipe_requested", "wipe_approved", "wipe_released", "wipe_delivered", "wipe_confirmed"] {
        assert!(story.iter().any(|it| it == act), "{act}: {story:?}");
    }
    assert!(!story.iter().any(|it| it == "wipe_stopped" || it == "device_enrolled"), "{story:?}");
    assert_eq!(story.iter().filter(|it| *it == "wipe_requested").count(), 1, "only its own request: {story:?}");
    let page = text(&auditor.get("/activity"));
    assert!(page.contains(&format!("/activity?wipe={}", request.id)), "each row of a wipe leads to its story");
    assert_eq!(auditor.get("/activity?wipe=nonsense").status, 422);
}

#[test]
fn the_history_is_found_by_act_object_serial_and_person() {
    let world = World::new();
    let auditor = Visit::of(&world.server, colleague(&world.server, "ada", Role::Auditor));
    let request = world.requested();
    let device = world.server.read(|conn| Ok(holdfast::store::device::find(conn, world.device.id())?)).unwrap();
    let found = |q: &str| {
        let query = serde_urlencoded::to_string([("q", q)]).unwrap();
        acts(&text(&auditor.get(&format!("/activity.csv?{query}"))))
    };

    for q in [device.serial.as_str(), device.person.as_str(), device.name.as_str(), &request.id.to_string()] {
        assert!(!q.is_empty() && found(q).iter().any(|it| it == "wipe_requested"), "{q}: {:?}", found(q));
    }
    assert!(found("wipe requested").iter().any(|it| it == "wipe_requested"));
    assert!(!found("wipe confirmed").iter().any(|it| it == "wipe_requested"));
    let page = text(&auditor.get("/activity?q=wipe+requested"));
    assert!(page.contains(&device.serial) && page.contains(&device.name), "{page}");
}

#[test]
fn the_history_is_cut_by_the_minute() {
    let world = World::new();
    let auditor = Visit::of(&world.server, colleague(&world.server, "ada", Role::Auditor));
    world.requested();
    let (minute, next) = ("2026-11-22T14:06", "2026-11-22T14:07");
    assert!(NOW.iso().starts_with(minute));
    let found = |query: &str| acts(&text(&auditor.get(&format!("/activity.csv?{query}"))));

    assert!(found(&format!("from={minute}&until={minute}")).contains(&"wipe_requested".to_owned()));
    assert!(!found(&format!("from={next}")).contains(&"wipe_requested".to_owned()));
    assert!(!found("until=2026-11-22T14:05").contains(&"wipe_requested".to_owned()));
    assert!(found("from=2026-11-22&until=2026-11-22").contains(&"wipe_requested".to_owned()), "days still work");
    assert_eq!(auditor.get("/activity?from=2026-11-22T25:00").status, 422);
}

#[test]
fn wipes_commands_and_restore_tests_are_lists_to_take_away() {
    let world = World::new();
    let auditor = Visit::of(&world.server, colleague(&world.server, "ada", Role::Auditor));
    let request = world.released();
    let serial = world.server.read(|conn| Ok(holdfast::store::device::find(conn, world.device.id())?)).unwrap().serial;

    let wipes = text(&auditor.get("/wipe-requests.csv"));
    let commands = text(&auditor.get("/commands.csv"));
    let tests = text(&auditor.get("/restore-tests.csv"));
    assert_eq!(auditor.get("/commands.json").status, 200);

    assert!(wipes.contains(&request.id.to_string()) && wipes.contains(&serial), "{wipes}");
    assert!(commands.contains(&serial) && commands.contains("wipe"), "{commands}");
    assert!(tests.starts_with("id,device_id,device,serial"), "{tests}");
    assert_eq!(text(&auditor.get("/wipe-requests.csv?state=confirmed")).lines().count(), 1, "the head alone");
    assert_eq!(auditor.get("/commands.csv?kind=zz").status, 422);
    let history = acts(&text(&auditor.get("/activity.csv?action=exported")));
    assert_eq!(history.len(), 5, "each download that was given is an entry");
}
