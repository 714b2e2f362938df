//! The pages of what is kept and of the trash, with something in them.
use super::world::{SHORTEST, World, has_restic};
use crate::support::fleet;
use crate::support::people::{SINCE, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use domain::id::RepositoryId;
use domain::key_holder::KeyHolder;
use domain::object::{ObjectName, RepositoryState, TokenKind};
use domain::retention::{ChangeState, Keep, PruneState, Rule};
use domain::role::Role;
use domain::time::{Time, days};
use holdfast::service::retention::{Total, preview};
use holdfast::store;
use holdfast::store::repository::Repository;
use holdfast::store::restore_point::RestorePoint;

#[test]
fn a_preview_names_each_device_of_which_something_ends_and_the_trash_gives_it_back() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let owner = Visit::of(&world.server, world.owner);
    let mut fields: Vec<(&str, String)> =
        Rule::LIMITS.into_iter().zip(SHORTEST.values()).map(|(it, value)| (it.field, value.to_string())).collect();
    fields.extend([("keep", "rule".to_owned()), ("reason", String::new())]);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = text(&owner.post("/retention/previews", &fields));
    assert!(page.contains("3 of 6 restore points would end") && page.contains("laptop-1"), "{page}");
    assert!(page.contains("At most ") && page.contains("would be freed"), "{page}");
    let (start, end) = (page.find("/ends?rule=").unwrap(), page.find("\">laptop-1</a>").unwrap());
    let link = format!("/devices/{}{}", world.device, &page[start..end]).replace("&amp;", "&");
    let listed = text(&owner.get(&link));
    let points = world.points();
    assert!(listed.contains("3 restore points of 6"), "{listed}");
    let day = |at: Time| format!("datetime=\"{}\"", at.iso());
    assert!(points[..3].iter().all(|it| listed.contains(&day(it.received_at))), "{listed}");
    assert!(!listed.contains(&day(points[4].received_at)), "what stays is not there: {listed}");
    assert_eq!(owner.get(&format!("/devices/{}/ends?rule=x", world.device)).status, 404);
    assert_eq!(world.points().len(), 6, "it only looks");

    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    let page = text(&owner.get("/retention"));
    assert!(page.contains("In the trash") && page.contains("Put back"), "{page}");
    let id = world.prunes()[0].id;
    let observer = person(&world.server, "observer", &[Role::Observer], None, SINCE);
    let observer = Visit::of(&world.server, observer);
    assert!(!text(&observer.get("/retention")).contains("Put back</button>"));
    assert_eq!(observer.post(&format!("/prunes/{id}/undos"), &[]).status, 403);
    assert_eq!(location(&owner.post(&format!("/prunes/{id}/undos"), &[])), "/retention");
    assert!(text(&owner.get("/retention")).contains("Being put back"));
    assert_eq!(owner.post(&format!("/prunes/{id}/undos"), &[]).status, 409, "once");
    world.pruner.run_once().unwrap();
    assert_eq!(world.prunes()[0].state, PruneState::Undone);
    assert!(text(&owner.get("/retention")).contains("Nothing is in the trash"));
}

#[test]
fn who_agrees_sees_what_who_asks_was_shown_and_at_most_that_much_is_freed() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let owner = Visit::of(&world.server, world.owner);
    let second = Visit::of(&world.server, world.second);
    let mut fields: Vec<(&str, String)> =
        Rule::LIMITS.into_iter().zip(SHORTEST.values()).map(|(it, value)| (it.field, value.to_string())).collect();
    fields.extend([("keep", "rule".to_owned()), ("reason", "space".to_owned())]);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(location(&owner.post("/retention", &fields)), "/retention");
    let waits = |it: &store::retention::Change| it.state == ChangeState::Requested;
    assert!(world.server.read(|conn| Ok(store::retention::requested(conn)?)).iter().any(waits));

    let shown = text(&second.get("/retention"));
    assert!(shown.contains("Agree to keep less") && shown.contains("3 of 6 restore points would end"), "{shown}");
    assert!(shown.contains("At most ") && shown.contains(&format!("/devices/{}/ends?rule=", world.device)), "{shown}");
    let own = text(&owner.get("/retention"));
    assert!(!own.contains("would end,"), "nobody agrees to their own: {own}");
    let observer = person(&world.server, "observer", &[Role::Observer], None, SINCE);
    assert!(!text(&Visit::of(&world.server, observer).get("/retention")).contains("would end,"));

    let (keep, now) = (Keep::By(SHORTEST), world.now());
    let total = world.server.read(move |conn| preview(conn, &keep, Total::default(), now));
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    let freed = world.prunes()[0].byte_count;
    assert!(freed > 0 && freed <= total.most_bytes, "{freed} of at most {}", total.most_bytes);
}

#[test]
fn a_preview_looks_at_every_repository() {
    const DEVICES: usize = 450;
    let server = TestServer::start();
    let now = server.app.clock.now();
    server.act(move |conn| {
        for number in 0..DEVICES {
            let row = fleet::device(&format!("laptop-{number:03}"));
            fleet::insert(conn, &row);
            let repository = Repository {
                id: RepositoryId::generate(now),
                device_id: row.0.id,
                generation: 1,
                state: RepositoryState::Active,
                sealed_master_key: "sealed".to_owned(),
                team_key_id: None,
                quota_bytes: 0,
                stored_bytes: 0,
                object_count: 0,
                newest_at: now,
                created_at: now,
                key_holder: KeyHolder::Server,
            };
            store::repository::insert(conn, &repository)?;
            for day in 0..20 {
                let at = now - days(100 - day);
                let name = ObjectName::from_hash(&secret::sha256(format!("{number}/{day}").as_bytes()));
                let point = RestorePoint {
                    verified_at: Some(at),
                    ..RestorePoint::received((repository.id, row.0.id), &name, TokenKind::Agent, at)
                };
                store::restore_point::insert(conn, &point)?;
            }
        }
        Ok(())
    });
    let (mut total, mut reads) = (Total::default(), 0);
    while !total.is_whole {
        total = server.read(move |conn| preview(conn, &Keep::By(SHORTEST), total, now));
        reads += 1;
    }
    assert!(reads > 2, "one read is not for all");
    assert_eq!((total.device_count, total.point_count, total.end_count), (DEVICES, 20 * DEVICES, 17 * DEVICES));
    assert_eq!((total.devices.len(), total.most_bytes), (100, 0));
}
