//! What the bucket of the second store allows, and the locks and holds that the server sets there.
use super::world::{World, backs_up};
use crate::support::NOW;
use crate::support::people::{SINCE, insert_person};
use crate::support::s3::{self, Kind};
use domain::activity::Action;
use domain::copy::SecondStore;
use domain::copy::lock::{LockRule, Protection, ProtectionStanding};
use domain::failure_domain::StoreKind;
use domain::id::{DeviceId, HoldId};
use domain::retention::{HoldCause, HoldScope};
use domain::role::Role;
use domain::time::{Time, days, hours, minutes};
use holdfast::blob::bucket::{Access, Bucket, Patience};
use holdfast::blob::home::{Identity, Opening};
use holdfast::service::copy::{CopyState, Locked, Locker};
use holdfast::store::hold::Hold;
use holdfast::store::setting::{COPY, COPY_LOCK_FAILED, COPY_PROTECTION};
use holdfast::{service, store};
use std::sync::Arc;

struct Bucketed {
    world: World,
    bucket: Bucket,
    locker: Locker,
}

impl Bucketed {
    /// The clock of the world is the bucket's: it locks by its own.
    fn new(kind: Kind) -> Option<Self> {
        let access = s3::bucket(kind)?;
        let bucket = s3::open(&access);
        let identity = Identity { server: "s".to_owned(), database: "d".to_owned(), copy: Some("c".to_owned()) };
        let world = World::with(Arc::new(bucket.open(&identity, Opening::New).unwrap()));
        let now = clock::Clock::System.now();
        world.door.clock.set(now);
        let second = SecondStore { kind: StoreKind::Bucket, opened_at: Some(now), ..super::world::second_store() };
        world.door.write(move |conn| COPY.set(conn, &second, now));
        let locker = Locker::new(world.door.store.clone(), bucket.clone());
        Some(Self { world, bucket, locker })
    }

    fn now(&self) -> Time {
        self.world.door.clock.now()
    }

    /// Runs until nothing is left to be done.
    fn runs(&self) -> Locked {
        let mut all = Locked::default();
        for _ in 0..100 {
            let run = self.locker.run(self.now()).unwrap();
            all.locked += run.locked;
            all.held += run.held;
            all.freed += run.freed;
            all.failed |= run.failed;
            if !run.more {
                return all;
            }
        }
        panic!("it never ends: {all:?}");
    }

    fn state(&self) -> CopyState {
        let now = self.world.door.clock.now();
        self.world.door.read(move |conn| service::copy::state(conn, now))
    }

    fn said(&self) -> String {
        self.state().sentences(self.now(), &Time::iso).join(" ")
    }

    fn locked_entries(&self) -> Vec<String> {
        let all = self.world.entries().into_iter();
        all.filter(|it| it.0 == Action::SecondStoreLocked).map(|it| it.1).collect()
    }
}

#[test]
fn what_the_bucket_allows_is_asked_and_tried_and_holds_for_two_days() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    assert_eq!(it.state().protection(it.now()), ProtectionStanding::Unknown);
    assert!(it.said().contains("was not asked yet"), "{}", it.said());
    it.runs();
    let found = it.state().protection.unwrap();
    let expected = (Some(true), Some(LockRule::Compliance { days: 1 }), Some(false), "");
    assert_eq!((found.versions, found.rule, found.deleted, found.untold.as_str()), expected);
    assert_eq!(it.state().protection(it.now()), ProtectionStanding::Immutable);
    assert!(
        it.said().contains("Nobody can delete what is there for at least 12 hours; what comes new, for 1 day."),
        "{}",
        it.said()
    );
    assert_eq!(it.state().protection(it.now() + days(2)), ProtectionStanding::Unknown, "and is unknown again");

    it.world.door.clock.advance(hours(25));
    it.runs();
    assert_eq!(it.state().protection.unwrap().looked_at, it.now(), "it is asked again");
    let looked = it.world.entries().into_iter().filter(|it| it.0 == Action::ProtectionFound).count();
    assert_eq!(looked, 1, "what is as it was is no news");
}

#[test]
fn what_was_looked_at_first_counts_for_how_long_everything_is_locked() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    for name in ["one", "two"] {
        backs_up(&it.world, &it.world.door.repository(), name);
    }
    it.world.runs();
    let locker = Locker::new(it.world.door.store.clone(), it.bucket.clone()).in_runs_of(1);
    let began_at = it.now();

    let mut runs = 0;
    while locker.run(it.now()).unwrap().more {
        runs += 1;
        it.world.door.clock.advance(minutes(10));
    }

    assert!(runs > 1 && it.now() > began_at, "it took its time: {runs} runs");
    assert_eq!(it.state().locks.complete_at, Some(began_at));
}

#[test]
fn a_bucket_without_versions_or_locks_is_said_to_be_deletable() {
    let Some(it) = Bucketed::new(Kind::Plain) else { return };
    let repository = it.world.door.repository();
    backs_up(&it.world, &repository, "backup");
    it.world.runs();
    assert_eq!(it.runs(), Locked::default(), "there is nothing to lock");
    assert_eq!(it.state().protection(it.now()), ProtectionStanding::Deletable);
    assert!(it.said().contains("Anyone with the server’s credentials can delete it"), "{}", it.said());
}

/// To the second: a bucket keeps no smaller parts, and rounds as it likes.
fn is_a_day_from(now: Time, until: Time) -> bool {
    (until.seconds() - (now + days(1)).seconds()).abs() <= 1
}

#[test]
fn locks_are_set_once_and_made_longer_before_they_end_and_counted_in_the_history() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    let repository = it.world.door.repository();
    let backup = backs_up(&it.world, &repository, "backup");
    it.world.runs();

    assert_eq!((it.runs().locked, it.runs().locked), (5, 0));
    assert_eq!(it.locked_entries(), ["5 objects locked for longer"]);
    let first = it.bucket.locked_until(&backup[0]).unwrap().unwrap();
    assert!(is_a_day_from(it.now(), first), "{first:?}");

    it.world.door.clock.advance(hours(11));
    assert_eq!(it.runs().locked, 0, "more than half of its day is left");
    it.world.door.clock.advance(hours(2));
    // A row that came after a restart of the server is found as well.
    let again = Locker::new(it.world.door.store.clone(), it.bucket.clone());
    assert_eq!(again.run(it.now()).unwrap().locked, 5);
    let longer = it.bucket.locked_until(&backup[0]).unwrap().unwrap();
    assert!(is_a_day_from(it.now(), longer), "{longer:?}");

    // What was replaced is another version, with no lock of ours.
    it.world.spoils(domain::object::Location::Copy, &backup[1], b"rot");
    it.world.finds_damage(domain::object::Location::Copy, &backup[1]);
    it.world.door.clock.advance(hours(1));
    it.world.runs();
    assert_eq!(it.runs().locked, 1);

    // Nobody makes a lock shorter, whatever the database says.
    let shorter = it.bucket.lock_until(&backup[0], LockRule::Compliance { days: 1 }, it.now() + minutes(5));
    assert!(shorter.is_err(), "{shorter:?}");
    let weaker = it.bucket.lock_until(&backup[0], LockRule::Governance { days: 1 }, it.now() + days(3));
    assert!(weaker.is_err(), "{weaker:?}");
}

#[test]
fn what_was_locked_in_another_mode_is_locked_anew_before_anything_is_called_immutable() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    let repository = it.world.door.repository();
    backs_up(&it.world, &repository, "backup");
    it.world.runs();
    it.runs();
    // As the bucket was when these were locked.
    let now = it.now();
    it.world.door.write(move |conn| {
        let known = COPY_PROTECTION.find(conn)?.unwrap();
        let rule = Some(LockRule::Governance { days: 365 });
        COPY_PROTECTION.set(conn, &Protection { rule, last_rule: rule, ..known }, now)
    });

    let again = Locker::new(it.world.door.store.clone(), it.bucket.clone());

    assert_eq!(again.run(it.now()).unwrap().locked, 5);
    assert_eq!(it.state().protection(it.now()), ProtectionStanding::Immutable);
}

fn hold(device: DeviceId, now: Time) -> Hold {
    Hold {
        id: HoldId::generate(now),
        scope: HoldScope::Device,
        cause: HoldCause::Person,
        device_id: Some(device),
        person: None,
        point_id: None,
        reason: "a case".to_owned(),
        made_by: None,
        made_name: "somebody".to_owned(),
        made_at: now,
        lift_reason: None,
        lift_asked_by: None,
        lift_asked_at: None,
        lifted_by: None,
        lifted_at: None,
    }
}

#[test]
fn a_hold_is_put_on_in_the_bucket_too_and_taken_off_once_it_was_lifted() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    let (held, other) = (it.world.door.repository(), it.world.door.repository());
    let backup = backs_up(&it.world, &held, "held");
    let others = backs_up(&it.world, &other, "other");
    it.world.runs();
    it.runs();
    let is_held = |key| it.bucket.is_held(key).unwrap();
    assert!(!is_held(&backup[0]));

    let made = hold(held.device, it.now());
    let row = made.clone();
    it.world.door.write(move |conn| store::hold::insert(conn, &row));
    it.world.door.clock.advance(minutes(1));
    let run = it.runs();
    assert_eq!((run.held, run.freed, run.locked), (5, 0, 0));
    assert!(backup.iter().all(is_held) && !others.iter().any(is_held));

    // What arrives while it stands is held with the next look.
    let later = backs_up(&it.world, &held, "later");
    it.world.runs();
    it.world.door.clock.advance(hours(1));
    it.runs();
    assert!(later.iter().all(is_held));

    // Something of it ends, with its row: what is held is known even so.
    let gone = later[0].clone();
    it.world.door.write(move |conn| store::object::remove(conn, gone.repository, gone.kind, &gone.name).map(drop));
    let second = it.world.door.write(|conn| insert_person(conn, "second", &[Role::Approver], None, SINCE));
    let lifted = Hold { lifted_by: Some(second), lifted_at: Some(it.now()), ..made };
    it.world.door.write(move |conn| store::hold::update(conn, &lifted).map(drop));
    it.world.door.clock.advance(minutes(1));
    assert_eq!(it.runs().freed, 10);
    assert!(!backup.iter().any(is_held) && !later.iter().any(is_held));
    let said = it.locked_entries();
    assert_eq!(said.last().unwrap(), "a legal hold taken off 10 objects");
}

#[test]
fn a_key_that_may_not_lock_is_told_aloud_with_what_to_grant() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    let repository = it.world.door.repository();
    backs_up(&it.world, &repository, "backup");
    it.world.runs();
    it.runs();
    it.world.door.clock.advance(hours(13));
    it.world.looks();
    let access = Access {
        endpoint: refusing(),
        bucket: "copies".to_owned(),
        prefix: String::new(),
        region: "us-east-1".to_owned(),
        access_key: "AKIA".to_owned(),
        secret_key: "secret".to_owned(),
    };
    let refused = Locker::new(it.world.door.store.clone(), Bucket::new(&access, Patience::default()).unwrap());

    assert!(refused.run(it.now()).unwrap().failed);

    let why = it.world.door.read(|conn| COPY_LOCK_FAILED.find(conn)).unwrap();
    assert!(why.contains("grant s3:PutObjectRetention"), "{why}");
    assert!(it.said().contains("locks are not made longer") && it.said().contains(&why), "{}", it.said());
    assert!(!refused.run(it.now()).unwrap().more, "and it is not tried without a pause");

    // It does not say what it allows either: nobody knows, and what was good is not shown any more.
    let found: Protection = it.world.door.read(|conn| COPY_PROTECTION.find(conn)).unwrap();
    assert!(found.untold.contains("grant s3:GetBucketVersioning"), "{found:?}");
    assert_eq!(it.state().protection(it.now()), ProtectionStanding::Unknown);

    it.world.door.clock.advance(hours(2));
    it.world.looks();
    it.runs();
    assert_eq!(it.state().locks.failed, None, "once it may again, that is over");
}

/// A server that refuses everything.
fn refusing() -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|it| it == 1) {
                head.push(byte[0]);
            }
            let _ = stream.write_all(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 88\r\nConnection: close\r\n\r\n\
                  <Error><Code>AccessDenied</Code><Message>no permission for this at all</Message></Error>",
            );
        }
    });
    address
}

#[test]
fn before_the_second_store_was_found_nothing_is_asked() {
    let Some(it) = Bucketed::new(Kind::Locked) else { return };
    let second = SecondStore { kind: StoreKind::Bucket, opened_at: None, ..super::world::second_store() };
    it.world.door.write(move |conn| COPY.set(conn, &second, NOW));
    assert_eq!(it.runs(), Locked::default());
    assert_eq!(it.state().protection, None);
}
