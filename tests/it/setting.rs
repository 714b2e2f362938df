//! What owners change while the server runs: within limits, recorded, and what guards wipes neither at once nor
//! silently.
use crate::support::NOW;
use crate::support::device::SimDevice;
use crate::support::people::colleague;
use crate::support::server::{Answer, TestServer};
use crate::support::visit::{Visit, location, text};
use domain::consent::SETTLED;
use domain::role::Role;
use domain::time::minutes;
use holdfast::store::setting::{AWAY, FROZEN_SINCE, FROZEN_UNTIL, Setting};
use holdfast::{service, store};
use std::time::Duration;

/// Sends the form of the settings page with what guards wipes.
pub fn sends(owner: &Visit<'_>, hold_minutes: &str, per_hour: &str) -> Answer {
    let fields = [
        ("wipe_hold_minutes", hold_minutes),
        ("wipe_max_per_hour", per_hour),
        ("proof_validity_hours", "168"),
        ("verified_validity_hours", "720"),
        ("check_in_seconds", "900"),
        ("quota_gb", "1000"),
        ("copy_mib_per_second", "100"),
    ];
    owner.post("/settings", &fields)
}

/// What every change of a setting says, oldest first.
fn changes(server: &TestServer) -> Vec<String> {
    let all = server.read(|conn| Ok(store::activity::all(conn)?));
    all.into_iter().filter(|it| it.action.as_str() == "setting_changed").map(|it| it.reason).collect()
}

/// The hold and the limit in force.
fn guards(server: &TestServer) -> (Duration, i64) {
    let now = server.app.clock.now();
    server.read(|conn| Ok((service::wipe::hold(conn, now)?, service::wipe::limits(conn, now)?.per_hour)))
}

#[test]
fn settings_have_limits_and_each_change_is_an_entry() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));

    assert_eq!(sends(&owner, "0", "5").status, 422);
    assert!(changes(&server).is_empty());
    assert_eq!(sends(&owner, "20", "5").status, 303);

    assert_eq!(changes(&server), ["from 10 to 20"], "the others stayed");
    assert_eq!(guards(&server), (minutes(20), 5));
}

#[test]
fn what_gives_wipes_more_room_is_told_shown_and_can_be_taken_back() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Owner));
    colleague(&server, "carl", Role::Operator);
    let (ada, bob) = (Visit::of(&server, ada), Visit::of(&server, bob));

    sends(&ada, "1", "50");

    assert_eq!(guards(&server), (minutes(10), 5));
    let page = text(&bob.get("/settings"));
    assert_eq!(page.matches("In force from").count(), 2, "{page}");
    let told = server.mails();
    let readers: Vec<_> = told.iter().map(|it| it.to.as_str()).collect();
    assert_eq!(readers, ["ada@example.org", "ada@example.org", "bob@example.org", "bob@example.org"]);
    for said in ["(minutes): from 10 to 1, in force from 2026-11-25T14:06:11Z", "per hour: from 5 to 50, in force from"]
    {
        assert_eq!(told.iter().filter(|it| it.body.contains(said)).count(), 2, "{said}: {told:?}");
    }
    assert_eq!(location(&bob.post("/settings/wipe.max_per_hour/take-backs", &[])), "/settings");
    assert_eq!(bob.post("/settings/wipe.max_per_hour/take-backs", &[]).status, 409, "once");
    assert_eq!(server.mails().len(), 2, "that is told too");
    server.app.clock.advance(SETTLED);
    assert_eq!(guards(&server), (minutes(1), 5), "what nobody took back is in force");
    assert_eq!(ada.get("/settings").status, 303, "the session is over");
    assert_eq!(changes(&server).last().unwrap(), "stays 5; 50 was taken back");
}

#[test]
fn a_tightening_is_in_force_at_once_and_ends_what_waits() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    sends(&owner, "10", "50");

    sends(&owner, "30", "2");

    assert_eq!(guards(&server), (minutes(30), 2));
    server.app.clock.advance(SETTLED);
    assert_eq!(guards(&server), (minutes(30), 2));
}

#[test]
fn a_longer_validity_and_rarer_check_ins_wait_and_are_told() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let device = SimDevice::join(&server);
    let span = || {
        let (id, now) = (device.id(), server.app.clock.now());
        server.read(move |conn| {
            let device = store::device::find(conn, id)?.unwrap();
            Ok(service::policy::device_policy(conn, &device, Vec::new(), now)?.check_in_every_seconds)
        })
    };
    let fields = [
        ("wipe_hold_minutes", "10"),
        ("wipe_max_per_hour", "5"),
        ("proof_validity_hours", "8760"),
        ("verified_validity_hours", "8000"),
        ("check_in_seconds", "86400"),
        ("quota_gb", "1000"),
        ("copy_mib_per_second", "100"),
    ];

    assert_eq!(owner.post("/settings", &fields).status, 303);

    let told = server.mails();
    for said in ["Proof valid for (hours): from 168 to 8760, in force from", "from 720 to 8000", "from 900 to 86400"] {
        assert!(told.iter().any(|it| it.body.contains(said)), "{said}: {told:?}");
    }
    assert_eq!(text(&owner.get("/settings")).matches("In force from").count(), 3);
    assert_eq!(span(), 900);
    server.app.clock.advance(SETTLED);
    assert_eq!(span(), 86_400, "what nobody took back is in force");
}

#[test]
fn a_new_enrolment_has_the_space_that_is_set() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let quota = |device: &SimDevice| {
        let id = device.id();
        server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap().quota_bytes
    };
    let before = SimDevice::join(&server);
    let page = text(&owner.get("/settings"));
    assert!(page.contains("Backup space per device (GB)"), "{page}");

    let fields = [
        ("wipe_hold_minutes", "10"),
        ("wipe_max_per_hour", "5"),
        ("proof_validity_hours", "168"),
        ("verified_validity_hours", "720"),
        ("check_in_seconds", "900"),
        ("quota_gb", "250"),
        ("copy_mib_per_second", "100"),
    ];
    assert_eq!(owner.post("/settings", &fields).status, 303);

    assert_eq!(changes(&server), ["from 1000 to 250"]);
    assert_eq!([quota(&before), quota(&SimDevice::join(&server))], [1_000_000_000_000, 250_000_000_000]);
}

#[test]
fn without_a_mail_server_the_page_and_the_test_mail_say_how_to_set_one() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));

    let page = text(&owner.get("/settings"));
    let tried = owner.post("/settings/test-mails", &[]);

    assert_eq!(tried.status, 409);
    for said in ["smtps://USER:PASSWORD@HOST", "--mail-from", "HOLDFAST_MAIL_FROM", "0 mails wait."] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(text(&tried).contains("says how to set one"), "{}", text(&tried));
    assert!(!page.contains("/settings/test-mails"), "no button that cannot work");
    assert!(server.mails().is_empty());
}

#[test]
fn a_freeze_and_a_missing_store_that_cannot_be_read_back_still_stand() {
    let server = TestServer::start();
    server.act(|conn| {
        for name in [FROZEN_SINCE.name, FROZEN_UNTIL.name, AWAY.name] {
            let (name, value) = (name.to_owned(), "?".to_owned());
            store::setting::write(conn, &Setting { name, value, updated_at: NOW, next_value: None, next_at: None })?;
        }
        Ok(())
    });

    let (frozen, away) = server.read(|conn| Ok((service::freeze::standing(conn)?, store::ground::away(conn)?)));

    assert_eq!((frozen, away.map(|it| it.since)), (Some(NOW), Some(NOW)));
    assert_eq!(server.read(service::freeze::ended_at), Some(NOW), "what waits begins its wait again");
}
