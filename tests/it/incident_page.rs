//! The page behind the red bar: what happened to a store, what stands still, who may hold the last copy, and its end.
use crate::copy::world::second_store;
use crate::support::NOW;
use crate::support::device::SimDevice;
use crate::support::door::name;
use crate::support::people::{SINCE, colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, text};
use domain::ground::{Away, AwayCause};
use domain::id::{TeamId, UserId};
use domain::object::{ObjectKind, TokenKind};
use domain::role::{Role, Scope};
use domain::time::{days, hours, minutes};
use domain::wipe::WipeState;
use holdfast::blob::BlobKey;
use holdfast::service::backup;
use holdfast::store;
use holdfast::store::setting::{STEADY, Steady};
use serde_json::Value;

/// A pack of a device, as verification finds it: missing or changed.
fn rots(server: &TestServer, device: &SimDevice) -> BlobKey {
    let (id, now) = (device.id(), server.app.clock.now());
    server.act(move |conn| {
        let repository = store::repository::active_of_device(conn, id)?.unwrap();
        let pack = BlobKey::new(repository.id, ObjectKind::Data, name(b"pack"));
        backup::received(conn, &pack, 4, TokenKind::Agent, now)?;
        assert!(backup::object_found_damaged(conn, &pack, "its bytes changed", now)?);
        Ok(pack)
    })
}

/// The server has run for long without a gap: nothing else keeps restore points from ending.
fn is_steady(server: &TestServer) {
    let now = server.app.clock.now();
    let steady = Steady { since: now - days(30), seen_at: now };
    server.act(move |conn| Ok(STEADY.set(conn, &steady, now)?));
}

fn goes_away(server: &TestServer) {
    let since = server.app.clock.now();
    let away = Away { cause: AwayCause::Away, why: "/srv/blobs is not there".to_owned(), since };
    server.act(move |conn| Ok(store::ground::set_away(conn, Some(&away), since)?));
}

fn page(server: &TestServer, user: UserId) -> String {
    text(&Visit::of(server, user).get("/incident"))
}

fn json(server: &TestServer, user: UserId) -> Value {
    Visit::of(server, user).get("/incident.json").json()
}

/// What stands still of it, and of how many devices; null is all.
fn still(json: &Value) -> Vec<(String, Value)> {
    let all = json["still"].as_array().unwrap();
    all.iter().map(|it| (it["act"].as_str().unwrap().to_owned(), it["devices"].clone())).collect()
}

#[test]
fn without_an_incident_the_page_says_so_and_that_this_proves_nothing() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let html = page(&server, owner);
    assert!(
        html.contains("Nothing is the matter with the stores") && html.contains("None was written down."),
        "{html}"
    );
    assert!(html.contains("says nothing of what was never read back"), "{html}");
    let json = json(&server, owner);
    assert_eq!(
        (&json["causes"], &json["still"], &json["last_copies"]),
        (&Value::Array(vec![]), &json["causes"], &json["causes"])
    );
    assert!(json["since"].is_null());
}

#[test]
fn damage_shows_what_happened_who_may_hold_the_last_copy_what_stands_still_and_how_it_ends() {
    let world = crate::wipe::World::new();
    let (server, device) = (&world.server, &world.device);
    let owner = colleague(server, "owner", Role::Owner);
    is_steady(server);
    let pack = rots(server, device);

    // Every page's bar leads there.
    for path in ["/", "/devices", "/account"] {
        assert!(text(&Visit::of(server, owner).get(path)).contains("<a href=\"/incident\">"), "{path}");
    }
    let html = page(server, owner);
    for said in [
        "The backup store is damaged",
        "1 stored object of 1 device is missing or changed. Of 1 device something is intact in no store",
        "Do not wipe, reset or re-enroll these devices",
        "Grace Hopper",
        "Have it back up",
        "1 device: a wipe of it is held until a second person accepts the loss.",
        "1 device: no restore point of it ends.",
        "1 device: nothing of it in the trash is erased.",
        "It ends by itself once everything is intact again",
        "Nobody has to end it here, and nobody can.",
        "Damage was found: 1 time, 0 repairs",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    let of_one = |act: &str| (act.to_owned(), Value::from(1));
    assert_eq!(still(&json(server, owner)), [of_one("wipes"), of_one("retention"), of_one("trash")]);
    // And so it is.
    assert_eq!(world.requested().state, WipeState::Held);
    assert!(page(server, owner).contains("1 wipe was asked for</a> and not sent"));

    // One button asks all of them, by the page that names them; whoever may not ask has none.
    assert!(html.contains("Back up this device now") && html.contains("at most 4 B"), "{html}");
    let auditor = colleague(server, "auditor", Role::Auditor);
    assert!(!page(server, auditor).contains("Back up this device now"));
    let asked = Visit::of(server, owner).post("/devices/backup-commands", &[("id", &hidden(&html, "id"))]);
    assert!(text(&asked).contains("Back up 1 device?"), "{}", text(&asked));

    // The device sends it again: it ends with the facts.
    server.app.clock.advance(minutes(5));
    let now = server.app.clock.now();
    server.act(move |conn| backup::object_healed(conn, &pack, now));
    let html = page(server, owner);
    assert!(html.contains("Nothing is the matter with the stores"), "{html}");
    assert!(html.contains("Damage was found: 1 time, 1 repair"), "what was is still told: {html}");
}

#[test]
fn what_was_repaired_since_it_began_is_named_while_the_rest_lasts() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let devices = [SimDevice::join(&server), SimDevice::join(&server)];
    let [first, _second] = devices.each_ref().map(|it| rots(&server, it));
    server.app.clock.advance(hours(1));
    let now = server.app.clock.now();
    server.act(move |conn| backup::object_healed(conn, &first, now));
    let html = page(&server, owner);
    assert!(html.contains("the device sent the object again"), "{html}");
    assert_eq!(json(&server, owner)["last_copy_count"], 1);
}

#[test]
fn while_the_backup_store_is_away_all_stands_still_and_no_backup_is_asked_for() {
    let world = crate::wipe::World::new();
    let (server, owner) = (&world.server, colleague(&world.server, "owner", Role::Owner));
    goes_away(server);

    let html = page(server, owner);
    for said in [
        "The backup store cannot be read",
        "/srv/blobs is not there. Until it can be read, nobody can say what would be lost",
        "Mount its disk",
        "No device is wiped.",
        "No restore point ends.",
        "Nothing in the trash is erased.",
        "No second copy",
        "Keep it as it is until the store can be read",
        "the backup store takes nothing",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert!(!html.contains("Back up this device now"), "{html}");
    let json = json(server, owner);
    let of_all = |act: &str| (act.to_owned(), Value::Null);
    assert_eq!(still(&json), [of_all("wipes"), of_all("retention"), of_all("trash")]);
    assert_eq!((&json["since"], &json["last_copy_count"]), (&NOW.iso().into(), &1.into()));

    let now = server.app.clock.now();
    server.act(move |conn| Ok(store::ground::set_away(conn, None, now)?));
    assert!(page(server, owner).contains("Nothing is the matter with the stores"));
}

#[test]
fn every_page_says_that_the_second_store_cannot_be_used_until_it_can() {
    use holdfast::store::setting::{COPY, COPY_AWAY};
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let says = |path: &str| text(&Visit::of(&server, owner).get(path)).contains("The second store cannot be used.");
    assert!(!says("/devices"));
    let now = server.app.clock.now();
    let away = Away { cause: AwayCause::Silent, why: "it does not answer".to_owned(), since: now };
    server.act(move |conn| {
        COPY.set(conn, &second_store(), now)?;
        Ok(COPY_AWAY.set(conn, &away, now)?)
    });

    assert!(says("/devices") && says("/teams") && says("/incident"), "every page");

    server.act(|conn| Ok(COPY_AWAY.remove(conn)?));
    assert!(!says("/devices"));
}

#[test]
fn people_of_a_team_see_that_a_store_is_damaged_and_no_device_of_others() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    rots(&server, &device);
    let team = server.act(|conn| {
        let team = store::team::Team { id: TeamId::generate(NOW), name: "Basel".to_owned(), created_at: NOW };
        store::team::insert(conn, &team)?;
        Ok(team.id)
    });
    let theirs = person(&server, "operator", &[], None, SINCE);
    let of_the_team = (Role::Operator, Scope::Team(team));
    server.act(move |conn| Ok(store::user::grant(conn, theirs, of_the_team, None, SINCE)?));
    let html = page(&server, theirs);
    assert!(html.contains("The backup store is damaged") && !html.contains("laptop-1"), "{html}");
    assert!(html.contains("No device that you see is known to hold the only copy"), "{html}");
}
