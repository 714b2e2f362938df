//! What one person, one script, one device or one stolen key can try alone so that less is kept.
use super::world::{SHORTEST, World, has_restic};
use crate::support::people::{SINCE, act_as, act_by, person};
use crate::support::s3::{self, Kind};
use crate::support::visit::{Visit, text};
use clock::Clock;
use domain::by::Presence;
use domain::device::DeviceState;
use domain::id::{RestorePointId, TeamId, UserId};
use domain::object::ObjectKind;
use domain::retention::{HoldScope, Keep, Rule};
use domain::role::{Reach, Role};
use domain::time::{days, hours};
use holdfast::error::Error;
use holdfast::mail::Message;
use holdfast::service::{hold, retention};
use holdfast::store::retention::Change;
use holdfast::store::team::Team;
use holdfast::store::{self, hold::Hold};
use object_store::signer::SignedUrlOptions;
use std::cell::{Cell, RefCell};
use ureq::http::Method;

const LONG: Rule = Rule { last: 100, daily: 100, weekly: 50, monthly: 50, yearly: 10, within_days: 100 };

/// What is kept.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    points: Vec<RestorePointId>,
    objects: usize,
    in_trash: usize,
    holds: usize,
    rule: Keep,
    device: DeviceState,
}

/// A device with points, something in its trash, a hold and a long rule; and people who are not two.
struct Alone {
    world: World,
    operator: UserId,
    /// An account that the owner made.
    made: UserId,
    hold: Hold,
    before: Kept,
    ways: Cell<usize>,
    /// What people were told; a mail that waits too long is sent no more.
    mails: RefCell<Vec<Message>>,
}

impl Alone {
    fn new() -> Self {
        let world = World::with_six_backups();
        person(&world.server, "overseer", &[Role::Owner], None, SINCE);
        world.keep_least();
        assert!(world.pruner.prune(world.repository).unwrap());
        world.pruner.run_once().unwrap();
        world.pass(days(1));
        world.keep(&Keep::By(LONG).text());
        let before = kept(&world);
        assert!(before.in_trash > 0 && before.points.len() == 3, "{before:?}");
        // Nobody erases what is in the trash before its time.
        world.pass(days(12));
        world.pruner.run_once().unwrap();
        world.pruner.run_once().unwrap();
        assert_eq!(kept(&world), before, "the trash is kept for 14 days");

        let operator = person(&world.server, "operator", &[Role::Operator], None, SINCE);
        let made = person(&world.server, "made", &[Role::Owner], Some(world.owner), SINCE + days(2));
        let draft = hold::Draft {
            device: world.device,
            scope: HoldScope::Device,
            point: None,
            reason: "a court asked for it".to_owned(),
        };
        let now = world.now();
        let hold = act_as(&world.server, world.owner, move |conn, by| hold::make(conn, by, &draft, now)).unwrap();
        let before = kept(&world);
        world.server.mails();
        Self { world, operator, made, hold, before, ways: Cell::new(1), mails: RefCell::default() }
    }

    /// One more way was tried, and everything is kept as before.
    fn tried(&self, way: &str) {
        self.ways.set(self.ways.get() + 1);
        self.mails.borrow_mut().extend(self.world.server.mails());
        assert_eq!(kept(&self.world), self.before, "{way}");
    }

    /// An account of today.
    fn fresh(&self, name: &str) -> UserId {
        person(&self.world.server, name, &[Role::Owner], None, self.world.now())
    }

    fn owner(&self) -> Visit<'_> {
        Visit::of(&self.world.server, self.world.owner)
    }

    fn asks_for_less(&self) -> Change {
        let shortest = Rule::LIMITS.into_iter().zip(SHORTEST.values()).map(|(it, value)| (it.field, value.to_string()));
        let mut fields: Vec<_> = shortest.collect();
        fields.extend([("keep", "rule".to_owned()), ("reason", "space".to_owned())]);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let stale = Visit::stale(&self.world.server, self.world.owner);
        assert_eq!(stale.post("/retention", &fields).status, 422, "an old password");
        self.tried("a session whose password is old");
        let operator = Visit::of(&self.world.server, self.operator);
        assert_eq!(operator.post("/retention", &fields).status, 403);
        self.tried("without the permission");
        let asked = self.owner().post("/retention", &fields);
        assert_eq!(asked.status, 303, "{}", text(&asked));
        self.tried("a shorter rule that only one person asked for");
        let waiting = self.world.server.read(|conn| Ok(store::retention::requested(conn)?));
        waiting.into_iter().next().expect("it waits for a second person")
    }

    fn agrees_alone(&self, change: &Change) {
        let (id, seen, now) = (change.id, retention::shown(change).unwrap(), self.world.now());
        let path = format!("/retention/{id}/approvals");
        for (who, way) in [
            (self.world.owner, "agreeing to one’s own request"),
            (self.made, "agreeing with an account that the requester made"),
            (self.fresh("fresh"), "agreeing with an account of today"),
            (self.operator, "agreeing without the permission"),
        ] {
            let answer = Visit::of(&self.world.server, who).post(&path, &[("seen", &seen)]);
            assert!((400..500).contains(&answer.status), "{way}: {}", answer.status);
            self.tried(way);
        }
        let second = |presence, reach, seen: &str| {
            let seen = seen.to_owned();
            act_by(&self.world.server, self.world.second, presence, reach, move |conn, by| {
                retention::approve(conn, by, id, &seen, now)
            })
        };
        assert!(matches!(second(Presence::Script, Reach::All, &seen), Err(Error::Refused(_))));
        self.tried("agreeing by a script");
        assert!(second(Presence::Page, Reach::Teams(Vec::new()), &seen).is_err());
        self.tried("agreeing with a role in a team only");
        assert!(matches!(second(Presence::Page, Reach::All, "other"), Err(Error::Conflict(_))));
        self.tried("agreeing to something else than what was shown");
        // Two people did agree: it takes a week, and any of those who are told can take it back.
        second(Presence::Page, Reach::All, &seen).unwrap();
        self.world.pass(days(6));
        self.tried("before the week is over");
        assert_eq!(self.owner().post(&format!("/retention/{id}/cancellations"), &[]).status, 303);
        self.world.pass(days(2));
        self.tried("after it was taken back");
    }

    fn lifts_alone(&self) {
        let (id, device) = (self.hold.id, self.world.device);
        let path = format!("/holds/{id}");
        let second = Visit::of(&self.world.server, self.world.second);
        assert!((400..500).contains(&second.post(&format!("{path}/approvals"), &[("seen", "")]).status));
        self.tried("lifting a hold that nobody asked to lift");
        let asked = self.owner().post(&format!("{path}/lifts"), &[("reason", "it is over")]);
        assert_eq!(asked.status, 303, "{}", text(&asked));
        let standing = self.world.server.read(move |conn| Ok(store::hold::standing(conn, device)?)).remove(0);
        let now = self.world.now();
        let seen = hold::lift_asked(&standing, now).unwrap().unwrap().digest;
        for (who, way) in [
            (self.world.owner, "lifting a hold alone"),
            (self.made, "lifting it with an account that the requester made"),
            (self.fresh("fresh-too"), "lifting it with an account of today"),
            (self.operator, "lifting it without the permission"),
        ] {
            let answer = Visit::of(&self.world.server, who).post(&format!("{path}/approvals"), &[("seen", &seen)]);
            assert!((400..500).contains(&answer.status), "{way}: {}", answer.status);
            self.tried(way);
        }
        let script = act_by(&self.world.server, self.world.second, Presence::Script, Reach::All, {
            let seen = seen.clone();
            move |conn, by| hold::lift(conn, by, id, &seen, now)
        });
        assert!(matches!(script, Err(Error::Refused(_))), "{script:?}");
        self.tried("lifting it by a script");
        self.world.pass(days(8));
        let later = Visit::of(&self.world.server, self.world.second);
        assert!((400..500).contains(&later.post(&format!("{path}/approvals"), &[("seen", &seen)]).status));
        self.tried("lifting it after nobody agreed for a week");
    }

    fn takes_the_device_away(&self) {
        let path = format!("/devices/{}", self.world.device);
        let removed = self.owner().post(&format!("{path}/removals"), &[("confirm", "laptop-1")]);
        assert!((400..500).contains(&removed.status), "{}", removed.status);
        self.tried("removing a device that is on hold");
        let given = self.owner().post(&path, &[("name", "laptop-1"), ("person", "Eve"), ("team", "")]);
        assert_eq!(given.status, 303, "{}", text(&given));
        self.tried("giving it to somebody else");
        let filled = [("name", "laptop-1"), ("person", "Eve"), ("team", ""), ("quota_gb", "1")];
        assert_eq!(self.owner().post(&path, &filled).status, 303);
        self.world.pruner.run_once().unwrap();
        self.tried("the least space for the device");
        let (team, at) = (TeamId::generate(self.world.now()), self.world.now());
        self.world.server.act(move |conn| {
            Ok(store::team::insert(conn, &Team { id: team, name: "Sales".to_owned(), created_at: at })?)
        });
        assert_eq!(self.owner().post(&format!("/teams/{team}/quotas"), &[("quota", "1")]).status, 303);
        let moved = [("name", "laptop-1"), ("person", "Eve"), ("team", team.as_str()), ("quota_gb", "1")];
        assert_eq!(self.owner().post(&path, &moved).status, 303);
        self.world.pruner.run_once().unwrap();
        self.tried("the least space for its team");
    }

    fn deletes_as_the_device(&self) {
        for kind in [ObjectKind::Snapshots, ObjectKind::Data, ObjectKind::Index, ObjectKind::Keys] {
            let name = self.world.ledger().into_iter().find(|it| it.kind == kind).unwrap().name;
            let status = self.world.deletes(&format!("{kind}/{name}"));
            assert!((400..500).contains(&status), "{kind}: {status}");
            self.tried(kind.as_str());
        }
        assert!((400..500).contains(&self.world.deletes("config")));
        self.tried("the config");
    }
}

fn kept(world: &World) -> Kept {
    let (device, now) = (world.device, world.now());
    world.server.act(move |conn| retention::take_effect(conn, now));
    Kept {
        points: world.points().into_iter().map(|it| it.id).collect(),
        objects: world.ledger().len(),
        in_trash: world.files_in_trash(),
        holds: world.server.read(move |conn| Ok(store::hold::standing(conn, device)?)).len(),
        rule: world.server.read(retention::current).unwrap(),
        device: world.server.read(move |conn| Ok(store::device::find(conn, device)?)).unwrap().state,
    }
}

#[test]
fn d11_twenty_ways_to_keep_less_or_to_remove_are_refused() {
    if !has_restic() {
        return;
    }
    let alone = Alone::new();
    let change = alone.asks_for_less();
    alone.agrees_alone(&change);
    alone.lifts_alone();
    alone.takes_the_device_away();
    alone.deletes_as_the_device();
    assert!(alone.ways.get() >= 20, "{}", alone.ways.get());

    // Whoever was not asked was told of each that had an effect on anything.
    let mails = alone.mails.borrow();
    for what in ["Retention:", "Hold asked to lift"] {
        let is_told = mails.iter().any(|it| it.to == "overseer@example.org" && it.subject.starts_with(what));
        assert!(is_told, "{what}: {mails:?}");
    }
    let is_told = mails.iter().any(|it| it.to == "overseer@example.org" && it.body.contains("until now the device of"));
    assert!(is_told, "the device’s new person: {mails:?}");
    // And it would all come back.
    alone.world.is_sound();
}

#[test]
fn d11_whoever_has_the_key_of_a_locked_bucket_can_shorten_no_lock_and_delete_no_version() {
    let Some(access) = s3::bucket(Kind::Locked) else { return };
    let path = format!("{}/pack", access.prefix);
    assert_eq!(s3::send(&access, Method::PUT, &path, &SignedUrlOptions::default(), b"a backup"), 200);
    let version = s3::version(&access, &path);
    // Earlier than the day for which the bucket locks it.
    let soon = (Clock::System.now() + hours(1)).iso();
    let shorter =
        |mode: &str| format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{soon}</RetainUntilDate></Retention>");
    let of_version = |name: &str| {
        let mut options = s3::with("versionId", &version);
        if !name.is_empty() {
            options.extra_query.push((name.to_owned(), String::new()));
        }
        options
    };
    for (way, method, query, body) in [
        ("deleting the version", Method::DELETE, "", String::new()),
        ("a lock that is over", Method::PUT, "retention", shorter("COMPLIANCE")),
        ("a lock that can be lifted", Method::PUT, "retention", shorter("GOVERNANCE")),
        ("no lock", Method::PUT, "retention", "<Retention></Retention>".to_owned()),
    ] {
        let status = s3::send(&access, method, &path, &of_version(query), body.as_bytes());
        assert!((400..500).contains(&status), "{way}: {status}");
        assert_eq!(s3::version(&access, &path), version, "{way}");
    }
}
