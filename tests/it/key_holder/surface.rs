//! What pages, lists, files and counts say of backups whose key the customer keeps: nothing that is not so, no dead end, and
//! nothing green.
use super::{World, joins, key_file, team};
use crate::agent::{Device, points};
use crate::copy::world::second_store;
use crate::restic_client::has_restic;
use crate::support::NOW;
use crate::support::people::{SINCE, person};
use crate::support::visit::{Visit, location, text};
use agent::{OwnKey, Stop};
use domain::copy_proof::{CopyGrade, DRILL};
use domain::disaster::{Event, Fate, Reason};
use domain::id::PolicyId;
use domain::key_holder::{
    CAPPED, CLIENT_NEEDS_KEY_FILE, GOES_WITH_IT, KEEP_THE_KEY_FILE, KeyHolder, NEEDS_KEY_FILE, NOT_FROM_COPY,
};
use domain::loss::Part;
use domain::object::ObjectKind;
use domain::policy::Requirement;
use domain::retention::{Brake, Keep, Rule};
use domain::role::{Reach, Role};
use domain::time::{hours, minutes};
use holdfast::service::retention::Total;
use holdfast::store::policy::Policy;
use holdfast::store::setting::COPY;
use holdfast::{service, store};
use std::process::Command;

fn has_second_store(world: &World) {
    let second = domain::copy::SecondStore { opened_at: Some(NOW), ..second_store() };
    world.server.act(move |conn| Ok(COPY.set(conn, &second, NOW)?));
}

fn page(world: &World, path: &str) -> String {
    let answer = Visit::of(&world.server, world.owner).get(path);
    assert_eq!(answer.status, 200, "{path}");
    text(&answer)
}

#[test]
fn the_devices_page_promises_no_proof_and_says_what_is_possible() {
    let world = World::new();
    has_second_store(&world);
    world.verifies();
    let id = world.id();
    let html = page(&world, &format!("/devices/{id}"));
    for said in [
        CAPPED,
        GOES_WITH_IT,
        CLIENT_NEEDS_KEY_FILE,
        NOT_FROM_COPY,
        "which only the customer’s key opens",
        "nobody can look inside them here",
        "restore to a device that has the key file",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    for said in ["Back up and prove", "Prove now", "never been restored", DRILL, "Look inside"] {
        assert!(!html.contains(said), "{said}: {html}");
    }
    let queued = Visit::of(&world.server, world.owner).post(&format!("/devices/{id}/backup-commands"), &[]);
    assert_eq!(location(&queued), format!("/devices/{id}"));
    assert!(
        !text(&Visit::of(&world.server, world.owner).get(&format!("/devices/{id}"))).contains("restore test follows")
    );

    let html = page(&world, &format!("/devices/{id}/restore-points"));
    assert!(html.contains("nobody can look inside them here") && html.contains("/restore/what?point="), "{html}");
    assert!(!html.contains("Look inside") && !html.contains("Search all points"), "{html}");
    let html = page(&world, &format!("/devices/{id}/restore"));
    assert!(html.contains(CAPPED) && !html.contains("Proven points come first"), "{html}");
    let overview = page(&world, "/");
    assert!(!overview.contains("Back up and prove") && !overview.contains(DRILL), "{overview}");
}

#[test]
fn the_last_step_of_a_restore_says_that_only_the_key_file_opens_it() {
    let world = World::new();
    let (id, point) = (world.id(), points(&world.server, &world.agent)[0].id);
    let fields = [("point", point.as_str()), ("what", "all"), ("target", id.as_str()), ("conflict", "keep_both")];
    let html = text(&Visit::of(&world.server, world.owner).post(&format!("/devices/{id}/restore/preview"), &fields));
    assert!(html.contains(NEEDS_KEY_FILE) && html.contains("Not proven"), "{html}");
}

#[test]
fn nothing_counts_it_as_proven_or_as_nothing_to_lose() {
    let world = World::new();
    has_second_store(&world);
    world.verifies();
    world.agent.check_in().unwrap();
    let (id, now) = (world.id(), world.now());
    let server = &world.server;
    let policy = Policy {
        id: PolicyId::generate(NOW),
        name: "Proven".to_owned(),
        team_id: None,
        requirements: serde_json::to_string(&[
            Requirement::ProvenRestorePoint { within_minutes: 60 * 24 },
            Requirement::CopyProven { within_minutes: 60 * 24 },
        ])
        .unwrap(),
        version: 1,
        created_by: "owner".to_owned(),
        created_at: NOW,
        updated_at: NOW,
        removed_at: None,
    };
    server.act(move |conn| Ok(store::policy::insert(conn, &policy)?));

    let json = Visit::of(server, world.owner).get(&format!("/devices/{id}.json")).json();
    assert_eq!(
        (&json["key_holder"], &json["grade"], &json["proof"], &json["copy_proof"]),
        (&"customer".into(), &"verified".into(), &"verified".into(), &"no_key".into())
    );
    assert!(json["proven_as_of"].is_null() && json["copy_proven_as_of"].is_null());
    assert_ne!(json["if_lost"], Part::Restorable.as_str());
    assert_eq!(json["from_second_copy"]["sentence"], NOT_FROM_COPY);
    let policies = json["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    for it in policies {
        assert_eq!((&it["result"], &it["value"]), (&"not_compliant".into(), &"no_key".into()), "{it}");
    }
    assert!(page(&world, &format!("/devices/{id}")).contains("nothing is ever proven here"));
    let stores = Visit::of(server, world.owner).get("/stores.json").json();
    let proofs = &stores["from_second_copy"];
    assert_eq!((&proofs["devices"], &proofs["of_customers"], &proofs["is_due"]), (&0.into(), &1.into(), &false.into()));

    // The number and the list behind it, for each grade.
    for grade in CopyGrade::ALL.iter().copied() {
        let among = server.read(move |conn| service::copy_proof::among(conn, grade, &Reach::All, now));
        let expected = i64::from(grade == CopyGrade::NoKey);
        let filter = store::device_list::Filter { among: vec![among], ..store::device_list::Filter::default() };
        let count = server.read(move |conn| Ok(store::device_list::count(conn, &filter, &Reach::All, now)?));
        assert_eq!(count, expected, "{grade:?}");
    }
    let known = server.read(|conn| service::disaster::Known::read(conn, &Reach::All, now));
    for event in Event::all(&known.means) {
        let all = known.list(event, None);
        assert_eq!(all.len(), 1);
        assert_ne!(all[0].1.fate, Fate::ComesBack, "{event:?}");
        assert_ne!(all[0].1.reason, Reason::RecordUnknown, "{event:?}: there never is a record");
    }
    let found = server.read(service::copy_proof::of_customers);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [id], "dr prove says that it is left out");
}

#[test]
fn a_preview_of_a_rule_counts_nothing_of_it_and_says_why() {
    let world = World::new();
    let (office, other) = (team(&world.server, "Office", KeyHolder::Server), Device::new());
    let agent = joins(&world.server, &other, office, None).unwrap();
    for number in 0..4 {
        world.server.app.clock.advance(minutes(30));
        for (device, agent) in [(&world.device, &world.agent), (&other, &agent)] {
            std::fs::write(device.docs().join("more"), format!("{number}")).unwrap();
            agent.back_up(&Stop::default()).unwrap();
        }
    }
    world.server.app.clock.advance(domain::time::days(400));
    let now = world.now();
    let keep = Keep::By(Rule { last: 3, daily: 0, weekly: 0, monthly: 0, yearly: 0, within_days: 30 });
    let mut total = Total::default();
    while !total.is_whole {
        total = world.server.read(move |conn| service::retention::preview(conn, &keep, total, now));
    }
    let named: Vec<_> = total.devices.iter().map(|it| it.device).collect();
    assert_eq!(named, [agent.enrollment().device_id], "the same backups end where this server keeps the key");
    assert_eq!((total.end_count, total.point_count, total.customer_count), (total.devices[0].ends.len(), 9, 1));
    let device = world.id();
    let outlook = world.server.read(move |conn| {
        let device = store::device::find(conn, device)?.unwrap();
        service::retention::outlook(conn, &keep, &device, now)
    });
    assert!(outlook[0].ends.is_empty() && outlook[0].brakes.contains(&Brake::NoKey), "{outlook:?}");
    let rule = serde_urlencoded::to_string([("rule", keep.text())]).unwrap();
    let html = page(&world, &format!("/devices/{device}/ends?{rule}"));
    assert!(html.contains("Of 1 repository nothing ends: the customer keeps the key"), "{html}");
}

#[test]
fn a_token_for_restic_opens_the_backups_with_the_customers_key_file_and_with_nothing_else() {
    let world = World::new();
    let id = world.id();
    let fields = [("name", "my laptop"), ("reads", "yes"), ("hours", "24"), ("reason", "a file is missed")];
    let made = Visit::of(&world.server, world.owner).post(&format!("/devices/{id}/repository-tokens"), &fields);
    let html = text(&made);
    assert!(made.status == 200 && html.contains(CLIENT_NEEDS_KEY_FILE), "{html}");
    assert!(!html.contains("export RESTIC_PASSWORD=&#39;") && !html.contains("export RESTIC_PASSWORD='"), "{html}");
    let repository = world.repository();
    let keys = world.server.read(move |conn| Ok(store::object::list(conn, repository, ObjectKind::Keys, None)?));
    assert_eq!(keys.len(), 1, "no password was made");

    if !has_restic() {
        return;
    }
    let token = html.split(&format!("{repository}:")).nth(1).and_then(|it| it.split('@').next()).unwrap();
    let address = world.server.url().replace("http://", &format!("rest:http://{repository}:{token}@"));
    let restic = |password: &str| {
        let mut command = Command::new("restic");
        command.args(["--no-cache", "--repo", &format!("{address}/restic/{repository}/"), "ls", "latest"]);
        command.env("RESTIC_PASSWORD", password).output().unwrap()
    };
    let key = OwnKey::read_or_make(&key_file(&world.device)).unwrap();
    let listed = restic(key.password());
    assert!(listed.status.success(), "{listed:?}");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("deep/7.txt"));
    assert!(!restic("another password, long enough to be one").status.success());
}

#[test]
fn the_command_for_a_new_device_names_a_key_file_where_it_needs_one_and_only_there() {
    let world = World::new();
    let office = team(&world.server, "Office", KeyHolder::Server);
    let visit = Visit::of(&world.server, world.owner);
    let made = |team: &str| {
        let fields =
            [("name", "laptops"), ("team", team), ("ownership", "company"), ("use_limit", "1"), ("valid_hours", "24")];
        text(&visit.post("/enrollment-tokens", &fields))
    };
    let html = made(world.team.as_str());
    assert!(html.contains("--key-file backup.key") && html.contains(KEEP_THE_KEY_FILE), "{html}");
    let html = made(office.as_str());
    assert!(html.contains("holdfast agent enroll") && !html.contains("--key-file"), "{html}");
    let html = text(&visit.post(&format!("/devices/{}/enrollment-tokens", world.id()), &[]));
    assert!(html.contains("--again") && html.contains("--key-file"), "{html}");
}

#[test]
fn many_are_proven_at_once_without_those_that_nobody_here_can_test() {
    let world = World::new();
    let office = team(&world.server, "Office", KeyHolder::Server);
    let other = Device::new();
    let agent = joins(&world.server, &other, office, None).unwrap();
    agent.back_up(&Stop::default()).unwrap();
    let operator = person(&world.server, "operator", &[Role::Owner], None, SINCE);
    let visit = Visit::of(&world.server, operator);
    let (one, two) = (world.id(), agent.enrollment().device_id);
    let fields = [("id", one.as_str()), ("id", two.as_str())];
    let asked = text(&visit.post("/devices/restore-tests", &fields));
    let hidden = |name: &str| crate::support::visit::hidden(&asked, name);
    let (confirmed, key) = (hidden("confirmed"), hidden("request_key"));
    let done =
        visit.post("/devices/restore-tests", &[fields[0], fields[1], ("confirmed", &confirmed), ("request_key", &key)]);
    assert_eq!(done.status, 303, "{}", text(&done));
    let queued = world.server.read(move |conn| {
        Ok((store::restore_test::of_device(conn, one, 5)?.len(), store::restore_test::of_device(conn, two, 5)?.len()))
    });
    assert_eq!(queued, (0, 1));
}

#[test]
fn an_incident_says_what_ends_it_where_nobody_here_can_read_and_then_it_ends() {
    let world = World::new();
    world.verifies();
    let (server, id, repository) = (&world.server, world.id(), world.repository());
    let is_lost = || server.read(|conn| Ok(store::uncopied::is_lost(conn, id, server.app.clock.now())?));
    server.app.clock.advance(hours(1));
    let now = world.now();
    let pack =
        server.app.blobs.list(repository).unwrap().into_iter().find(|it| it.0.kind == ObjectKind::Data).unwrap().0;
    server.act(move |conn| service::backup::object_found_damaged(conn, &pack, "its bytes changed", now).map(drop));
    world.agent.check_in().unwrap();
    let html = page(&world, "/incident");
    assert!(html.contains("Have it back up") && is_lost(), "{html}");

    // It sends everything again; but nobody here can say that this does without what is damaged.
    server.app.clock.advance(hours(1));
    world.agent.check_in().unwrap();
    world.agent.back_up(&Stop::default()).unwrap();
    world.verifies();
    let html = page(&world, "/incident");
    assert!(html.contains("Enroll it again with its key file") && !html.contains("Back up this device now"), "{html}");
    let json = Visit::of(server, world.owner).get("/incident.json").json();
    assert_eq!(json["last_copies"][0]["next"], "Enroll it again with its key file: a new repository is whole");
    assert!(is_lost());

    // A new repository, of which everything is read back.
    let again = crate::support::device::token(server, |it| (it.team_id, it.device_id) = (Some(world.team), Some(id)));
    server.app.clock.advance(hours(1));
    let request = agent::EnrollRequest {
        server: server.url(),
        token: again,
        key_file: Some(key_file(&world.device)),
        again: true,
        ..agent::EnrollRequest::default()
    };
    let World { server, team, device, agent, owner } = world;
    drop(agent);
    let agent = device.join(request, server.app.clock.clone()).unwrap();
    let world = World { server, team, device, agent, owner };
    world.agent.check_in().unwrap();
    world.agent.back_up(&Stop::default()).unwrap();
    assert!(page(&world, "/incident").contains("The backup store is damaged"), "not read back yet");
    world.verifies();
    assert_ne!(world.repository(), repository);
    let now = world.now();
    let found =
        world.server.read(move |conn| Ok((store::uncopied::is_lost(conn, id, now)?, store::attention::damage(conn)?)));
    assert_eq!(found, (false, (0, 0)));
    assert!(page(&world, "/incident").contains("Nothing is the matter with the stores"));
}
