//! Policies in the browser.
use crate::support::NOW;
use crate::support::fleet;
use crate::support::people::colleague;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, location, text};
use holdfast::domain::device::Encryption;
use holdfast::domain::id::{PolicyId, TeamId};
use holdfast::domain::policy::Requirement;
use holdfast::domain::role::Role;
use holdfast::error::Error;
use holdfast::store;
use holdfast::store::policy::Policy;
use holdfast::store::team::Team;

#[test]
fn a_policy_is_written_counted_changed_and_removed() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "editor", Role::PolicyEditor));
    server.act(|conn| {
        let token = fleet::token(conn);
        for encryption in Encryption::ALL {
            let mut any = fleet::device(token, encryption.as_str());
            any.1.encryption = *encryption;
            fleet::insert(conn, &any);
        }
        Ok(())
    });
    let fields = [
        ("name", "Basics"),
        ("team", ""),
        ("proven", "on"),
        ("proven_number", "3"),
        ("proven_unit", "d"),
        ("os", "on"),
        ("os_version", "12.1"),
    ];

    let path = location(&visit.post("/policies", &fields));

    let policies = server.read(|conn| Ok(store::policy::all(conn)?));
    let requirements = policies[0].requirements().unwrap();
    assert_eq!(
        requirements,
        [
            Requirement::ProvenRestorePoint { within_minutes: 3 * 24 * 60 },
            Requirement::MinimumOsVersion { version: "12.1".to_owned() }
        ]
    );
    assert!(text(&visit.get("/policies")).contains("3 not compliant"));
    let form = text(&visit.get(&format!("{path}/edit")));
    let version = hidden(&form, "version");
    let mut changed = fields.to_vec();
    changed[0].1 = "Basics 2";
    changed.push(("version", &version));
    location(&visit.post(&path, &changed));
    let late = visit.post(&path, &changed);
    assert_eq!(late.status, 409, "someone changed it meanwhile");
    assert!(text(&late).contains("value=\"Basics 2\""), "what was typed stays: {}", text(&late));
    let refused = visit.post(&format!("{path}/removals"), &[("confirm", "Basic")]);
    assert_eq!(refused.status, 422);
    assert!(text(&refused).contains("value=\"Basic\""), "what was typed stays");
    location(&visit.post(&format!("{path}/removals"), &[("confirm", "Basics 2")]));
    assert!(server.read(|conn| Ok(store::policy::all(conn)?)).is_empty());
}

#[test]
fn a_policy_with_a_wrong_span_is_shown_again_as_it_was_typed() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "editor", Role::PolicyEditor));

    for number in ["0", "-1", "x", "999999999999", "400"] {
        let fields = [("name", "Odd <b>"), ("backup", "on"), ("backup_number", number), ("backup_unit", "d")];
        let answer = visit.post("/policies", &fields);
        assert_eq!(answer.status, 422, "{number}");
        assert!(text(&answer).contains("Odd &#60;b&#62;"), "{}", text(&answer));
    }
    assert_eq!(visit.post("/policies", &[("name", "Empty")]).status, 422);
}

#[test]
fn an_observer_reads_policies_and_writes_none() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "observer", Role::Observer));

    assert_eq!(visit.get("/policies").status, 200);
    assert_eq!(visit.get("/policies/new").status, 403);
    assert_eq!(visit.post("/policies", &[("name", "x"), ("encrypted", "on")]).status, 403);
}

#[test]
fn the_list_of_devices_counts_the_policies_that_each_fails() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let team = location(&visit.post("/teams", &[("name", "Berlin")]));
    let team = text(&visit.get(&team)).split("/devices?team=").nth(1).unwrap()[..36].to_owned();
    let ids = server.act(|conn| {
        let token = fleet::token(conn);
        let mut add = |name: &str| {
            let any = fleet::device(token, name);
            fleet::insert(conn, &any);
            Ok::<_, Error>(any.0.id)
        };
        Ok([add("first")?, add("second")?])
    });
    // A fleet's devices have no proof, so both fail the first; the second policy is for a team of one.
    let proven = [("name", "Proven"), ("proven", "on"), ("proven_number", "1"), ("proven_unit", "d")];
    location(&visit.post("/policies", &proven));
    location(&visit.post("/policies", &[&proven[1..], &[("name", "Proven in Berlin"), ("team", &team)]].concat()));
    location(&visit.post(&format!("/devices/{}", ids[1]), &[("name", "second"), ("team", &team)]));

    let page = text(&visit.get("/devices"));

    let failing = |at: usize| {
        let cell = page.split(&format!("href=\"/devices/{}#pol\"", ids[at])).nth(1).unwrap();
        cell.split("</a>").next().unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!([failing(0), failing(1)], ["1", "2"], "{page}");
}

#[test]
fn what_cannot_be_told_is_not_shown_as_no_policy_failing() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    server.act(|conn| {
        let token = fleet::token(conn);
        fleet::insert(conn, &fleet::device(token, "silent on its passcode"));
        Ok(())
    });
    location(&visit.post("/policies", &[("name", "Passcode"), ("passcode", "on")]));

    let page = text(&visit.get("/devices"));

    assert!(page.contains("1 unknown</a>"), "{page}");
}

#[test]
fn two_teams_or_policies_have_no_name_in_common() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    for (path, what) in [("/teams", "team"), ("/policies", "policy")] {
        let named = |name: &str| visit.post(path, &[("name", name), ("encrypted", "on")]);
        location(&named("Équipe Berlin"));
        for same in ["Équipe Berlin", "équipe BERLIN", "  Équipe berlin "] {
            let refused = named(same);
            assert_eq!(refused.status, 422, "{path} {same}");
            let page = text(&refused);
            assert!(page.contains(&format!("<a href=\"#name\">There is a {what} of this name.</a>")), "{page}");
            assert!(page.contains(&format!("value=\"{same}\"")), "what was typed stays: {page}");
        }
        let at_once: Vec<u16> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| named("Paris").status)).collect();
            all.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(at_once.iter().filter(|it| **it == 303).count(), 1, "{at_once:?}");
        assert_eq!(at_once.iter().filter(|it| **it == 422).count(), 3, "{at_once:?}");
    }
    let paris = server.read(|conn| Ok(store::policy::all(conn)?)).into_iter().find(|it| it.name == "Paris").unwrap();
    let path = format!("/policies/{}", paris.id);
    let fields = [("name", "ÉQUIPE berlin"), ("encrypted", "on")];
    assert_eq!(visit.post(&path, &fields).status, 422, "nor after a change");
    location(&visit.post(&path, &[("name", "PARIS"), ("encrypted", "on")]));
    location(&visit.post(&format!("{path}/removals"), &[("confirm", "PARIS")]));
    location(&visit.post("/policies", &[("name", "Paris"), ("encrypted", "on")]));
}

#[test]
fn the_database_takes_no_second_team_or_policy_of_a_name() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    location(&visit.post("/teams", &[("name", "Berlin")]));
    location(&visit.post("/policies", &[("name", "Berlin"), ("encrypted", "on")]));
    let name = || "BERLIN".to_owned();

    let team = Team { id: TeamId::generate(NOW), name: name(), created_at: NOW };
    let team = server.store().act_blocking(move |conn| store::team::insert(conn, &team));
    let policy = server.read(|conn| Ok(store::policy::all(conn)?)).remove(0);
    let policy = Policy { id: PolicyId::generate(NOW), name: name(), ..policy };
    let policy = server.store().act_blocking(move |conn| store::policy::insert(conn, &policy));

    assert!(matches!((team, policy), (Err(Error::Conflict(_)), Err(Error::Conflict(_)))));
}
