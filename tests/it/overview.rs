//! The first page.
use crate::support::NOW;
use crate::support::device::SimDevice;
use crate::support::fleet;
use crate::support::people::{self, colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use crate::wipe::restore_point;
use domain::continuity::Doubt;
use domain::proof::{TestCause, TestResult, TestState};
use domain::role::{Reach, Role};
use domain::time::{days, hours};
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::restore_test::RestoreTest;
use holdfast::{service, store};

#[test]
fn a_new_server_shows_the_first_steps() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));

    let html = text(&visit.get("/"));

    assert!(html.contains("First steps") && html.contains("Enroll one device"));
}

#[test]
fn the_step_of_a_second_approver_is_done_by_whoever_can_approve() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let is_open = || text(&visit.get("/")).contains(">Invite someone who approves wipes</a>");

    for (role, open) in [(Role::Observer, true), (Role::Operator, true), (Role::Approver, false)] {
        colleague(&server, role.as_str(), role);
        assert_eq!(is_open(), open, "{role}");
    }
}

#[test]
fn the_first_steps_name_the_founders_until_two_people_are_settled() {
    let server = TestServer::start();
    let owner = person(&server, "owner", &[Role::Owner], None, NOW);
    let approver = person(&server, "approver", &[Role::Approver], Some(owner), NOW);
    let visit = Visit::of(&server, owner);
    let is_open =
        || text(&visit.get("/")).contains("<a href=\"/users\">On the server’s own machine, name both founders");

    assert!(is_open());
    for id in [owner, approver] {
        assert!(is_open());
        server.act(move |conn| service::host::add_founder(conn, &holdfast::cli::control::actor(0), id, NOW));
    }
    assert!(!is_open());
}

#[test]
fn the_first_steps_name_the_copy_of_the_proof_key_until_one_of_the_key_in_use_was_checked() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let by = holdfast::cli::control::actor(0);
    let (said, here) = (by.clone(), by.clone());
    let is_open = || text(&visit.get("/")).contains("<a href=\"/settings\">Keep a copy of the proof key");
    let never = || text(&visit.get("/settings")).contains("Copy never checked");
    let known = server.read(service::proof::public_key).unwrap();

    assert!(is_open() && never());
    let other = server
        .store()
        .act_blocking(move |conn| service::host::proof_key_copy_checked(conn, &said, "of another server", NOW));
    assert!(other.unwrap_err().to_string().contains("another server's proof key"));
    assert!(is_open() && never());
    let public = known.clone();
    server.act(move |conn| service::host::proof_key_copy_checked(conn, &by, &public, NOW));
    assert!(!is_open() && !never());
    assert!(text(&visit.get("/activity")).contains("proof key copy checked"));

    // What nobody has looked at for a year is not known to be there, and what a clock that was ahead said neither.
    let old = || {
        let settings = text(&visit.get("/settings"));
        let first = text(&visit.get("/"));
        assert_eq!(settings.contains("Copy checked long ago"), first.contains("was last checked over a year ago"));
        settings.contains("Copy checked long ago")
    };
    assert!(!old());
    for at in [NOW - days(366), NOW + days(1)] {
        server.act(move |conn| {
            let known = service::proof::public_key(conn)?.unwrap();
            Ok(store::setting::PROOF_KEY_COPY.set(conn, &known, at)?)
        });
        assert!(old(), "{at:?}");
    }

    // A copy of a key that is no longer in use opens nothing.
    server.act(|conn| service::proof::publish_key(conn, "a new one", NOW));
    assert!(is_open() && never());
    server.act(move |conn| service::host::proof_key_copy_checked(conn, &here, "a new one", NOW));
    assert!(!is_open());
}

#[test]
fn the_first_steps_ask_for_mail_until_a_mail_server_took_one() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let visit = Visit::of(&server, owner);
    let is_open = || text(&visit.get("/")).contains("<a href=\"/settings\">Set a mail server");
    let mailer = holdfast::mail::Mailer::memory();

    assert!(is_open());
    server.act(move |conn| service::mail::test(conn, &people::by(owner, &Reach::All), NOW));
    assert!(is_open(), "it only waits");
    holdfast::job::mail::run_once(server.store(), Some(&mailer), &clock::Clock::fixed(NOW)).unwrap();
    assert_eq!(mailer.sent().len(), 1);
    assert!(!is_open());
    // Finished mails are forgotten; that mail worked is not.
    let later = clock::Clock::fixed(NOW + days(60));
    holdfast::job::mail::run_once(server.store(), Some(&mailer), &later).unwrap();
    assert!(!is_open());
}

#[test]
fn a_device_of_which_two_machines_speak_needs_attention_and_can_be_listed() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    server.act(|conn| {
        for (name, doubt) in [("cloned", Doubt::TwoMachines), ("alone", Doubt::None)] {
            let mut any = fleet::device(name);
            any.1.doubt = doubt;
            fleet::insert(conn, &any);
        }
        Ok(())
    });

    let first = text(&visit.get("/"));
    assert!(first.contains("<a href=\"/devices?view=in_doubt\">1 device may be two machines"), "{first}");

    let list = text(&visit.get("/devices?view=in_doubt"));
    assert!(list.contains(">cloned</a>") && !list.contains(">alone</a>"), "{list}");
}

#[test]
fn the_sentence_and_the_tiles_count_the_same_devices() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    server.act(|conn| {
        for at in 0..7 {
            let mut any = fleet::device(&format!("laptop-{at}"));
            match at {
                0 | 1 => {}
                2 => any.2 = fleet::proven(any.2, NOW - days(9), NOW - days(2)),
                3 => {
                    any.2 = fleet::proven(any.2, NOW - days(1), NOW + days(2));
                    fleet::counts(&mut any.1, 0, NOW - days(20));
                }
                _ => any.2 = fleet::proven(any.2, NOW - hours(2), NOW + days(2)),
            }
            if at != 3 {
                fleet::counts(&mut any.1, if at < 2 { 5 } else { 0 }, NOW);
            }
            fleet::insert(conn, &any);
        }
        Ok(())
    });

    let html = text(&visit.get("/"));

    assert!(html.contains("At least 3 of 7 devices would lose data"), "{html}");
    assert!(html.contains("1 we cannot say"));
    for (view, count) in [("lose_all", 2), ("at_risk", 1), ("cannot_say", 1), ("restorable", 3)] {
        assert!(html.contains(&format!("/devices?view={view}")));
        let listed = visit.get(&format!("/devices.json?view={view}")).json();
        assert_eq!(listed["devices"].as_array().unwrap().len(), count, "{view}");
    }
}

#[test]
fn a_failed_test_needs_attention_only_while_it_stands() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let device = SimDevice::join(&server).id();
    let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, device)?)).unwrap();
    let mut point = restore_point(repository.id, device, NOW);
    let mut test = RestoreTest::queued(point.id, device, TestCause::NewBackup, None, NOW);
    (point.failed_at, point.test_id) = (Some(NOW), Some(test.id));
    (test.state, test.result, test.finished_at) = (TestState::Finished, Some(TestResult::Failed), Some(NOW));
    let later = point.clone();
    server.act(move |conn| {
        store::restore_point::insert(conn, &point)?;
        store::restore_test::insert(conn, &test)?;
        service::proof::refresh(conn, device)
    });

    let html = text(&visit.get("/"));
    assert!(html.contains("A restore test of") && html.contains("favicon-alarm"), "{html}");

    server.act(move |conn| {
        store::evidence::set_point(
            conn,
            &RestorePoint { failed_at: None, proven_at: Some(NOW), proven_until: Some(NOW + days(7)), ..later },
        )?;
        service::proof::refresh(conn, device)
    });

    let html = text(&visit.get("/"));
    assert!(!html.contains("A restore test of") && !html.contains("favicon-alarm"), "{html}");
}
