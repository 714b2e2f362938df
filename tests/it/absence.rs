//! What does not happen is reported: backups that fail to arrive, that nobody asks for, or that keep failing.
use crate::support::NOW;
use crate::support::device::SimDevice;
use crate::support::people::colleague;
use crate::support::server::{TestServer, admin, boss};
use crate::support::visit::{Visit, hidden, text};
use domain::command::Order;
use domain::policy::Requirement;
use domain::role::Role;
use domain::time::{days, hours, minutes};
use holdfast::service::command::Ask;
use holdfast::service::policy::{self, Draft};
use holdfast::store::backup_attempt::BackupAttempt;
use holdfast::store::policy::Policy;
use holdfast::{job, service, store};
use wire::{CommandResult, DeviceFacts};

fn write_policy(server: &TestServer, requirements: Vec<Requirement>) -> Policy {
    let draft = Draft { name: "Basics".to_owned(), team_id: None, requirements };
    server.act(move |conn| policy::add(conn, &boss(), &draft, NOW))
}

/// The subjects of the mails that the job of alarms makes now.
fn alarms(server: &TestServer) -> Vec<(String, String)> {
    job::alert::run_once(server.store(), server.app.clock.now()).unwrap();
    server.mails().into_iter().map(|it| (it.subject, it.body)).collect()
}

#[test]
fn no_backup_within_the_policys_span_is_told_although_the_device_checks_in() {
    let server = TestServer::start();
    colleague(&server, "op", Role::Operator);
    let device = SimDevice::join(&server);
    write_policy(&server, vec![Requirement::BackupEvery { minutes: 240 }]);
    server.app.clock.advance(hours(6));
    assert!(alarms(&server).is_empty(), "it has not been heard of since: that is silence");

    device.check_in(&server, DeviceFacts::default());

    let told = alarms(&server);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.starts_with("No backup: "), "{told:?}");
    assert!(told[0].1.contains("within 4 hours"), "{told:?}");
    device.check_in(&server, DeviceFacts::default());
    assert!(alarms(&server).is_empty(), "once");
}

#[test]
fn a_device_that_no_policy_asks_for_backups_is_reported_each_time_that_happens() {
    let server = TestServer::start();
    colleague(&server, "op", Role::Operator);
    let device = SimDevice::join(&server);
    let encrypted = write_policy(&server, vec![Requirement::StorageEncrypted]);
    device.check_in(&server, DeviceFacts::default());
    assert!(alarms(&server).is_empty(), "a policy may be about to be written");
    server.app.clock.advance(hours(2));

    let told = alarms(&server);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.starts_with("No policy asks for backups: "), "{told:?}");
    assert!(alarms(&server).is_empty(), "once");

    let ask = Draft {
        name: "Basics".to_owned(),
        team_id: None,
        requirements: vec![Requirement::BackupEvery { minutes: 60 * 24 * 30 }],
    };
    let not = Draft { requirements: vec![Requirement::StorageEncrypted], ..ask.clone() };
    let id = encrypted.id;
    server.act(move |conn| policy::change(conn, &boss(), (id, 1), &ask, NOW));
    assert!(alarms(&server).is_empty());
    server.act(move |conn| policy::change(conn, &boss(), (id, 2), &not, NOW));
    let told = alarms(&server);
    assert!(told.iter().any(|it| it.0.starts_with("No policy asks for backups: ")), "{told:?}");
}

#[test]
fn backups_that_keep_failing_are_told_with_the_devices_reason() {
    let server = TestServer::start();
    colleague(&server, "op", Role::Operator);
    let device = SimDevice::join(&server);
    write_policy(&server, vec![Requirement::BackupEvery { minutes: 60 * 24 * 30 }]);
    for round in 0..2 {
        let (id, now) = (device.id(), server.app.clock.now());
        let command = server.act(move |conn| {
            let device = store::device::find(conn, id)?.unwrap();
            service::command::queue(conn, &admin(), &device, Ask { order: &Order::BackUpNow, request_key: None }, now)
        });
        device.check_in(&server, DeviceFacts::default());
        assert!(alarms(&server).is_empty(), "{round} failed");
        server.app.clock.advance(minutes(10));
        let detail = "`/mnt/disk` carries no mark".to_owned();
        let finished_at = server.app.clock.now();
        device.report(&server, vec![CommandResult { id: command.id, done: false, detail, finished_at }]);
    }

    let told = alarms(&server);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.starts_with("Backups keep failing: "), "{told:?}");
    assert!(told[0].1.contains("`/mnt/disk` carries no mark"), "{told:?}");
    server.app.clock.advance(days(1));
    assert!(alarms(&server).is_empty(), "once");
}

#[test]
fn scheduled_backups_that_keep_failing_are_told_with_the_devices_reason() {
    let server = TestServer::start();
    colleague(&server, "op", Role::Operator);
    let id = SimDevice::join(&server).id();
    write_policy(&server, vec![Requirement::BackupEvery { minutes: 60 * 24 * 30 }]);
    let fails = |count: i64| {
        let row = BackupAttempt {
            device_id: id,
            tried_at: NOW,
            failing_since: Some(NOW),
            failed_count: count,
            reason: "`/mnt/disk` carries no mark".to_owned(),
            left_out: "{}".to_owned(),
            away: "[]".to_owned(),
        };
        server.act(move |conn| Ok(store::backup_attempt::set(conn, &row)?));
    };

    fails(1);
    assert!(alarms(&server).is_empty());
    fails(2);
    let told = alarms(&server);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.starts_with("Backups keep failing: "), "{told:?}");
    assert!(told[0].1.contains("`/mnt/disk` carries no mark"), "{told:?}");
    fails(3);
    assert!(alarms(&server).is_empty(), "once");
}

#[test]
fn loosening_a_backup_policy_needs_a_fresh_password_and_is_told() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let editor = Visit::of(&server, colleague(&server, "eve", Role::PolicyEditor));
    let _ = ada;
    let made = write_policy(&server, vec![Requirement::BackupEvery { minutes: 240 }, Requirement::PasscodeSet]);
    let path = format!("/policies/{}", made.id);
    let version = hidden(&text(&editor.get(&format!("{path}/edit"))), "version");
    let fields = |number: &'static str| {
        [
            ("name", "Basics"),
            ("team", ""),
            ("backup", "on"),
            ("backup_number", number),
            ("backup_unit", "h"),
            ("passcode", "on"),
            ("version", version.as_str()),
        ]
    };
    server.app.clock.advance(minutes(20));

    assert_eq!(editor.post(&path, &fields("24")).status, 422, "the password was entered too long ago");
    assert_eq!(editor.post(&format!("{path}/removals"), &[("confirm", "Basics")]).status, 422);
    assert_eq!(server.mails().len(), 0);
    assert_eq!(editor.post(&path, &fields("2")).status, 303, "asking for more needs none");
    assert_eq!(server.mails().len(), 0);

    server.act(move |conn| policy::remove(conn, &boss(), made.id, "Basics", NOW));
    let told = server.mails();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].to == "ada@example.org" && told[0].body.contains("Policy Basics: the policy is removed"),
        "{told:?}"
    );
}
