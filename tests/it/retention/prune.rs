//! A prune from the first point that ends to the last byte that goes, with the real restic looking on.
use super::world::{World, has_restic};
use crate::support::people;
use domain::activity::Action;
use domain::object::ObjectKind;
use domain::retention::PruneState;
use domain::role::Reach;
use domain::time::{days, hours};
use holdfast::service::repository::{Reconciled, reconcile_repository};
use holdfast::service::retention::{self, Verdict};
use holdfast::store;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::setting::FROZEN_SINCE;

fn actions(world: &World) -> Vec<Action> {
    let device = world.device;
    let mut all = world.server.read(move |conn| Ok(store::activity::of_device(conn, device, 200)?));
    all.reverse();
    let of_prunes = [Action::PointsTrashed, Action::PointsPutBack, Action::PointsErased];
    all.into_iter().map(|it| it.action).filter(|it| of_prunes.contains(it)).collect()
}

#[test]
fn what_no_point_needs_goes_to_the_trash_comes_back_and_is_erased_in_the_end() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let packs = world.ledger_is_true();
    assert!(matches!(world.plan(), Verdict::Nothing), "nobody has set a rule");
    assert!(!world.pruner.prune(world.repository).unwrap());
    world.keep_least();

    assert!(world.pruner.prune(world.repository).unwrap());

    let kept = world.points();
    assert_eq!(kept.len(), 3, "younger than 14 days, and the last three");
    let after = world.ledger_is_true();
    assert!(after < packs, "{after} of {packs} packs");
    let prune = world.prunes().remove(0);
    assert_eq!((prune.state, prune.point_count), (PruneState::Trashed, 3));
    assert_eq!(usize::try_from(prune.object_count).unwrap(), world.files_in_trash(), "all of it is set aside");
    assert_eq!(world.restic(&["snapshots", "--json"]).matches("\"short_id\"").count(), 3);
    world.is_sound();
    assert!(!world.pruner.prune(world.repository).unwrap(), "one prune at a time");

    // Undone: everything is as it was.
    let (by, id, now) = (people::by(world.owner, &Reach::All), prune.id, world.now());
    world.server.act(move |conn| retention::undo(conn, &by, id, now));
    world.pruner.run_once().unwrap();
    assert_eq!(world.prunes()[0].state, PruneState::Undone);
    assert_eq!((world.points().len(), world.ledger_is_true(), world.files_in_trash()), (6, packs, 0));
    world.is_sound();

    // Not at once again: whoever put it back has two weeks to set another rule or to make a hold.
    assert!(!world.pruner.prune(world.repository).unwrap());
    world.pass(days(13));
    assert_eq!(world.points().len(), 6);

    // Again, and for good.
    world.pass(hours(25));
    assert!(world.pruner.prune(world.repository).unwrap());
    world.back_up();
    world.is_sound();
    world.pass(days(13) - hours(25));
    world.pruner.run_once().unwrap();
    assert_eq!(world.prunes()[0].state, PruneState::Trashed, "not before its time");
    // Other points have become old meanwhile; they are another prune's.
    world.keep("everything");
    let left = world.ledger_is_true();
    world.pass(days(2));
    world.pruner.run_once().unwrap();
    world.pruner.run_once().unwrap();
    assert_eq!((world.prunes()[0].state, world.files_in_trash()), (PruneState::Erased, 0));
    assert_eq!(world.ledger_is_true(), left, "erasing touches nothing that is in the ledger");
    world.is_sound();
    world.back_up();
    world.is_sound();
    assert_eq!(
        actions(&world),
        [
            Action::PointsTrashed,
            Action::PointsPutBack,
            Action::PointsPutBack,
            Action::PointsTrashed,
            Action::PointsErased
        ]
    );
}

#[test]
fn a_view_of_the_past_shows_after_a_prune_what_it_showed_before() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    world.pruner.prune(world.repository).unwrap();
    for point in world.points() {
        let (id, as_of) = (world.repository, point.as_of);
        let seen = world.server.read(move |conn| Ok(store::object::all(conn, id, Some(as_of))?));
        assert!(seen.iter().any(|it| it.kind == ObjectKind::Index), "an old point has an index");
        let newest = seen.iter().map(|it| it.received_at).max().unwrap();
        assert!(newest <= as_of);
        // And its own test, as of then, proves it once more.
        let (id, now) = (point.id, world.now());
        world.server.act(move |conn| {
            holdfast::service::proof::queue(conn, id, domain::proof::TestCause::Asked, None, now).map(drop)
        });
        world.prove();
        let after = world.point(point.id);
        assert!(after.failed_at.is_none() && after.verified_at > point.verified_at, "{after:?}");
    }
}

#[test]
fn a_backup_that_needs_what_went_brings_it_back() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let old = world.points().remove(2);
    let key = holdfast::blob::BlobKey::new(world.repository, ObjectKind::Snapshots, old.snapshot_name.clone());
    let snapshot = holdfast::blob::read_all(&*world.server.app.blobs, &key, 1 << 20).unwrap();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    assert!(world.point(old.id).trashed_by.is_some());

    // A backup that began before the prune ends after it, with a snapshot that needs what has gone.
    assert_eq!(world.send("snapshots", &snapshot), 200);
    world.prove();
    assert!(world.point(old.id).failed_at.is_some(), "it cannot be restored");
    world.pruner.run_once().unwrap();
    world.pruner.run_once().unwrap();

    assert_eq!(world.prunes()[0].state, PruneState::Undone);
    world.prove();
    let back = world.point(old.id);
    assert!(back.trashed_by.is_none() && back.failed_at.is_none() && back.verified_at.is_some(), "{back:?}");
    assert_eq!(world.points().len(), 6);
    world.is_sound();
}

#[test]
fn packs_younger_than_the_window_may_not_go() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    let Verdict::Go(plan) = world.plan() else { panic!("points end") };
    assert_eq!(plan.ends.len(), 3);
    assert!(plan.may_go.len() < world.ledger_is_true(), "young packs may not go");
    let young = world.ledger().into_iter().filter(|it| it.kind == ObjectKind::Data);
    let young: Vec<_> = young.filter(|it| world.now().since(it.received_at) < days(14)).map(|it| it.name).collect();
    assert!(!young.is_empty() && young.iter().all(|it| !plan.may_go.contains(it)));
}

#[test]
fn what_ended_and_comes_back_from_a_second_store_is_no_backup_of_today() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let (blobs, id) = (&*world.server.app.blobs, world.repository);
    let listed = blobs.list(id).unwrap();
    // As a second store has them, from which nothing is ever removed.
    let second: Vec<_> = listed.into_iter().map(|(key, size)| (blobs.read(&key, 0, size).unwrap(), key)).collect();
    world.keep_least();
    assert!(world.pruner.prune(id).unwrap());
    let (points, ledger) = (world.points(), world.ledger().len());

    for (bytes, key) in second {
        if blobs.size(&key).unwrap().is_none() {
            let mut upload = blobs.begin(&key).unwrap();
            upload.write(&bytes).unwrap();
            upload.commit().unwrap().settle();
        }
    }
    let done = reconcile_repository(&world.server.app.store, blobs, id, world.now()).unwrap();

    assert_eq!(done, Reconciled::default(), "neither added nor removed");
    let ids = |points: &[RestorePoint]| points.iter().map(|it| (it.id, it.received_at)).collect::<Vec<_>>();
    assert_eq!(ids(&world.points()), ids(&points));
    assert_eq!(world.ledger().len(), ledger);
}

#[test]
fn a_freeze_stops_an_erasure_that_has_begun() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    let (prune, now) = (world.prunes().remove(0), world.now());
    let from_to = (PruneState::Trashed, PruneState::Erasing);
    world.server.act(move |conn| {
        FROZEN_SINCE.set(conn, &now, now)?;
        Ok(store::prune::advance(conn, prune.id, from_to, None)?)
    });
    let in_trash = world.files_in_trash();
    assert!(in_trash > 0);

    retention::settle(&world.server.app.store, &*world.server.app.blobs, now).unwrap();
    assert_eq!(world.files_in_trash(), in_trash, "nothing goes while it is frozen");

    world.server.act(|conn| Ok(FROZEN_SINCE.remove(conn)?));
    while retention::settle(&world.server.app.store, &*world.server.app.blobs, now).unwrap() > 0 {}
    assert_eq!(world.files_in_trash(), 0);
}

#[test]
fn nothing_is_erased_after_a_walk_that_did_not_see_the_newest_object() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    world.back_up();
    world.prove();
    world.pass(days(31));
    world.prove();
    let now = world.now();
    let due = world.server.read(move |conn| retention::due_to_erase(conn, now)).remove(0);
    let (id, walked) = (due.prune.id, due.repository);
    let seen = walked.clone();
    let came = world.repository;
    world.server.act(move |conn| Ok(store::repository::count_in(conn, came, 1, now)?));

    let refused = world.server.app.store.act_blocking(move |conn| retention::begin_erase(conn, id, &seen, now));
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("a backup came while the others were walked"), "{why}");
    assert_eq!(world.prunes()[0].state, PruneState::Trashed);

    let current = world.server.read(move |conn| Ok(store::repository::find(conn, came)?)).unwrap();
    assert_ne!(current, walked);
    let whole = current.clone();
    let refused = world.server.app.store.act_blocking(move |conn| retention::begin_erase(conn, id, &whole, now));
    assert!(refused.unwrap_err().to_string().contains("may not be erased any more"), "a backup is under way");
    world.pass(hours(25));
    let now = world.now();
    world.server.act(move |conn| retention::begin_erase(conn, id, &current, now));
}
