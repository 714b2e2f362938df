//! Accounts through the pages: the first link, signing in, sessions, forms and tokens.
use crate::support::device::SimDevice;
use crate::support::people::{SINCE, colleague, person};
use crate::support::server::{Answer, TestServer};
use crate::support::visit::{Visit, cookie, hidden, location, text};
use domain::account::{SESSION_IDLE, SESSION_LIFE};
use domain::activity::{Action, Actor};
use domain::by::Author;
use domain::id::{TeamId, UserId};
use domain::policy::Requirement;
use domain::role::{Reach, Role, Scope};
use domain::time::{days, hours, minutes};
use holdfast::config::Options;
use holdfast::service::policy;
use holdfast::{service, store};
use std::time::{Duration, Instant};
use wire::DeviceFacts;

const PASSWORD: &str = "lantern gravel oboe tuesday";

fn post(server: &TestServer, path: &str, cookies: &str, fields: &[(&str, &str)]) -> Answer {
    let body = serde_urlencoded::to_string(fields).unwrap();
    let headers =
        [("Cookie", cookies), ("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin")];
    server.request("POST", path, &headers, body.as_bytes())
}

/// Sends a form of a page before sign-in, as a browser that has just loaded it.
fn visit_post(server: &TestServer, page: &str, browser: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let shown = server.request("GET", page, &[], b"");
    assert_eq!(shown.status, 200, "{}", text(&shown));
    let visit = cookie(&shown, "holdfast-visit").unwrap();
    let csrf = hidden(&text(&shown), "csrf");
    let mut all = vec![("csrf", csrf.as_str())];
    all.extend_from_slice(fields);
    let known = browser.map(|it| format!("; holdfast-browser={it}")).unwrap_or_default();
    post(server, page, &format!("holdfast-visit={visit}{known}"), &all)
}

fn set_up(server: &TestServer) -> Answer {
    let now = server.app.clock.now();
    let path = server.act(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now));
    let fields = [
        ("email", "ada@example.org"),
        ("name", "Ada"),
        ("time_zone", "Europe/Paris"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    visit_post(server, &path, None, &fields)
}

fn sign_in(server: &TestServer, password: &str, browser: Option<&str>) -> Answer {
    visit_post(server, "/sign-in", browser, &[("email", "Ada@example.org"), ("password", password)])
}

fn entries(server: &TestServer, action: Action) -> usize {
    server.read(|conn| Ok(store::activity::all(conn)?)).iter().filter(|it| it.action == action).count()
}

/// Sets up a server with these fields besides the usual ones; returns what the page said before and after.
fn set_up_with(server: &TestServer, more: &[(&str, &str)]) -> (String, String) {
    let now = server.app.clock.now();
    let path = server.act(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now));
    let offered = text(&server.request("GET", &path, &[], b""));
    let mut fields = vec![
        ("email", "ada@example.org"),
        ("name", "Ada"),
        ("time_zone", "UTC"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    fields.extend_from_slice(more);
    let made = visit_post(server, &path, None, &fields);
    assert_eq!(location(&made), "/", "{}", text(&made));
    let session = format!("holdfast={}", cookie(&made, "holdfast").unwrap());
    let first = text(&server.request("GET", "/", &[("Cookie", &session)], b""));
    (offered, first)
}

#[test]
fn a_first_device_backs_up_by_the_baseline_that_set_up_offered() {
    let server = TestServer::start();

    let (offered, first) = set_up_with(&server, &[("baseline", "yes")]);

    let is_ticked = offered.contains("name=\"baseline\" value=\"yes\" checked");
    assert!(is_ticked && offered.contains("Backup every 1 d"), "{offered}");
    assert!(!first.contains("No policy asks for backups"), "{first}");
    assert_eq!(entries(&server, Action::PolicyAdded), 1);
    let policies = server.read(|conn| Ok(store::policy::all(conn)?));
    assert_eq!((policies.len(), policies[0].team_id), (1, None), "it applies to all devices");
    let device = SimDevice::join(&server);
    let answer = device.check_in(&server, DeviceFacts::default());
    let policy = answer.policy.expect("the first answer brings the policy");
    assert_eq!((policy.backup_every_seconds, policy.policies.len()), (Some(86_400), 1));
}

#[test]
fn without_the_baseline_no_backup_is_asked_for_and_the_first_page_says_so() {
    let server = TestServer::start();

    let (_, first) = set_up_with(&server, &[]);

    assert!(first.contains("No policy asks for backups</a>"), "{first}");
    assert_eq!(entries(&server, Action::PolicyAdded), 0);
    let device = SimDevice::join(&server);
    let policy = device.check_in(&server, DeviceFacts::default()).policy.unwrap();
    assert_eq!(policy.backup_every_seconds, None);
}

#[test]
fn set_up_offers_no_baseline_where_somebody_wrote_a_policy_before() {
    let server = TestServer::start();
    let now = server.app.clock.now();
    let draft =
        policy::Draft { name: "baseline".to_owned(), team_id: None, requirements: vec![Requirement::StorageEncrypted] };
    server.act(move |conn| policy::add(conn, &crate::support::server::boss(), &draft, now));

    let (offered, first) = set_up_with(&server, &[("baseline", "yes")]);

    assert!(!offered.contains("name=\"baseline\""), "{offered}");
    assert!(first.contains("No policy asks for backups</a>"), "{first}");
    assert_eq!(server.read(|conn| Ok(store::policy::all(conn)?)).len(), 1);
}

#[test]
fn the_set_up_link_makes_the_owner_once() {
    let server = TestServer::start();
    let now = server.app.clock.now();
    let path = server.act(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now));
    let weak = [
        ("email", "ada@example.org"),
        ("name", "Ada"),
        ("time_zone", "UTC"),
        ("password", "short"),
        ("again", "short"),
    ];

    let refused = visit_post(&server, &path, None, &weak);
    let made = visit_post(
        &server,
        &path,
        None,
        &[
            ("email", "ada@example.org"),
            ("name", "Ada"),
            ("time_zone", "UTC"),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ],
    );
    let again = server.request("GET", &path, &[], b"");

    assert_eq!(refused.status, 422, "a weak password is refused and the link still works");
    assert_eq!(location(&made), "/");
    assert_eq!(again.status, 404, "the link works once");
    let session = cookie(&made, "holdfast").unwrap();
    assert_eq!(server.request("GET", "/users", &[("Cookie", &format!("holdfast={session}"))], b"").status, 200);
    assert!(
        server
            .app
            .store
            .act_blocking(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now))
            .is_err()
    );
}

fn invite(server: &TestServer, email: &str, role: Role) -> UserId {
    let (email, now) = (email.to_owned(), server.app.clock.now());
    let invitation = service::user::Invitation { name: email.clone(), email, roles: vec![(role, Scope::Organisation)] };
    server.act(move |conn| service::user::invite(conn, Author::Host(&Actor::system()), &invitation, now)).0.id
}

#[test]
fn the_first_owner_may_come_after_others_were_invited_but_not_beside_an_invited_owner() {
    let (invited, owned) = (TestServer::start(), TestServer::start());
    invite(&invited, "bob@example.org", Role::Operator);
    invite(&owned, "eve@example.org", Role::Owner);

    assert!(text(&invited.request("GET", "/sign-in", &[], b"")).contains("There is no owner yet"));
    assert_eq!(location(&set_up(&invited)), "/");
    let now = owned.app.clock.now();
    let refused =
        owned.app.store.act_blocking(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now));

    assert!(refused.unwrap_err().to_string().contains("there is an owner already"));
}

#[test]
fn the_set_up_link_ends_after_an_hour_and_with_the_next_one() {
    let server = TestServer::start();
    let now = server.app.clock.now();
    let first = server.act(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now));
    let second = server.act(move |conn| service::set_up::make_setup_link(conn, &Actor::system(), now));

    assert_eq!(server.request("GET", &first, &[], b"").status, 404);
    assert_eq!(server.request("GET", &second, &[], b"").status, 200);
    let acts = server.read(|conn| Ok(store::activity::all(conn)?));
    assert_eq!(acts.iter().filter(|it| it.action.as_str() == "set_up_link_made").count(), 2, "each is written down");
    server.app.clock.advance(hours(1));
    assert_eq!(server.request("GET", &second, &[], b"").status, 404);
}

#[test]
fn a_wrong_password_delays_the_account_but_not_the_owners_own_browser() {
    let server = TestServer::start();
    let browser = cookie(&set_up(&server), "holdfast-browser").unwrap();

    assert_eq!(sign_in(&server, "wrong wrong wrong wrong", None).status, 401);
    let early = sign_in(&server, PASSWORD, None);
    assert_eq!(early.status, 429, "at once nobody without the browser gets in");
    assert!(early.head.to_ascii_lowercase().contains("retry-after: 1"), "{}", early.head);
    let page = text(&early);
    assert!(page.contains("Too many tries. Try again in 1 s.") && page.contains("value=\"Ada@example.org\""), "{page}");
    let owner = sign_in(&server, PASSWORD, Some(&browser));
    assert_eq!(owner.status, 303, "{}", text(&owner));
    server.app.clock.advance(Duration::from_secs(1));
    assert_eq!(sign_in(&server, "wrong wrong wrong wrong", None).status, 401);
    server.app.clock.advance(Duration::from_secs(1));
    assert_eq!(sign_in(&server, PASSWORD, None).status, 429, "the second delay is longer");
    server.app.clock.advance(Duration::from_secs(1));
    assert_eq!(sign_in(&server, PASSWORD, None).status, 303);

    assert_eq!(entries(&server, Action::SignInFailed), 2);
    assert_eq!(entries(&server, Action::SignedIn), 2);
}

#[test]
fn unknown_accounts_and_wrong_passwords_get_the_same_words() {
    let server = TestServer::start();
    set_up(&server);
    let says = |answer: Answer| {
        text(&answer).split("role=\"alert\"").nth(1).unwrap().split("</div>").next().unwrap().to_owned()
    };

    let unknown = visit_post(&server, "/sign-in", None, &[("email", "bob@example.org"), ("password", PASSWORD)]);
    let wrong = sign_in(&server, "wrong wrong wrong wrong", None);

    assert_eq!(unknown.status, 401);
    assert_eq!(says(unknown), says(wrong));
}

#[test]
fn many_tries_at_once_are_one_try() {
    let server = TestServer::start();
    set_up(&server);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> =
            (0..20).map(|_| scope.spawn(|| sign_in(&server, "wrong wrong wrong wrong", None).status)).collect();
        tries.into_iter().map(|it| it.join().unwrap()).collect()
    });

    assert_eq!(statuses.iter().filter(|it| **it == 401).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|it| matches!(it, 401 | 429 | 503)), "{statuses:?}");
}

/// Tries one unknown account after another until the network may try no more; how many it might.
fn use_up_tries(server: &TestServer) -> u64 {
    for at in 0..300 {
        let email = format!("person{at}@example.org");
        match visit_post(server, "/sign-in", None, &[("email", &email), ("password", PASSWORD)]).status {
            401 => {}
            status => {
                assert_eq!(status, 429);
                return at;
            }
        }
    }
    panic!("the network may try forever");
}

#[test]
fn one_network_has_a_budget_of_tries() {
    let server = TestServer::start();
    let begun = Instant::now();

    let let_in = use_up_tries(&server);

    // Each 20 seconds give one back.
    assert!((30..=30 + begun.elapsed().as_secs() / 20).contains(&let_in), "{let_in} in {:?}", begun.elapsed());
}

#[test]
fn a_browser_that_is_known_signs_in_although_its_network_used_up_its_tries() {
    let server = TestServer::start();
    let browser = cookie(&set_up(&server), "holdfast-browser").unwrap();
    use_up_tries(&server);

    assert!((0..5).any(|_| sign_in(&server, PASSWORD, None).status == 429), "one may have come back meanwhile");
    assert_eq!(sign_in(&server, PASSWORD, Some(&browser)).status, 303);
}

#[test]
fn a_link_that_another_one_ended_does_not_count_as_used() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let by = crate::support::server::admin();
    let before = server.read(|conn| Ok(store::person::find(conn, ada)?)).unwrap().account.in_use_since;
    let make = || {
        let (by, now) = (by.clone(), server.app.clock.now());
        server.act(move |conn| service::user::invite_again(conn, Author::Host(&by), ada, now))
    };

    let first = make();
    server.app.clock.advance(minutes(1));
    make();

    assert_eq!(server.request("GET", &first, &[], b"").status, 404, "the first link is closed");
    let after = server.read(|conn| Ok(store::person::find(conn, ada)?)).unwrap().account.in_use_since;
    assert_eq!(after, before, "the account is not younger for it");
}

#[test]
fn nobody_is_invited_by_what_cannot_be_an_address() {
    let server = TestServer::start();
    let (by, now) = (crate::support::server::admin(), server.app.clock.now());
    let who = service::user::Invitation {
        email: "ada".to_owned(),
        name: "Ada".to_owned(),
        roles: vec![(Role::Owner, Scope::Organisation)],
    };

    let invited = server.app.store.act_blocking(move |conn| service::user::invite(conn, Author::Host(&by), &who, now));

    assert!(matches!(invited, Err(holdfast::error::Error::Invalid(_))), "{invited:?}");
}

#[test]
fn a_session_ends_by_idleness_and_by_age() {
    let server = TestServer::start();
    let user = colleague(&server, "ada", Role::Owner);
    let (idle, busy) = (Visit::of(&server, user), Visit::of(&server, user));
    assert_eq!(idle.get("/account").status, 200);

    server.app.clock.advance(SESSION_IDLE - minutes(1));
    assert_eq!(busy.get("/account").status, 200);
    server.app.clock.advance(minutes(1));

    assert_eq!(location(&idle.get("/account")), "/sign-in?to=%2Faccount");
    assert_eq!(busy.get("/account").status, 200, "it has been used in the meantime");
    let mut passed = SESSION_IDLE;
    while passed + minutes(20) < SESSION_LIFE {
        server.app.clock.advance(minutes(20));
        passed += minutes(20);
        assert_eq!(busy.get("/account").status, 200, "{passed:?}");
    }
    server.app.clock.advance(minutes(20));
    assert_eq!(busy.get("/account").status, 303, "nothing keeps it open for ever");
}

#[test]
fn signing_out_everywhere_ends_every_session_of_that_person() {
    let server = TestServer::start();
    let (ada, bob) = (colleague(&server, "ada", Role::Owner), colleague(&server, "bob", Role::Owner));
    let (here, there, other) = (Visit::of(&server, ada), Visit::of(&server, ada), Visit::of(&server, bob));

    let answer = here.post("/account/sign-out-everywhere", &[]);

    assert_eq!(location(&answer), "/sign-in");
    assert_eq!(here.get("/account").status, 303);
    assert_eq!(there.get("/account").status, 303);
    assert_eq!(other.get("/account").status, 200);
}

#[test]
fn a_form_of_another_site_or_without_its_hidden_value_is_refused() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let page = owner.get("/teams");
    let csrf = hidden(&text(&page), "csrf");
    let other = Visit::of(&server, colleague(&server, "bob", Role::Owner));
    let foreign = hidden(&text(&other.get("/teams")), "csrf");
    let send = |csrf: &str, header: (&str, &str)| {
        let cookie = owner.cookie();
        let headers = [("Cookie", cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded"), header];
        let body = serde_urlencoded::to_string([("csrf", csrf), ("name", "Berlin")]).unwrap();
        server.request("POST", "/teams", &headers, body.as_bytes()).status
    };

    assert_eq!(send(&csrf, ("Sec-Fetch-Site", "cross-site")), 422);
    assert_eq!(send(&csrf, ("Sec-Fetch-Site", "same-site")), 422);
    assert_eq!(send(&csrf, ("Origin", "https://evil.example")), 422);
    assert_eq!(send(&csrf, ("Accept", "text/html")), 422, "neither header");
    assert_eq!(send("", ("Sec-Fetch-Site", "same-origin")), 422);
    assert_eq!(send(&foreign, ("Sec-Fetch-Site", "same-origin")), 422);
    // The router reads a path decoded, and no spelling of it gets around what stands before a page.
    let cookie = owner.cookie();
    let foreign = [
        ("Cookie", cookie.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    for path in ["/team%73", "/sign-%6fut", "/%74eams"] {
        assert_eq!(server.request("POST", path, &foreign, b"name=Berlin").status, 400, "{path}");
    }
    assert_eq!(entries(&server, Action::TeamAdded), 0);
    assert_eq!(send(&csrf, ("Origin", &server.url())), 303);
    assert_eq!(entries(&server, Action::TeamAdded), 1);
}

#[test]
fn behind_a_proxy_that_hides_the_host_a_form_of_the_public_address_is_taken_and_of_no_other() {
    let public_url = Some("http://mdm.example.org".to_owned());
    let server = TestServer::with(Options { public_url, ..Options::default() });
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let csrf = hidden(&text(&owner.get("/teams")), "csrf");
    let cookie = owner.cookie();
    let body = serde_urlencoded::to_string([("csrf", csrf.as_str()), ("name", "Berlin")]).unwrap();
    let form = [("Cookie", cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let send =
        |more: &[(&str, &str)]| server.request("POST", "/teams", &[&form, more].concat(), body.as_bytes()).status;

    for origin in [
        "https://mdm.example.org",
        "http://mdm.example.org:8080",
        "http://mdm.example.org.evil.example",
        "http://evil-mdm.example.org",
        "http://evil.mdm.example.org",
        "http://example.org",
        "http://mdm.example.org@evil.example",
        "http://mdm.example.org/",
        "mdm.example.org",
        "null",
        "http://",
        "",
    ] {
        assert_eq!(send(&[("Origin", origin)]), 422, "{origin:?}");
    }
    let cross_site = [("Origin", "http://mdm.example.org"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(send(&cross_site), 422, "what the browser says of itself counts first");
    assert_eq!(entries(&server, Action::TeamAdded), 0);

    assert_eq!(send(&[("Origin", "http://mdm.example.org")]), 303);
}

#[test]
fn cookies_and_headers_keep_a_session_to_its_page() {
    let server = TestServer::start();
    let made = set_up(&server);
    let line = made.head.lines().find(|it| it.starts_with("set-cookie: holdfast=")).unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains("Secure"), "plain HTTP: {line}");
    let session = holdfast::web::visitor::session_cookie("x".to_owned(), true).to_string();
    assert!(session.starts_with("__Host-holdfast=x") && session.contains("Secure"), "{session}");

    let page = server.request("GET", "/sign-in", &[], b"");

    let head = page.head.to_ascii_lowercase();
    for header in [
        "content-security-policy: default-src 'none'; script-src 'nonce-",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "strict-transport-security:",
        "cross-origin-opener-policy: same-origin",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
}

#[test]
fn changed_roles_end_the_sessions_of_that_person_and_the_last_owner_stays() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let bob = colleague(&server, "bob", Role::Operator);
    let (owner, operator) = (Visit::of(&server, ada), Visit::of(&server, bob));
    let roles = [("roles", "approver@organisation")];

    let asked = Visit::stale(&server, ada).post(&format!("/users/{bob}/roles"), &roles);
    assert_eq!(asked.status, 422);
    assert!(text(&asked).contains("value=\"approver@organisation\" checked"), "what was ticked stays");
    assert!(text(&asked).contains("type=\"password\""), "and the password is asked for");
    for button in ["links", "disable"] {
        let asked = Visit::stale(&server, ada).post(&format!("/users/{bob}/{button}"), &[]);
        assert_eq!(asked.status, 422);
        let page = text(&asked);
        assert!(page.contains("id=\"account-password\" name=\"password\" value=\"\"") && page.contains("aria-invalid"));
        assert!(page.contains("<a href=\"#account-password\">"), "{page}");
    }
    assert_eq!(operator.get("/account").status, 200, "a stale password changed nothing");
    assert_eq!(owner.post(&format!("/users/{bob}/roles"), &roles).status, 303);
    assert_eq!(operator.get("/account").status, 303, "the session ended");
    assert_eq!(owner.post(&format!("/users/{ada}/roles"), &roles).status, 409);
    assert_eq!(owner.post(&format!("/users/{ada}/disable"), &[]).status, 409);
    let held = server.read(move |conn| Ok(store::user::grants(conn, bob)?));
    assert_eq!(held.iter().copied().collect::<Vec<_>>(), [(Role::Approver, Scope::Organisation)]);
}

#[test]
fn an_invitation_works_once_and_remembers_who_made_it() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let owner = Visit::of(&server, ada);
    let page =
        owner.post("/users", &[("email", "Bob@example.org"), ("name", "Bob"), ("roles", "helpdesk@organisation")]);
    assert_eq!(page.status, 200, "{}", text(&page));
    let link = format!("/invite/{}", text(&page).split("/invite/").nth(1).unwrap().split('<').next().unwrap());
    let fields = [("name", "Bob"), ("time_zone", "UTC"), ("password", PASSWORD), ("again", PASSWORD)];

    let accepted = visit_post(&server, &link, None, &fields);

    assert_eq!(location(&accepted), "/");
    assert_eq!(server.request("GET", &link, &[], b"").status, 404);
    let bob = server.read(|conn| Ok(store::user::find_by_email(conn, "bob@example.org")?)).unwrap();
    assert_eq!(bob.created_by, Some(ada));
}

fn token(server: &TestServer, user: UserId, life: i64) -> String {
    let now = server.app.clock.now();
    let by = crate::support::server::admin();
    server.act(move |conn| service::api_token::make(conn, Author::Host(&by), user, "script", life, now)).1
}

#[test]
fn a_token_reads_lists_only_and_ends() {
    let server = TestServer::start();
    let user = colleague(&server, "ada", Role::Owner);
    let (long, short) = (token(&server, user, 90), token(&server, user, 1));
    let ask = |method: &str, path: &str, token: &str| {
        server.request(method, path, &[("Authorization", &format!("Bearer {token}"))], b"").status
    };

    assert_eq!(ask("GET", "/activity.json", &long), 200);
    assert_eq!(ask("GET", "/activity.csv", &short), 200);
    assert_eq!(ask("GET", "/activity", &long), 403);
    assert_eq!(ask("POST", "/teams", &long), 403);
    assert_eq!(ask("GET", "/activity.json", "hf_api_wrong"), 401);
    server.app.clock.advance(days(1));
    assert_eq!(ask("GET", "/activity.csv", &short), 401, "it has ended");
    assert_eq!(ask("GET", "/activity.json", &long), 200);
    Visit::of(&server, user).post("/account/sign-out-everywhere", &[]);
    assert_eq!(ask("GET", "/activity.json", &long), 200, "sessions are not tokens");
    let now = server.app.clock.now();
    let by = crate::support::server::admin();
    assert!(
        server
            .app
            .store
            .act_blocking(move |conn| service::api_token::make(conn, Author::Host(&by), user, "x", 91, now))
            .is_err()
    );
}

#[test]
fn a_token_is_made_only_for_somebody_who_can_sign_in() {
    let server = TestServer::start();
    let now = server.app.clock.now();
    let bob = invite(&server, "bob@example.org", Role::Operator);
    let carl = colleague(&server, "carl", Role::Operator);
    server.act(move |conn| service::user::disable(conn, Author::Host(&crate::support::server::admin()), carl, now));

    for (user, why) in [(bob, "has no password yet"), (carl, "is closed")] {
        let by = crate::support::server::admin();
        let made = server
            .app
            .store
            .act_blocking(move |conn| service::api_token::make(conn, Author::Host(&by), user, "script", 9, now));
        assert!(made.unwrap_err().to_string().contains(why), "{why}");
    }
    assert_eq!(entries(&server, Action::ApiTokenMade), 0);
}

#[test]
fn people_of_a_team_see_the_history_of_their_team_only() {
    let server = TestServer::start();
    let (now, by) = (server.app.clock.now(), crate::support::server::boss());
    let team = server.act(move |conn| service::team::add(conn, &by, "Berlin", now)).id;
    let bob = person(&server, "bob", &[], None, SINCE);
    server.act(move |conn| Ok(store::user::grant(conn, bob, (Role::Operator, Scope::Team(team)), None, now)?));
    let ada = colleague(&server, "ada", Role::Owner);

    let all = Visit::of(&server, ada).get("/activity.json");
    let theirs = Visit::of(&server, bob).get("/activity.json");

    assert_eq!(all.json().as_array().unwrap().len(), 1);
    assert_eq!(theirs.json().as_array().unwrap().len(), 0);
    assert_eq!(Visit::of(&server, bob).get("/users").status, 403);
    let owner_of_a_team = person(&server, "eve", &[], None, SINCE);
    server.act(move |conn| Ok(store::user::grant(conn, owner_of_a_team, (Role::Owner, Scope::Team(team)), None, now)?));
    assert_eq!(Visit::of(&server, owner_of_a_team).get("/users").status, 403, "users belong to the organisation");
    let _: TeamId = team;
}

#[test]
fn each_page_has_one_heading_a_title_and_labels() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let owner = Visit::of(&server, ada);
    let user = format!("/users/{ada}");
    for path in ["/account", "/activity", "/api-tokens", "/settings", "/teams", "/users", "/users/new", &user] {
        let page = text(&owner.get(path));
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        let title = page.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
        assert!(title.trim().len() > "· Holdfast".len(), "{path}: {title}");
        assert!(!page.contains("{{") && !page.contains("{%"), "{path}");
        for input in page.split("<input ").skip(1).map(|it| it.split('>').next().unwrap()) {
            if input.contains("type=\"hidden\"") {
                continue;
            }
            let id =
                input.split("id=\"").nth(1).unwrap_or_else(|| panic!("{path}: {input}")).split('"').next().unwrap();
            assert!(page.contains(&format!("for=\"{id}\"")), "{path}: {id} has no label");
        }
    }
}

#[test]
fn the_appearance_is_kept_by_the_browser_even_before_sign_in() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));

    let changed = owner.post("/account/appearance", &[("theme", "dark"), ("density", "compact")]);

    let look = cookie(&changed, "holdfast-look").unwrap();
    let page = text(&server.request("GET", "/sign-in", &[("Cookie", &format!("holdfast-look={look}"))], b""));
    assert!(page.contains("<html lang=\"en\" data-theme=\"dark\" data-density=\"compact\">"), "{page}");
    assert!(text(&server.request("GET", "/sign-in", &[], b"")).contains("<html lang=\"en\">"));
}

#[test]
fn a_nul_is_refused_before_it_reaches_the_database() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));

    assert_eq!(owner.get("/devices?q=a%00b").status, 400);
    assert_eq!(owner.post("/teams", &[("name", "a\0b")]).status, 422);
}

#[test]
fn what_the_last_form_did_is_said_once() {
    let server = TestServer::start();
    let owner = Visit::of(&server, colleague(&server, "ada", Role::Owner));
    let made = owner.post("/teams", &[("name", "Berlin")]);
    let flash = cookie(&made, "holdfast-flash").unwrap();
    let cookies = format!("{}; holdfast-flash={flash}", owner.cookie());

    let page = server.request("GET", "/teams", &[("Cookie", &cookies)], b"");

    assert!(text(&page).contains("role=\"status\""), "{}", text(&page));
    assert_eq!(cookie(&page, "holdfast-flash").as_deref(), Some(""), "and taken away");
}

#[test]
fn a_form_takes_the_password_with_it_where_it_was_entered_long_ago() {
    let server = TestServer::start();
    let session = cookie(&set_up(&server), "holdfast").unwrap();
    let cookies = format!("holdfast={session}");
    server.app.clock.advance(minutes(20));
    let page = server.request("GET", "/api-tokens", &[("Cookie", &cookies)], b"");
    let csrf = hidden(&text(&page), "csrf");
    let send = |password: &str| {
        let fields = [("csrf", csrf.as_str()), ("name", "backups"), ("days", "30"), ("password", password)];
        post(&server, "/api-tokens", &cookies, &fields)
    };

    assert!(text(&page).contains("type=\"password\""), "{}", text(&page));
    let without = send("");
    assert_eq!(without.status, 422);
    assert!(text(&without).contains("value=\"backups\""), "what was typed stays");
    assert_eq!(send("wrong wrong wrong wrong").status, 422);
    assert_eq!(entries(&server, Action::SignInFailed), 1, "a wrong one is written down");
    assert_eq!(entries(&server, Action::ApiTokenMade), 0);
    server.app.clock.advance(Duration::from_secs(1));
    assert_eq!(send(PASSWORD).status, 200);
    assert_eq!(entries(&server, Action::ApiTokenMade), 1);
}

#[test]
fn a_download_of_the_history_is_whole_and_an_entry_itself() {
    let server = TestServer::start();
    let auditor = Visit::of(&server, colleague(&server, "ada", Role::Auditor));
    let (now, by) = (server.app.clock.now(), crate::support::server::boss());
    server.act(move |conn| {
        for at in 0..2_003 {
            service::activity::exported(conn, &by, "test", &at.to_string(), now)?;
        }
        Ok(())
    });

    let json = auditor.get("/activity.json").json();
    let csv = text(&auditor.get("/activity.csv?q=2002"));

    let numbers: Vec<i64> = json.as_array().unwrap().iter().map(|it| it["seq"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=2_003).rev().collect::<Vec<_>>());
    assert_eq!(csv.lines().count(), 2, "a head and the one that matches: {csv}");
    let last = server.read(|conn| Ok(store::activity::all(conn)?)).pop().unwrap();
    assert_eq!((last.action, last.object_name.as_str()), (Action::Exported, "activity.csv"));
    assert!(last.reason.contains("q=2002"), "{}", last.reason);
}

#[test]
fn head_answers_as_get_does_without_the_body() {
    let server = TestServer::start();

    for (path, status) in [("/sign-in", 200), ("/health", 200), ("/devices", 303)] {
        let answer = server.request("HEAD", path, &[], b"");
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.is_empty(), "{path}");
    }
}

#[test]
fn a_form_sent_after_the_session_ended_leads_back_to_its_page() {
    let server = TestServer::start();
    let ada = colleague(&server, "ada", Role::Owner);
    let form = format!("/users/{ada}/roles");

    let sent = server.request("POST", &form, &[], b"");

    assert_eq!(sent.status, 401);
    assert!(text(&sent).contains(&format!("href=\"/sign-in?to={form}\"")), "{}", text(&sent));
    assert_eq!(location(&Visit::of(&server, ada).get(&form)), format!("/users/{ada}"));
}

#[test]
fn a_link_dies_with_the_account_and_the_role_of_whoever_made_it() {
    type End = fn(&TestServer, UserId);
    let ends: [End; 2] = [crate::support::people::disable, crate::support::people::take_roles];
    for end in ends {
        let server = TestServer::start();
        let eve = colleague(&server, "eve", Role::Owner);
        let who = service::user::Invitation {
            email: "puppet@example.org".to_owned(),
            name: "Puppet".to_owned(),
            roles: vec![(Role::Owner, Scope::Organisation)],
        };
        let now = server.app.clock.now();
        let by = crate::support::people::by(eve, &Reach::All);
        let (_, path) = server.act(move |conn| service::user::invite(conn, (&by).into(), &who, now));
        assert_eq!(server.request("GET", &path, &[], b"").status, 200);

        end(&server, eve);

        assert_eq!(server.request("GET", &path, &[], b"").status, 404);
    }
}
