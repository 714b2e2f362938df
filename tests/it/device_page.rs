//! The pages of devices, as a browser gets them.
use crate::support::device::SimDevice;
use crate::support::fleet::{self, Random};
use crate::support::people::{colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, cookie, hidden, location, text};
use crate::support::{NOW, people};
use crate::wipe::{World, restore_point};
use diesel::prelude::*;
use domain::backup::{LeftOut, RootAway};
use domain::command::{CommandKind, CommandState};
use domain::device::{DeviceState, Encryption, Ownership};
use domain::id::{DeviceId, TeamId, UserId};
use domain::proof::{Retest, TestCause};
use domain::role::Role;
use domain::time::{Time, days, hours};
use holdfast::store::backup_attempt::BackupAttempt;
use holdfast::store::device::Device;
use holdfast::store::device_proof::DeviceProof;
use holdfast::store::device_status::DeviceStatus;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::restore_test::RestoreTest;
use holdfast::store::schema::{repositories, teams, user_roles};
use holdfast::{service, store};
use serde_json::json;
use wire::{DeviceFacts, Fact};

type Any = (Device, DeviceStatus, DeviceProof);

pub fn add(server: &TestServer, name: &str, change: impl FnOnce(&mut Any) + Send + 'static) -> DeviceId {
    let name = name.to_owned();
    server.act(move |conn| {
        let mut any = fleet::device(&name);
        change(&mut any);
        fleet::insert(conn, &any);
        Ok(any.0.id)
    })
}

pub fn owner(server: &TestServer) -> UserId {
    colleague(server, "owner", Role::Owner)
}

/// Someone with a role in one team only.
pub fn member(server: &TestServer, name: &str, role: Role, team: TeamId) -> UserId {
    let id = person(server, name, &[], None, people::SINCE);
    grant(server, id, role, team);
    id
}

fn grant(server: &TestServer, id: UserId, role: Role, team: TeamId) {
    server.act(move |conn| {
        diesel::insert_into(user_roles::table)
            .values((
                user_roles::user_id.eq(id),
                user_roles::role.eq(role),
                user_roles::scope.eq(team.to_string()),
                user_roles::granted_at.eq(NOW),
            ))
            .execute(conn)?;
        Ok(())
    })
}

pub fn team(server: &TestServer, name: &str) -> TeamId {
    let (id, name) =
        (TeamId::generate(Time::from_millis(NOW.millis() - i64::from(name.as_bytes()[0]))), name.to_owned());
    server.act(move |conn| {
        diesel::insert_into(teams::table)
            .values((teams::id.eq(id), teams::name.eq(name), teams::created_at.eq(NOW)))
            .execute(conn)?;
        Ok(id)
    })
}

fn page(visit: &Visit<'_>, path: &str) -> String {
    let answer = visit.get(path);
    assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
    text(&answer)
}

#[test]
fn the_three_answers_stand_in_their_order_for_every_state() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let changed = |it: &mut Any, files| {
        fleet::counts(&mut it.1, files, NOW);
    };
    let cases = [
        (add(&server, "never", |_| {}), "Everything would be lost"),
        (
            add(&server, "proven", move |it| {
                it.2 = fleet::proven(it.2.clone(), NOW - hours(1), NOW + days(1));
                changed(it, 0);
            }),
            "Nothing would be lost",
        ),
        (
            add(&server, "lapsed", move |it| {
                it.2 = fleet::proven(it.2.clone(), NOW - days(9), NOW - days(2));
                changed(it, 4);
            }),
            "4 files lost, 1,204 not proven",
        ),
        (add(&server, "unknown", |it| it.1.encryption = Encryption::Unknown), "Unknown"),
        (add(&server, "unseen", |it| it.1.last_seen_at = None), "Never checked in"),
        (add(&server, "silent", |it| fleet::seen(&mut it.1, NOW - days(20))), "Silent 20 d"),
        (add(&server, "mine", |it| it.0.ownership = Ownership::Personal), "Remove company data"),
        (add(&server, "wiped", |it| it.0.state = DeviceState::Wiped), "has been wiped"),
        (add(&server, "left", |it| it.0.state = DeviceState::WipeFailed), "erase it by hand"),
        (add(&server, "parted", |it| it.0.state = DeviceState::CompanyDataRemoved), "no folder was touched"),
        (add(&server, "kept", |it| it.0.state = DeviceState::RemovalFailed), "may still be on the device"),
        (add(&server, "gone", |it| it.0.state = DeviceState::Removed), "was removed from the lists"),
    ];
    for (id, words) in cases {
        let html = page(&visit, &format!("/devices/{id}"));

        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} in {words}"));
        let is_gone = server.read(|conn| Ok(store::device::find(conn, id)?)).unwrap().state != DeviceState::Enrolled;
        let third = if is_gone { "What became of it" } else { "If you wipe now" };
        assert!(at("Encrypted?") < at("Proven restorable") && at("Proven restorable") < at(third), "{words}");
        assert!(html.contains(words), "{words}");
        assert_eq!(html.matches("<h1>").count(), 1);
    }
}

#[test]
fn what_is_out_of_date_or_unknown_is_never_green() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |it| {
        it.2 = fleet::proven(it.2.clone(), NOW - hours(1), NOW + days(1));
        fleet::counts(&mut it.1, 0, NOW);
    });
    let proof = |html: &str| {
        let rest = html.split_once("id=\"a2\"").unwrap().1;
        rest.split_once("id=\"a3\"").unwrap().0.to_owned()
    };
    assert!(proof(&page(&visit, &format!("/devices/{id}"))).contains("t-proven"));

    server.app.clock.advance(days(2));
    let later = Visit::of(&server, person(&server, "later", &[Role::Owner], None, people::SINCE));
    let html = page(&later, &format!("/devices/{id}"));

    assert!(!proof(&html).contains("t-proven") && proof(&html).contains("t-dated"), "{}", proof(&html));
    // Nothing was heard for two days, so what a wipe would lose is not known.
    assert!(html.contains("Not known since 22 Nov 14:06"), "{html}");
}

#[test]
fn hostile_names_are_text_on_every_page_and_in_csv() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}";
    let id = add(&server, evil, move |it| {
        for field in [&mut it.0.person, &mut it.0.model, &mut it.0.serial, &mut it.0.os_version] {
            evil.clone_into(field);
        }
        evil.clone_into(&mut it.1.address);
    });
    server.act(move |conn| {
        let agent = store::agent_enrollment::find(conn, id, 1)?.unwrap();
        Ok(store::agent_enrollment::set_version(conn, agent.device_id, agent.generation, evil)?)
    });
    add(&server, "=HYPERLINK(\"http://evil\")", |it| "@SUM(1)".clone_into(&mut it.0.person));

    for path in ["/", "/devices", "/devices?q=%3Cscript%3E", &format!("/devices/{id}"), &format!("/devices/{id}/edit")]
    {
        let html = page(&visit, path);
        assert!(!html.contains("<script>alert") && !html.contains("<img src=x"), "{path}");
        assert!(!html.contains("'49"), "{path}");
    }
    let csv = page(&visit, "/devices.csv?q=hyperlink");
    let row = csv.lines().nth(1).unwrap();
    assert!(row.contains("\"'=HYPERLINK(\"\"http://evil\"\")\",'@SUM(1)"), "{row}");
}

#[test]
fn csv_and_json_have_the_rows_of_the_list() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    server.act(|conn| {
        fleet::random(conn, 70, &[], 4);
        Ok(())
    });
    for query in ["", "view=out_of_date", "sort=name&dir=desc&platform=linux", "q=laptop&grade=proven"] {
        let json = visit.get(&format!("/devices.json?{query}")).json();
        let csv = page(&visit, &format!("/devices.csv?{query}"));
        let mut reader = csv::Reader::from_reader(csv.as_bytes());

        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        let devices = json["devices"].as_array().unwrap();
        assert_eq!(rows.len(), devices.len(), "{query}");
        for (row, device) in rows.iter().zip(devices) {
            assert_eq!((&row[0], &row[11]), (device["id"].as_str().unwrap(), device["proof"].as_str().unwrap()));
        }
        let html = page(&visit, &format!("/devices?{query}"));
        for device in devices.iter().take(50) {
            assert!(html.contains(device["id"].as_str().unwrap()), "{query}");
        }
    }
}

#[test]
fn a_wrong_filter_is_refused_and_shows_nothing() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let wrong = ["view=everything", "team=x", "grade=green", "proof=green", "state=gone", "platform=beos", "sort=size"];
    let of_policies = ["policy=x", "requirement=wishes", "outcome=green"];
    for query in wrong.into_iter().chain(of_policies).chain(["dir=up", "after=x", "before=x", "sort=name&after=x"]) {
        assert_eq!(visit.get(&format!("/devices?{query}")).status, 422, "{query}");
        assert_eq!(visit.get(&format!("/devices.csv?{query}")).status, 422, "{query}");
        let json = visit.get(&format!("/devices.json?{query}"));
        assert_eq!(json.status, 422, "{query}");
        let field = query.rsplit('&').next().and_then(|it| it.split('=').next()).unwrap().replace("proof", "grade");
        assert!(
            json.json()["fields"][field]
                .as_str()
                .is_some_and(|it| it == "Not a valid filter value. Choose one from the list."),
            "{query}"
        );
    }
    for query in ["sort=name&dir=asc", "proof=proven", "sort=worst"] {
        assert_eq!(visit.get(&format!("/devices?{query}")).status, 200, "{query}");
    }
}

#[test]
fn a_wrong_filter_of_a_log_is_refused_and_not_left_out() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let wrong = ["action=zz", "result=zz", "from=2026-13-45", "until=today", "before=x"];
    for path in ["/activity", "/activity.csv", "/activity.json"] {
        for query in wrong {
            assert_eq!(visit.get(&format!("{path}?{query}")).status, 422, "{path}?{query}");
        }
        assert_eq!(visit.get(&format!("{path}?action=&result=done&from=2026-11-18")).status, 200, "{path}");
    }
    for path in ["/wipe-requests?state=zz", "/restores?state=zz", "/commands?state=zz", "/commands?kind=zz"] {
        assert_eq!(visit.get(path).status, 422, "{path}");
    }
    for path in
        ["/commands?before=zz", "/commands.json?before=zz", "/restore-tests?result=zz", "/restore-tests?before=zz"]
    {
        assert_eq!(visit.get(path).status, 422, "{path}");
    }
    for state in ["open", "compared", "failed"] {
        assert_eq!(visit.get(&format!("/restores?state={state}")).status, 200, "{state}");
    }
    for state in ["", "open", "stoppable", "held"] {
        assert_eq!(visit.get(&format!("/wipe-requests?state={state}")).status, 200, "{state}");
    }
}

#[test]
fn a_team_sees_its_own_devices_only() {
    let server = TestServer::start();
    let (ours, other) = (team(&server, "a"), team(&server, "b"));
    let mine = add(&server, "mine", move |it| it.0.team_id = Some(ours));
    let theirs = add(&server, "theirs", move |it| it.0.team_id = Some(other));
    let visit = Visit::of(&server, member(&server, "helper", Role::Helpdesk, ours));

    let html = page(&visit, "/devices");
    assert!(html.contains("mine") && !html.contains("theirs"));
    let json = visit.get("/devices.json").json();
    assert_eq!(json["devices"].as_array().unwrap().len(), 1);
    assert_eq!(visit.get(&format!("/devices/{mine}")).status, 200);
    for path in [format!("/devices/{theirs}"), format!("/devices/{theirs}.json")] {
        assert_eq!(visit.get(&path).status, 404, "{path}");
    }
    assert_eq!(visit.post(&format!("/devices/{theirs}/lock-commands"), &[]).status, 404);
    assert_eq!(visit.post(&format!("/devices/{mine}/backup-commands"), &[]).status, 403, "helpdesk does not back up");
    assert_eq!(location(&visit.post(&format!("/devices/{mine}/lock-commands"), &[])), format!("/devices/{mine}"));
}

#[test]
fn a_button_pressed_twice_queues_one_command_and_it_can_be_cancelled() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |_| {});
    let key = hidden(&page(&visit, &format!("/devices/{id}")), "request_key");

    for _ in 0..2 {
        location(&visit.post(&format!("/devices/{id}/backup-commands"), &[("request_key", &key)]));
    }

    let commands = server.read(|conn| Ok(store::command::of_device(conn, id, 9)?));
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].kind, CommandKind::BackUpNow);
    assert!(page(&visit, "/commands").contains("Back up now"));
    let path = format!("/devices/{id}");
    assert_eq!(hidden(&page(&visit, &path), "to"), path, "the form knows its page");
    let sent = visit.post(&format!("/commands/{}/cancellations", commands[0].id), &[("to", &path)]);
    assert_eq!(location(&sent), path);
    let commands = server.read(|conn| Ok(store::command::of_device(conn, id, 9)?));
    assert_eq!(commands[0].state, CommandState::Cancelled);
}

#[test]
fn a_command_that_is_cancelled_too_late_says_so_where_the_person_was() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |_| {});
    location(&visit.post(&format!("/devices/{id}/backup-commands"), &[]));
    let command = server.read(|conn| Ok(store::command::of_device(conn, id, 9)?)).remove(0).id;
    server.act(move |conn| Ok(store::command::set_delivered(conn, command, NOW)?));
    let path = format!("/devices/{id}");

    for (fields, page) in [(vec![("to", path.as_str())], path.as_str()), (Vec::new(), "/commands")] {
        let sent = visit.post(&format!("/commands/{command}/cancellations"), &fields);
        assert_eq!(location(&sent), page);
        let flash = cookie(&sent, "holdfast-flash").unwrap();
        let cookies = format!("{}; holdfast-flash={flash}", visit.cookie());
        let shown = text(&server.request("GET", page, &[("Cookie", &cookies)], b""));
        let alert = "role=\"alert\"><strong>Nothing was changed.</strong> Too late: the command is “Delivered”.";
        assert!(shown.contains(alert), "{shown}");
    }
}

#[test]
fn a_command_can_be_cancelled_only_where_the_role_reaches() {
    let server = TestServer::start();
    let (ours, other) = (team(&server, "a"), team(&server, "b"));
    let lead = Visit::of(&server, owner(&server));
    for (name, of) in [("mine", ours), ("theirs", other)] {
        let id = add(&server, name, move |it| it.0.team_id = Some(of));
        location(&lead.post(&format!("/devices/{id}/lock-commands"), &[]));
    }
    let helper = member(&server, "helper", Role::Helpdesk, ours);
    grant(&server, helper, Role::Observer, other);

    let list = page(&Visit::of(&server, helper), "/commands");

    assert!(list.contains("mine") && list.contains("theirs"), "{list}");
    assert_eq!(list.matches("/cancellations").count(), 2, "its own, and all that wait within reach: {list}");
}

#[test]
fn a_bulk_act_on_all_is_refused_when_other_devices_match_than_were_shown() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    for at in 0..3 {
        add(&server, &format!("laptop-{at}"), |_| {});
    }
    let all = |expected: &'static str| {
        [("scope", "all"), ("query", "q=laptop"), ("expected_lock", expected), ("request_key", "k")]
    };

    assert_eq!(visit.post("/devices/lock-commands", &all("2")).status, 409);
    assert_eq!(queued(&server), 0);
    let named = visit.post("/devices/lock-commands", &all("3"));
    assert_eq!((named.status, queued(&server)), (200, 0), "the page that names them");
    assert_eq!(visit.post("/devices/lock-commands", &[("scope", "selected")]).status, 422);
    assert_eq!(visit.post("/devices/wipe-commands", &all("3")).status, 404, "there is no bulk wipe");
}

fn queued(server: &TestServer) -> usize {
    server.read(|conn| {
        let filter = store::command_list::Filter::default();
        Ok(store::command_list::newest(conn, &filter, &domain::role::Reach::All, 99)?.len())
    })
}

#[test]
fn a_device_is_changed_and_removed_by_its_typed_name() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |_| {});

    assert_eq!(visit.post(&format!("/devices/{id}"), &[("name", ""), ("person", "x")]).status, 422);
    location(&visit.post(&format!("/devices/{id}"), &[("name", "desk"), ("person", "Ada"), ("team", "")]));
    assert!(page(&visit, "/devices").contains("desk"));
    assert_eq!(visit.post(&format!("/devices/{id}/removals"), &[("confirm", "laptop")]).status, 422);
    location(&visit.post(&format!("/devices/{id}/removals"), &[("confirm", "desk")]));

    assert!(!page(&visit, "/devices").contains("desk"));
    assert!(page(&visit, "/devices?state=removed").contains("desk"));
    let stale = Visit::stale(&server, person(&server, "stale", &[Role::Owner], None, people::SINCE));
    let other = add(&server, "other", |_| {});
    let asked = stale.post(&format!("/devices/{other}/removals"), &[("confirm", "other")]);
    assert_eq!(asked.status, 422, "a removal needs a fresh password");
    assert!(page(&visit, "/devices").contains("other"));
}

#[test]
fn every_page_of_a_random_fleet_can_be_shown() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let fleet = server.act(|conn| Ok(fleet::random(conn, 40, &[], 21)));
    let mut random = Random::new(3);
    for _ in 0..12 {
        let (device, ..) = random.pick(&fleet);
        page(&visit, &format!("/devices/{}", device.id));
        let json = visit.get(&format!("/devices/{}.json", device.id)).json();
        assert_eq!(json["id"], device.id.to_string());
    }
}

#[test]
fn all_of_a_devices_activity_is_behind_its_link() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let (id, other) = (add(&server, "laptop", |_| {}), add(&server, "desk", |_| {}));
    for (it, name) in [(id, "laptop-new"), (other, "desk-new")] {
        location(&visit.post(&format!("/devices/{it}"), &[("name", name), ("person", "Ada"), ("team", "")]));
    }

    let link = format!("/activity?device={id}");
    assert!(page(&visit, &format!("/devices/{id}")).contains(&link));

    let shown = page(&visit, &link);
    assert!(shown.contains("laptop-new") && !shown.contains("desk-new"), "{shown}");
}

#[test]
fn a_device_without_a_backup_says_what_starts_the_first_one() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |_| {});
    let path = format!("/devices/{id}");

    assert!(page(&visit, &path).contains("No policy requires backups of this device."));
    let (by, now) = (crate::support::server::boss(), server.app.clock.now());
    let requirements = vec![domain::policy::Requirement::BackupEvery { minutes: 60 }];
    let draft = service::policy::Draft { name: "Backups".to_owned(), team_id: None, requirements };
    server.act(move |conn| service::policy::add(conn, &by, &draft, now));

    assert!(page(&visit, &path).contains("The first backup starts after the next check-in"));
}

#[test]
fn what_keeps_backups_away_is_on_the_page_and_no_first_one_is_promised() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |_| {});
    let path = format!("/devices/{id}");
    let by = crate::support::server::boss();
    let requirements = vec![domain::policy::Requirement::BackupEvery { minutes: 60 }];
    let draft = service::policy::Draft { name: "Backups".to_owned(), team_id: None, requirements };
    server.act(move |conn| service::policy::add(conn, &by, &draft, NOW));
    assert!(page(&visit, &path).contains("The first backup starts"));
    let away = RootAway { path: "/mnt/disk".to_owned(), reason: "it carries no mark".to_owned() };
    let mut left_out = LeftOut::default();
    left_out.add("/home/grace/pipe", "a pipe has no content that could be backed up");
    let done = BackupAttempt::done(id, &left_out, &[away], NOW).unwrap();

    let failing = BackupAttempt {
        failing_since: Some(NOW - hours(3)),
        failed_count: 4,
        reason: "`/srv/data` carries no mark".to_owned(),
        ..BackupAttempt::done(id, &LeftOut::default(), &[], NOW).unwrap()
    };
    server.act(move |conn| Ok(store::backup_attempt::set(conn, &failing)?));
    let html = page(&visit, &path);
    assert!(html.contains("4 tries have failed, the last ") && html.contains("`/srv/data` carries no mark"), "{html}");
    assert!(html.contains("Last backup attempt"), "{html}");
    assert!(!html.contains("The first backup starts"), "none can come: {html}");

    server.act(move |conn| Ok(store::backup_attempt::set(conn, &done)?));
    let html = page(&visit, &path);
    assert!(html.contains("/mnt/disk</span> was not backed up: it carries no mark"), "{html}");
    assert!(html.contains("1 entry left out") && html.contains("/home/grace/pipe"), "{html}");
    assert!(html.contains("a pipe has no content that could be backed up"), "{html}");
}

#[test]
fn what_gives_access_to_a_device_wants_the_password_in_its_own_form() {
    let server = TestServer::start();
    let id = add(&server, "laptop", |_| ());
    let stale = Visit::stale(&server, owner(&server));

    let client = stale.post(&format!("/devices/{id}/repository-tokens"), &[("name", "My NAS")]);
    let again = stale.post(&format!("/devices/{id}/enrollment-tokens"), &[]);

    assert_eq!([client.status, again.status], [422; 2]);
    for (answer, field) in [(&client, "client-password"), (&again, "enroll-password")] {
        let page = text(answer);
        assert!(page.contains(&format!("<a href=\"#{field}\">Enter your password")), "{page}");
    }
    assert_eq!(text(&again).matches("aria-invalid").count(), 1, "the other form is not at fault");
}

#[test]
fn an_address_that_cannot_be_read_has_the_page_of_one_that_is_not_there() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));

    for path in ["/devices/no-id", "/policies/1/edit", "/no/such/page"] {
        let answer = visit.get(path);
        assert_eq!(answer.status, 404, "{path}");
        let page = text(&answer);
        assert!(page.contains("There is no such page") && page.contains("aria-label=\"Main\""), "{path}: {page}");
    }
    assert!(text(&server.request("GET", "/no/such/page", &[], b"")).contains("href=\"/sign-in\""));
}

#[test]
fn nothing_is_said_to_be_compliant_of_a_device_that_was_wiped() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let policy = [("name", "Seen"), ("check_in", "on"), ("check_in_number", "300"), ("check_in_unit", "d")];
    assert_eq!(visit.post("/policies", &policy).status, 303);
    let enrolled = add(&server, "here", |any| any.1.last_seen_at = Some(NOW));
    let wiped = add(&server, "gone", |any| {
        any.1.last_seen_at = Some(NOW);
        any.0.state = DeviceState::Wiped;
    });

    assert!(page(&visit, &format!("/devices/{enrolled}")).contains("Compliant"));
    let gone = page(&visit, &format!("/devices/{wiped}"));
    assert!(gone.contains("No policy applies: the device is “Wiped”") && !gone.contains("Compliant"), "{gone}");
}

#[test]
fn no_first_backup_is_asked_of_a_device_that_was_wiped() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    for (name, state, asked) in [("here", DeviceState::Enrolled, true), ("gone", DeviceState::Wiped, false)] {
        let id = add(&server, name, move |any| any.0.state = state);

        let html = page(&visit, &format!("/devices/{id}"));

        assert_eq!(html.contains("starts the first one"), asked, "{html}");
    }
}

#[test]
fn a_form_that_cannot_be_done_leads_back_to_its_page() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let id = add(&server, "laptop", |_| ());

    for (form, page) in [
        ("/devices/lock-commands".to_owned(), "/devices".to_owned()),
        (format!("/devices/{id}/restore-tests"), format!("/devices/{id}")),
    ] {
        let answer = visit.post(&form, &[]);
        assert!(matches!(answer.status, 409 | 422), "{form}: {}", answer.status);
        let text = text(&answer);
        assert!(text.contains(&format!("<a class=\"btn go\" href=\"{page}\">Back to the page</a>")), "{text}");
    }
}

#[test]
fn an_address_that_asks_for_what_is_not_leads_back_to_its_page() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));

    let answer = visit.get("/devices?ownership=rented");

    assert_eq!(answer.status, 422);
    let text = text(&answer);
    assert!(text.contains("<a class=\"btn go\" href=\"/devices\">Back to the page</a>"), "{text}");
}

#[test]
fn a_point_to_be_tested_again_and_one_of_a_clock_that_was_ahead_say_so() {
    let server = TestServer::start();
    let owner = owner(&server);
    let device = SimDevice::join(&server).id();
    let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, device)?)).unwrap().id;
    let ahead = restore_point(repository, device, NOW + days(300));
    let due = RestorePoint { retest: Some(Retest::Due), ..restore_point(repository, device, NOW - hours(1)) };
    let healed = RestorePoint { retest: Some(Retest::OnceHealed), ..restore_point(repository, device, NOW - hours(2)) };
    let test = RestoreTest::queued(ahead.id, device, TestCause::NewBackup, None, NOW);
    let test_page = format!("/restore-tests/{}", test.id);
    server.act(move |conn| {
        for point in [&healed, &due, &ahead] {
            store::restore_point::insert(conn, point)?;
        }
        store::restore_test::insert(conn, &test)?;
        service::proof::refresh(conn, device)
    });
    let visit = Visit::of(&server, owner);

    let shown = page(&visit, &format!("/devices/{device}"));
    for words in [
        "was received while the server’s clock was ahead.",
        "to be tested again",
        "tested again once the damage is healed",
        "What was known about 2 restore points no longer counts",
    ] {
        assert!(shown.contains(words), "{words}");
    }
    for path in [format!("/devices/{device}"), "/restore-tests".to_owned(), test_page] {
        let shown = page(&visit, &path);
        assert_eq!(shown.matches("Received while the clock was ahead: its age is not known").count(), 1, "{path}");
    }
}

/// Sets how much space a device's backups take.
fn takes(server: &TestServer, device: DeviceId, stored: i64) {
    server.act(move |conn| {
        let own = repositories::table.filter(repositories::device_id.eq(device));
        diesel::update(own).set(repositories::stored_bytes.eq(stored)).execute(conn)?;
        Ok(())
    });
}

#[test]
fn the_space_of_a_devices_backups_is_shown_and_changed_with_its_entry() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let device = SimDevice::join(&server).id();
    takes(&server, device, 12_400_000_000);
    let (path, edit) = (format!("/devices/{device}"), format!("/devices/{device}/edit"));
    let sends =
        |quota| visit.post(&path, &[("name", "laptop-1"), ("person", "Ada"), ("team", ""), ("quota_gb", quota)]);
    let space = || visit.get(&format!("{path}.json")).json()["space"].clone();

    assert!(page(&visit, &path).contains("Backups take 12 GB of 1.0 TB."));
    let form = page(&visit, &edit);
    assert!(form.contains("name=\"quota_gb\" value=\"1000\"") && form.contains("They take 12 GB now."), "{form}");
    for wrong in ["0", "-1", "100001", "9223372036854775807", "1.5", ""] {
        assert_eq!(sends(wrong).status, 422, "{wrong}");
    }
    assert_eq!(space(), json!({"stored_bytes": 12_400_000_000_i64, "quota_bytes": 1_000_000_000_000_i64}));

    assert_eq!(location(&sends("20")), path);

    assert_eq!(space(), json!({"stored_bytes": 12_400_000_000_i64, "quota_bytes": 20_000_000_000_i64}));
    let entry = || {
        let all = server.read(|conn| Ok(store::activity::of_device(conn, device, 1)?));
        (all[0].action.as_str(), all[0].reason.clone())
    };
    assert_eq!(entry().0, "device_changed");
    assert!(entry().1.ends_with("space for backups was 1.0 TB"), "{}", entry().1);
    location(&visit.post(&path, &[("name", "laptop-1"), ("person", "Bob"), ("team", "")]));
    assert_eq!(space()["quota_bytes"], 20_000_000_000_i64, "a form without the field leaves it");
    assert_eq!(entry().1, "person was Ada");
}

#[test]
fn a_space_that_is_nearly_or_wholly_taken_is_said_with_what_to_do() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let (device, other) = (SimDevice::join(&server).id(), add(&server, "other", |_| {}));
    let path = format!("/devices/{device}");
    let nearly = || {
        let listed = visit.get("/devices.json?view=nearly_full").json();
        listed["devices"].as_array().unwrap().len()
    };
    let attention = "The backups of 1 device fill their space, or nearly";

    takes(&server, device, 899_000_000_000);
    let shown = page(&visit, &path);
    assert!(!shown.contains("Nearly full") && !shown.contains("backups are refused"), "{shown}");
    assert!(nearly() == 0 && !page(&visit, "/").contains(attention));

    takes(&server, device, 900_000_000_000);
    let shown = page(&visit, &path);
    assert!(shown.contains("note dated\"><strong>Nearly full.") && shown.contains("c-dated"), "{shown}");
    assert!(shown.contains(&format!("href=\"{path}/edit#quota_gb\"")), "{shown}");
    assert!(nearly() == 1 && page(&visit, "/").contains(attention));

    let fields = [("name", "laptop-1"), ("person", "Ada"), ("team", ""), ("quota_gb", "800")];
    let said = visit.post(&path, &fields);
    assert_eq!(location(&said), path);
    let shown = page(&visit, &path);
    assert!(shown.contains("note lost\"><strong>Full: backups are refused</strong> until"), "{shown}");
    assert!(nearly() == 1 && page(&visit, &format!("/devices/{other}")).contains("No backup yet"));
}

#[test]
fn json_never_says_that_no_file_is_lost_where_all_may_be() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let counted = |it: &mut Any, files| {
        fleet::counts(&mut it.1, files, NOW);
    };
    let failed = move |it: &mut Any, files| {
        it.2 = fleet::proven(it.2.clone(), NOW - hours(1), NOW + days(1));
        it.2.failed_at = Some(NOW);
        counted(it, files);
    };
    let lapsed = move |it: &mut Any| {
        it.2 = fleet::proven(it.2.clone(), NOW - days(9), NOW - days(2));
        counted(it, 0);
    };
    let proven = move |it: &mut Any| {
        it.2 = fleet::proven(it.2.clone(), NOW - hours(1), NOW + days(1));
        counted(it, 0);
    };
    let none = json!({"files": 0, "bytes": 0});
    let all = json!({"files": 1204, "bytes": 1_000_000});
    for (id, said, lost, not_proven) in [
        (add(&server, "failed", move |it| failed(it, 0)), "Risk all 1,204", json!(null), all.clone()),
        (
            add(&server, "more", move |it| failed(it, 4)),
            "Lose 4, risk all 1,204",
            json!({"files": 4, "bytes": 4_000}),
            all.clone(),
        ),
        (add(&server, "lapsed", lapsed), "Risk all 1,204", json!(null), all),
        (add(&server, "proven", proven), "Nothing", none.clone(), none),
    ] {
        let told = visit.get(&format!("/devices/{id}.json")).json();
        assert_eq!(
            (told["if_wiped_now"].as_str(), &told["lost"], &told["not_proven"]),
            (Some(said), &lost, &not_proven)
        );
    }
}

#[test]
fn every_time_in_json_is_iso_8601() {
    let server = TestServer::start();
    let visit = Visit::of(&server, owner(&server));
    let device = SimDevice::join(&server);
    let free_bytes = Some(Fact { value: 81_604_378_624, source: "statvfs".to_owned(), measured_at: NOW });
    device.check_in(&server, DeviceFacts { free_bytes, ..DeviceFacts::default() });

    let told = visit.get(&format!("/devices/{}.json", device.id())).json();

    let at = "2026-11-22T14:06:11Z";
    let fact = json!({"value": 81_604_378_624_i64, "source": "statvfs", "measured_at": at, "since": at});
    assert_eq!((&told["facts"]["free_bytes"], &told["last_seen_at"]), (&fact, &fact["measured_at"]));
}

#[test]
fn a_token_that_only_appends_is_offered_first_and_one_that_reads_only_to_who_may_read() {
    let world = World::new();
    let path = format!("/devices/{}", world.device.id());
    for (name, role, reads) in [("owner", Role::Owner, true), ("operator", Role::Operator, false)] {
        let html = page(&Visit::of(&world.server, colleague(&world.server, name, role)), &path);

        let appending = html.find("Make a token that appends").expect("one that appends");
        let reading = html.find("A token that reads");
        assert_eq!(reading.is_some(), reads, "{name}: {html}");
        assert!(reading.is_none_or(|it| appending < it), "{name}: {html}");
        let folded = html.contains("<details class=\"fold\"><summary>A token that reads</summary>");
        assert_eq!(folded, reads, "{name}: it is opened on purpose: {html}");
    }
}

#[test]
fn who_may_not_read_is_asked_for_no_password_for_a_token_that_reads() {
    let world = World::new();
    let stale = Visit::stale(&world.server, colleague(&world.server, "operator", Role::Operator));
    let path = format!("/devices/{}/repository-tokens", world.device.id());
    let fields = [("name", "laptop"), ("reads", "yes"), ("hours", "24"), ("reason", "a file is missed")];

    let (appending, reading) = (stale.post(&path, &fields[..1]), stale.post(&path, &fields));

    assert_eq!((appending.status, reading.status), (422, 403), "{}", text(&reading));
}
