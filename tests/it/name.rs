//! What people and devices call themselves, and where they say they come from: checked by us.
use crate::support::device::{SimDevice, token};
use crate::support::people::colleague;
use crate::support::server::{TestServer, admin};
use crate::support::visit::{Visit, hidden, text};
use crate::support::{NOW, SmtpSink, free_address};
use domain::by::Author;
use domain::role::{Role, Scope};
use holdfast::config::Options;
use holdfast::mail::Mailer;
use holdfast::service::user::Invitation;
use holdfast::{job, service, store};
use wire::{self, DeviceFacts, Enroll, Fact};

/// What reverses or breaks the line a name is in.
const STEERING: [&str; 4] = ["a\u{202e}b", "a\u{2028}b", "a\u{2066}b", "a\u{85}b"];

#[test]
fn no_name_that_a_device_gives_turns_or_breaks_the_line_it_stands_in() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    for name in STEERING {
        type Change = fn(&mut Enroll, String);
        let fields: [(&str, Change); 6] = [
            ("name", |it, text| it.name = text),
            ("person", |it, text| it.person = text),
            ("model", |it, text| it.model = text),
            ("serial", |it, text| it.serial = text),
            ("os_version", |it, text| it.os_version = text),
            ("protected_roots", |it, text| it.protected_roots = vec![format!("/home/{text}")]),
        ];
        for (field, change) in fields {
            let new = SimDevice::new();
            let mut message = new.enroll_message(&token(&server, |_| {}));
            change(&mut message, name.to_owned());
            let answer = new.send_enroll(&server, &message);
            assert_eq!(answer.status, 400, "{field} {name:?}: {}", text(&answer));
            assert_eq!(answer.json()["field"], field, "{name:?}");
        }
        let fact = Fact { value: name.to_owned(), source: "dmi".to_owned(), measured_at: NOW };
        let facts = DeviceFacts { serial: Some(fact), ..DeviceFacts::default() };
        let answer = device.send(&server, wire::CHECK_IN, &device.check_in_message(facts, vec![]));
        assert_eq!(answer.status, 400, "{name:?}: {}", text(&answer));
    }
}

#[test]
fn no_name_that_a_person_gives_turns_or_breaks_the_line_it_stands_in() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let device = SimDevice::join(&server).id();
    let owner = Visit::of(&server, ada);
    for name in STEERING {
        for (path, fields) in [
            ("/account".to_owned(), vec![("name", name), ("time_zone", "UTC")]),
            ("/teams".to_owned(), vec![("name", name)]),
            ("/policies".to_owned(), vec![("name", name), ("encrypted", "on")]),
            ("/api-tokens".to_owned(), vec![("name", name), ("days", "1")]),
            ("/users".to_owned(), vec![("email", "b@example.org"), ("name", name), ("roles", "observer@organisation")]),
            (format!("/devices/{device}"), vec![("name", name), ("person", "Bob")]),
            (format!("/devices/{device}"), vec![("name", "laptop"), ("person", name)]),
        ] {
            let answer = owner.post(&path, &fields);
            assert_eq!(answer.status, 422, "{path} {name:?}: {}", text(&answer));
        }
        let (by, name) = (admin(), name.to_owned());
        let roles = vec![(Role::Observer, Scope::Organisation)];
        let who = Invitation { email: "c@example.org".to_owned(), name, roles };
        let invited =
            server.app.store.act_blocking(move |conn| service::user::invite(conn, Author::Host(&by), &who, NOW));
        assert!(invited.is_err(), "the command line asks the same");
    }
}

#[test]
fn nobody_goes_by_the_name_of_the_server_or_by_the_address_of_another() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));

    for name in ["Holdfast", "command line (uid 0)", "bob@example.org", "Bob (bob@example.org)"] {
        assert_eq!(owner.post("/account", &[("name", name), ("time_zone", "UTC")]).status, 422, "{name}");
    }
}

#[test]
fn an_address_that_is_taken_can_be_mailed_whatever_letters_its_domain_has() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let invite =
        |email: &str| owner.post("/users", &[("email", email), ("name", "Bob"), ("roles", "auditor@organisation")]);

    for never in ["bob@exa mple.org", "bob@", "böb@example.org", "bob@-x.org", "bob@ex_ample.org", "bob@10.0.0.1"] {
        let refused = invite(never);
        assert_eq!(refused.status, 422, "{never}");
        assert!(text(&refused).contains("that mail can be sent to"), "{never}: {}", text(&refused));
    }
    assert_eq!(invite("Bob@Bücher.example").status, 200);
    assert_eq!(invite("bob@xn--bcher-kva.example").status, 422, "the same address in its other spelling");

    let address = free_address();
    let sink = SmtpSink::start(&address);
    let mailer = Mailer::smtp(&format!("smtp://{address}"), "Holdfast <holdfast@example.org>").unwrap();
    let summary = job::mail::run_once(server.store(), Some(&mailer), &server.app.clock).unwrap();

    assert_eq!(summary.failed_count, 0);
    let letters = sink.letters();
    assert!(letters.iter().any(|it| it.contains("To: bob@xn--bcher-kva.example")), "{letters:?}");
    let found = server.read(|conn| Ok(store::user::find_by_email(conn, "bob@BÜCHER.example")?));
    assert!(found.is_some(), "and they sign in with the address as they type it");
}

#[test]
fn an_enrolment_is_for_the_address_that_this_server_was_told_not_for_what_its_host_says() {
    let public_url = Some("https://mdm.example.org".to_owned());
    let server = TestServer::with(Options { public_url, ..Options::default() });
    let joins = |aud: &str| {
        let device = SimDevice::new();
        device.send_enroll_to(&server, aud, &device.enroll_message(&token(&server, |_| {}))).status
    };

    assert_eq!(joins(&server.url()), 401, "`Host` says the same, and the sender wrote it");
    for ours in ["https://mdm.example.org", "https://mdm.example.org/", "https://MDM.example.org:443"] {
        assert_eq!(joins(ours), 200, "{ours}");
    }
    for other in ["http://mdm.example.org", "https://mdm.example.org:8443", "https://mdm.example.org.evil", ""] {
        assert_eq!(joins(other), 401, "{other}");
    }
}

#[test]
fn bytes_beyond_ascii_in_front_of_a_proxys_word_hide_nobody() {
    let trusted_proxy = Some(vec!["127.0.0.1".parse().unwrap()]);
    let server = TestServer::with(Options { trusted_proxy, ..Options::default() });
    let page = server.request("GET", "/sign-in", &[], b"");
    let visit = format!("holdfast-visit={}", crate::support::visit::cookie(&page, "holdfast-visit").unwrap());
    let csrf = hidden(&text(&page), "csrf");
    let body = serde_urlencoded::to_string([("csrf", &*csrf), ("email", "a@example.org"), ("password", "no")]).unwrap();

    for forwarded in ["é, 198.51.100.7", "\u{202e}, 198.51.100.7"] {
        let headers = [
            ("Cookie", visit.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Site", "same-origin"),
            ("X-Forwarded-For", forwarded),
        ];
        server.request("POST", "/sign-in", &headers, body.as_bytes());
        server.app.clock.advance(domain::time::hours(1));
    }

    let tried = server.read(|conn| Ok(store::activity::all(conn)?));
    let addresses: Vec<_> =
        tried.iter().filter(|it| it.action.as_str() == "sign_in_failed").map(|it| &it.address).collect();
    assert_eq!(addresses, ["198.51.100.7", "198.51.100.7"]);
}
