//! A device with something to lose, and the people around it.
use crate::support::NOW;
use crate::support::device::{SimDevice, token};
use crate::support::people::{act_as, colleague};
use crate::support::server::TestServer;
use domain::device::{Encryption, Ownership};
use domain::fact::{Changes, EncryptionFact};
use domain::id::{DeviceId, RestorePointId, UserId, WipeRequestId};
use domain::object::{ObjectName, TokenKind};
use domain::role::Role;
use domain::time::{Time, days, hours};
use domain::wipe::{Facts, WipeAction, WipeReason, WipeState, WipedRoot};
use holdfast::error::Result;
use holdfast::service::approval;
use holdfast::service::wipe::{self, Ask, Decision, Seen};
use holdfast::store::device_proof::DeviceProof;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::wipe::WipeRequest;
use holdfast::{job, store};
use wire::{Command, DeviceFacts, Fact, WIPE_REPORTS, WipeReport};

pub struct World {
    pub server: TestServer,
    pub device: SimDevice,
    /// May request.
    pub asker: UserId,
    /// May approve.
    pub second: UserId,
}

impl World {
    pub fn new() -> Self {
        Self::with(Ownership::Company)
    }

    pub fn with(ownership: Ownership) -> Self {
        let server = TestServer::start();
        let (asker, second) =
            (colleague(&server, "asker", Role::Operator), colleague(&server, "second", Role::Approver));
        let mut device = SimDevice::new();
        let token = token(&server, |draft| draft.ownership = ownership);
        device.enrolled = Some(device.enroll(&server, &token).message());
        let world = Self { server, device, asker, second };
        world.says(4);
        world.proves(Some(20), 92);
        world
    }

    pub fn now(&self) -> Time {
        self.server.app.clock.now()
    }

    /// The device checks in with this many files that no backup has; returns the orders it gets.
    pub fn says(&self, files: i64) -> Vec<Command> {
        self.device.check_in(&self.server, said(files, Encryption::On, self.now())).commands
    }

    /// The device checks in without anything new; answers the orders it gets.
    pub fn fetches(&self) -> Vec<Command> {
        self.device.check_in(&self.server, DeviceFacts::default()).commands
    }

    /// The newest backup is two hours old; the proven one is this many hours before NOW.
    pub fn proves(&self, proven_hours: Option<u64>, not_proven: i64) {
        let id = self.device.id();
        self.server.act(move |conn| {
            let repository = store::repository::active_of_device(conn, id)?.unwrap();
            let mut point = |age| -> Result<RestorePoint> {
                let row = restore_point(repository.id, id, NOW - hours(age));
                store::restore_point::insert(conn, &row)?;
                Ok(row)
            };
            let proven = proven_hours.map(&mut point).transpose()?;
            let newest = point(2)?;
            store::device_proof::set(conn, &proof(id, &newest, proven.as_ref(), not_proven))?;
            Ok(())
        });
    }

    pub fn facts(&self) -> Facts {
        let (id, now) = (self.device.id(), self.now());
        self.server.read(|conn| {
            let device = store::device::find(conn, id)?.unwrap();
            wipe::facts(conn, &device, now)
        })
    }

    /// What somebody sends who looked at the page and ticked and typed all of it right.
    pub fn ask(&self) -> Ask {
        ask(&self.facts())
    }

    pub fn requests(&self, ask: Ask) -> Result<WipeRequest> {
        let now = self.now();
        act_as(&self.server, self.asker, move |conn, by| wipe::request(conn, by, &ask, now))
    }

    /// A request of this device that waits for approval.
    pub fn requested(&self) -> WipeRequest {
        self.requests(self.ask()).unwrap()
    }

    pub fn seen(&self, request: &WipeRequest) -> Seen {
        Seen { agreed: request.facts_digest.clone(), current: approval::digest(&self.facts()).unwrap() }
    }

    pub fn approves_as(&self, user: UserId, request: &WipeRequest) -> Result<Decision> {
        let (id, seen, now) = (request.id, self.seen(request), self.now());
        act_as(&self.server, user, move |conn, by| wipe::approve(conn, by, id, &seen, now))
    }

    pub fn approved(&self, request: &WipeRequest) -> WipeRequest {
        match self.approves_as(self.second, request).unwrap() {
            Decision::Approved(it) => it,
            Decision::ReviewAgain(it) => panic!("{it:?}"),
        }
    }

    /// The hold passes and the job runs.
    pub fn cools(&self) {
        self.server.app.clock.advance(std::time::Duration::from_secs(600));
        self.job();
    }

    pub fn job(&self) {
        job::wipe::run_once(&self.server.app.store, &self.server.app.clock).unwrap();
    }

    /// Orders whose time is over end, and the job runs.
    pub fn expires(&self) {
        job::expiry::run_once(self.server.store(), self.now()).unwrap();
        self.job();
    }

    /// A request that was approved, and whose hold is over.
    pub fn released(&self) -> WipeRequest {
        self.releases(self.ask())
    }

    /// The same of another request.
    pub fn releases(&self, ask: Ask) -> WipeRequest {
        let request = self.requests(ask).unwrap();
        self.approved(&request);
        self.cools();
        let request = self.find(request.id);
        assert_eq!(request.state, WipeState::Released, "{}", request.state_note);
        request
    }

    /// The same device joins again.
    pub fn enrols_again(&mut self) {
        let id = self.device.id();
        let token = token(&self.server, |draft| draft.device_id = Some(id));
        let mut anew = SimDevice::new();
        anew.enrolled = Some(anew.enroll(&self.server, &token).message());
        self.device = anew;
    }

    /// How many mails of this subject were written.
    pub fn told(&self, subject: &str) -> usize {
        let mails = self.server.read(|conn| Ok(store::mail::due(conn, self.now(), 500)?));
        mails.iter().filter(|it| it.subject == subject).count()
    }

    pub fn stops(&self, id: WipeRequestId) -> Result<WipeRequest> {
        let now = self.now();
        act_as(&self.server, self.second, move |conn, by| wipe::stop(conn, by, id, "the laptop was found", now))
    }

    pub fn find(&self, id: WipeRequestId) -> WipeRequest {
        self.server.read(|conn| Ok(store::wipe::find(conn, id)?)).unwrap()
    }

    pub fn state(&self, id: WipeRequestId) -> WipeState {
        self.find(id).state
    }

    /// The device's report of a wipe of all its roots.
    pub fn report(&self, request: &WipeRequest, refused: &[&str]) -> WipeReport {
        WipeReport {
            command_id: request.command_id.unwrap(),
            generation: self.device.generation(),
            complete: refused.is_empty(),
            key_destroyed: true,
            roots: vec![WipedRoot {
                path: "/home/grace".to_owned(),
                removed_files: 96,
                removed_bytes: 1_000,
                refused: refused.iter().map(|it| (*it).to_owned()).collect(),
            }],
            finished_at: self.now(),
        }
    }

    pub fn sends(&self, report: &WipeReport) -> crate::support::server::Answer {
        self.device.send(&self.server, WIPE_REPORTS, report)
    }

    /// Every act in this device's history, oldest first.
    pub fn history(&self) -> Vec<String> {
        let id = self.device.id();
        let all = self.server.read(|conn| Ok(store::activity::all(conn)?));
        all.into_iter().filter(|it| it.device_id == Some(id)).map(|it| it.action.as_str().to_owned()).collect()
    }
}

/// All of it right.
pub fn ask(facts: &Facts) -> Ask {
    Ask {
        erasure: Default::default(),
        device: facts.device_id,
        action: WipeAction::Wipe,
        reason: WipeReason::LostOrStolen,
        ticket: "T-17".to_owned(),
        facts_token: approval::digest(facts).unwrap(),
        serial: facts.typed_name(),
        consent: facts.consent(),
        request_key: None,
    }
}

pub fn said(files: i64, encryption: Encryption, now: Time) -> DeviceFacts {
    let source = "test".to_owned();
    let encryption = EncryptionFact { state: encryption, method: "LUKS2".to_owned() };
    DeviceFacts {
        encryption: Some(Fact { value: encryption, source: source.clone(), measured_at: now }),
        changes: Some(Fact { value: Changes { files, bytes: files * 1_000 }, source, measured_at: now }),
        ..DeviceFacts::default()
    }
}

pub fn restore_point(repository: domain::id::RepositoryId, device: DeviceId, at: Time) -> RestorePoint {
    let id = RestorePointId::generate(at);
    let snapshot = ObjectName::from_hash(&secret::sha256(id.as_str().as_bytes()));
    RestorePoint {
        claimed_at: Some(at),
        file_count: Some(100),
        size_bytes: Some(1_000_000),
        reported_at: Some(at),
        verified_at: Some(at),
        verified_until: Some(at + days(30)),
        ..RestorePoint::received((repository, device), &snapshot, TokenKind::Agent, at)
    }
}

fn proof(device: DeviceId, newest: &RestorePoint, proven: Option<&RestorePoint>, not_proven: i64) -> DeviceProof {
    DeviceProof {
        rank: if proven.is_some() { 6 } else { 4 },
        newest_point_id: Some(newest.id),
        newest_at: Some(newest.received_at),
        stored_at: Some(newest.received_at),
        verified_at: Some(newest.received_at),
        verified_tested_at: Some(newest.received_at),
        verified_until: Some(NOW + days(30)),
        proven_point_id: proven.map(|it| it.id),
        proven_at: proven.map(|it| it.received_at),
        proven_tested_at: proven.map(|it| it.received_at),
        proven_until: proven.map(|_| NOW + days(7)),
        file_count: 100,
        matched_count: 100,
        not_proven_files: Some(not_proven),
        not_proven_bytes: Some(not_proven * 1_000),
        baseline_id: Some(newest.id),
        baseline_at: Some(newest.received_at),
        baseline_files: newest.file_count,
        baseline_bytes: newest.size_bytes,
        filled_points: 1,
        noted_at: Some(newest.received_at),
        ..DeviceProof::none(device)
    }
}
