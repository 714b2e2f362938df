//! `/restore-points`: those of all devices, with what is known of each now.
use super::World;
use crate::device_page::{member, team};
use crate::support::visit::{Visit, text};
use diesel::prelude::*;
use domain::id::RestorePointId;
use domain::role::Role;
use domain::time::{Time, days};
use holdfast::store::schema::restore_points;

/// The point was proven, and that is good until then.
fn proves(world: &World, point: RestorePointId, until: Time) {
    let now = world.server.app.clock.now();
    world.server.act(move |conn| {
        let which = restore_points::table.find(point);
        let proven = (restore_points::proven_at.eq(Some(now)), restore_points::proven_until.eq(Some(until)));
        Ok(diesel::update(which).set(proven).execute(conn).map(drop)?)
    });
}

fn fails(world: &World, point: RestorePointId) {
    let now = world.server.app.clock.now();
    world.server.act(move |conn| {
        let which = restore_points::table.find(point);
        Ok(diesel::update(which).set(restore_points::failed_at.eq(Some(now))).execute(conn).map(drop)?)
    });
}

#[test]
fn the_points_of_all_devices_say_what_is_known_of_them_now_and_no_proof_is_good_for_longer_than_its_time() {
    let mut world = World::new();
    let now = world.server.app.clock.now();
    let empty = text(&world.visit().get("/restore-points"));
    assert!(empty.contains("The server holds no backup yet"), "{empty}");
    let proven = world.backup(&[]);
    world.server.app.clock.advance(days(1));
    let failed = world.backup(&[]);
    proves(&world, proven, now + days(7));
    fails(&world, failed);

    let list = |query: &str| text(&world.visit().get(&format!("/restore-points{query}")));
    let rows = |page: &str| page.matches("data-label=\"Known\"").count();
    let all = list("");
    assert!(rows(&all) == 2 && all.contains("st proven") && all.contains("st lost"), "{all}");
    assert!(all.find("Failed</span>") < all.find("Proven</span>"), "newest first: {all}");
    assert_eq!([rows(&list("?known=proven")), rows(&list("?known=failed")), rows(&list("?known=unproven"))], [1, 1, 0]);
    assert_eq!(rows(&list(&format!("?before={failed}"))), 1);
    assert!(list(&format!("?before={proven}")).contains("There are no older ones"));
    for wrong in ["?known=green", "?before=yesterday"] {
        assert_eq!(world.visit().get(&format!("/restore-points{wrong}")).status, 422, "{wrong}");
    }
    let csv = text(&world.visit().get("/restore-points.csv?known=proven"));
    assert!(csv.lines().count() == 2 && csv.contains(",proven,"), "{csv}");

    world.server.app.clock.advance(days(7));
    let later = list("");
    assert!(!later.contains("st proven") && later.contains("Out of date</span>"), "{later}");
    assert_eq!([rows(&list("?known=proven")), rows(&list("?known=unproven"))], [0, 1]);
}

#[test]
fn the_points_of_another_teams_devices_are_not_listed() {
    let mut world = World::new();
    let point = world.backup(&[]);
    let paris = team(&world.server, "Paris");
    let stranger = member(&world.server, "stranger", Role::Owner, paris);

    for path in ["/restore-points", "/restore-points.csv"] {
        let answer = Visit::of(&world.server, stranger).get(path);
        assert_eq!(answer.status, 200);
        assert!(!text(&answer).contains(world.device.id().as_str()), "{path} of {point}");
    }
}

#[test]
fn the_card_of_a_device_shows_no_old_proof_in_green_because_a_newer_one_holds() {
    let mut world = World::new();
    let now = world.server.app.clock.now();
    let old = world.backup(&[]);
    proves(&world, old, now + days(1));
    world.server.app.clock.advance(days(2));
    let new = world.backup(&[]);
    proves(&world, new, now + days(30));
    let device = world.device.id();
    let today = world.server.app.clock.now();
    world.server.act(move |conn| holdfast::service::proof::learned(conn, device, today));

    let page = text(&world.visit().get(&format!("/devices/{device}")));
    let card = page.split("id=\"points\"").nth(1).unwrap().split("</section>").next().unwrap();
    let known: Vec<_> =
        card.split("data-label=\"Known\"").skip(1).map(|it| it.contains("class=\"st proven\"")).collect();
    assert_eq!(known, [true, false], "{card}");
}
