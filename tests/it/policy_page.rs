//! Policies in the browser.
use crate::support::NOW;
use crate::support::fleet;
use crate::support::people::{SINCE, colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, hidden, location, text};
use domain::device::{DeviceState, Encryption};
use domain::fact::{EncryptionFact, FactKind, FactValue, Facts, Reported};
use domain::id::{DeviceId, PolicyId, TeamId};
use domain::policy::Requirement;
use domain::role::{Role, Scope};
use holdfast::error::Error;
use holdfast::store;
use holdfast::store::policy::Policy;
use holdfast::store::team::Team;
use std::collections::BTreeSet;

#[test]
fn a_policy_is_written_counted_changed_and_removed() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "editor", Role::PolicyEditor));
    server.act(|conn| {
        for encryption in Encryption::ALL {
            let mut any = fleet::device(encryption.as_str());
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
        let mut add = |name: &str| {
            let any = fleet::device(name);
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
        fleet::insert(conn, &fleet::device("silent on its passcode"));
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
            assert!(
                page.contains(&format!("<a href=\"#name\">There already is a {what} with this name.</a>")),
                "{page}"
            );
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

/// A fleet of which some are not encrypted, some say nothing, and some are wiped; gives the ids of those that are not
/// encrypted, and of those that say nothing.
fn fleet_of(server: &TestServer, off: usize, unknown: usize) -> (Vec<DeviceId>, Vec<DeviceId>) {
    server.act(move |conn| {
        let mut add = |name: String, state: Encryption, wiped: bool| {
            let mut any = fleet::device(&name);
            any.0.person = format!("Person of {name}");
            if wiped {
                any.0.state = DeviceState::Wiped;
            }
            (any.1.encryption, any.1.facts) = (state, facts(state));
            fleet::insert(conn, &any);
            any.0.id
        };
        let off_ids = (0..off).map(|at| add(format!("open-{at}"), Encryption::Off, false)).collect();
        let unknown_ids = (0..unknown).map(|at| add(format!("mute-{at}"), Encryption::Unknown, false)).collect();
        add("safe".to_owned(), Encryption::On, false);
        add("gone".to_owned(), Encryption::Off, true);
        Ok((off_ids, unknown_ids))
    })
}

fn facts(state: Encryption) -> String {
    let value = FactValue::Encryption(EncryptionFact { state, method: String::new() });
    let said = Reported { kind: FactKind::Encryption, value, source: "test".to_owned(), measured_at: NOW };
    serde_json::to_string(&Facts::default().with([said], NOW)).unwrap()
}

/// The names of the devices of a list, as JSON has them.
fn listed(visit: &Visit<'_>, query: &str) -> BTreeSet<String> {
    let list = visit.get(&format!("/devices.json?{query}")).json();
    list["devices"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_count_of_a_policy_leads_to_the_devices_it_counts() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let (off, unknown) = fleet_of(&server, 3, 2);
    let path =
        location(&visit.post("/policies", &[("name", "Basics & more"), ("encrypted", "on"), ("passcode", "on")]));
    let id = path.trim_start_matches("/policies/").to_owned();

    let (list, page) = (text(&visit.get("/policies")), text(&visit.get(&path)));

    for page in [&list, &page] {
        let link = format!("href=\"/devices?policy={id}\"");
        assert!(page.contains(&link) && page.contains("3 not compliant</a>"), "{page}");
        assert!(page.contains(&format!("policy={id}&amp;outcome=unknown")) && page.contains("3 unknown</a>"), "{page}");
    }
    assert!(page.contains(&format!("/devices?policy={id}&amp;requirement=storage_encrypted")), "{page}");
    assert!(page.contains("3 devices do not meet this"), "{page}");
    let expected: BTreeSet<_> = off.iter().map(ToString::to_string).collect();
    for query in [
        format!("policy={id}"),
        format!("policy={id}&outcome=not_compliant"),
        format!("policy={id}&requirement=storage_encrypted"),
        "requirement=storage_encrypted".to_owned(),
        "outcome=not_compliant".to_owned(),
    ] {
        assert_eq!(listed(&visit, &query), expected, "{query}");
        let html = text(&visit.get(&format!("/devices?{query}")));
        assert!(html.contains("1 to 3 of 3"), "{html}");
        assert!(!html.contains("mute-") && !html.contains(">gone<") && !html.contains(">safe<"), "{html}");
    }
    assert_eq!(listed(&visit, &format!("policy={id}&requirement=passcode_set")), BTreeSet::new());
    assert_eq!(listed(&visit, &format!("policy={id}&outcome=unknown")).len(), unknown.len() + 1);
    for (at, id) in off.iter().enumerate() {
        let row = page.split(&format!("/devices/{id}#pol")).nth(1).unwrap().split("</tr>").next().unwrap();
        let said = [&format!("Person of open-{at}"), "Storage encrypted", "Not encrypted", ">encrypted<"];
        assert!(said.iter().all(|it| row.contains(*it)), "{row}");
    }
    assert!(!page.contains("mute-") && !page.contains("gone"), "{page}");
}

#[test]
fn the_filter_by_a_policy_is_shown_taken_away_and_kept_on_each_page_and_in_the_csv() {
    let server = TestServer::start();
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    fleet_of(&server, 120, 1);
    let path = location(&visit.post("/policies", &[("name", "Basics"), ("encrypted", "on")]));
    let id = path.trim_start_matches("/policies/").to_owned();
    let policy = text(&visit.get(&path));
    assert!(policy.contains("All 120 devices that do not meet it; these are the first 20"), "{policy}");
    assert_eq!(policy.matches("#pol\"").count(), 20);
    assert!(policy.contains("120 devices do not meet this"), "{policy}");

    let mut address = format!("/devices?policy={id}&sort=person&dir=desc");
    let mut ids = BTreeSet::new();
    for position in ["1 to 50 of 120", "51 to 100 of 120", "101 to 120 of 120"] {
        let page = text(&visit.get(&address));
        assert!(page.contains(position), "{page}");
        assert!(page.contains("Policy: Basics"), "{page}");
        assert!(page.contains(&format!("<option value=\"{id}\" selected>Basics</option>")), "{page}");
        assert!(page.contains(&format!("/devices.csv?policy={id}")), "{page}");
        ids.extend(page.split("name=\"id\" value=\"").skip(1).map(|it| it[..36].to_owned()));
        let chip = page.split("class=\"pill chip\" href=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(!chip.contains("policy=") && chip.contains("sort=person"), "{chip}");
        let next = page.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
        address = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!(ids, listed(&visit, &format!("policy={id}")));
    let csv = text(&visit.get(&format!("/devices.csv?policy={id}")));
    assert_eq!(csv.lines().count(), 121);
}

#[test]
fn a_policy_that_is_gone_or_of_another_team_filters_nothing_and_says_so() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let team = location(&owner.post("/teams", &[("name", "Berlin")]));
    let team = text(&owner.get(&team)).split("/devices?team=").nth(1).unwrap()[..36].to_owned();
    let mine = TeamId::generate(NOW);
    server
        .act(move |conn| Ok(store::team::insert(conn, &Team { id: mine, name: "Paris".to_owned(), created_at: NOW })?));
    let berlin = location(&owner.post("/policies", &[("name", "Berlin only"), ("encrypted", "on"), ("team", &team)]));
    let removed = location(&owner.post("/policies", &[("name", "Removed"), ("encrypted", "on")]));
    location(&owner.post(&format!("{removed}/removals"), &[("confirm", "Removed")]));
    let parisian = person(&server, "parisian", &[], None, SINCE);
    server.act(move |conn| Ok(store::user::grant(conn, parisian, (Role::Observer, Scope::Team(mine)), None, NOW)?));
    let parisian = Visit::of(&server, parisian);

    let query = |path: &str| format!("policy={}", path.trim_start_matches("/policies/"));
    assert_eq!(owner.get(&format!("/devices?{}", query(&berlin))).status, 200);
    for (visit, path) in [(&owner, &removed), (&parisian, &berlin), (&parisian, &removed)] {
        let answer = visit.get(&format!("/devices?{}", query(path)));
        assert_eq!(answer.status, 422);
        assert!(text(&answer).contains("There is no such policy."), "{}", text(&answer));
        assert_eq!(visit.get(&format!("/devices.csv?{}", query(path))).status, 422);
    }
    let page = text(&parisian.get("/devices"));
    assert!(!page.contains("Berlin only"), "its name is not theirs to know: {page}");
}
