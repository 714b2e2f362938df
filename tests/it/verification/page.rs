//! What people and scripts see of the stores.
use crate::support::device::SimDevice;
use crate::support::people::{SINCE, colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use domain::object::{Location, ObjectKind, TokenKind};
use domain::role::{Role, Scope};
use domain::time::{days, hours};
use holdfast::blob::BlobKey;
use holdfast::config::Options;
use holdfast::service::backup;
use holdfast::{job, store};
use serde_json::Value;
use std::fs;

/// One run of each job.
fn verifies(server: &TestServer) {
    let now = server.app.clock.now();
    server.app.watch.look(now).unwrap();
    for verifier in &server.app.verifiers.0 {
        while job::verification::read_back(verifier, now).unwrap().more {}
        job::verification::list(verifier, now).unwrap();
    }
}

/// Puts a pack into a device's repository.
fn puts(server: &TestServer, device: &SimDevice, bytes: &[u8]) -> BlobKey {
    let id = device.enrolled.as_ref().unwrap().repository_id;
    let kept = backup::keep(&*server.app.blobs, id, ObjectKind::Data, bytes).unwrap();
    let (key, size, now) = (kept.key.clone(), kept.size, server.app.clock.now());
    server.act(move |conn| backup::received(conn, &key, size, TokenKind::Agent, now));
    let key = kept.key.clone();
    kept.settle();
    key
}

fn stores(visit: &Visit<'_>) -> Value {
    visit.get("/stores.json").json()["stores"].clone()
}

#[test]
fn an_empty_store_says_that_it_is_empty_and_a_full_one_what_was_read_back() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let visit = Visit::of(&server, owner);

    let html = text(&visit.get("/stores"));
    assert!(html.contains("Not counted yet") && html.contains("It has not begun since the server started"), "{html}");
    assert_eq!(stores(&visit)[0]["standing"], "unknown");
    assert_eq!(stores(&visit)[0]["verified_percent"], Value::Null);
    verifies(&server);
    let html = text(&visit.get("/stores"));
    assert!(html.contains("Nothing is stored yet") && !html.contains("st proven"), "{html}");
    assert_eq!(stores(&visit)[0]["standing"], "empty");

    let device = SimDevice::join(&server);
    puts(&server, &device, b"pack");
    verifies(&server);
    let html = text(&visit.get("/stores"));
    assert!(html.contains("100 %") && html.contains("3 of 3 objects"), "{html}");
    assert!(html.contains("Intact") && html.contains("Nothing waits for its first read-back"), "{html}");
    let store = &stores(&visit)[0];
    assert_eq!((&store["standing"], &store["object_count"]), (&"intact".into(), &3.into()));
    assert_eq!((&store["verified_percent"], &store["late_seconds"]), (&100.into(), &0.into()));
    assert!(store["free_bytes"].as_i64().unwrap() > 0);
}

#[test]
fn green_goes_by_the_clock_alone() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let device = SimDevice::join(&server);
    puts(&server, &device, b"pack");
    verifies(&server);
    assert_eq!(stores(&Visit::of(&server, owner))[0]["standing"], "intact");

    server.app.clock.advance(hours(25));
    let visit = Visit::of(&server, owner);
    assert_eq!(stores(&visit)[0]["standing"], "unknown", "nobody has listed it for a day");
    assert!(text(&visit.get("/stores")).contains("more than a day ago"));

    server.app.clock.advance(days(30));
    let visit = Visit::of(&server, owner);
    server.app.verifiers.0[0].list(job::verification::LIST_PERIOD, server.app.clock.now()).unwrap();
    assert_eq!(stores(&visit)[0]["standing"], "partly");
    assert_eq!(stores(&visit)[0]["verified_percent"], 0);
}

#[test]
fn what_was_never_read_back_is_late_after_a_day() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let device = SimDevice::join(&server);
    puts(&server, &device, b"pack");
    server.app.clock.advance(hours(25));
    server.app.verifiers.0[0].list(job::verification::LIST_PERIOD, server.app.clock.now()).unwrap();

    let visit = Visit::of(&server, owner);
    let store = &stores(&visit)[0];
    assert_eq!((&store["standing"], &store["late_seconds"]), (&"late".into(), &(25 * 3600).into()));
    assert!(text(&visit.get("/stores")).contains("The oldest came 25 h ago; a day is allowed"));
}

#[test]
fn damage_leads_to_its_device_for_those_who_may_see_it() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let team = server.act(|conn| {
        let team =
            store::team::Team { id: domain::id::TeamId::generate(SINCE), name: "Other".to_owned(), created_at: SINCE };
        store::team::insert(conn, &team)?;
        Ok(team.id)
    });
    let owner = colleague(&server, "owner", Role::Owner);
    let elsewhere = person(&server, "elsewhere", &[], None, SINCE);
    let of_the_team = (Role::Operator, Scope::Team(team));
    server.act(move |conn| Ok(store::user::grant(conn, elsewhere, of_the_team, None, SINCE)?));
    let pack = puts(&server, &device, b"pack");
    let path = server.app.config.blobs.join(pack.repository.as_str()).join("data").join(&pack.name.as_str()[..2]);
    fs::write(path.join(pack.name.as_str()), b"pecK").unwrap();

    verifies(&server);

    let html = text(&Visit::of(&server, owner).get("/stores"));
    let link = format!("<a href=\"/devices/{}\">laptop-1</a>", device.id());
    assert!(html.contains(&link) && html.contains(pack.name.as_str()), "{html}");
    assert!(html.contains("1 object") && html.contains("of 1 device"), "{html}");
    assert!(html.contains("Damaged"), "{html}");
    let store = &stores(&Visit::of(&server, owner))[0];
    assert_eq!((&store["standing"], &store["damaged_objects"]), (&"damaged".into(), &1.into()));
    assert_eq!(store["damaged"][0]["device_id"], device.id().to_string());

    let visit = Visit::of(&server, elsewhere);
    let html = text(&visit.get("/stores"));
    assert!(!html.contains("laptop-1") && html.contains("1 object"), "{html}");
    assert_eq!(stores(&visit)[0]["damaged"], serde_json::json!([]));
}

#[test]
fn a_store_that_is_away_shows_no_green_and_says_since_when() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    puts(&server, &SimDevice::join(&server), b"pack");
    verifies(&server);
    let (place, aside) = (server.app.config.blobs.clone(), server.app.config.blobs.with_extension("aside"));
    fs::rename(&place, &aside).unwrap();
    verifies(&server);

    let visit = Visit::of(&server, owner);
    let html = text(&visit.get("/stores"));
    assert!(html.contains("Unreadable since") && !html.contains("st proven"), "{html}");
    let store = &stores(&visit)[0];
    assert_eq!((&store["standing"], &store["pace"]), (&"away".into(), &"away".into()));
    assert!(store["away_since"].is_string());
    assert!(text(&visit.get("/metrics")).contains("holdfast_store_up{location=\"primary\"} 0\n"));

    fs::rename(&aside, &place).unwrap();
    verifies(&server);
    assert_eq!(stores(&Visit::of(&server, owner))[0]["standing"], "intact");
}

#[test]
fn the_second_store_says_how_its_escrow_records_stand() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(Options {
        copy: Some(folder.path().to_str().unwrap().to_owned()),
        copy_is_spare: Some(true),
        location: Some("Zürich".to_owned()),
        copy_location: Some("Zürich".to_owned()),
        ..Options::default()
    });
    let owner = colleague(&server, "owner", Role::Owner);
    let page = || text(&Visit::of(&server, owner).get("/stores"));
    assert!(page().contains("There is no repository that needs an escrow record."), "{}", page());

    SimDevice::join(&server);

    let html = page();
    assert!(
        html.contains("<p class=\"note dated\">The second store has the escrow record of 0 of 1 repository"),
        "{html}"
    );
}

#[test]
fn a_budget_of_nothing_is_loud_and_one_that_is_too_small_says_what_would_do() {
    let off = TestServer::with(Options { verify_budget: Some(0), ..Options::default() });
    let owner = colleague(&off, "owner", Role::Owner);
    puts(&off, &SimDevice::join(&off), b"pack");
    verifies(&off);
    let visit = Visit::of(&off, owner);
    let html = text(&visit.get("/stores"));
    assert!(html.contains("note lost") && html.contains("Nothing is read back"), "{html}");
    assert!(html.contains("Not verified") && !html.contains("st proven"), "{html}");
    assert_eq!((&stores(&visit)[0]["standing"], &stores(&visit)[0]["pace"]), (&"off".into(), &"off".into()));

    let small = TestServer::with(Options { verify_budget: Some(1), verify_cycle: Some(1), ..Options::default() });
    let owner = colleague(&small, "owner", Role::Owner);
    puts(&small, &SimDevice::join(&small), b"pack");
    small.act(|conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::objects;
        // 4 TiB, as far as the ledger knows.
        let size = objects::size_bytes.eq(4_i64 << 40);
        Ok(diesel::update(objects::table.filter(objects::kind.eq(ObjectKind::Data))).set(size).execute(conn)?)
    });
    verifies(&small);
    let html = text(&Visit::of(&small, owner).get("/stores"));
    assert!(html.contains("too small") && html.contains("at least 61 MiB/s"), "{html}");
}

#[test]
fn metrics_are_figures_and_leave_no_entry_and_a_list_leaves_one() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    puts(&server, &SimDevice::join(&server), b"pack");
    verifies(&server);
    let visit = Visit::of(&server, owner);
    let exports = || {
        let all = server.read(|conn| Ok(store::activity::all(conn)?));
        all.into_iter().filter(|it| it.action.as_str() == "exported").map(|it| it.object_name).collect::<Vec<_>>()
    };

    let answer = visit.get("/metrics");

    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = text(&answer);
    for line in [
        "# TYPE holdfast_store_objects gauge",
        "holdfast_store_up{location=\"primary\"} 1",
        "holdfast_store_objects{location=\"primary\"} 3",
        "holdfast_store_verified_objects{location=\"primary\"} 3",
        "holdfast_store_oldest_unverified_seconds{location=\"primary\"} 0",
        "holdfast_store_damaged_objects{location=\"primary\"} 0",
        "holdfast_store_verify_budget_bytes{location=\"primary\"} 33554432",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
    assert!(!text.contains("holdfast_store_copy_lag_seconds{"), "nothing is late for a second store that is not there");
    assert!(exports().is_empty());
    visit.get("/stores.json");
    assert_eq!(exports(), ["stores.json"]);
}

#[test]
fn each_location_has_a_card() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let html = text(&visit.get("/stores"));
    for location in Location::ALL {
        assert!(html.contains(&format!("id=\"store-{location}\"")), "{location}");
    }
    assert!(html.contains("Not set up") && html.contains(domain::copy::NOT_SET_UP), "{html}");
    assert_eq!(stores(&visit).as_array().unwrap().len(), 1, "a store that is not there has no figures");
}
