//! The outbox: once, bounded, and never lost while the mail server is down.
use crate::support::device::SimDevice;
use crate::support::people::{by, colleague};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use crate::support::{NOW, SmtpSink, TestDatabase, free_address};
use clock::Clock;
use diesel::prelude::*;
use domain::id::{DeviceId, UserId};
use domain::role::{Permission, Reach, Role};
use domain::time::{days, hours};
use holdfast::job;
use holdfast::mail::Mailer;
use holdfast::service;
use holdfast::service::mail::{MAX_WAITING, Mail, Recipients};
use holdfast::store::schema::mail_outbox;
use holdfast::store::{self, Conn, Store};

fn mail(key: Option<&str>) -> Mail {
    Mail {
        to: Recipients::Permission(Permission::ApproveWipe, None),
        kind: "test_kind",
        dedupe_key: key.map(str::to_owned),
        subject: "Wipe requested: Ana’s laptop".to_owned(),
        body: "Look at it.\n".to_owned(),
    }
}

fn sql(conn: &mut Conn, statement: &str) {
    diesel::sql_query(statement).execute(conn).unwrap();
}

fn add_user(store: &Store, email: &'static str, role: &'static str) -> UserId {
    let id = UserId::generate(NOW);
    store
        .write_blocking(move |conn| -> holdfast::error::Result<()> {
            let at = NOW.millis();
            sql(
                conn,
                &format!(
                    "INSERT INTO users (id, email, name, state, time_zone, created_at)
                     VALUES ('{id}', '{email}', 'N', 'active', 'UTC', {at})"
                ),
            );
            sql(
                conn,
                &format!(
                    "INSERT INTO user_roles (user_id, role, scope, granted_at)
                     VALUES ('{id}', '{role}', 'organisation', {at})"
                ),
            );
            Ok(())
        })
        .unwrap();
    id
}

fn enqueue(store: &Store, mail: Mail) -> usize {
    store.act_blocking(move |conn| service::mail::enqueue(conn, &mail, NOW)).unwrap()
}

#[test]
fn a_mail_goes_once_to_those_whose_roles_allow_it() {
    let database = TestDatabase::new();
    let store = database.store();
    add_user(&store, "approver@example.org", "approver");
    add_user(&store, "observer@example.org", "observer");
    let mailer = Mailer::memory();
    let clock = Clock::fixed(NOW);

    assert_eq!(enqueue(&store, mail(Some("request-1"))), 1);
    assert_eq!(enqueue(&store, mail(Some("request-1"))), 0, "the same key is the same mail");
    job::mail::run_once(&store, Some(&mailer), &clock).unwrap();
    job::mail::run_once(&store, Some(&mailer), &clock).unwrap();

    let sent = mailer.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].to, "approver@example.org");
}

#[test]
fn a_mail_that_waits_for_the_server_arrives_once_when_it_is_back() {
    let database = TestDatabase::new();
    let store = database.store();
    add_user(&store, "approver@example.org", "approver");
    let address = free_address();
    let mailer = Mailer::smtp(&format!("smtp://{address}"), "Holdfast <holdfast@example.org>").unwrap();
    let clock = Clock::fixed(NOW);
    enqueue(&store, mail(Some("request-1")));

    for _ in 0..3 {
        let summary = job::mail::run_once(&store, Some(&mailer), &clock).unwrap();
        assert_eq!((summary.done_count, summary.failed_count), (0, 1));
        clock.advance(hours(1));
    }
    let status = store.read_blocking(store::mail::status).unwrap();
    assert_eq!(status.waiting_count, 1);
    assert!(!status.last_error.is_empty(), "the settings page can say why it waits");
    let sink = SmtpSink::start(&address);
    for _ in 0..2 {
        job::mail::run_once(&store, Some(&mailer), &clock).unwrap();
        clock.advance(hours(1));
    }

    let letters = sink.letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains("To: approver@example.org"), "{}", letters[0]);
    assert!(letters[0].contains("Look at it."), "{}", letters[0]);
}

#[test]
fn a_mail_is_given_up_after_three_days_and_the_activity_says_so() {
    let database = TestDatabase::new();
    let store = database.store();
    add_user(&store, "approver@example.org", "approver");
    enqueue(&store, mail(None));
    let clock = Clock::fixed(NOW + days(3));

    job::mail::run_once(&store, None, &clock).unwrap();
    assert_eq!(store.read_blocking(store::mail::status).unwrap().waiting_count, 1, "without a server it waits");
    job::mail::run_once(&store, Some(&Mailer::memory()), &clock).unwrap();

    let status = store.read_blocking(store::mail::status).unwrap();
    assert_eq!((status.waiting_count, status.given_up_count), (0, 1));
    assert_eq!(count(&store, "SELECT count(*) AS n FROM activity WHERE action = 'mail_given_up'"), 1);
}

#[test]
fn a_full_outbox_says_once_a_day_that_more_happened() {
    let database = TestDatabase::new();
    let store = database.store();
    add_user(&store, "approver@example.org", "approver");
    store
        .write_blocking(|conn| -> holdfast::error::Result<()> {
            let at = NOW.millis();
            sql(
                conn,
                &format!(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAX_WAITING})
                     INSERT INTO mail_outbox (id, recipient, subject, body, state, created_at, attempt_count,
                                              next_attempt_at, last_error)
                     SELECT CAST(i AS TEXT), 'a@example.org', '', '', 'waiting', {at}, 0, {at}, '' FROM n"
                ),
            );
            Ok(())
        })
        .unwrap();

    for key in ["one", "two", "three"] {
        enqueue(&store, mail(Some(key)));
    }

    assert_eq!(store.read_blocking(store::mail::waiting_count).unwrap(), MAX_WAITING + 1);
}

/// Fills the outbox with mails that nobody asked for.
fn fill(server: &TestServer, count: i64) {
    server.act(move |conn| {
        let at = NOW.millis();
        sql(
            conn,
            &format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 INSERT INTO mail_outbox (id, recipient, subject, body, state, created_at, attempt_count,
                                          next_attempt_at, last_error)
                 SELECT CAST(i AS TEXT), 'a@example.org', '', '', 'waiting', {at}, 0, {at}, '' FROM n"
            ),
        );
        Ok(())
    });
}

/// What is waiting for somebody; thousands need not be sent for it.
fn subjects(server: &TestServer, to: &'static str) -> Vec<String> {
    let mut all: Vec<String> = server.read(|conn| {
        let waiting = mail_outbox::table.filter(mail_outbox::recipient.eq(to)).select(mail_outbox::subject);
        Ok(waiting.load(conn)?)
    });
    all.sort();
    all
}

#[test]
fn a_queue_that_is_full_of_other_mails_silences_no_guard() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Observer));
    colleague(&server, "cleo", Role::Owner);
    fill(&server, MAX_WAITING);
    let owner = Visit::of(&server, ada);

    assert_eq!(owner.post(&format!("/users/{bob}/roles"), &[("roles", "approver@organisation")]).status, 303);
    assert_eq!(crate::setting::sends(&owner, "1", "50").status, 303);

    let told = subjects(&server, "cleo@example.org");
    assert_eq!(
        told,
        [
            "Access to wipes granted: bob@example.org",
            "Guard changed: Hold before an approved wipe (minutes)",
            "Guard changed: Most wipes per hour"
        ]
    );
}

#[test]
fn a_change_that_nobody_can_be_told_about_is_made_only_on_the_host() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Observer));
    fill(&server, MAX_WAITING + service::mail::RESERVED);
    let owner = Visit::of(&server, ada);
    let new = [("email", "eve@example.org"), ("name", "Eve"), ("roles", "operator@organisation")];

    for (path, fields) in [
        ("/users".to_owned(), &new[..]),
        (format!("/users/{bob}/roles"), &[("roles", "approver@organisation")]),
        (format!("/users/{bob}/disable"), &[]),
    ] {
        let answer = owner.post(&path, fields);
        assert_eq!(answer.status, 409, "{path}: {}", text(&answer));
        assert!(text(&answer).contains("nobody could be told about this"), "{path}: {}", text(&answer));
    }
    let refused = crate::setting::sends(&owner, "1", "50");
    assert_eq!(refused.status, 409, "{}", text(&refused));
    let state =
        server.read(move |conn| Ok((store::user::grants(conn, bob)?, store::user::find(conn, bob)?.unwrap().state)));
    assert!(!state.0.allows_everywhere(Permission::ApproveWipe) && state.1.as_str() == "active");

    let by = holdfast::cli::control::actor(0);
    server.act(move |conn| service::host::lock(conn, &by, bob, NOW));
    let state = server.read(move |conn| Ok(store::user::find(conn, bob)?.unwrap().state));
    assert_eq!(state.as_str(), "disabled", "the host has the last word");
}

#[test]
fn invitations_and_links_have_a_limit_for_each_person_and_the_same_link_is_told_once_an_hour() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Observer));
    let cleo = colleague(&server, "cleo", Role::Owner);
    let owner = Visit::of(&server, ada);

    let statuses: Vec<u16> = (0..40).map(|_| owner.post(&format!("/users/{bob}/links"), &[]).status).collect();
    let told = server.mails();

    assert_eq!(statuses.iter().filter(|it| **it == 200).count(), 30, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&409));
    assert_eq!(told.iter().filter(|it| it.to == "bob@example.org").count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|it| it.to == "cleo@example.org").count(), 1, "{told:?}");
    let new = [("email", "eve@example.org"), ("name", "Eve"), ("roles", "operator@organisation")];
    assert_eq!(owner.post("/users", &new).status, 409, "an invitation counts as well");
    assert_eq!(Visit::of(&server, cleo).post("/users", &new).status, 200, "another person has a share of their own");
    server.app.clock.advance(hours(1));
    assert_eq!(Visit::of(&server, ada).post(&format!("/users/{bob}/links"), &[]).status, 200);
}

#[test]
fn one_recipient_whom_the_server_refuses_holds_up_nobody() {
    let database = TestDatabase::new();
    let store = database.store();
    for email in ["a@refused.example", "b@refused.example", "c@refused.example", "d@example.org"] {
        add_user(&store, email, "approver");
    }
    let address = free_address();
    let sink = SmtpSink::start(&address);
    let mailer = Mailer::smtp(&format!("smtp://{address}"), "Holdfast <holdfast@example.org>").unwrap();
    enqueue(&store, mail(None));

    let summary = job::mail::run_once(&store, Some(&mailer), &Clock::fixed(NOW)).unwrap();

    assert_eq!((summary.done_count, summary.failed_count), (1, 3));
    assert_eq!(sink.letters().len(), 1, "in the same run");
    let error = store.read_blocking(store::mail::status).unwrap().last_error;
    assert!(error.contains("550"), "{error}");
}

#[test]
fn one_recipient_at_whose_name_the_server_hangs_up_holds_up_nobody() {
    let database = TestDatabase::new();
    let store = database.store();
    let address = free_address();
    let sink = SmtpSink::start(&address);
    let mailer = Mailer::smtp(&format!("smtp://{address}"), "Holdfast <holdfast@example.org>").unwrap();
    for (email, at) in [("a@hangs-up.example", NOW - hours(1)), ("b@example.org", NOW)] {
        let mail = Mail { to: Recipients::User(add_user(&store, email, "approver")), ..mail(None) };
        store.write_blocking(move |conn| service::mail::enqueue(conn, &mail, at)).unwrap();
    }

    let summary = job::mail::run_once(&store, Some(&mailer), &Clock::fixed(NOW)).unwrap();

    assert_eq!((summary.done_count, summary.failed_count), (1, 1));
    assert_eq!(sink.letters().len(), 1, "in the same run");
}

#[test]
fn a_test_mail_reaches_the_one_who_asks_and_is_written_down() {
    let database = TestDatabase::new();
    let store = database.store();
    let id = add_user(&store, "owner@example.org", "owner");
    let ask = || store.act_blocking(move |conn| service::mail::test(conn, &by(id, &Reach::All), NOW));
    ask().unwrap();
    assert!(ask().is_err(), "a session that asks without end does not fill the outbox");

    let mailer = Mailer::memory();
    job::mail::run_once(&store, Some(&mailer), &Clock::fixed(NOW)).unwrap();
    assert_eq!(mailer.sent()[0].to, "owner@example.org");
    assert_eq!(count(&store, "SELECT count(*) AS n FROM activity WHERE action = 'test_mail_asked'"), 1);
}

#[test]
fn a_lapsed_proof_and_a_failed_test_are_told_once_each() {
    let database = TestDatabase::new();
    let store = database.store();
    add_user(&store, "operator@example.org", "operator");
    let hour = 3_600_000;
    let now = NOW.millis();
    add_device(&store, "Lapsed", &(now - hour).to_string(), "NULL");
    add_device(&store, "Fresh", &(now + hour).to_string(), "NULL");
    add_device(&store, "Damaged", &(now + hour).to_string(), &now.to_string());

    let told = job::alert::run_once(&store, NOW).unwrap();
    let again = job::alert::run_once(&store, NOW + hours(0)).unwrap();
    let later = job::alert::run_once(&store, NOW + hours(2)).unwrap();

    assert_eq!((told.done_count, again.done_count, later.done_count), (2, 0, 1), "Fresh lapses two hours later");
    let mailer = Mailer::memory();
    job::mail::run_once(&store, Some(&mailer), &Clock::fixed(NOW + hours(2))).unwrap();
    let mut subjects: Vec<_> = mailer.sent().into_iter().map(|it| it.subject).collect();
    subjects.sort();
    assert_eq!(subjects, ["Proof out of date: Fresh", "Proof out of date: Lapsed", "Restore test failed: Damaged"]);
}

fn add_device(store: &Store, name: &'static str, proven_until: &str, failed_at: &str) {
    let id = DeviceId::generate(NOW);
    let statements = [
        "INSERT INTO enrollment_tokens (id, token_hash, name, ownership, use_limit, use_count, created_by, created_at,
                                        expires_at)
         SELECT 't', 'h', 'n', 'company', 9, 0, 'u', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM enrollment_tokens)"
            .to_owned(),
        format!(
            "INSERT INTO devices (id, name, person, platform, model, serial, os_version, ownership, state, generation,
                                  enrolled_at)
             VALUES ('{id}', '{name}', '', 'linux', '', 'S', '', 'company', 'enrolled', 1, 0)"
        ),
        format!(
            "INSERT INTO device_proof (device_id, rank, proven_at, proven_tested_at, proven_until, file_count,
                                       matched_count, not_proven_files, not_proven_bytes, failed_at)
             VALUES ('{id}', 5, 0 * {proven_until}, 0 * {proven_until}, {proven_until}, 0, 0, 0, 0, {failed_at})"
        ),
    ];
    store
        .write_blocking(move |conn| -> holdfast::error::Result<()> {
            statements.iter().for_each(|it| sql(conn, it));
            Ok(())
        })
        .unwrap();
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

fn count(store: &Store, query: &'static str) -> i64 {
    store.read_blocking(|conn| diesel::sql_query(query).get_result::<Count>(conn)).unwrap().n
}

#[test]
fn the_link_of_a_mail_opens_the_list_that_it_tells_of() {
    let server = TestServer::start();
    let operator = Visit::of(&server, colleague(&server, "operator", Role::Operator));
    let hour = 3_600_000;
    let now = NOW.millis();
    add_device(server.store(), "Lapsed", &(now - hour).to_string(), "NULL");
    add_device(server.store(), "Fresh", &(now + hour).to_string(), "NULL");
    add_device(server.store(), "Damaged", &(now + hour).to_string(), &now.to_string());

    job::alert::run_once(server.store(), NOW).unwrap();

    let sent = server.mails();
    assert_eq!(sent.len(), 2);
    for mail in sent {
        let (named, others) = if mail.subject.contains("Damaged") {
            ("Damaged", ["Lapsed", "Fresh"])
        } else {
            ("Lapsed", ["Damaged", "Fresh"])
        };
        let link = mail.body.lines().find(|it| it.starts_with(&server.app.config.public_url)).expect("a whole address");
        let page = text(&operator.get(&link[server.app.config.public_url.len()..]));
        assert!(page.contains(named), "{link}: {page}");
        assert!(others.iter().all(|it| !page.contains(it)), "{link}: {page}");
    }
}

#[test]
fn an_invitation_is_mailed_without_its_link() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "Ada", Role::Owner));
    let fields = [("email", "bob@example.org"), ("name", "Bob"), ("roles", "observer@organisation")];

    let page = text(&owner.post("/users", &fields));

    let secret = page.split("/invite/").nth(1).unwrap().split('<').next().unwrap();
    let mut sent = server.mails();
    sent.retain(|it| it.to == "bob@example.org");
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].body.starts_with("Ada@example.org (Ada) made an account in Holdfast for you"), "{}", sent[0].body);
    assert!(sent[0].body.contains(&server.app.config.public_url));
    assert!(!sent[0].body.contains(secret) && !sent[0].body.contains("/invite/"), "{}", sent[0].body);
}

#[test]
fn who_gets_or_loses_a_part_in_wipes_is_told_to_all_who_manage_people() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Observer));
    let cleo = colleague(&server, "cleo", Role::Owner);
    colleague(&server, "dan", Role::Operator);
    let owner = Visit::of(&server, ada);
    let new = [("email", "eve@example.org"), ("name", "Eve"), ("roles", "operator@organisation")];
    let path = |id, act| format!("/users/{id}/{act}");
    let (all, both) = (vec!["ada", "bob", "cleo"], vec!["ada", "cleo"]);
    // In this order: people are also told about what is taken from them, or that their account ends.
    for (to, fields, readers, said) in [
        ("/users".to_owned(), &new[..], &both, "invited eve@example.org (Eve). Roles: Operator."),
        (path(bob, "roles"), &[("roles", "approver@organisation")], &all, "gave Approver; took Observer."),
        (
            path(bob, "links"),
            &[],
            &both,
            "a one-time link for bob@example.org (bob): whoever opens it can sign in as \
         them. Roles:",
        ),
        (path(bob, "disable"), &[], &all, "disabled the account of bob@example.org (bob). Roles: Approver."),
        (path(bob, "enable"), &[], &both, "enabled the account and made a one-time link for bob@example.org"),
        (path(cleo, "roles"), &[("roles", "observer@organisation")], &both, "gave Observer; took Owner."),
    ] {
        let answer = owner.post(&to, fields);
        assert!(matches!(answer.status, 200 | 303), "{to}: {}", text(&answer));

        let mut told = server.mails();
        told.retain(|it| !it.subject.starts_with("Link for "));
        let names: Vec<_> = told.iter().map(|it| it.to.split('@').next().unwrap()).collect();
        assert_eq!(names, *readers, "{to}");
        for mail in told {
            assert!(
                mail.body.contains(said) && mail.body.contains("\n\nada@example.org (ada) "),
                "{to}: {}",
                mail.body
            );
            let first = mail.body.lines().next().unwrap();
            assert!(first.starts_with("Access changed: ") || first.starts_with("Access to wipes granted: "), "{first}");
            assert!(first.ends_with("@example.org") && mail.subject == first, "{first}");
            assert!(mail.body.contains("If this was not intended") && mail.body.contains("/users/"), "{}", mail.body);
            // Frozen first: whoever is locked out next may have something under way. An owner before all goes on.
            let steps = ["freeze", "user lock", "sessions end", "user add", "unfreeze"];
            let places = steps.map(|it| mail.body.find(&format!("`holdfast admin {it}")));
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {}", mail.body);
            let has_part = ["invited", "gave Approver", "link for bob"].iter().any(|it| mail.body.contains(it));
            assert_eq!(mail.body.contains("may request wipes"), has_part, "{}", mail.body);
        }
    }
}

#[test]
fn each_removed_device_is_reported_by_name() {
    let server = TestServer::start();
    colleague(&server, "ada", Role::Auditor);
    colleague(&server, "bob", Role::Helpdesk);
    let remove = || {
        let (id, by, now) = (SimDevice::join(&server).id(), crate::support::server::boss(), server.app.clock.now());
        server.act(move |conn| service::removal::request(conn, &by, id, "laptop-1", now));
        server.mails()
    };

    let told = [remove(), remove()];
    server.app.clock.advance(hours(1));
    let later = remove();

    assert_eq!(told.each_ref().map(Vec::len), [1, 1]);
    assert_eq!((told[0][0].to.as_str(), told[0][0].subject.as_str()), ("ada@example.org", "Device removed: laptop-1"));
    assert_eq!(later.len(), 1);
}
