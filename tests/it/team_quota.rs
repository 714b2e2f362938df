//! The space that a team's devices share for their backups.
use crate::support::device::SimDevice;
use crate::support::door::TestDoor;
use crate::support::people::{SINCE, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use crate::support::{NOW, fleet};
use diesel::prelude::*;
use domain::id::{DeviceId, TeamId};
use domain::role::Role;
use domain::time::days;
use holdfast::store::schema::repositories;
use holdfast::store::team::Team;
use holdfast::store::team_quota::TeamQuota;
use holdfast::{job, service, store};

fn team(conn: &mut store::Conn, name: &str) -> TeamId {
    let team = Team { id: TeamId::generate(NOW), name: name.to_owned(), created_at: NOW };
    store::team::insert(conn, &team).unwrap();
    team.id
}

fn join(door: &TestDoor, device: DeviceId, team: TeamId) {
    door.write(move |conn| store::device::set_names(conn, device, "laptop", "", Some(team)).map(drop));
}

#[test]
fn a_team_without_space_is_refused_until_it_has_some_and_no_other_is() {
    let door = TestDoor::start();
    let (one, two, other) = (door.repository(), door.repository(), door.repository());
    let [sales, lab] = door.write(|conn| Ok::<_, holdfast::error::Error>(["Sales", "Lab"].map(|it| team(conn, it))));
    for (repository, team) in [(&one, sales), (&two, sales), (&other, lab)] {
        join(&door, repository.device, team);
    }
    let limit = |bytes: i64| {
        let quota = TeamQuota { team_id: sales, quota_bytes: bytes, stored_bytes: 0, full_at: None };
        door.write(move |conn| store::team_quota::set(conn, &quota));
        job::team_quota::run_once(&door.store, NOW).unwrap()
    };
    limit(20);
    assert_eq!([one.put("data", b"0123456789").status, two.put("data", b"9876543210").status], [200; 2]);
    assert_eq!(job::team_quota::run_once(&door.store, NOW).unwrap().done_count, 1, "it became full");
    assert_eq!(job::team_quota::run_once(&door.store, NOW).unwrap().done_count, 0, "and is told once");

    for repository in [&one, &two] {
        let answer = repository.put("data", b"more");
        assert_eq!(answer.status, 507, "{}", String::from_utf8_lossy(&answer.body));
        assert!(String::from_utf8_lossy(&answer.body).contains("team"));
        assert_eq!(repository.put("data", b"0123456789").status, if repository.id == one.id { 200 } else { 507 });
    }
    assert_eq!(other.put("data", b"more").status, 200, "another team");
    let stored = door.read(move |conn| store::team_quota::find(conn, sales)).unwrap();
    assert_eq!((stored.stored_bytes, stored.full_at), (20, Some(NOW)));

    limit(100);
    assert_eq!(one.put("data", b"more").status, 200);
}

#[test]
fn a_team_with_little_space_left_is_told_before_its_backups_are_refused() {
    let server = TestServer::start();
    for (name, role) in [("owner", Role::Owner), ("operator", Role::Operator), ("auditor", Role::Auditor)] {
        person(&server, name, &[role], None, SINCE);
    }
    let takes = |stored: i64| {
        server.act(move |conn| {
            diesel::update(repositories::table).set(repositories::stored_bytes.eq(stored)).execute(conn)?;
            Ok(())
        });
        job::team_quota::run_once(server.store(), server.app.clock.now()).unwrap();
        let mut mails = server.mails();
        mails.retain(|it| it.subject.contains("space for backups of Sales"));
        mails
    };
    let door = SimDevice::join(&server);
    let device = door.id();
    server.act(move |conn| {
        let sales = team(conn, "Sales");
        store::device::set_names(conn, device, "laptop", "", Some(sales))?;
        let quota = TeamQuota { team_id: sales, quota_bytes: 1_000_000, stored_bytes: 0, full_at: None };
        Ok(store::team_quota::set(conn, &quota)?)
    });
    assert!(takes(899_999).is_empty());

    for (stored, subject, line) in [
        (900_000, "Little space for backups of Sales", "take 900 kB of 1.0 MB"),
        (1_000_000, "No space for backups of Sales", "no new backup of them is stored"),
    ] {
        let mails = takes(stored);
        let to: Vec<_> = mails.iter().map(|it| (it.to.as_str(), it.subject.as_str())).collect();
        assert_eq!(to, [("operator@example.org", subject), ("owner@example.org", subject)], "each once");
        assert!(mails[0].body.contains(line) && mails[0].body.contains("/retention"), "{}", mails[0].body);
        assert!(takes(stored - 1).is_empty(), "once");
    }
    server.app.clock.advance(days(8));
    assert_eq!(takes(950_000).len(), 2, "it is still so a week later");
}

#[test]
fn the_page_of_teams_sets_the_space_and_says_what_it_takes() {
    let server = TestServer::start();
    let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
    let id = server.act(|conn| {
        let id = team(conn, "Sales");
        let mut row = fleet::device("laptop-1");
        row.0.team_id = Some(id);
        fleet::insert(conn, &row);
        Ok(id)
    });
    let visit = Visit::of(&server, owner);
    assert!(text(&visit.get("/teams")).contains("No limit of its own"));
    for wrong in ["0", "-1", "x", "1000001", "1.5"] {
        assert_eq!(visit.post(&format!("/teams/{id}/quotas"), &[("quota", wrong)]).status, 422, "{wrong}");
    }
    assert_eq!(location(&visit.post(&format!("/teams/{id}/quotas"), &[("quota", "500")])), "/teams");
    assert!(text(&visit.get("/teams")).contains("0 B of 500 GB"));
    assert_eq!(location(&visit.post(&format!("/teams/{id}/quotas"), &[("quota", "")])), "/teams");
    assert!(text(&visit.get("/teams")).contains("No limit of its own"));
    assert!(server.read(service::team_quota::is_settled));
}
