//! Enrolment tokens in the browser.
use crate::support::device::SimDevice;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use holdfast::domain::role::Role;
use holdfast::store;

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
    let id = server.read(|conn| Ok(store::enrollment_token::newest(conn, 1)?))[0].id;
    location(&visit.post(&format!("/enrollment-tokens/{id}/revocations"), &[]));
    assert_eq!(SimDevice::new().enroll(&server, &token).status, 403);
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
    assert!(server.read(|conn| Ok(store::enrollment_token::newest(conn, 9)?)).is_empty());
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
