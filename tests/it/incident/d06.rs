//! GitLab, 2017: the mails that said that no backup was made were refused, and nobody heard of it.
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use crate::support::{SmtpSink, free_address};
use domain::account::UserState;
use domain::activity::Actor;
use domain::ground::Undelivered;
use domain::role::Role;
use domain::time::minutes;
use holdfast::mail::Mailer;
use holdfast::{job, service, store};

#[test]
fn d06_an_alarm_that_no_mail_server_takes_is_said_on_every_page_and_to_monitoring() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let address = free_address();
    let mailer = Mailer::smtp(&format!("smtp://{address}"), "Holdfast <holdfast@example.org>").unwrap();
    let poll = || {
        job::mail::run_once(server.store(), Some(&mailer), &server.app.clock).unwrap();
        server.app.watch.look(server.app.clock.now()).unwrap();
        String::from_utf8(server.request("GET", "/health", &[], b"").body).unwrap()
    };
    let page = || text(&Visit::of(&server, owner).get("/"));
    assert_eq!(poll(), "ok\n");

    let now = server.app.clock.now();
    server.act(move |conn| service::host::freeze(conn, &Actor::system(), now));
    assert_eq!(poll(), "ok\n", "a mail server may be restarted");
    server.app.clock.advance(Undelivered::AFTER);
    let said = poll();
    assert!(said.starts_with("degraded: no mail has been accepted since "), "{said}");
    assert!(page().contains("No mail has been accepted since"), "{}", page());

    let sink = SmtpSink::start(&address);
    server.app.clock.advance(minutes(60));
    assert_eq!(poll(), "ok\n");
    assert!(!page().contains("No mail has been accepted since"));
    assert!(sink.letters().iter().any(|it| it.contains("Subject: Frozen")), "{:?}", sink.letters());
}

#[test]
fn d06_one_address_that_is_refused_is_no_alarm_for_all() {
    let server = TestServer::start();
    for email in ["a@refused.example", "b@example.org"] {
        server.act(move |conn| {
            let since = crate::support::people::SINCE;
            let user = store::user::User {
                id: domain::id::UserId::generate(since),
                email: email.to_owned(),
                name: email.to_owned(),
                password_hash: None,
                state: UserState::Active,
                time_zone: "UTC".to_owned(),
                created_by: None,
                created_at: since,
                password_changed_at: None,
            };
            store::user::insert(conn, &user)?;
            Ok(store::user::grant(conn, user.id, (Role::Owner, domain::role::Scope::Organisation), None, since)?)
        });
    }
    let address = free_address();
    let _sink = SmtpSink::start(&address);
    let mailer = Mailer::smtp(&format!("smtp://{address}"), "Holdfast <holdfast@example.org>").unwrap();
    let now = server.app.clock.now();
    server.act(move |conn| service::host::freeze(conn, &Actor::system(), now));

    for _ in 0..3 {
        job::mail::run_once(server.store(), Some(&mailer), &server.app.clock).unwrap();
        server.app.clock.advance(minutes(30));
    }

    assert!(server.read(|conn| Ok(store::ground::find(conn)?.mail)).is_none());
}
