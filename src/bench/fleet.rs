//! An organisation's devices in a database, as mixed as in real life.
use crate::bench::device;
use crate::error::Result;
use crate::service::account::{self, Origin};
use crate::store::device_proof::DeviceProof;
use crate::store::device_status::DeviceStatus;
use crate::store::team::Team;
use crate::store::user::User;
use crate::store::{self, Conn, Store};
use crate::web::visitor::session_cookie;
use domain::account::UserState;
use domain::device::{Encryption, Platform};
use domain::id::{DeviceId, RestorePointId, TeamId, UserId};
use domain::role::{Role, Scope};
use domain::time::{Time, days, hours, minutes};

const TEAMS: usize = 20;
const PEOPLE: [&str; 8] = [
    "Ada Lovelace",
    "Grace Hopper",
    "Katherine Johnson",
    "Radia Perlman",
    "Barbara Liskov",
    "Frances Allen",
    "Karen Jones",
    "Adele Goldberg",
];
const PLATFORMS: [Platform; 3] = [Platform::Linux, Platform::Macos, Platform::Windows];

/// Adds `count` devices in 20 teams: 70 of 100 proven, 12 out of date, 5 failed, 5 verified, 3 stored, 5 never.
///
/// # Errors
/// When the database refuses.
pub fn add(store: &Store, count: usize, now: Time) -> Result<()> {
    store.act_blocking(move |conn| -> Result<()> {
        let token = device::add_token(conn, now)?;
        let teams: Vec<TeamId> = (0..TEAMS).map(|_| TeamId::generate(now)).collect();
        for (number, id) in teams.iter().enumerate() {
            store::team::insert(conn, &Team { id: *id, name: format!("Team {number:02}"), created_at: now })?;
        }
        for number in 0..count {
            let id = DeviceId::generate(now);
            let mut device = device::device(id, now - days(400));
            device.name = format!("laptop-{number:06}");
            device.person = PEOPLE.get(number % PEOPLE.len()).copied().unwrap_or_default().to_owned();
            device.team_id = teams.get(number % TEAMS).copied();
            device.platform = PLATFORMS.get(number % PLATFORMS.len()).copied().unwrap_or(Platform::Linux);
            device::insert(conn, &device, id.to_string(), token)?;
            store::device_status::set(conn, &status(id, number, now))?;
            store::device_proof::set(conn, &proof(id, number, now))?;
        }
        Ok(())
    })
}

fn status(id: DeviceId, number: usize, now: Time) -> DeviceStatus {
    // Spread over 20 days without a pattern that an index could follow.
    let ago = minutes((number as u64).wrapping_mul(7919) % (20 * 24 * 60));
    let encryption = match number % 25 {
        0 => Encryption::Off,
        1 => Encryption::Unknown,
        _ => Encryption::On,
    };
    DeviceStatus {
        last_seen_at: Some(now - ago),
        next_check_in_at: Some(now - ago + minutes(15)),
        encryption,
        changed_files: Some(12),
        changed_bytes: Some(48_000),
        changed_measured_at: Some(now - ago),
        changed_until: Some(now - ago + minutes(30)),
        heard_until: Some(now - ago + minutes(30)),
        address: "192.0.2.7".to_owned(),
        ..DeviceStatus::new(id)
    }
}

fn proof(id: DeviceId, number: usize, now: Time) -> DeviceProof {
    let at = now - minutes((number as u64).wrapping_mul(104_729) % (40 * 60));
    let (rank, until, failed_at) = match number % 100 {
        0..70 => (6, Some(now + hours(24)), None),
        70..82 => (6, Some(now - hours(1)), None),
        82..87 => (0, None, Some(at)),
        87..92 => (4, None, None),
        92..95 => (3, None, None),
        _ => (1, None, None),
    };
    let is_there = (rank != 1).then_some(at);
    DeviceProof {
        rank,
        newest_at: is_there,
        stored_at: is_there,
        verified_at: is_there.filter(|_| rank >= 4),
        verified_tested_at: is_there.filter(|_| rank >= 4),
        verified_until: (rank >= 4).then(|| now + hours(24)),
        proven_at: until.and(is_there),
        proven_tested_at: until.and(is_there),
        proven_until: until,
        file_count: 400,
        matched_count: 400,
        not_proven_files: Some(3),
        not_proven_bytes: Some(40_000),
        baseline_id: is_there.map(RestorePointId::generate),
        baseline_at: is_there,
        baseline_files: is_there.map(|_| 400),
        baseline_bytes: is_there.map(|_| 4_000_000),
        filled_points: i64::from(is_there.is_some()),
        failed_at,
        noted_at: is_there,
        ..DeviceProof::none(id)
    }
}

/// Makes an owner and signs them in; returns the cookie as a browser sends it.
///
/// # Errors
/// When the database refuses.
pub fn sign_in(conn: &mut Conn, now: Time) -> Result<String> {
    let user = User {
        id: UserId::generate(now),
        email: "owner@bench.example".to_owned(),
        name: "Owner".to_owned(),
        password_hash: None,
        state: UserState::Active,
        time_zone: "UTC".to_owned(),
        created_by: None,
        created_at: now,
        password_changed_at: None,
    };
    store::user::insert(conn, &user)?;
    store::user::grant(conn, user.id, (Role::Owner, Scope::Organisation), None, now)?;
    let origin = Origin { address: "127.0.0.1".to_owned(), user_agent: "bench".to_owned() };
    let opened = account::open_session(conn, &user, &origin, None, now)?;
    let cookie = session_cookie(opened.session, false);
    Ok(format!("{}={}", cookie.name(), cookie.value()))
}
