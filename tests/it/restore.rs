//! Getting data back: the order, the ticket, and the comparison with the manifest.
use crate::support::NOW;
use crate::support::device::{SimDevice, manifest_of, post, token};
use crate::support::people::{act_as, act_by, colleague};
use crate::support::server::{Answer, TestServer};
use crate::support::visit::{Visit, hidden, location, text};
use crate::wipe::restore_point;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::activity::{Action, Via};
use domain::by::Presence;
use domain::command::CommandState;
use domain::id::{RestoreId, TeamId, UserId};
use domain::manifest::{Manifest, ManifestFile};
use domain::object::{ObjectKind, ObjectName};
use domain::restore::{Conflict, FileClass, RestoreFailure, RestoreState, Selection};
use domain::role::{Reach, Role};
use domain::shortfall::{Shortfall, ShortfallKind};
use domain::time::{Time, hours, minutes};
use holdfast::blob::BlobKey;
use holdfast::error::{Error, Result};
use holdfast::service::approval;
use holdfast::service::restore::{self, Decision, Draft};
use holdfast::store::restore::Restore;
use holdfast::store::restore_point::RestorePoint;
use holdfast::{job, service, store};
use secret::seal;
use wire::{
    CommandResult, DeviceFacts, Payload, RestoreOrder, RestoreProgress, RestoreResult, RestoreSecret, restore_context,
};

pub struct World {
    pub server: TestServer,
    pub source: SimDevice,
    pub target: SimDevice,
    pub operator: UserId,
    /// May approve.
    pub second: UserId,
    pub manifest: Manifest,
    pub draft: Draft,
}

fn file(path: &str) -> ManifestFile {
    ManifestFile { path: path.to_owned(), size: 3, sha256: hex::encode(secret::sha256(path.as_bytes())) }
}

impl World {
    /// A source whose point is proven, and a target that has just joined.
    pub fn new() -> Self {
        let server = TestServer::start();
        let (source, target) = (SimDevice::join(&server), SimDevice::join(&server));
        let operator = colleague(&server, "operator", Role::Operator);
        let second = colleague(&server, "second", Role::Approver);
        let files =
            ["/home/grace/a.vcf", "/home/grace/b.jpg", "/home/grace/c.pdf", "/home/grace/d.db"].map(file).to_vec();
        let stored = manifest_of(&source, files);
        let manifest = Manifest::decode(&stored).unwrap();
        let name = ObjectName::from_hash(&secret::sha256(&stored));
        let id = source.id();
        let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap();
        let key = BlobKey::new(repository.id, ObjectKind::Manifests, name.clone());
        let mut upload = server.app.blobs.begin(&key).unwrap();
        upload.write(&stored).unwrap();
        upload.commit().unwrap().settle();
        let mut point = restore_point(repository.id, id, NOW);
        point.manifest_name = Some(name);
        point.proven_at = Some(NOW);
        let draft = Draft {
            device: id,
            point: point.id,
            selection: Selection::All,
            target: target.id(),
            conflict: Conflict::KeepBoth,
            accepts_unproven: false,
            reason: "the old one broke".to_owned(),
            request_key: None,
        };
        server.act(move |conn| Ok(store::restore_point::insert(conn, &point)?));
        Self { server, source, target, operator, second, manifest, draft }
    }

    pub fn now(&self) -> Time {
        self.server.app.clock.now()
    }

    /// Requested by the operator and, if the data leaves its device, approved by a second person.
    pub fn orders(&self, draft: &Draft) -> Result<Restore> {
        let restore = self.asks(draft)?;
        if restore.state != RestoreState::Requested {
            return Ok(restore);
        }
        match self.approves_as(self.second, &restore)? {
            Decision::Approved(it) => Ok(it),
            Decision::Ended(it) => panic!("{it:?}"),
        }
    }

    pub fn asks(&self, draft: &Draft) -> Result<Restore> {
        self.asks_as(self.operator, draft)
    }

    pub fn asks_as(&self, user: UserId, draft: &Draft) -> Result<Restore> {
        self.asks_within(user, draft, Reach::All)
    }

    pub fn approves_as(&self, user: UserId, restore: &Restore) -> Result<Decision> {
        let (id, now) = (restore.id, self.now());
        let seen = approval::digest(&restore.crossing().unwrap().unwrap()).unwrap();
        act_as(&self.server, user, move |conn, by| restore::approve(conn, by, id, &seen, now))
    }

    pub fn asks_within(&self, user: UserId, draft: &Draft, reach: Reach) -> Result<Restore> {
        let now = self.now();
        let (planned, looked) = (draft.clone(), reach.clone());
        let plan =
            act_by(&self.server, user, Presence::Page, looked, move |conn, by| restore::plan(conn, by, &planned))?;
        let manifest = restore::manifest(&*self.server.app.blobs, &plan.repository, &plan.manifest)?;
        let keys = self.server.app.proof_keys.clone().unwrap();
        let prepared = restore::prepare(&plan, &manifest, &draft.selection, &*keys, now)?;
        let draft = draft.clone();
        act_by(&self.server, user, Presence::Page, reach, move |conn, by| {
            restore::request(conn, by, &draft, prepared, now)
        })
    }

    pub fn find(&self, id: RestoreId) -> Restore {
        self.server.read(|conn| Ok(store::restore::find(conn, id)?)).unwrap()
    }

    /// The order as the target gets it.
    pub fn fetched(&self) -> Option<RestoreOrder> {
        let orders = self.target.check_in(&self.server, DeviceFacts::default()).commands;
        orders.into_iter().find_map(|it| match it.payload {
            Payload::Restore(order) => Some(order),
            Payload::None | Payload::Wipe { .. } | Payload::UndoRestore { .. } => None,
        })
    }

    pub fn secret(&self, order: &RestoreOrder) -> RestoreSecret {
        let context = restore_context(order.restore_id, self.target.id());
        serde_json::from_slice(&seal::open(&self.target.sealing, &context, &order.sealed).unwrap()).unwrap()
    }

    pub fn reads(&self, order: &RestoreOrder, ticket: &str) -> Answer {
        let basic = BASE64_STANDARD.encode(format!("{}:{ticket}", order.repository_id));
        let path = format!("{}config", order.repository_path);
        self.server.request("GET", &path, &[("Authorization", &format!("Basic {basic}"))], b"")
    }

    pub fn tells(&self, by: &SimDevice, id: RestoreId, said: &RestoreResult) -> Answer {
        by.send(&self.server, &format!("/agent/v1/restores/{id}/result"), said)
    }

    pub fn all_back(&self) -> RestoreResult {
        RestoreResult { files: self.manifest.files.clone(), ..RestoreResult::default() }
    }
}

#[test]
fn another_device_gets_everything_back_and_it_is_compared() {
    let world = World::new();

    let restore = world.orders(&world.draft).unwrap();
    for device in [world.source.id(), world.target.id()] {
        let history = world.server.read(|conn| Ok(store::activity::of_device(conn, device, 9)?));
        assert!(history.iter().any(|it| it.action == Action::RestoreRequested), "in the history of {device}");
    }
    let order = world.fetched().unwrap();
    let secret = world.secret(&order);
    let progress = RestoreProgress { restored_count: 2, file_count: 4 };
    let told =
        world.target.send(&world.server, &format!("/agent/v1/restores/{}/progress", restore.id), &progress).status;

    assert_eq!(told, 200);
    assert_eq!((order.file_count, order.size_bytes, order.selection.len()), (4, 12, 0));
    assert_eq!(BASE64_STANDARD.decode(&secret.master_key).unwrap().len(), 64);
    assert_eq!(world.reads(&order, &secret.ticket).status, 200);
    let running = world.find(restore.id);
    assert_eq!((running.state, running.restored_count), (RestoreState::Running, 2));
    assert_eq!(world.tells(&world.target, restore.id, &world.all_back()).status, 200);
    assert_eq!(world.tells(&world.target, restore.id, &world.all_back()).status, 200, "told again");
    let done = world.find(restore.id);
    assert_eq!((done.state, done.matched_count, done.file_count), (RestoreState::Compared, 4, 4));
    assert_eq!(world.reads(&order, &secret.ticket).status, 401, "the ticket is used up");
}

#[test]
fn what_came_back_different_or_not_at_all_is_named() {
    let world = World::new();
    let restore = world.orders(&Draft { conflict: Conflict::Merge, ..world.draft.clone() }).unwrap();
    world.fetched().unwrap();
    let mut said = world.all_back();
    said.files[0].sha256 = "0".repeat(64);
    said.files.remove(3);
    said.kept.push(said.files.remove(2).path);
    said.failures.push(RestoreFailure { path: "/home/grace/d.db".to_owned(), reason: "disk full".to_owned() });

    world.tells(&world.target, restore.id, &said);

    let failed = world.find(restore.id);
    let outcome = failed.outcome().unwrap();
    assert_eq!((failed.state, failed.matched_count), (RestoreState::Failed, 1));
    assert_eq!(outcome.differing, ["/home/grace/a.vcf"]);
    assert_eq!(outcome.kept, ["/home/grace/c.pdf"]);
    assert_eq!(outcome.missing, ["/home/grace/d.db"]);
    assert_eq!(outcome.failures, [("/home/grace/d.db".to_owned(), "disk full".to_owned())]);
}

#[test]
fn a_file_that_was_there_and_kept_as_asked_is_not_a_failure() {
    let world = World::new();
    let restore = world.orders(&Draft { conflict: Conflict::Merge, ..world.draft.clone() }).unwrap();
    assert_eq!(world.fetched().unwrap().conflict, Conflict::Merge);
    let mut said = world.all_back();
    said.kept.push(said.files.remove(1).path);

    world.tells(&world.target, restore.id, &said);

    let done = world.find(restore.id);
    assert_eq!((done.state, done.matched_count), (RestoreState::Compared, 3));
    assert_eq!(done.outcome().unwrap().kept, ["/home/grace/b.jpg"]);
}

#[test]
fn what_could_not_be_made_is_reported_by_kind_and_count_and_is_not_a_failure() {
    let world = World::new();
    let restore = world.orders(&world.draft).unwrap();
    world.fetched().unwrap();
    let mut said = world.all_back();
    let short = |kind, count| Shortfall { kind, count, paths: vec!["/home/grace/special".to_owned()] };
    said.shortfalls = vec![short(ShortfallKind::Socket, 2), short(ShortfallKind::Pipe, 1)];

    world.tells(&world.target, restore.id, &said);

    let done = world.find(restore.id);
    assert_eq!((done.state, done.matched_count), (RestoreState::Compared, 4));
    let [operator, observer] = [world.operator, colleague(&world.server, "observer", Role::Observer)]
        .map(|it| text(&Visit::of(&world.server, it).get(&format!("/restores/{}", restore.id))));
    for page in [&operator, &observer] {
        assert!(page.contains("1 pipe was not made.") && page.contains("2 sockets were not made"), "{page}");
    }
    assert!(operator.contains("/home/grace/special") && !observer.contains("/home/grace/special"));
}

#[test]
fn only_what_was_chosen_is_ordered_and_compared() {
    let world = World::new();
    let cases = [
        (Selection::Class(FileClass::Contacts), vec!["/home/grace/a.vcf"]),
        (Selection::Paths(vec!["/home/grace/c.pdf".to_owned()]), vec!["/home/grace/c.pdf"]),
    ];
    for (selection, paths) in cases {
        let restore = world.orders(&Draft { selection: selection.clone(), ..world.draft.clone() }).unwrap();
        let order = world.fetched().unwrap();
        assert_eq!(order.selection, paths);
        let files = world.manifest.files.iter().filter(|it| selection.chosen().covers(&it.path)).cloned().collect();
        world.tells(&world.target, restore.id, &RestoreResult { files, ..RestoreResult::default() });
        let done = world.find(restore.id);
        assert_eq!((done.state, done.matched_count, done.file_count), (RestoreState::Compared, 1, 1));
        let command = world.server.read(|conn| Ok(store::command::find(conn, done.command_id.unwrap())?)).unwrap();
        let detail = "1 files restored".to_owned();
        let result = CommandResult { id: command.id, done: true, detail, finished_at: NOW };
        world.target.report(&world.server, vec![result]);
    }
    for nothing in [Selection::Paths(vec![]), Selection::Paths(vec!["/home/alan".to_owned()])] {
        let refused = world.orders(&Draft { selection: nothing, ..world.draft.clone() });
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
}

#[test]
fn a_ticket_opens_its_own_repository_and_ends_with_its_time() {
    let world = World::new();
    let restore = world.orders(&world.draft).unwrap();
    let order = world.fetched().unwrap();
    let ticket = world.secret(&order).ticket;

    let target = world.target.id();
    let other = world.server.read(|conn| Ok(store::repository::active_of_device(conn, target)?)).unwrap();
    let elsewhere =
        RestoreOrder { repository_id: other.id, repository_path: format!("/restic/{}/", other.id), ..order.clone() };

    assert_eq!(world.reads(&order, &ticket).status, 200);
    assert_eq!(world.reads(&elsewhere, &ticket).status, 401);
    assert_eq!(world.reads(&order, "hf_restore_guess").status, 401);
    world.server.app.clock.advance(hours(24));
    assert_eq!(world.reads(&order, &ticket).status, 401, "its time is over, whether a job has run or not");
    job::wipe::run_once(&world.server.app.store, &world.server.app.clock).unwrap();
    assert_eq!(world.find(restore.id).state, RestoreState::Expired);
    assert_eq!(world.tells(&world.target, restore.id, &world.all_back()).status, 409);
}

#[test]
fn a_ticket_ends_with_the_enrolment_that_it_was_sealed_to() {
    type End = fn(&World);
    let ends: &[(&str, End)] = &[
        ("the device was removed", |world| {
            let id = world.target.id();
            act_as(&world.server, world.operator, move |conn, by| {
                service::removal::request(conn, by, id, "laptop-1", NOW)
            })
            .unwrap();
        }),
        ("the device enrolled again", |world| {
            let id = world.target.id();
            let token = token(&world.server, |draft| draft.device_id = Some(id));
            assert_eq!(SimDevice::new().enroll(&world.server, &token).status, 200);
        }),
    ];
    for (why, end) in ends {
        let world = World::new();
        let restore = world.orders(&world.draft).unwrap();
        let order = world.fetched().unwrap();
        let ticket = world.secret(&order).ticket;
        assert_eq!(world.reads(&order, &ticket).status, 200);

        end(&world);

        assert_eq!(world.reads(&order, &ticket).status, 401, "{why}");
        let cancelled = world.find(restore.id);
        assert_eq!((cancelled.state, cancelled.outcome().unwrap().note.as_str()), (RestoreState::Cancelled, *why));
    }
}

#[test]
fn a_restore_is_reported_only_by_its_own_target() {
    let world = World::new();
    let restore = world.orders(&world.draft).unwrap();
    world.fetched().unwrap();

    let answer = world.tells(&world.source, restore.id, &world.all_back());

    assert_eq!(answer.status, 404);
    assert_eq!(world.find(restore.id).state, RestoreState::Queued);
}

#[test]
fn what_is_refused_to_a_device_still_counts_as_received_once() {
    let world = World::new();
    let restore = world.orders(&world.draft).unwrap();
    let (unknown, foreign) = (RestoreId::generate(NOW), restore.id);
    for (id, what) in [(unknown, "result"), (unknown, "progress"), (foreign, "result"), (foreign, "progress")] {
        let path = format!("/agent/v1/restores/{id}/{what}");
        let body = match what {
            "result" => serde_json::to_vec(&world.all_back()).unwrap(),
            _ => serde_json::to_vec(&RestoreProgress { restored_count: 1, file_count: 4 }).unwrap(),
        };
        let token = world.source.token(world.now(), "POST", &path, &body);
        let send = || post(&world.server, &path, &token, &body).json()["error"].as_str().unwrap().to_owned();

        assert_eq!([send(), send()], ["not_found", "replayed"], "{path}");
    }
}

#[test]
fn a_result_counts_only_for_what_it_was_compared_with() {
    let world = World::new();
    let id = world.orders(&world.draft).unwrap().id;
    world.fetched().unwrap();
    let target = world.target.id();
    let expected = world.server.read(|conn| restore::expected(conn, target, id)).unwrap();
    let said = domain::restore::RestoreResult { files: world.manifest.files.clone(), ..Default::default() };
    let compared = restore::compare(&*world.server.app.blobs, expected, &said).unwrap();
    let now = world.now();
    let take = |compared| {
        world.server.store().act_blocking(move |conn| {
            let device = store::device::find(conn, target)?.unwrap();
            restore::result(conn, &device.actor(Via::Agent, ""), &device, id, compared, now)
        })
    };
    let choose = |chosen: Selection| {
        let restore = Restore { selection: serde_json::to_string(&chosen).unwrap(), ..world.find(id) };
        world.server.act(move |conn| Ok(store::restore::update(conn, &restore, restore.state)?));
    };

    choose(Selection::Class(FileClass::Photos));
    assert!(matches!(take(Some(compared.clone())), Err(Error::Conflict(_))));
    assert!(matches!(take(None), Err(Error::Conflict(_))), "nothing was compared");
    assert!(!world.find(id).state.is_final());

    choose(Selection::All);
    take(Some(compared)).unwrap();
    assert_eq!(world.find(id).state, RestoreState::Compared);
}

#[test]
fn more_files_than_one_report_takes_are_refused_before_anything_is_ordered() {
    let world = World::new();
    let draft = world.draft.clone();
    let plan = act_by(&world.server, world.operator, Presence::Page, Reach::All, move |conn, by| {
        restore::plan(conn, by, &draft)
    });
    let keys = world.server.app.proof_keys.clone().unwrap();
    let file = |n: u32| ManifestFile { path: format!("/home/ada/{}/{n:0150}", n % 7), size: 1, sha256: "0".repeat(64) };
    let manifest = Manifest { header: world.manifest.header.clone(), files: (0..300_000).map(file).collect() };
    let plan = plan.unwrap();
    let prepare = |selection: &Selection| restore::prepare(&plan, &manifest, selection, &*keys, NOW);

    let all = prepare(&Selection::All).unwrap_err().to_string();
    assert!(all.contains("Choose some of the folders"), "{all}");
    prepare(&Selection::Paths(vec!["/home/ada/3".to_owned()])).unwrap();
}

#[test]
fn a_point_that_is_not_proven_needs_a_tick() {
    let world = World::new();
    let point = world.draft.point;
    world.server.act(move |conn| {
        let mut row = store::restore_point::find(conn, point)?.unwrap();
        row.proven_at = None;
        store::evidence::set_point(conn, &row)?;
        Ok(())
    });

    let refused = world.orders(&world.draft).unwrap_err();
    let taken = world.orders(&Draft { accepts_unproven: true, ..world.draft.clone() });

    assert!(refused.to_string().contains("not proven"), "{refused}");
    assert!(taken.is_ok(), "{taken:?}");
}

#[test]
fn a_cancelled_restore_is_not_delivered_and_its_ticket_opens_nothing() {
    let world = World::new();
    let [early, late] = [(); 2].map(|()| world.orders(&world.draft).unwrap());
    let cancel = |id: RestoreId| {
        let now = world.now();
        act_as(&world.server, world.operator, move |conn, by| restore::cancel(conn, by, id, now))
    };

    cancel(early.id).unwrap();
    let order = world.fetched().unwrap();
    assert_eq!(order.restore_id, late.id);
    let ticket = world.secret(&order).ticket;
    assert_eq!(world.reads(&order, &ticket).status, 200);
    cancel(late.id).unwrap();

    assert_eq!(world.reads(&order, &ticket).status, 401);
    assert!(world.fetched().is_none());
    assert!(cancel(late.id).is_err());
    let early = world.server.read(|conn| Ok(store::command::find(conn, early.command_id.unwrap())?)).unwrap();
    assert_eq!(early.state, CommandState::Cancelled);
}

#[test]
fn both_devices_must_be_within_reach_and_the_target_enrolled() {
    let world = World::new();
    let elsewhere = Reach::Teams(vec![TeamId::generate(NOW)]);

    let hidden = world.asks_within(world.operator, &world.draft, elsewhere);
    let target = world.target.id();
    world.server.act(move |conn| {
        use domain::device::DeviceState as S;
        store::device::set_state(conn, target, 1, (S::Enrolled, S::Wiped), NOW)?;
        Ok(())
    });
    let wiped = world.orders(&world.draft);

    assert!(matches!(hidden, Err(Error::NotFound(_))), "{hidden:?}");
    assert!(matches!(wiped, Err(Error::Refused(_))), "{wiped:?}");
}

#[test]
fn a_form_that_is_sent_twice_is_one_restore() {
    let world = World::new();
    let draft = Draft { request_key: Some("form".to_owned()), ..world.draft.clone() };

    let [first, again] = [(); 2].map(|()| world.orders(&draft).unwrap());

    assert_eq!(first.id, again.id);
    assert!(world.orders(&Draft { target: world.source.id(), ..draft }).is_err());
}

#[test]
fn a_restore_that_the_device_cannot_do_has_failed() {
    let world = World::new();
    let restore = world.orders(&world.draft).unwrap();
    world.fetched().unwrap();

    let id = restore.command_id.unwrap();
    let detail = "no folder to write to".to_owned();
    world.target.report(&world.server, vec![CommandResult { id, done: false, detail, finished_at: NOW }]);

    let failed = world.find(restore.id);
    assert_eq!(failed.state, RestoreState::Failed);
    assert!(failed.outcome().unwrap().note.contains("no folder"));
}

#[test]
fn the_four_steps_order_a_restore_without_scripts() {
    let world = World::new();
    let operator = Visit::of(&world.server, world.operator);
    let base = format!("/devices/{}/restore", world.source.id());
    let (point, target) = (world.draft.point, world.target.id());

    let first = text(&operator.get(&base));
    assert!(first.contains(&format!("{base}/what?point={point}")), "{first}");
    let from_first = text(&operator.get(&format!("{base}/what?point={point}")));
    assert!(!from_first.contains("value=\"/home/grace/b.jpg\""), "{from_first}");
    let asked = |path: &str, fields: &[(&str, &str)]| text(&operator.post(&format!("{base}/{path}"), fields));
    let point = point.to_string();
    let searched = [("point", point.as_str()), ("path", "/home/grace/c.txt"), ("files", "B.JPG")];
    let second = asked("what", &searched);
    assert!(second.contains("value=\"/home/grace/c.txt\" checked"), "a search keeps what was chosen: {second}");
    assert!(
        second.contains("value=\"/home/grace/b.jpg\"") && !second.contains("value=\"/home/grace/a.vcf\""),
        "{second}"
    );
    let target = target.to_string();
    let chosen = [("point", point.as_str()), ("what", "paths"), ("path", "/home/grace/b.jpg")];
    let third = asked("where", &chosen);
    assert!(third.contains(&format!("value=\"{target}\"")), "{third}");
    let chosen = [&chosen[..], &[("target", &target), ("conflict", "skip")]].concat();
    let fourth = asked("preview", &chosen);
    assert!(fourth.contains("Ask to restore 1 file"), "{fourth}");
    let key = hidden(&fourth, "request_key");
    let fields = [
        ("request_key", key.as_str()),
        ("point", &point),
        ("what", "paths"),
        ("path", "/home/grace/b.jpg"),
        ("target", &target),
        ("conflict", "skip"),
    ];
    let without = operator.post(&format!("{base}s"), &fields);
    assert_eq!(without.status, 422, "it leaves its device, and nobody said why");
    let fields = [&fields[..], &[("reason", "the old one broke")]].concat();
    let made = location(&operator.post(&format!("{base}s"), &fields));
    assert_eq!(location(&operator.post(&format!("{base}s"), &fields)), made, "sent twice is one restore");
    assert!(world.fetched().is_none(), "nothing is sent before a second person approves");
    let second = Visit::of(&world.server, world.second);
    assert!(text(&second.get("/approvals")).contains(&format!("href=\"{made}\"")));
    let seen = hidden(&text(&second.get(&made)), "seen");
    assert_eq!(location(&second.post(&format!("{made}/approvals"), &[("seen", &seen)])), made);
    let order = world.fetched().unwrap();
    let files = vec![file("/home/grace/b.jpg")];
    world.tells(&world.target, order.restore_id, &RestoreResult { files, ..RestoreResult::default() });

    assert_eq!(
        (order.selection.as_slice(), order.conflict),
        (["/home/grace/b.jpg".to_owned()].as_slice(), Conflict::Merge)
    );
    assert!(text(&operator.get(&made)).contains("1 of 1 file came back equal"));
    assert!(text(&operator.get("/restores")).contains("1 of 1"));
}

#[test]
fn a_proven_point_is_offered_first_however_many_others_came_after_it() {
    let world = World::new();
    let device = world.source.id();
    world.server.act(move |conn| {
        let repository = store::repository::active_of_device(conn, device)?.unwrap().id;
        for minute in 1..=70 {
            let point = restore_point(repository, device, NOW + minutes(minute));
            let manifest_name = Some(point.snapshot_name.clone());
            store::restore_point::insert(conn, &RestorePoint { manifest_name, ..point })?;
        }
        Ok(())
    });

    let list = text(&Visit::of(&world.server, world.operator).get(&format!("/devices/{device}/restore")));

    let offered: Vec<_> = list.split("/restore/what?point=").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!((offered[0], offered.len()), (world.draft.point.as_str(), 61), "{list}");
}

#[test]
fn who_may_not_restore_sees_results_without_names() {
    let world = World::new();
    let restore = world.orders(&world.draft).unwrap();
    world.fetched().unwrap();
    world.tells(&world.target, restore.id, &RestoreResult { files: vec![], ..RestoreResult::default() });
    let observer = Visit::of(&world.server, colleague(&world.server, "observer", Role::Observer));
    let operator = Visit::of(&world.server, world.operator);
    let path = format!("/restores/{}", restore.id);

    assert_eq!(observer.get(&format!("/devices/{}/restore", world.source.id())).status, 403);
    assert_eq!(observer.post(&format!("{path}/cancellations"), &[]).status, 403);
    let [seen, known] = [&observer, &operator].map(|it| text(&it.get(&path)));
    assert!(seen.contains("Did not come back: 4") && !seen.contains("a.vcf"), "{seen}");
    assert!(known.contains("/home/grace/a.vcf"));
}

#[test]
fn a_restore_needs_a_password_entered_just_now() {
    let world = World::new();
    let operator = Visit::stale(&world.server, world.operator);
    let base = format!("/devices/{}/restore", world.source.id());
    let (point, target) = (world.draft.point.to_string(), world.target.id().to_string());
    let chosen = [
        ("point", point.as_str()),
        ("what", "paths"),
        ("path", "/home/grace/b.jpg"),
        ("target", target.as_str()),
        ("reason", "the old one broke"),
    ];

    let page = text(&operator.post(&format!("{base}/preview"), &chosen));
    let sent = operator.post(&format!("{base}s"), &chosen);

    assert!(page.contains("type=\"password\""), "{page}");
    assert_eq!(sent.status, 422);
    assert_eq!(hidden(&text(&sent), "path"), "/home/grace/b.jpg", "what was chosen stays");
    assert!(text(&operator.get("/restores")).contains("Nothing has been restored"));
}

#[test]
fn a_step_that_was_left_out_is_shown_again_with_what_was_chosen() {
    let world = World::new();
    let operator = Visit::of(&world.server, world.operator);
    let base = format!("/devices/{}/restore", world.source.id());
    let (point, target) = (world.draft.point.to_string(), world.target.id().to_string());
    let chosen = [("point", point.as_str()), ("what", "paths"), ("path", "/home/grace/b.jpg")];

    let nothing = operator.post(&format!("{base}/where"), &chosen[..2]);
    let nowhere = operator.post(&format!("{base}/preview"), &chosen);
    let odd =
        operator.post(&format!("{base}/preview"), &[&chosen[..], &[("target", &target), ("conflict", "odd")]].concat());

    assert_eq!([nothing.status, nowhere.status, odd.status], [422; 3]);
    assert!(text(&nothing).contains("step 2 of 4") && text(&nothing).contains("Nothing is chosen yet"));
    for answer in [nowhere, odd] {
        let page = text(&answer);
        assert!(page.contains("step 3 of 4") && page.contains("<a href=\"#"), "{page}");
        assert_eq!(hidden(&page, "path"), "/home/grace/b.jpg");
    }
}

#[test]
fn many_files_are_chosen_at_once() {
    let world = World::new();
    let operator = Visit::of(&world.server, world.operator);
    let (point, target) = (world.draft.point.to_string(), world.target.id().to_string());
    let paths: Vec<String> = (0..5_000).map(|at| format!("/home/grace/photos/{at:0>80}.jpg")).collect();
    let mut fields = vec![("point", point.as_str()), ("what", "paths"), ("target", &target), ("conflict", "skip")];
    fields.push(("path", "/home/grace/b.jpg"));
    fields.push(("reason", "the old one broke"));
    fields.extend(paths.iter().map(|it| ("path", it.as_str())));

    let made = operator.post(&format!("/devices/{}/restores", world.source.id()), &fields);

    assert!(location(&made).starts_with("/restores/"));
}

#[test]
fn a_target_is_found_whatever_the_case_and_a_percent_sign_is_itself() {
    let world = World::new();
    let found =
        |search: &str| world.server.read(|conn| Ok(store::restore::targets(conn, &Reach::All, search, 9)?)).len();
    let name = world.server.read(|conn| Ok(store::device::find(conn, world.target.id())?)).unwrap().name;

    assert!(found(&name.to_uppercase()) > 0, "{name}");
    assert_eq!(found("%"), 0);
}
