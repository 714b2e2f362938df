//! Enrolment tokens, joining, and joining again.
use crate::support::NOW;
use crate::support::device::{SimDevice, token};
use crate::support::people::{act_as, colleague, disable, take_roles};
use crate::support::server::{TestServer, admin, boss};
use crate::support::visit::{Visit, text};
use domain::command::{CommandState, Order};
use domain::device::Ownership;
use domain::id::UserId;
use domain::object::RepositoryState;
use domain::role::Role;
use domain::time::{hours, minutes};
use holdfast::service::command::{self, Ask};
use holdfast::service::enrollment::{self, TokenDraft};
use holdfast::store;
use secret::seal;
use serde_json::json;
use wire::{self, DeviceFacts, Enrolled, RepositoryCredentials};

#[test]
fn a_device_joins_and_only_it_can_open_its_credentials() {
    let server = TestServer::start();
    let mut device = SimDevice::new();

    let enrolled: Enrolled = device.enroll(&server, &token(&server, |_| {})).message();

    assert_eq!(enrolled.generation, 1);
    let context = wire::credentials_context(enrolled.device_id, 1);
    let plain = seal::open(&device.sealing, &context, &enrolled.sealed_credentials).unwrap();
    let credentials: RepositoryCredentials = serde_json::from_slice(&plain).unwrap();
    let (token, repository) = server
        .read(|conn| Ok(store::repository::find_token(conn, &secret::hash(&credentials.token))?))
        .expect("the door knows the token");
    assert_eq!(token.repository_id, enrolled.repository_id);
    assert_eq!((repository.device_id, repository.state), (enrolled.device_id, RepositoryState::Active));
    assert!(server.read(|conn| Ok(store::device_proof::find(conn, enrolled.device_id)?)).is_some());
    device.enrolled = Some(enrolled);
    device.check_in(&server, DeviceFacts::default());
}

#[test]
fn a_token_is_refused_when_used_up_expired_revoked_or_wrong() {
    let server = TestServer::start();
    let used = token(&server, |_| {});
    SimDevice::new().enroll(&server, &used).message::<Enrolled>();
    let revoked = token(&server, |_| {});
    let hash = secret::hash(&revoked);
    server.act(move |conn| {
        let id = store::enrollment_token::find_by_hash(conn, &hash)?.unwrap().id;
        enrollment::revoke_token(conn, &boss(), id, NOW)
    });
    let expired = token(&server, |draft| draft.valid_for = minutes(5));
    server.app.clock.advance(minutes(5));

    for (token, words) in
        [(used, "already used"), (revoked, "revoked"), (expired, "expired"), ("hf_enroll_x".to_owned(), "unknown")]
    {
        let answer = SimDevice::new().enroll(&server, &token);
        assert_eq!(answer.status, 403, "{words}");
        assert_eq!(answer.json()["error"], "token_refused");
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{words}: {}", answer.json());
    }
    let devices = server.read(|conn| Ok(store::device::all(conn)?));
    assert_eq!(devices.len(), 1);
}

#[test]
fn two_that_race_for_one_use_make_one_device() {
    let server = TestServer::start();
    let token = token(&server, |_| {});

    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let racing: Vec<_> = (0..4).map(|_| scope.spawn(|| SimDevice::new().enroll(&server, &token).status)).collect();
        racing.into_iter().map(|it| it.join().unwrap()).collect()
    });

    assert_eq!(statuses.iter().filter(|it| **it == 200).count(), 1, "{statuses:?}");
    let devices = server.read(|conn| Ok(store::device::all(conn)?));
    assert_eq!(devices.len(), 1);
    let repositories = server.read(|conn| Ok(store::repository::of_device(conn, devices[0].id)?));
    assert_eq!(repositories.len(), 1);
}

#[test]
fn a_second_try_after_a_lost_answer_is_the_same_device() {
    let server = TestServer::start();
    let token = token(&server, |_| {});
    let mut device = SimDevice::new();

    assert_eq!(device.enroll(&server, &token).status, 200);
    let answer = device.enroll(&server, &token);

    assert_eq!(answer.status, 200);
    assert_eq!(SimDevice::new().enroll(&server, &token).status, 403, "another key has no part in it");
    let devices = server.read(|conn| Ok(store::device::all(conn)?));
    assert_eq!(devices.len(), 1);
    let repositories = server.read(|conn| Ok(store::repository::of_device(conn, devices[0].id)?));
    let open: Vec<_> = repositories.iter().filter(|it| it.state == RepositoryState::Active).collect();
    assert_eq!(open.len(), 1, "only the repository of the second answer takes backups");

    device.enrolled = Some(answer.message());
    device.check_in(&server, DeviceFacts::default());
    assert_eq!(device.enroll(&server, &token).status, 403, "a device that was heard of has its answer");
}

#[test]
fn a_counted_token_lets_in_as_many_as_it_says_with_its_ownership() {
    let server = TestServer::start();
    let token = token(&server, |draft| {
        draft.use_limit = 2;
        draft.ownership = Ownership::Personal;
    });

    let statuses: Vec<u16> = (0..3).map(|_| SimDevice::new().enroll(&server, &token).status).collect();

    assert_eq!(statuses, [200, 200, 403]);
    let devices = server.read(|conn| Ok(store::device::all(conn)?));
    assert!(devices.iter().all(|it| it.ownership == Ownership::Personal));
}

#[test]
fn enrolling_again_fences_everything_of_the_older_enrolment() {
    let server = TestServer::start();
    let old = SimDevice::join(&server);
    let id = old.id();
    let queued = server.act(move |conn| {
        let device = store::device::find(conn, id)?.unwrap();
        command::queue(conn, &admin(), &device, Ask { order: &Order::lock(), request_key: None }, NOW)
    });

    let mut new = SimDevice::new();
    let again = token(&server, |draft| draft.device_id = Some(id));
    new.enrolled = Some(new.enroll(&server, &again).message());

    assert_eq!((new.id(), new.generation()), (id, 2));
    let command = server.read(|conn| Ok(store::command::find(conn, queued.id)?)).unwrap();
    assert_eq!(command.state, CommandState::Expired);
    assert!(new.check_in(&server, DeviceFacts::default()).commands.is_empty(), "an older command is never delivered");
    let repositories = server.read(|conn| Ok(store::repository::of_device(conn, id)?));
    let states: Vec<_> = repositories.iter().map(|it| (it.generation, it.state)).collect();
    assert_eq!(states, [(2, RepositoryState::Active), (1, RepositoryState::ReadOnly)]);
    let refused = old.send(&server, wire::CHECK_IN, &old.check_in_message(DeviceFacts::default(), vec![]));
    assert_eq!((refused.status, refused.json()["error"].clone()), (401, json!("bad_signature")), "the old key is dead");
    let mut stale = new.check_in_message(DeviceFacts::default(), vec![]);
    stale.generation = 1;
    let refused = new.send(&server, wire::CHECK_IN, &stale);
    assert_eq!((refused.status, refused.json()["error"].clone()), (409, json!("old_generation")));
}

#[test]
fn enrolling_again_needs_a_new_key() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let again = token(&server, |draft| draft.device_id = Some(device.id()));

    let answer = device.enroll(&server, &again);

    assert_eq!((answer.status, answer.json()["field"].clone()), (400, json!("signing_key")));
    assert_eq!(SimDevice::new().enroll(&server, &again).status, 200, "the refusal did not use the token up");
}

#[test]
fn the_key_of_an_enrolled_device_makes_no_second_one() {
    let server = TestServer::start();
    let (device, other) = (SimDevice::join(&server), SimDevice::join(&server));
    let (plain, of_other) = (token(&server, |_| {}), token(&server, |draft| draft.device_id = Some(other.id())));

    for token in [plain, of_other] {
        let answer = device.enroll(&server, &token);

        assert_eq!((answer.status, answer.json()["error"].clone()), (403, json!("refused")));
        assert!(answer.json()["message"].as_str().unwrap().contains("Enroll again…"), "{}", answer.json());
        assert_eq!(SimDevice::new().enroll(&server, &token).status, 200, "the refusal did not use the token up");
    }
}

#[test]
fn what_a_device_says_of_itself_is_checked_and_the_field_is_named() {
    let server = TestServer::start();
    let token = token(&server, |_| {});
    let device = SimDevice::new();
    let good = serde_json::to_value(device.enroll_message(&token)).unwrap();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a\nb")),
        ("name", json!(7)),
        ("platform", json!("beos")),
        ("protected_roots", json!(["/"])),
        ("protected_roots", json!(["/home/../etc"])),
        ("protected_roots", json!([])),
        ("sealing_key", json!("AAAA")),
        ("signing_key", json!("AAAA")),
        ("serial", json!("x".repeat(300))),
    ] {
        let mut message = good.clone();
        message[field] = value.clone();
        let answer = device.send_enroll(&server, &message);
        assert_eq!((answer.status, answer.json()["field"].clone()), (400, json!(field)), "{field} = {value}");
    }
    let mut unknown = good;
    unknown["colour"] = json!("blue");
    assert_eq!(device.send_enroll(&server, &unknown).status, 200, "unknown fields are ignored");
}

#[test]
fn a_stranger_who_guesses_is_slowed_down() {
    let server = TestServer::start();
    let device = SimDevice::new();

    let mut answers = (0..100).map(|at| device.enroll(&server, &format!("hf_enroll_{at}")));

    assert_eq!(answers.next().unwrap().status, 403);
    // The 21st, or a little later: each three seconds give a try back.
    let slowed = answers.find(|it| it.status != 403).expect("nobody slows them down");
    assert_eq!((slowed.status, slowed.header("retry-after")), (503, "60"), "{}", slowed.head);
    assert_eq!(device.enroll(&server, &token(&server, |_| {})).status, 200, "who has a token still gets in");
}

#[test]
fn a_device_without_a_serial_gets_one_that_can_be_typed() {
    let server = TestServer::start();
    let device = SimDevice::new();
    let mut message = device.enroll_message(&token(&server, |_| {}));
    message.serial = " ".to_owned();

    let enrolled: Enrolled = device.send_enroll(&server, &message).message();

    let row = server.read(|conn| Ok(store::device::find(conn, enrolled.device_id)?)).unwrap();
    assert!(row.serial.starts_with("HF-") && row.serial.len() == 15, "{}", row.serial);
}

#[test]
fn an_enrolment_signed_by_another_key_or_for_another_server_is_refused() {
    let server = TestServer::start();
    let token = token(&server, |_| {});
    let (device, other) = (SimDevice::new(), SimDevice::new());
    let mut message = device.enroll_message(&token);
    message.signing_key = other.public_key();

    assert_eq!(device.send_enroll(&server, &message).json()["error"], "bad_signature");
    server.app.clock.advance(hours(1));
    let late = device.enroll(&server, &token);
    assert_eq!(late.status, 200, "{}", late.json());
}

#[test]
fn every_step_is_in_the_history() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);

    let actions: Vec<String> = server.read(|conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::activity;
        Ok(activity::table.order(activity::seq).select(activity::action).load(conn)?)
    });

    assert_eq!(actions, ["enrollment_token_made", "device_enrolled"]);
    assert_eq!(device.generation(), 1);
}

#[test]
fn an_enrolment_token_dies_with_the_account_and_the_role_of_whoever_made_it() {
    type End = fn(&TestServer, UserId);
    let ends: [End; 2] = [disable, take_roles];
    for end in ends {
        let server = TestServer::start();
        let operator = colleague(&server, "operator", Role::Operator);
        let made = |use_limit| {
            let draft = TokenDraft {
                name: "Office".to_owned(),
                team_id: None,
                ownership: Ownership::Company,
                use_limit,
                valid_for: hours(24),
                device_id: None,
            };
            act_as(&server, operator, move |conn, by| enrollment::make_token(conn, by, &draft, NOW)).unwrap().1
        };
        let token = made(5);
        assert_eq!(SimDevice::new().enroll(&server, &token).status, 200);

        end(&server, operator);

        let answer = SimDevice::new().enroll(&server, &token);
        assert_eq!(answer.status, 403);
        assert!(
            answer.json()["message"].as_str().unwrap().contains("may no longer enroll devices"),
            "{}",
            answer.json()
        );
        assert_eq!(server.read(|conn| Ok(store::device::all(conn)?)).len(), 1);
    }
}

#[test]
fn many_small_tokens_of_one_account_count_as_the_wide_one_that_they_are() {
    let server = TestServer::start();
    let operator = colleague(&server, "operator", Role::Operator);
    colleague(&server, "auditor", Role::Auditor);
    let stale = Visit::stale(&server, operator);
    let fields = |use_limit| {
        [("name", "Sales"), ("team", ""), ("ownership", "company"), ("use_limit", use_limit), ("valid_hours", "24")]
    };

    assert_eq!(stale.post("/enrollment-tokens", &fields("21")).status, 422, "more than 20");
    assert_eq!(stale.post("/enrollment-tokens", &fields("15")).status, 200);
    let second = stale.post("/enrollment-tokens", &fields("6"));
    assert_eq!(second.status, 422, "15 and 6 are more than 20");
    assert!(text(&second).contains("Enter your password"));
    assert!(server.mails().is_empty());
    assert_eq!(stale.post("/enrollment-tokens", &fields("5")).status, 200);

    assert_eq!(Visit::of(&server, operator).post("/enrollment-tokens", &fields("6")).status, 200);
    let mails = server.mails();
    assert!(mails.iter().any(|it| it.to == "auditor@example.org" && it.body.contains("6 devices")), "{mails:?}");
}
