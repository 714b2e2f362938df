//! Policies as acts, and which devices they reach.
use crate::support::NOW;
use crate::support::device::{SimDevice, token};
use crate::support::server::{TestServer, boss};
use domain::id::TeamId;
use domain::policy::{Compliance, Requirement};
use domain::time::minutes;
use holdfast::error::Error;
use holdfast::service::policy::{self, Draft};
use holdfast::store;

fn draft(name: &str, team_id: Option<TeamId>, requirements: Vec<Requirement>) -> Draft {
    Draft { name: name.to_owned(), team_id, requirements }
}

fn team(server: &TestServer) -> TeamId {
    let id = TeamId::generate(NOW);
    server.act(move |conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::teams;
        let row = (teams::id.eq(id), teams::name.eq("Sales"), teams::created_at.eq(NOW));
        diesel::insert_into(teams::table).values(row).execute(conn)?;
        Ok(())
    });
    id
}

#[test]
fn a_policy_reaches_all_devices_or_those_of_its_team() {
    let server = TestServer::start();
    let team = team(&server);
    let inside = {
        let mut device = SimDevice::new();
        device.enrolled = Some(device.enroll(&server, &token(&server, |draft| draft.team_id = Some(team))).message());
        device
    };
    let outside = SimDevice::join(&server);
    server.act(move |conn| {
        policy::add(conn, &boss(), &draft("All", None, vec![Requirement::BackupEvery { minutes: 60 }]), NOW)?;
        policy::add(conn, &boss(), &draft("Sales", Some(team), vec![Requirement::BackupEvery { minutes: 15 }]), NOW)
    });

    for (device, names, seconds) in [(&inside, vec!["All", "Sales"], 900), (&outside, vec!["All"], 3600)] {
        let (row, policies, delivered) = server.read(|conn| {
            let row = store::device::find(conn, device.id())?.unwrap();
            let policies = policy::applying_to(conn, &row)?;
            let delivered = policy::device_policy(conn, &row, Vec::new(), NOW)?;
            Ok((row, policies, delivered))
        });
        assert_eq!(policies.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), names, "{}", row.id);
        assert_eq!(delivered.backup_every_seconds, Some(seconds));
    }
}

#[test]
fn a_change_is_a_new_version_and_is_refused_over_one_that_was_not_seen() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let made = server.act(|conn| policy::add(conn, &boss(), &draft("All", None, vec![Requirement::PasscodeSet]), NOW));
    let version = |server: &TestServer| {
        server.read(|conn| {
            let row = store::device::find(conn, device.id())?.unwrap();
            Ok(policy::device_policy(conn, &row, Vec::new(), NOW)?.version)
        })
    };
    let before = version(&server);
    assert_eq!(before, version(&server), "the version is stable");

    let new = draft("Everyone", None, vec![Requirement::StorageEncrypted]);
    let again = new.clone();
    let id = made.id;
    let changed = server.act(move |conn| policy::change(conn, &boss(), (id, 1), &new, NOW + minutes(1)));
    let lost = server.app.store.act_blocking(move |conn| policy::change(conn, &boss(), (id, 1), &again, NOW));

    assert_eq!((changed.version, changed.name.as_str()), (2, "Everyone"));
    assert!(matches!(lost, Err(Error::Conflict(_))));
    assert_ne!(before, version(&server));
    server.act(move |conn| policy::remove(conn, &boss(), id, "Everyone", NOW));
    let gone = server.app.store.act_blocking(move |conn| policy::remove(conn, &boss(), id, "Everyone", NOW));
    assert!(matches!(gone, Err(Error::Conflict(_))));
    let findings = server.read(|conn| {
        let row = store::device::find(conn, device.id())?.unwrap();
        policy::findings(conn, &row, NOW)
    });
    assert!(findings.is_empty());
}

#[test]
fn a_device_that_never_checked_in_meets_nothing() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    server.act(|conn| {
        let all = vec![
            Requirement::StorageEncrypted,
            Requirement::ProvenRestorePoint { within_minutes: 60 },
            Requirement::BackupEvery { minutes: 60 },
            Requirement::CheckInWithin { minutes: 60 },
            Requirement::MinimumOsVersion { version: "12".to_owned() },
            Requirement::PasscodeSet,
        ];
        policy::add(conn, &boss(), &draft("All", None, all), NOW)
    });

    let findings = server.read(|conn| {
        let row = store::device::find(conn, device.id())?.unwrap();
        policy::findings(conn, &row, NOW)
    });

    assert_eq!(findings.len(), 6);
    assert!(findings.iter().all(|it| it.outcome != Compliance::Compliant), "{findings:?}");
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_and_nothing_is_kept() {
    let server = TestServer::start();

    let refused = server.app.store.act_blocking(|conn| policy::add(conn, &boss(), &draft(" ", None, vec![]), NOW));

    assert!(matches!(refused, Err(Error::Invalid(it)) if it.of("name").is_some() && it.of("requirements").is_some()));
    assert!(server.read(|conn| Ok(store::policy::all(conn)?)).is_empty());
}
