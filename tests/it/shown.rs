//! A change that somebody else made in the meantime is not overwritten unnoticed.
use crate::support::device::SimDevice;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, text};
use domain::role::Role;
use holdfast::store;

#[test]
#[expect(clippy::too_many_lines, reason = "a table of the forms, and one loop")]
fn a_lost_update_is_refused_in_every_edit_form_and_what_was_typed_stays() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Observer));
    let device = SimDevice::join(&server).id();
    let owner = Visit::of(&server, ada);
    let policy = ("name", "Basics");
    owner.post("/policies", &[policy, ("encrypted", "on")]);
    let policy = server.read(|conn| Ok(store::policy::all(conn)?))[0].id;
    let settings = |hold: &'static str| {
        vec![
            ("wipe_hold_minutes", hold),
            ("wipe_max_per_hour", "5"),
            ("proof_validity_hours", "168"),
            ("verified_validity_hours", "720"),
            ("check_in_seconds", "900"),
            ("quota_gb", "1000"),
            ("copy_mib_per_second", "100"),
        ]
    };
    type Fields = Vec<(&'static str, &'static str)>;
    let forms: [(String, String, Fields, Fields, &str, &str); 5] = [
        (
            format!("/devices/{device}/edit"),
            format!("/devices/{device}"),
            vec![("name", "laptop-2"), ("person", "Eve")],
            vec![("name", "laptop-3"), ("person", "Grace Hopper")],
            "Name changed from “laptop-1” to “laptop-2”.",
            "value=\"laptop-3\"",
        ),
        (
            format!("/policies/{policy}/edit"),
            format!("/policies/{policy}"),
            vec![("name", "Basics"), ("encrypted", "on"), ("passcode", "on")],
            vec![("name", "Basis"), ("encrypted", "on")],
            "Requirements changed from",
            "value=\"Basis\"",
        ),
        (
            format!("/users/{bob}"),
            format!("/users/{bob}/roles"),
            vec![("roles", "auditor@organisation")],
            vec![("roles", "helpdesk@organisation")],
            "Roles changed from “Observer” to “Auditor”.",
            "value=\"helpdesk@organisation\" checked",
        ),
        (
            "/settings".to_owned(),
            "/settings".to_owned(),
            settings("20"),
            settings("30"),
            "Hold before an approved wipe (minutes) changed from “10” to “20”.",
            "value=\"30\"",
        ),
        (
            "/account".to_owned(),
            "/account".to_owned(),
            vec![("name", "Ada L."), ("time_zone", "UTC")],
            vec![("name", "Ada B."), ("time_zone", "UTC")],
            "Name changed from “ada” to “Ada L.”.",
            "value=\"Ada B.\"",
        ),
    ];
    for (page, to, theirs, mine, changed, typed) in forms {
        let mine_shown = hidden(&text(&owner.get(&page)), "version");
        assert_eq!(owner.post(&to, &theirs).status, 303, "{to}");

        let late = [mine.clone(), vec![("version", &*mine_shown)]].concat();
        let refused = owner.post(&to, &late);
        let body = text(&refused);
        let without = owner.post(&to, &[mine.clone(), vec![("version", "")]].concat());
        let again = hidden(&body, "version");
        let sent_again = owner.post(&to, &[mine, vec![("version", &*again)]].concat());

        assert_eq!(refused.status, 409, "{to}: {body}");
        assert!(body.contains(changed), "{to}: {changed}: {body}");
        assert!(body.contains(typed), "{to}: what was typed stays: {body}");
        assert_eq!(without.status, 409, "{to}: a form that does not say what it was shown with");
        assert_eq!(sent_again.status, 303, "{to}: {}", text(&sent_again));
    }
}
