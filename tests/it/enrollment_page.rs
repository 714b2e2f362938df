//! Enrolment tokens in the browser.
use crate::device_page::team;
use crate::support::NOW;
use crate::support::device::SimDevice;
use crate::support::fleet;
use crate::support::people::{self, colleague};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use diesel::prelude::*;
use domain::id::EnrollmentTokenId;
use domain::role::{Reach, Role};
use domain::time::days;
use holdfast::store;
use holdfast::store::schema::{enrollment_tokens, user_roles};

const PROGRAM: &str = "/agent/v1/program";

const FIELDS: [(&str, &str); 5] =
    [("name", "Sales"), ("team", ""), ("ownership", "company"), ("use_limit", "2"), ("valid_hours", "24")];

fn token_of(html: &str) -> String {
    let rest = html.split_once("--token ").unwrap().1;
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_token_is_shown_once_with_its_command_and_code_and_lets_a_device_in() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "operator", Role::Operator));

    let made = visit.post("/enrollment-tokens", &FIELDS);
    let html = text(&made);

    assert_eq!(made.status, 200);
    assert!(html.contains("holdfast agent enroll --server") && html.contains("src=\"data:image/svg+xml;base64,"));
    let token = token_of(&html);
    assert!(!text(&visit.get("/enrollment")).contains(&token), "only its hash is kept");
    assert_eq!(SimDevice::new().enroll(&server, &token).status, 200);
    assert!(text(&visit.get("/enrollment")).contains("1 of 2"));
    let id = server.read(|conn| Ok(store::enrollment_token::newest(conn, &Reach::All, 1)?))[0].id;
    location(&visit.post(&format!("/enrollment-tokens/{id}/revocations"), &[]));
    assert_eq!(SimDevice::new().enroll(&server, &token).status, 403);
}

#[test]
fn the_page_of_a_token_shows_one_command_that_fetches_checks_and_enrolls() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "operator", Role::Operator));
    let html = text(&visit.post("/enrollment-tokens", &FIELDS));
    let token = token_of(&html);
    let fetch = |authorization: &str| server.request("GET", PROGRAM, &[("Authorization", authorization)], b"");

    let own = std::fs::read("/proc/self/exe").unwrap();
    let sha256 = hex::encode(secret::sha256(&own));
    let answer = fetch(&format!("Bearer {token}"));

    assert!(html.contains(&format!("Authorization: Bearer {token}")) && html.contains(&server.url()), "{html}");
    assert!(html.contains(&format!("echo &#39;{sha256}  holdfast&#39; | sha256sum --check")), "{html}");
    assert_eq!(answer.status, 200);
    assert!(answer.body == own, "{} bytes of {}", answer.body.len(), own.len());
    let is_used = server.read(|conn| Ok(store::enrollment_token::newest(conn, &Reach::All, 1)?))[0].use_count;
    assert_eq!(is_used, 0, "fetching the agent enrolls nothing");
}

#[test]
fn only_an_open_token_fetches_the_agent() {
    let server = TestServer::start();
    let operator = colleague(&server, "operator", Role::Operator);
    let visit = Visit::of(&server, operator);
    let fetch = |authorization: &str| server.request("GET", PROGRAM, &[("Authorization", authorization)], b"").status;
    let once = FIELDS.map(|(name, old)| (name, if name == "use_limit" { "1" } else { old }));
    let made = || format!("Bearer {}", token_of(&text(&visit.post("/enrollment-tokens", &once))));

    for wrong in ["", "Bearer", "Bearer ", "Bearer hf_enroll_unknown", "Basic hf_enroll_unknown", "x"] {
        assert_eq!(fetch(wrong), 403, "{wrong}");
    }
    let (used, orphaned) = (made(), made());
    assert_eq!((fetch(&used), fetch(&orphaned)), (200, 200));
    assert_eq!(SimDevice::new().enroll(&server, used.strip_prefix("Bearer ").unwrap()).status, 200);
    assert_eq!(fetch(&used), 403, "used up");
    people::disable(&server, operator);
    assert_eq!(fetch(&orphaned), 403, "who made it has gone");
}

#[test]
fn a_wrong_form_is_shown_again_and_makes_no_token() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "operator", Role::Operator));

    for (field, value) in [("name", ""), ("use_limit", "0"), ("valid_hours", "x"), ("ownership", "ours"), ("team", "x")]
    {
        let fields = FIELDS.map(|(name, old)| (name, if name == field { value } else { old }));
        assert_eq!(visit.post("/enrollment-tokens", &fields).status, 422, "{field}");
    }
    assert!(server.read(|conn| Ok(store::enrollment_token::newest(conn, &Reach::All, 9)?)).is_empty());
}

#[test]
fn a_device_enrolls_again_as_itself() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "operator", Role::Operator));
    let device = SimDevice::join(&server);

    let html = text(&visit.post(&format!("/devices/{}/enrollment-tokens", device.id()), &[]));
    let again = SimDevice::new();
    let answer = again.enroll(&server, &token_of(&html));

    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["device_id"], device.id().to_string());
    assert_eq!(answer.json()["generation"], 2);
}

#[test]
fn the_tokens_of_a_team_are_listed_however_many_others_came_after_them() {
    let server = TestServer::start();
    let operator = colleague(&server, "operator", Role::Operator);
    let sales = team(&server, "Sales");
    server.act(move |conn| {
        diesel::update(user_roles::table).set(user_roles::scope.eq(sales.to_string())).execute(conn)?;
        fleet::token(conn);
        let older = enrollment_tokens::id.eq(EnrollmentTokenId::generate(NOW - days(1)));
        let own = (enrollment_tokens::team_id.eq(sales), enrollment_tokens::name.eq("the team’s own"));
        diesel::update(enrollment_tokens::table).set((older, own)).execute(conn)?;
        for _ in 0..200 {
            fleet::token(conn);
        }
        Ok(())
    });

    let list = text(&Visit::of(&server, operator).get("/enrollment"));

    assert!(list.contains("the team’s own"), "{list}");
    assert!(!list.contains("fleet"), "{list}");
}
