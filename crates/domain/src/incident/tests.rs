//! What an incident says, and how the history of earlier ones is read.
use super::*;
use crate::activity::Action;
use crate::ground::{AwayCause, StopCause};
use crate::time::{days, hours, minutes};

const NOW: Time = Time::from_millis(1_795_356_371_000);

fn away() -> Away {
    Away { cause: AwayCause::Away, why: "/srv/blobs is not there".to_owned(), since: NOW }
}

fn damage(lost: i64) -> Damage {
    Damage { objects: 7, devices: 3, since: Some(NOW), lost, is_other_away: false }
}

#[test]
fn each_cause_says_what_happened_since_when_what_to_do_and_that_it_ends_by_itself() {
    let stopped = Stopped { cause: StopCause::Full, why: "the disk is full".to_owned(), since: NOW };
    for (cause, what, next) in [
        (Cause::Away(away()), "/srv/blobs is not there. Until it can be read", "Mount its disk"),
        (Cause::Damaged(damage(2)), "Of 2 devices something is intact in no store: they may", "Have the devices below"),
        (Cause::Damaged(damage(1)), "Of 1 device something is intact in no store: it may", "Have the devices below"),
        (Cause::Damaged(damage(0)), "7 stored objects of 3 devices are missing", "Nothing for the data"),
        (Cause::Damaged(damage(0)), "All of it is intact in the second store.", "Look at the store’s disk"),
        (Cause::Stopped(stopped), "The disk is full.", "Enlarge the disk"),
        (Cause::CopyAway(away(), StoreKind::Bucket), "nothing is copied", "Check the bucket’s name"),
        (Cause::CopyDamaged(damage(0)), "All of it is intact in the backup store.", "Nothing for the data"),
    ] {
        assert!(cause.what().contains(what), "{}", cause.what());
        assert!(cause.next().contains(next), "{}", cause.next());
        assert!(cause.end().starts_with("It ends by itself once"), "{}", cause.end());
        assert_eq!(cause.since(), Some(NOW));
        assert!(cause.headline().contains("store") && !cause.as_str().is_empty());
    }
}

#[test]
fn what_stops_all_is_said_before_what_stops_some() {
    let all = || vec!["The backup store cannot be read.".to_owned()];
    let still = Still::of(Act::Retention, all(), (3, "it is damaged")).unwrap();
    assert_eq!((still.extent, still.why.clone()), (Extent::All, all()));
    assert_eq!(still.headline(), "No restore point ends.");
    let still = Still::of(Act::Wipes, Vec::new(), (1, "it is damaged")).unwrap();
    assert_eq!(still.headline(), "1 device: a wipe of it is held until a second person accepts the loss.");
    assert_eq!(still.why, ["It is damaged."]);
    let still = Still::of(Act::Trash, Vec::new(), (2, "it is damaged")).unwrap();
    assert_eq!(still.headline(), "2 devices: nothing of them in the trash is erased.");
    assert_eq!(Still::of(Act::Trash, Vec::new(), (0, "it is damaged")), None);
}

#[test]
fn who_is_silent_is_called_and_who_was_asked_is_waited_for() {
    for (risk, is_asked, is_silent, step) in [
        (Risk::Damaged, false, false, "Have it back up"),
        (Risk::Damaged, true, false, "Asked to back up, waits for its check-in"),
        (Risk::Damaged, true, true, "Silent: call the person"),
        (Risk::Away(Reason::NoSecondStore), false, false, "Keep it as it is until the store can be read"),
        (Risk::Away(Reason::NoSecondStore), false, true, "Silent: call the person"),
    ] {
        assert_eq!(risk.step(is_asked, is_silent), step);
    }
}

#[test]
fn the_history_pairs_what_went_with_what_came_back_and_gathers_damage_of_a_day() {
    let entry = |action, at| Entry { action, at };
    let entries = [
        // What began before the oldest entry that was looked at.
        entry(Action::SecondStoreBack, NOW - days(90)),
        entry(Action::StoreAway, NOW - days(60)),
        entry(Action::StoreAway, NOW - days(60) + minutes(1)),
        entry(Action::ObjectDamaged, NOW - days(60) + minutes(2)),
        entry(Action::StoreBack, NOW - days(60) + hours(3)),
        entry(Action::ObjectHealed, NOW - days(60) + hours(4)),
        entry(Action::ObjectDamaged, NOW - days(2)),
        entry(Action::CopyDamaged, NOW - days(2) + hours(1)),
        entry(Action::Exported, NOW - days(1)),
        entry(Action::BackupsStopped, NOW - hours(1)),
    ];
    let found = past(&entries, false);
    let said: Vec<_> = found.iter().map(|it| (it.sentence(), it.from.is_some(), it.until)).collect();
    assert_eq!(
        said,
        [
            ("No backups could be stored".to_owned(), true, None),
            ("Damage was found: 2 times, 0 repairs".to_owned(), true, Some(NOW - days(2) + hours(1))),
            ("Damage was found: 1 time, 1 repair".to_owned(), true, Some(NOW - days(60) + hours(4))),
            ("The backup store could not be read, for 3 hours".to_owned(), true, Some(NOW - days(60) + hours(3))),
            ("The second store could not be used".to_owned(), false, Some(NOW - days(90))),
        ]
    );
    assert!(Entry::actions().all(|it| past(&[entry(it, NOW)], false).len() == 1), "each of them tells of one");
    assert!(past(&[], false).is_empty());
}

#[test]
fn what_the_other_store_has_is_not_said_while_it_cannot_be_read() {
    let unknown = Damage { is_other_away: true, ..damage(0) };
    for cause in [Cause::Damaged(unknown), Cause::CopyDamaged(unknown)] {
        assert!(cause.what().contains("Nobody can say whether it is intact in"), "{}", cause.what());
        assert!(cause.next().starts_with("Bring the other store back"), "{}", cause.next());
    }
}

#[test]
fn damage_that_lasts_has_no_end() {
    let entries = [
        Entry { action: Action::ObjectDamaged, at: NOW - days(60) },
        Entry { action: Action::ObjectDamaged, at: NOW - days(9) },
    ];
    let until = |is_damaged| past(&entries, is_damaged).iter().map(|it| it.until).collect::<Vec<_>>();
    assert_eq!(until(false), [Some(NOW - days(9)), Some(NOW - days(60))]);
    assert_eq!(until(true), [None, Some(NOW - days(60))]);
}
