//! Devices put straight into the database, with any evidence.
use super::NOW;
use domain::channel::Channel;
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::id::{DeviceId, EnrollmentTokenId, RestorePointId, TeamId};
use domain::role::Reach;
use domain::time::{Time, days, minutes};
use holdfast::store::agent_enrollment::AgentEnrollment;
use holdfast::store::device::Device;
use holdfast::store::device_proof::DeviceProof;
use holdfast::store::device_status::DeviceStatus;
use holdfast::store::enrollment::Enrollment;
use holdfast::store::enrollment_token::EnrollmentToken;
use holdfast::store::{self, Conn};

/// Numbers that look random and are the same in each run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The enrolment token they all joined with.
pub fn token(conn: &mut Conn) -> EnrollmentTokenId {
    let id = EnrollmentTokenId::generate(NOW);
    let token = EnrollmentToken {
        id,
        token_hash: id.to_string(),
        name: "fleet".to_owned(),
        team_id: None,
        device_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        use_count: 1,
        created_by: "test".to_owned(),
        created_at: NOW,
        expires_at: NOW + days(1),
        revoked_at: None,
    };
    store::enrollment_token::insert(conn, &token).unwrap();
    id
}

/// A company laptop that enrolled 60 days ago, checked in just now, and never backed up.
pub fn device(name: &str) -> (Device, DeviceStatus, DeviceProof) {
    let enrolled_at = NOW - days(60);
    let id = DeviceId::generate(enrolled_at);
    let device = Device {
        id,
        name: name.to_owned(),
        person: "Grace Hopper".to_owned(),
        team_id: None,
        platform: Platform::Linux,
        model: "ThinkPad".to_owned(),
        serial: format!("SN-{}", &id.as_str()[28..]),
        os_version: "Debian GNU/Linux 12.5".to_owned(),
        ownership: Ownership::Company,
        state: DeviceState::Enrolled,
        generation: 1,
        enrolled_at,
        erased_at: None,
    };
    let mut status = DeviceStatus { encryption: Encryption::On, ..DeviceStatus::new(id) };
    seen(&mut status, NOW);
    (device, status, no_proof(id))
}

/// What is known of a device without a backup.
pub fn no_proof(id: DeviceId) -> DeviceProof {
    DeviceProof::none(id)
}

/// Evidence that data of `at` was proven, and that this holds until `until`.
pub fn proven(mut proof: DeviceProof, at: Time, until: Time) -> DeviceProof {
    proof.rank = 6;
    (proof.newest_at, proof.stored_at, proof.verified_at, proof.proven_at) = (Some(at), Some(at), Some(at), Some(at));
    proof.noted_at = Some(at);
    (proof.proven_tested_at, proof.verified_tested_at) = (Some(at), Some(at));
    (proof.proven_until, proof.verified_until) = (Some(until), Some(until));
    (proof.file_count, proof.matched_count) = (1204, 1204);
    (proof.not_proven_files, proof.not_proven_bytes) = (Some(0), Some(0));
    (proof.baseline_id, proof.baseline_at) = (Some(RestorePointId::generate(at)), Some(at));
    (proof.baseline_files, proof.baseline_bytes, proof.filled_points) = (Some(1204), Some(1_000_000), 1);
    proof
}

/// The device counted this many files that no backup has, at `at`, on a schedule of a quarter of an hour.
pub fn counts(status: &mut DeviceStatus, files: i64, at: Time) {
    (status.changed_files, status.changed_bytes) = (Some(files), Some(files * 1_000));
    status.changed_measured_at = Some(at);
    seen(status, at);
    status.changed_until = status.heard_until;
}

/// The device checked in at `at`, on that schedule.
pub fn seen(status: &mut DeviceStatus, at: Time) {
    (status.last_seen_at, status.heard_until) = (Some(at), Some(at + minutes(30)));
}

/// Puts a device in, enrolled through our agent.
pub fn insert(conn: &mut Conn, (device, status, proof): &(Device, DeviceStatus, DeviceProof)) {
    store::device::insert(conn, device).unwrap();
    enroll(conn, device);
    store::device_status::set(conn, status).unwrap();
    store::device_proof::set(conn, proof).unwrap();
}

/// Enrolls a device that was put in by hand through our agent, with an identity of its own.
pub fn enroll(conn: &mut Conn, device: &Device) {
    let token = store::enrollment_token::newest(conn, &Reach::All, 1).unwrap().first().map(|it| it.id);
    let (device_id, generation) = (device.id, device.generation);
    let enrollment = Enrollment {
        device_id,
        generation,
        channel: Channel::AGENT.to_owned(),
        identity: device.id.to_string(),
        carries: serde_json::to_string(&Channel::agent().carries).unwrap(),
        token_id: token.unwrap_or_else(|| self::token(conn)),
        enrolled_at: device.enrolled_at,
        ended_at: None,
        cannot: "{}".to_owned(),
    };
    store::enrollment::insert(conn, &enrollment).unwrap();
    let agent = AgentEnrollment {
        device_id,
        generation,
        sealing_key: "key".to_owned(),
        protected_roots: r#"["/home/grace"]"#.to_owned(),
        version: "0.1.0".to_owned(),
    };
    store::agent_enrollment::insert(conn, &agent).unwrap();
}

/// Any devices at all, the same for the same seed: every grade, state, platform, and times on both sides of `NOW`.
pub fn random(conn: &mut Conn, count: usize, teams: &[TeamId], seed: u64) -> Vec<(Device, DeviceStatus, DeviceProof)> {
    let mut random = Random::new(seed);
    let fleet: Vec<_> = (0..count).map(|_| any(teams, &mut random)).collect();
    for it in &fleet {
        insert(conn, it);
    }
    fleet
}

fn any(teams: &[TeamId], random: &mut Random) -> (Device, DeviceStatus, DeviceProof) {
    let name = format!("{}-{}", random.pick(&["laptop", "Kiosk", "ÉCRAN", "mbp"]), random.below(40));
    let (mut it, mut status, mut proof) = device(&name);
    it.person = (*random.pick(&["Amira Haddad", "J. Okafor", "Élodie", ""])).to_owned();
    it.team_id = if random.chance(70) && !teams.is_empty() { Some(*random.pick(teams)) } else { None };
    it.platform = *random.pick(Platform::ALL);
    it.ownership = *random.pick(Ownership::ALL);
    it.enrolled_at = NOW - days(random.below(60));
    if random.chance(10) {
        it.state = *random.pick(&[DeviceState::Wiped, DeviceState::CompanyDataRemoved, DeviceState::Removed]);
    }
    status.encryption = *random.pick(Encryption::ALL);
    said(&mut status, random);
    evidence(&mut proof, random);
    (it, status, proof)
}

/// Any check-in, long ago or just now, with or without a count.
fn said(status: &mut DeviceStatus, random: &mut Random) {
    let ago = if random.chance(60) { minutes(random.below(40)) } else { days(random.below(30)) };
    let at = if random.chance(3) { NOW + days(2) } else { NOW - ago };
    if random.chance(90) {
        counts(status, if random.chance(60) { 0 } else { 3 }, at);
    }
    if random.chance(10) {
        status.changed_files = None;
    }
    if random.chance(10) {
        status.changed_until = Some(at + minutes(random.below(20)));
    }
    if random.chance(8) {
        status.roots_away = r#"["/mnt/disk"]"#.to_owned();
    }
}

/// Whole days, so that many times are equal and the order must fall back to the id.
fn evidence(proof: &mut DeviceProof, random: &mut Random) {
    let mut past = |percent: u64| random.chance(percent).then(|| NOW - days(random.below(12)));
    proof.newest_at = past(90);
    proof.stored_at = past(90).and(proof.newest_at);
    proof.verified_at = past(70).and(proof.stored_at);
    proof.proven_at = past(70).and(proof.verified_at);
    proof.partial_at = past(20).and(proof.verified_at);
    proof.failed_at = past(8);
    proof.baseline_at = proof.newest_at;
    proof.baseline_id = proof.newest_at.map(RestorePointId::generate);
    let mut some = |percent: u64| random.chance(percent).then(|| i64::from(random.chance(40)) * 92);
    (proof.not_proven_files, proof.baseline_files) = (some(85), some(85));
    (proof.not_proven_bytes, proof.baseline_bytes) = (proof.not_proven_files, proof.baseline_files);
    proof.filled_points = i64::from(proof.newest_at.is_some() && random.chance(80));
    proof.noted_at = proof.newest_at;
    proof.damaged_files = if random.chance(5) { 3 } else { 0 };
    let until = |at: Option<Time>, days_left: u64| at.map(|it| it + days(days_left));
    proof.verified_until = until(proof.verified_at, 10);
    proof.proven_until = until(proof.proven_at, 7);
    proof.partial_until = until(proof.partial_at, 7);
    (proof.verified_tested_at, proof.proven_tested_at) = (proof.verified_at, proof.proven_at);
    proof.partial_tested_at = proof.partial_at;
    if random.chance(5) {
        proof.newest_at = Some(NOW + days(365));
    }
    if random.chance(5) {
        proof.noted_at = Some(NOW + days(365));
    }
    if random.chance(5) {
        proof.partial_tested_at = proof.partial_at.map(|_| NOW + days(365));
    }
    if random.chance(5) {
        proof.proven_tested_at = proof.proven_at.map(|_| NOW + days(365));
    }
    if random.chance(5) {
        proof.verified_tested_at = proof.verified_at.map(|_| NOW + days(365));
    }
    proof.rank = match (proof.failed_at, proof.proven_at, proof.verified_at, proof.stored_at, proof.newest_at) {
        (Some(_), ..) => 0,
        (_, Some(_), ..) => 6,
        (_, _, Some(_), ..) => 4,
        (_, _, _, Some(_), _) => 3,
        (.., Some(_)) => 2,
        (.., None) => 1,
    };
}
