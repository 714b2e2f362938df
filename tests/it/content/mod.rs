//! Looking inside restore points, with the real process.
mod download;
mod hostile;
mod large;
mod list;
mod points;
mod ransom;
mod search;
mod world;

pub use world::World;

use crate::support::people::{SINCE, disable, person};
use crate::support::visit::{Visit, text};
use domain::role::Role;
use holdfast::{service, store};

#[test]
fn each_look_is_written_down_without_the_names_that_the_history_may_not_show() {
    let mut world = World::new();
    let (node, _) = world.file("secret-plan.txt", b"plan");
    let point = world.backup(&[node]);

    let page = world.lists(point, "/data");

    assert_eq!(page.status, 200, "{}", text(&page));
    assert!(text(&page).contains("secret-plan.txt"));
    assert_eq!(world.acts().iter().filter(|it| *it == "contents_listed").count(), 1);
    world.lists(point, "/data/secret-plan.txt");
    world.takes(point, "/data/secret-plan.txt");
    let history = world.history();
    assert!(!history.contains("secret-plan"), "{history}");
    let reads = world.ended();
    assert_eq!(
        (reads.len(), reads[0].path.as_str(), reads[0].reason.as_str()),
        (1, "/data/secret-plan.txt", "it is missed")
    );
    let acts = world.acts();
    assert_eq!(acts.iter().filter(|it| *it == "contents_listed").count(), 2);
    assert_eq!(acts.iter().filter(|it| *it == "contents_downloaded").count(), 1);
}

#[test]
fn only_who_may_read_contents_looks_inside_and_only_as_far_as_their_reach() {
    let mut world = World::new();
    let point = world.backup(&[]);
    for (role, status) in [(Role::Operator, 403), (Role::Auditor, 403), (Role::Helpdesk, 403), (Role::Owner, 200)] {
        let user = person(&world.server, role.as_str(), &[role], None, SINCE);
        let visit = Visit::of(&world.server, user);
        assert_eq!(visit.get(&format!("/restore-points/{point}/files")).status, status, "{role}");
    }
    let disabled = world.reader;
    disable(&world.server, disabled);
    assert_ne!(world.lists(point, "").status, 200, "an account that was disabled");
}

#[test]
fn a_download_needs_a_reason_and_a_fresh_password_and_is_reported() {
    let mut world = World::new();
    person(&world.server, "overseer", &[Role::Owner], None, SINCE);
    let (node, _) = world.file("a.txt", b"content of a");
    let point = world.backup(&[node]);
    world.server.mails();
    let address = format!("/restore-points/{point}/downloads");
    let fields = [("path", "/data/a.txt"), ("reason", "it is missed")];

    let stale = Visit::stale(&world.server, world.reader).post(&address, &fields);
    assert_eq!(stale.status, 422, "{}", text(&stale));
    assert!(text(&stale).contains("Enter your password") && text(&stale).contains("type=\"password\""));
    let without = world.takes_with(point, &[("path", "/data/a.txt"), ("reason", " ")]);
    assert_eq!(without.status, 422);
    assert!(text(&without).contains("Give a reason"));
    assert!(world.downloads().is_empty() && world.server.mails().is_empty(), "nothing happened yet");

    let given = world.takes(point, "/data/a.txt");
    assert_eq!((given.status, given.body.as_slice()), (200, &b"content of a"[..]));
    let mails = world.server.mails();
    let told: Vec<_> = mails.iter().filter(|it| it.to == "overseer@example.org").collect();
    assert_eq!(told.len(), 1, "{mails:?}");
    assert!(told[0].body.contains("it is missed") && !told[0].body.contains("a.txt"), "{}", told[0].body);
    world.takes(point, "/data/a.txt");
    assert!(world.server.mails().is_empty(), "ten files for one reason are one matter");
}

#[test]
fn while_all_is_frozen_nobody_reads() {
    let mut world = World::new();
    let (node, _) = world.file("a.txt", b"content of a");
    let point = world.backup(&[node]);
    let now = world.server.app.clock.now();
    world.server.act(move |conn| Ok(store::setting::FROZEN_SINCE.set(conn, &now, now)?));

    assert_eq!(world.lists(point, "/data").status, 409);
    assert_ne!(world.takes(point, "/data/a.txt").status, 200);
    let (user, device) = (world.reader, world.device.id());
    assert!(!world.server.read(move |conn| service::content::may_go_on(conn, user, device)));
    assert!(world.downloads().is_empty());
}

#[test]
fn a_point_that_is_only_reported_has_nothing_inside() {
    let mut world = World::new();
    let point = world.backup(&[]);
    world.server.act(move |conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::restore_points;
        diesel::update(restore_points::table.find(point))
            .set(restore_points::stored_at.eq(None::<domain::time::Time>))
            .execute(conn)?;
        Ok(())
    });
    let page = world.lists(point, "");
    assert!(page.status == 409 && text(&page).contains("only reported"), "{}", text(&page));
}
