//! Every route, with the least permission that opens it: a route that is not in the table fails the test.
use crate::support::NOW;
use crate::support::people::{SINCE, person};
use crate::support::server::{Answer, TestServer};
use crate::support::visit::{Visit, location, text};
use domain::role::{Permission, Role};
use holdfast::web::AREAS;
use holdfast::web::area::Place;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Nothing: its area says that it is public.
    Public,
    /// A device's own proof of who it is; each protocol's tests look closer.
    Device,
    /// Any account.
    SignedIn,
    May(Permission),
}
use Least::{Device, May, Public, SignedIn};
use Permission as P;

pub const TABLE: &[(&str, &str, Least)] = &[
    ("get", "/", May(P::ViewDevices)),
    ("get", "/account", SignedIn),
    ("post", "/account", SignedIn),
    ("post", "/account/appearance", SignedIn),
    ("post", "/account/password", SignedIn),
    ("post", "/account/sessions/end", SignedIn),
    ("post", "/account/sign-out-everywhere", SignedIn),
    ("get", "/activity", May(P::ViewActivity)),
    ("get", "/activity.csv", May(P::ViewActivity)),
    ("get", "/activity.json", May(P::ViewActivity)),
    ("post", "/agent/v1/backups", Device),
    ("post", "/agent/v1/check-in", Device),
    ("post", "/agent/v1/enroll", Device),
    ("post", "/agent/v1/manifests", Device),
    ("post", "/agent/v1/restores/{id}/progress", Device),
    ("post", "/agent/v1/restores/{id}/result", Device),
    ("post", "/agent/v1/restores/{id}/undone", Device),
    ("get", "/agent/v1/program", Device),
    ("get", "/agent/v1/wait", Device),
    ("post", "/agent/v1/backup-failures", Device),
    ("post", "/agent/v1/wipe-reports", Device),
    ("get", "/api-tokens", May(P::ManageUsers)),
    ("post", "/api-tokens", May(P::ManageUsers)),
    ("post", "/api-tokens/{id}/revoke", May(P::ManageUsers)),
    ("get", "/approvals", May(P::ViewDevices)),
    ("get", "/commands", May(P::ViewDevices)),
    ("get", "/commands.csv", May(P::ViewDevices)),
    ("get", "/commands.json", May(P::ViewDevices)),
    ("post", "/commands/cancellations", SignedIn),
    ("post", "/commands/{id}/cancellations", SignedIn),
    ("get", "/device-secrets/{id}", May(P::ReadContents)),
    ("post", "/device-secrets/{id}/readings", May(P::ReadContents)),
    ("get", "/devices", May(P::ViewDevices)),
    ("get", "/devices.csv", May(P::ViewDevices)),
    ("get", "/devices.json", May(P::ViewDevices)),
    ("post", "/devices/backup-commands", May(P::RunBackups)),
    ("post", "/devices/columns", May(P::ViewDevices)),
    ("post", "/devices/lock-commands", May(P::LockDevices)),
    ("post", "/devices/restore-tests", May(P::RunBackups)),
    ("get", "/devices/{id}", May(P::ViewDevices)),
    ("post", "/devices/{id}", May(P::EnrollDevices)),
    ("get", "/devices/{id}.json", May(P::ViewDevices)),
    ("post", "/devices/{id}/backup-commands", May(P::RunBackups)),
    ("get", "/devices/{id}/edit", May(P::EnrollDevices)),
    ("get", "/devices/{id}/messages", May(P::ViewDevices)),
    ("post", "/devices/{id}/enrollment-tokens", May(P::EnrollDevices)),
    ("get", "/devices/{id}/inventory", May(P::ViewDevices)),
    ("post", "/devices/{id}/lock-commands", May(P::LockDevices)),
    ("get", "/devices/{id}/lost", May(P::ViewDevices)),
    ("get", "/devices/{id}/orders", May(P::ViewDevices)),
    ("get", "/devices/{id}/orders/{kind}", May(P::ViewDevices)),
    ("post", "/devices/{id}/orders/{kind}", May(P::LockDevices)),
    ("get", "/devices/{id}/passcode-clearings", May(P::ReadContents)),
    ("post", "/devices/{id}/passcode-clearings", May(P::ReadContents)),
    ("get", "/devices/{id}/secrets", May(P::ViewDevices)),
    ("post", "/devices/{id}/removals", May(P::EnrollDevices)),
    ("post", "/devices/{id}/removals/stops", May(P::StopWipe)),
    ("post", "/devices/{id}/repository-tokens", May(P::RunBackups)),
    ("get", "/devices/{id}/ends", May(P::ViewDevices)),
    ("get", "/devices/{id}/holds", May(P::ViewDevices)),
    ("post", "/devices/{id}/holds", May(P::Hold)),
    ("get", "/devices/{id}/restore", May(P::Restore)),
    ("post", "/devices/{id}/restore/preview", May(P::Restore)),
    ("get", "/devices/{id}/restore/what", May(P::Restore)),
    ("post", "/devices/{id}/restore/what", May(P::Restore)),
    ("post", "/devices/{id}/restore/where", May(P::Restore)),
    ("post", "/devices/{id}/restore-tests", May(P::RunBackups)),
    ("post", "/devices/{id}/restores", May(P::Restore)),
    ("get", "/devices/{id}/wipe", May(P::RequestWipe)),
    ("post", "/devices/{id}/wipe-requests", May(P::RequestWipe)),
    ("get", "/enrollment", May(P::EnrollDevices)),
    ("post", "/enrollment-tokens", May(P::EnrollDevices)),
    ("post", "/enrollment-tokens/{id}/revocations", May(P::EnrollDevices)),
    ("get", "/health", Public),
    ("post", "/holds/{id}/approvals", May(P::ApproveRemoval)),
    ("post", "/holds/{id}/lifts", May(P::Hold)),
    ("post", "/holds/{id}/refusals", May(P::Hold)),
    ("get", "/invite/{token}", Public),
    ("post", "/invite/{token}", Public),
    ("get", "/metrics", May(P::ViewDevices)),
    ("get", "/policies", May(P::ViewPolicies)),
    ("post", "/policies", May(P::EditPolicies)),
    ("get", "/policies/apple", May(P::ViewPolicies)),
    ("get", "/policies/apple/devices/{kind}", May(P::ViewPolicies)),
    ("get", "/policies/apple/{scope}", May(P::EditPolicies)),
    ("post", "/policies/apple/{scope}", May(P::EditPolicies)),
    ("post", "/policies/apple/{scope}/removals", May(P::EditPolicies)),
    ("get", "/policies/new", May(P::EditPolicies)),
    ("get", "/policies/{id}", May(P::ViewPolicies)),
    ("post", "/policies/{id}", May(P::EditPolicies)),
    ("get", "/policies/{id}/edit", May(P::EditPolicies)),
    ("post", "/policies/{id}/removals", May(P::EditPolicies)),
    ("post", "/prunes/{id}/undos", May(P::Restore)),
    ("post", "/pull/v1/answers/{session}/{number}", Device),
    ("post", "/pull/v1/tasks", Device),
    ("post", "/repository-tokens/{id}/revocations", May(P::RunBackups)),
    ("get", "/devices/{id}/restore-points", May(P::ViewDevices)),
    ("get", "/devices/{id}/restore-points.json", May(P::ViewDevices)),
    ("get", "/devices/{id}/restore-points/search", May(P::ReadContents)),
    ("get", "/devices/{id}/restore-points/search.json", May(P::ReadContents)),
    ("get", "/restore-points", May(P::ViewDevices)),
    ("get", "/restore-points.csv", May(P::ViewDevices)),
    ("get", "/restore-points/{id}/changes", May(P::ReadContents)),
    ("get", "/restore-points/{id}/changes.json", May(P::ReadContents)),
    ("post", "/restore-points/{id}/downloads", May(P::ReadContents)),
    ("get", "/restore-points/{id}/files", May(P::ReadContents)),
    ("get", "/restore-points/{id}/files.json", May(P::ReadContents)),
    ("get", "/restore-tests", May(P::ViewDevices)),
    ("get", "/restore-tests.csv", May(P::ViewDevices)),
    ("get", "/restore-tests/{id}", May(P::ViewDevices)),
    ("get", "/restores", May(P::ViewDevices)),
    ("get", "/restores/{id}", May(P::ViewDevices)),
    ("post", "/restores/{id}/approvals", May(P::ApproveRestore)),
    ("post", "/restores/{id}/cancellations", May(P::Restore)),
    ("post", "/restores/{id}/refusals", May(P::ApproveRestore)),
    ("post", "/restores/{id}/undos", May(P::Restore)),
    ("get", "/retention", May(P::ViewDevices)),
    ("post", "/retention", May(P::ManageSettings)),
    ("post", "/retention/previews", May(P::ManageSettings)),
    ("post", "/retention/{id}/approvals", May(P::ApproveRemoval)),
    ("post", "/retention/{id}/cancellations", May(P::ApproveRemoval)),
    ("get", "/set-up/{token}", Public),
    ("post", "/set-up/{token}", Public),
    ("get", "/push-certificate", May(P::ManageSettings)),
    ("get", "/push-certificate/request", May(P::ManageSettings)),
    ("post", "/push-certificate", May(P::ManageSettings)),
    ("post", "/push-certificate/requests", May(P::ManageSettings)),
    ("get", "/settings", May(P::ManageSettings)),
    ("post", "/settings", May(P::ManageSettings)),
    ("post", "/settings/test-mails", May(P::ManageSettings)),
    ("post", "/settings/{name}/take-backs", May(P::ManageSettings)),
    ("get", "/sign-in", Public),
    ("post", "/sign-in", Public),
    ("post", "/sign-out", SignedIn),
    ("get", "/static/{hash}/{name:.+}", Public),
    ("get", "/if-lost/{event}", May(P::ViewDevices)),
    ("get", "/incident", May(P::ViewDevices)),
    ("get", "/incident.json", May(P::ViewDevices)),
    ("get", "/if-lost/{event}.json", May(P::ViewDevices)),
    ("get", "/stores", May(P::ViewDevices)),
    ("get", "/stores.json", May(P::ViewDevices)),
    ("get", "/teams", May(P::ManageUsers)),
    ("post", "/teams", May(P::ManageUsers)),
    ("get", "/teams/{id}/key", May(P::ManageUsers)),
    ("post", "/teams/{id}/key-handovers", May(P::ManageUsers)),
    ("post", "/teams/{id}/quotas", May(P::ManageUsers)),
    ("get", "/users", May(P::ManageUsers)),
    ("post", "/users", May(P::ManageUsers)),
    ("get", "/users/new", May(P::ManageUsers)),
    ("get", "/users/{id}", May(P::ManageUsers)),
    ("post", "/users/{id}/disable", May(P::ManageUsers)),
    ("post", "/users/{id}/enable", May(P::ManageUsers)),
    ("post", "/users/{id}/links", May(P::ManageUsers)),
    ("post", "/users/{id}/roles", May(P::ManageUsers)),
    ("get", "/wipe-requests", May(P::ViewDevices)),
    ("get", "/wipe-requests.csv", May(P::ViewDevices)),
    ("get", "/wipe-requests/{id}", May(P::ViewDevices)),
    ("post", "/wipe-requests/stops", May(P::StopWipe)),
    ("post", "/wipe-requests/{id}/approvals", May(P::ApproveWipe)),
    ("post", "/wipe-requests/{id}/hold-ends", May(P::ApproveWipe)),
    ("post", "/wipe-requests/{id}/reviews", May(P::RequestWipe)),
    ("post", "/wipe-requests/{id}/stops", May(P::StopWipe)),
];

#[test]
fn every_route_is_in_the_table() {
    let known: BTreeSet<_> = TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let mut routes = BTreeSet::new();
    for folder in ["src/api", "src/web", "src/protocol"] {
        collect(Path::new(folder), &mut routes);
    }

    let missing: Vec<_> = routes.difference(&known).collect();
    let gone: Vec<_> = known.difference(&routes).collect();

    assert!(missing.is_empty(), "routes without a line in the table: {missing:?}");
    assert!(gone.is_empty(), "lines of the table without a route: {gone:?}");
}

#[test]
fn the_public_pages_are_those_of_the_areas() {
    let table: BTreeSet<_> = TABLE.iter().filter(|it| it.2 == Public).map(|(_, path, _)| *path).collect();
    assert_eq!(table, AREAS.public().collect());
}

#[test]
fn every_page_belongs_to_one_area_and_every_link_of_the_navigation_leads_to_its_page() {
    let starts: Vec<_> = AREAS.0.iter().flat_map(|it| it.starts).collect();
    assert_eq!(starts.iter().collect::<BTreeSet<_>>().len(), starts.len(), "{starts:?}");
    for (_, path, least) in TABLE.iter().filter(|it| it.2 != Device && !is_data(it.1)) {
        let area = AREAS.of(path).unwrap_or_else(|| panic!("{path} belongs to no area"));
        let is_frame = matches!(area.place, Place::Nowhere);
        assert!(!is_frame || !matches!(least, May(_)), "{path} stands nowhere in the navigation");
    }
    let is_page = |path: &str| TABLE.iter().any(|it| it.0 == "get" && it.1 == path);
    let main: Vec<_> =
        AREAS.0.iter().filter_map(|it| if let Place::Main(link) = it.place { Some(link) } else { None }).collect();
    for area in AREAS.0 {
        match area.place {
            Place::Main(link) => {
                let least = TABLE.iter().find(|it| it.0 == "get" && it.1 == link.href).unwrap().2;
                assert_eq!(link.needs.map(May), Some(least), "{}", link.href);
            }
            Place::Below(href) => assert!(main.iter().any(|it| it.href == href), "{href}"),
            Place::Settings { href, needs, .. } => {
                let least = TABLE.iter().find(|it| it.0 == "get" && it.1 == href).unwrap().2;
                assert_eq!(needs.map_or(SignedIn, May), least, "{href}");
            }
            Place::Nowhere => {}
        }
        for (_, page) in area.forms {
            assert!(is_page(page), "{page}");
        }
    }
}

fn collect(folder: &Path, routes: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, routes);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for method in ["get", "post", "put", "delete", "patch", "head"] {
            // The API names its addresses where it registers them: `.service(get("/devices.json", json))`.
            for opening in [format!("#[{method}(\""), format!(".service({method}(\"")] {
                for part in text.split(&opening).skip(1) {
                    routes.insert((method.to_owned(), part.split('"').next().unwrap().to_owned()));
                }
            }
        }
        assert!(!text.contains("#[route("), "{}: name one method a route", path.display());
        for other in ["#[get(", ".route(\"", "resource(\""].iter().filter(|_| path.starts_with("src/api")) {
            assert!(!text.contains(other), "{}: {other} goes past the API's gate", path.display());
        }
    }
}

/// Whether an address is one of the API's.
fn is_data(path: &str) -> bool {
    path.ends_with(".json") || path.ends_with(".csv") || path == "/metrics"
}

/// An address of the route, for something that does not exist.
fn address(pattern: &str) -> String {
    pattern
        .replace("{id}", "0190163d-8694-739b-aea5-966c26f8ad91")
        .replace("{event}", "location")
        .replace("{kind}", "lock")
        .replace("{token}", "no-such-token")
        .replace("{name}", "none")
        .replace("{hash}/{name:.+}", "none/no.css")
}

fn is_turned_away(answer: &Answer) -> bool {
    let to_sign_in = answer.head.to_ascii_lowercase().contains("location: /sign-in");
    answer.status == 401 || (answer.status == 303 && to_sign_in)
}

#[test]
fn without_a_sign_in_only_public_pages_answer() {
    let server = TestServer::start();
    for (method, path, least) in TABLE {
        let answer = server.request(&method.to_uppercase(), &address(path), &[], b"");
        match least {
            Public => assert!(!is_turned_away(&answer), "{method} {path}: {}", answer.status),
            Device => assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status),
            SignedIn | May(_) => assert!(is_turned_away(&answer), "{method} {path}: {}", answer.status),
        }
    }
}

#[test]
fn each_route_opens_with_its_permission_and_not_without() {
    let server = TestServer::start();
    let nobody = person(&server, "nobody", &[], None, SINCE);
    let people: Vec<_> =
        Role::ALL.iter().map(|role| (*role, person(&server, role.as_str(), &[*role], None, SINCE))).collect();
    for (method, path, least) in TABLE {
        let (May(permission), path) = (least, address(path)) else { continue };
        let ask = |user| {
            let visit = Visit::of(&server, user);
            if *method == "get" { visit.get(&path) } else { visit.post(&path, &[]) }
        };

        assert_eq!(ask(nobody).status, 403, "{method} {path} without a role");
        for (role, user) in &people {
            let answer = ask(*user);
            if role.allows(*permission) {
                assert!(
                    answer.status != 403 && !is_turned_away(&answer),
                    "{method} {path} as {role}: {}",
                    answer.status
                );
                assert!(answer.status < 500, "{method} {path} as {role}: {}", answer.status);
            } else {
                assert_eq!(answer.status, 403, "{method} {path} as {role}");
            }
        }
    }
}

#[test]
fn the_address_of_a_form_leads_to_its_page() {
    let server = TestServer::start();
    let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
    let visit = Visit::of(&server, owner);
    let gets: BTreeSet<_> = TABLE.iter().filter(|it| it.0 == "get").map(|it| it.1).collect();
    for (method, path, least) in TABLE {
        if *method == "get" || gets.contains(path) || *least == Device {
            continue;
        }

        let answer = visit.get(&address(path));
        assert_eq!(answer.status, 303, "{path}");
        let to = location(&answer);

        let pattern = to.replace(&address("{id}"), "{id}");
        assert!(gets.contains(pattern.as_str()), "{path} leads to {to}, which is no page");
        assert!(!to.contains("{id}"), "{path}: {to}");
    }
}

#[test]
fn a_method_that_an_address_does_not_take_is_answered_with_those_that_it_takes() {
    let server = TestServer::start();
    let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
    let visit = Visit::of(&server, owner);
    let patterns: BTreeSet<_> = TABLE.iter().map(|it| it.1).collect();
    for path in patterns {
        let is_device = TABLE.iter().any(|it| it.1 == path && it.2 == Device);
        let takes = |method: &str| TABLE.iter().any(|it| it.1 == path && it.0 == method);
        let allowed = match (takes("get"), takes("post")) {
            (true, true) => "GET, HEAD, POST",
            (true, false) if is_device => "GET",
            (true, false) => "GET, HEAD",
            _ => "POST",
        };
        for method in ["OPTIONS", "PUT", "DELETE", "POST"].iter().filter(|it| !takes(&it.to_lowercase())) {
            for cookie in [String::new(), visit.cookie()] {
                let answer = server.request(method, &address(path), &[("Cookie", &cookie)], b"");
                assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{method} {path}");
            }
        }
    }
}

#[test]
fn who_is_signed_in_is_not_asked_to_sign_in_by_a_refusal() {
    let server = TestServer::start();
    let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
    let visit = Visit::of(&server, owner);
    for (method, path, status) in [("POST", "/activity", 405), ("GET", "/devices?q=%00", 400), ("GET", "/none", 404)] {
        for (cookie, asked) in [(visit.cookie(), false), (String::new(), true)] {
            let answer = server.request(method, path, &[("Cookie", &cookie)], b"");
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(text(&answer).contains("href=\"/sign-in"), asked, "{method} {path}");
        }
    }
}

#[test]
fn every_no_of_the_agents_protocol_is_json() {
    let server = TestServer::start();
    for (method, path, status, allowed) in [
        ("GET", "/agent/v1/check-in", 405, "POST"),
        ("HEAD", "/agent/v1/check-in", 405, "POST"),
        ("POST", "/agent/v1/wait", 405, "GET"),
        ("POST", "/agent/v1/program", 405, "GET"),
        ("GET", "/agent/v1/restores/1/result", 405, "POST"),
        ("POST", "/agent/v1/zzz", 404, ""),
        ("GET", "/agent/v1", 404, ""),
        ("GET", "/agent/v1/", 404, ""),
        ("GET", "/agent/v1/check-in/", 404, ""),
    ] {
        let answer = server.request(method, path, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (status, allowed), "{method} {path}");
        if method != "HEAD" {
            let body = answer.json();
            assert_eq!((&body["error"], &body["server_time"]), (&"not_found".into(), &NOW.millis().into()), "{path}");
        }
    }
}

#[test]
fn every_no_of_the_api_is_json_with_the_words_of_the_pages() {
    let server = TestServer::start();
    let (nobody, owner) =
        (person(&server, "nobody", &[], None, SINCE), person(&server, "owner", &[Role::Owner], None, SINCE));
    let (nobody, owner) = (Visit::of(&server, nobody).cookie(), Visit::of(&server, owner).cookie());
    let gone = address("/devices/{id}.json");
    for (method, path, cookie, status, said) in [
        ("GET", "/devices.json", "", 401, "Sign in to continue"),
        ("GET", "/activity.csv", nobody.as_str(), 403, "Your roles do not allow this"),
        ("GET", gone.as_str(), owner.as_str(), 404, "There is no such device"),
        ("GET", "/devices/x.json", owner.as_str(), 404, "There is no such page"),
        ("GET", "/none.json", owner.as_str(), 404, "There is no such page"),
        ("POST", "/a/b/none.csv", "", 404, "There is no such page"),
        ("DELETE", "/devices.csv", owner.as_str(), 405, "This page does not do that"),
        ("GET", "/devices.json?view=zz", owner.as_str(), 422, "Something is missing or wrong"),
        ("GET", "/devices.json?q=%00", owner.as_str(), 400, "This request cannot be understood"),
        ("GET", "//devices.json", owner.as_str(), 400, "This request cannot be understood"),
    ] {
        let answer = server.request(method, path, &[("Cookie", cookie)], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json", "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
        let body = answer.json();
        assert_eq!(body["error"], said, "{method} {path}");
        assert!(body["request_id"].as_str().is_some_and(|it| it.len() == 16), "{body}");
        assert!(body["advice"].is_string() && body["fields"].is_object(), "{body}");
    }
    let read = server.request("HEAD", "/devices.json", &[("Cookie", owner.as_str())], b"");
    assert_eq!((read.status, read.header("content-type")), (200, "application/json"));
}

#[test]
fn odd_spellings_of_addresses_open_nothing() {
    let server = TestServer::start();
    for path in [
        "//devices",
        "/devices/../users",
        "/%2e%2e/users",
        "/devices%2f",
        "/users%00",
        "/users;a",
        "/devices//x",
        "/%ff",
    ] {
        let answer = server.request("GET", path, &[], b"");
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        assert_eq!(answer.status, 400, "{path}");
    }
    assert_eq!(server.request("GET", "/no-such-page", &[], b"").status, 404);
    assert_eq!(server.request("GET", "/agent/v1/no-such", &[], b"").status, 404);
}
