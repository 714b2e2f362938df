//! The list of devices against a naive one in memory.
use crate::support::fleet::{self, Random};
use crate::support::{NOW, TestDatabase};
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::id::{DeviceId, RestorePointId, TeamId};
use domain::loss::{Amount, Count, Damaged, LossFacts, Part, Point, loss};
use domain::proof::{Grade, TOLERANCE};
use domain::role::Reach;
use domain::time::{Time, days};
use holdfast::store::device::Device;
use holdfast::store::device_list::{self, Among, Filter, From, Query, Scores, Sort, View};
use holdfast::store::device_proof::DeviceProof;
use holdfast::store::device_status::DeviceStatus;
use holdfast::store::{self, Conn, Store};
use std::collections::HashMap;

type Any = (Device, DeviceStatus, DeviceProof);

const CUT: Time = Time::from_millis(NOW.millis() - 14 * 86_400_000);

fn base() -> Filter {
    Filter { silent_before: CUT, ..Filter::default() }
}

struct World {
    store: Store,
    fleet: Vec<Any>,
    teams: Vec<TeamId>,
    /// Numbers of some devices, many of them the same.
    scores: HashMap<DeviceId, i64>,
    _database: TestDatabase,
}

fn world(count: usize, seed: u64) -> World {
    let database = TestDatabase::new();
    let store = database.store();
    let (fleet, teams) = store
        .write_blocking(move |conn| {
            let teams: Vec<TeamId> = (1..=3).map(|at| TeamId::generate(Time::from_millis(at))).collect();
            for (at, team) in teams.iter().enumerate() {
                insert_team(conn, *team, &format!("team {at}"));
            }
            let fleet = fleet::random(conn, count, &teams, seed);
            Ok::<_, holdfast::error::Error>((fleet, teams))
        })
        .unwrap();
    let some = fleet.iter().enumerate().filter(|(at, _)| at % 3 > 0);
    let scores = some.map(|(at, it)| (it.0.id, i64::try_from(at % 5).unwrap())).collect();
    World { store, fleet, teams, scores, _database: database }
}

fn insert_team(conn: &mut Conn, id: TeamId, name: &str) {
    use diesel::prelude::*;
    use holdfast::store::schema::teams;
    diesel::insert_into(teams::table)
        .values((teams::id.eq(id), teams::name.eq(name), teams::created_at.eq(NOW)))
        .execute(conn)
        .unwrap();
}

fn matches(it: &Any, filter: &Filter, reach: &Reach, now: Time) -> bool {
    let (device, status, proof) = it;
    let grade = proof.evidence().grade(now);
    let text = format!("{}\n{}\n{}", device.name, device.person, device.serial).to_lowercase();
    let is_silent =
        device.enrolled_at < filter.silent_before && status.last_seen_at.is_none_or(|at| at < filter.silent_before);
    let in_view = match filter.view {
        View::All => true,
        View::Failed => grade == Grade::Failed,
        View::NeverProven => matches!(grade, Grade::Never | Grade::Reported | Grade::Stored | Grade::Verified),
        View::OutOfDate => grade == Grade::OutOfDate,
        View::Partial => grade == Grade::Partial,
        View::NotEncrypted => status.encryption == Encryption::Off,
        View::Silent => is_silent,
        View::LoseAll => part(it, now) == Some(Part::LoseAll),
        View::AtRisk => part(it, now) == Some(Part::AtRisk),
        View::CannotSay => part(it, now) == Some(Part::CannotSay),
        View::Restorable => part(it, now) == Some(Part::Restorable),
        View::NotRestorable => part(it, now).is_some_and(|part| part != Part::Restorable),
        // None of them has a repository.
        View::NearlyFull | View::InDoubt => false,
    };
    in_view
        && reach.covers(device.team_id)
        && filter.state.is_none_or(|it| device.state == it)
        && filter.team.is_none_or(|it| device.team_id == Some(it))
        && filter.platform.is_none_or(|it| device.platform == it)
        && filter.encryption.is_none_or(|it| status.encryption == it)
        && filter.ownership.is_none_or(|it| device.ownership == it)
        && filter.grade.is_none_or(|it| grade == it)
        && filter.q.split_whitespace().all(|word| text.contains(&word.to_lowercase()))
}

/// The part of "If we lost…" that a device is in, by the domain.
fn part((device, status, proof): &Any, now: Time) -> Option<Part> {
    let evidence = proof.evidence();
    let count = || {
        Some(Count {
            amount: Amount::of(status.changed_files, status.changed_bytes)?,
            measured_at: status.changed_measured_at?,
            until: status.changed_until?,
        })
    };
    let point = |id: Option<RestorePointId>, at: Option<Time>| Some(Point { id: id?, at: at? });
    loss(&LossFacts {
        at: now,
        state: device.state,
        grade: evidence.grade(now),
        is_stored: evidence.stored_at.is_some() || evidence.verified.is_some() || evidence.proven.is_some(),
        holds_files: proof.filled_points > 0,
        count: count(),
        roots_away: serde_json::from_str(&status.roots_away).unwrap(),
        is_doubted: status.doubt.stands(),
        last_seen_at: status.last_seen_at,
        heard_until: status.heard_until,
        newest: point(proof.baseline_id, proof.baseline_at),
        in_newest: Amount::of(proof.baseline_files, proof.baseline_bytes),
        beyond_proof: Amount::of(proof.not_proven_files, proof.not_proven_bytes),
        proven: point(proof.proven_point_id, proof.proven_at),
        damaged: Damaged { amount: Amount { files: proof.damaged_files, bytes: 0 }, names: Vec::new() },
        store_away_since: None,
        key_holder: evidence.key_holder,
    })
    .part()
}

fn expected(world: &World, query: &Query, now: Time) -> Vec<DeviceId> {
    let time = |at: Option<Time>| at.map_or(0, Time::millis);
    let mut rows: Vec<&Any> = world.fleet.iter().filter(|it| matches(it, &query.filter, &query.reach, now)).collect();
    rows.sort_by_key(|it| {
        let (device, status, proof) = *it;
        let (major, minor, name) = match query.sort {
            Sort::Worst => (proof.rank, time(proof.proven_until), String::new()),
            Sort::Name => (0, 0, device.name.clone()),
            Sort::Person => (0, 0, device.person.clone()),
            Sort::Encryption => (encryption_order(status.encryption), 0, String::new()),
            Sort::IfWiped => (part_order(it, now), -lost(status, now), String::new()),
            Sort::Failing => (world.scores.get(&device.id).copied().unwrap_or_default(), 0, String::new()),
            Sort::ProvenAt => (time(proof.proven_at), 0, String::new()),
            Sort::NewestBackup => (time(proof.newest_at), 0, String::new()),
            Sort::LastSeen => (time(status.last_seen_at), 0, String::new()),
        };
        (major, minor, name, device.id)
    });
    if query.is_descending {
        rows.reverse();
    }
    rows.iter().map(|(device, ..)| device.id).collect()
}

fn encryption_order(state: Encryption) -> i64 {
    match state {
        Encryption::Off => 0,
        Encryption::Unknown => 1,
        Encryption::On => 2,
    }
}

fn part_order(it: &Any, now: Time) -> i64 {
    match part(it, now) {
        Some(Part::LoseAll) => 0,
        Some(Part::AtRisk) => 1,
        Some(Part::CannotSay) => 2,
        Some(Part::Restorable) => 3,
        None => 4,
    }
}

/// The files of a count that still holds.
fn lost(status: &DeviceStatus, now: Time) -> i64 {
    let holds = status.roots_away == "[]"
        && !status.doubt.stands()
        && status.changed_measured_at.is_some()
        && status.changed_bytes.is_some()
        && status.last_seen_at.is_none_or(|it| it <= now + TOLERANCE)
        && status.changed_until.min(status.heard_until).is_some_and(|it| it > now);
    status.changed_files.filter(|_| holds).unwrap_or_default()
}

/// Walks all pages forward, then all of them backward, and expects the same devices both times.
fn walk(world: &World, query: &Query, now: Time) -> Vec<DeviceId> {
    let scores = Scores::new(world.scores.iter().map(|(id, score)| (*id, *score)).collect());
    let filter = Filter { scores, ..query.filter.clone() };
    let page = |from: From, position: usize| {
        let query = Query { from, filter: filter.clone(), ..query.clone() };
        let (page, is) = world
            .store
            .read_blocking(|conn| {
                let page = device_list::page(conn, &query, now)?;
                let position = device_list::position(conn, &query, &page, now)?;
                Ok::<_, holdfast::error::Error>((page, position))
            })
            .unwrap();
        assert_eq!(usize::try_from(is).unwrap(), position, "{query:?}");
        page
    };
    let mut pages = Vec::new();
    let (mut current, mut position) = (page(From::Start, 0), 0);
    assert!(current.before.is_none());
    loop {
        pages.push(current.devices.iter().map(|it| it.device.id).collect::<Vec<_>>());
        let Some(after) = current.after.clone() else { break };
        position += current.devices.len();
        current = page(From::After(after), position);
    }
    let forward = pages.concat();
    for expected in pages.iter().rev().skip(1) {
        position -= expected.len();
        current = page(From::Before(current.before.clone().expect("a page before")), position);
        assert_eq!(&current.devices.iter().map(|it| it.device.id).collect::<Vec<_>>(), expected);
    }
    assert!(current.before.is_none());
    forward
}

/// A query, with the devices it is limited to, if any.
fn any_query(random: &mut Random, world: &World) -> (Query, Option<Vec<DeviceId>>) {
    let (teams, mut among) = (&world.teams, None);
    let mut filter = Filter { silent_before: CUT, ..Filter::default() };
    if random.chance(50) {
        filter.view = *random.pick(View::ALL);
    }
    if random.chance(30) {
        filter.q =
            (*random.pick(&["laptop", "KIOSK 1", "élodie", "écran", "okafor mbp", "%", "'", "nobody"])).to_owned();
    }
    filter.team = random.chance(20).then(|| *random.pick(teams));
    filter.platform = random.chance(20).then(|| *random.pick(Platform::ALL));
    filter.encryption = random.chance(20).then(|| *random.pick(Encryption::ALL));
    filter.ownership = random.chance(20).then(|| *random.pick(Ownership::ALL));
    filter.grade = random.chance(30).then(|| *random.pick(Grade::ALL));
    if random.chance(20) {
        let some: Vec<_> = world.fleet.iter().map(|it| it.0.id).filter(|_| random.chance(60)).collect();
        filter.among = vec![Among::new(&some, false)];
        among = Some(some);
    }
    if random.chance(10) {
        filter.state = Some(*random.pick(DeviceState::ALL));
    }
    let reach = match random.below(4) {
        0 => Reach::Teams(vec![teams[0]]),
        1 => Reach::Teams(vec![teams[1], teams[2]]),
        _ => Reach::All,
    };
    let query = Query {
        filter,
        reach,
        sort: *random.pick(Sort::ALL),
        is_descending: random.chance(50),
        from: From::Start,
        limit: 1 + usize::try_from(random.below(40)).unwrap(),
    };
    (query, among)
}

#[test]
fn every_filter_order_and_page_is_that_of_a_naive_list() {
    let world = world(300, 7);
    let mut random = Random::new(11);

    let mut shown = 0;
    for _ in 0..150 {
        let (query, among) = any_query(&mut random, &world);
        let mut expected = expected(&world, &query, NOW);
        expected.retain(|id| among.as_ref().is_none_or(|it| it.contains(id)));

        assert_eq!(walk(&world, &query, NOW), expected, "{query:?}");
        let count =
            world.store.read_blocking(|conn| device_list::count(conn, &query.filter, &query.reach, NOW)).unwrap();
        assert_eq!(usize::try_from(count).unwrap(), expected.len(), "{query:?}");
        shown += expected.len();
    }
    assert!(shown > 2000, "the queries find something: {shown}");
}

#[test]
fn the_counts_of_the_views_are_those_of_their_lists() {
    let world = world(300, 3);
    for reach in [Reach::All, Reach::Teams(vec![world.teams[1]]), Reach::Teams(vec![])] {
        let counts = world.store.read_blocking(|conn| device_list::counts(conn, &base(), &reach, NOW)).unwrap();

        for view in View::PILLS {
            let filter = Filter { view: *view, silent_before: CUT, ..Filter::default() };
            let expected = world.fleet.iter().filter(|it| matches(it, &filter, &reach, NOW)).count();
            assert_eq!(usize::try_from(counts.of(*view).unwrap()).unwrap(), expected, "{view:?} {reach:?}");
        }
        let known = counts.proof_holds + counts.partial + counts.out_of_date + counts.never_proven;
        let sum = counts.failed + counts.unknown + known;
        assert_eq!(sum, counts.all, "each device has one grade");
        let parts: i64 = world
            .store
            .read_blocking(|conn| {
                let part = |view: &View| Filter { view: *view, silent_before: CUT, ..Filter::default() };
                View::PARTS.iter().map(|it| device_list::count(conn, &part(it), &reach, NOW)).sum::<Result<_, _>>()
            })
            .unwrap();
        assert_eq!(parts, counts.all, "each device is in one part");
    }
}

#[test]
fn proof_goes_out_of_date_by_the_clock_alone() {
    let world = world(300, 5);
    let at = |now| world.store.read_blocking(|conn| device_list::counts(conn, &base(), &Reach::All, now)).unwrap();

    let (today, later) = (at(NOW), at(NOW + days(8)));

    assert!(today.proof_holds > 0);
    assert_eq!(later.proof_holds, 0);
    // A newer part, or a test dated by a clock that was ahead, is reported instead of a proof that ended.
    let ended = later.out_of_date + later.partial + later.unknown;
    assert!(ended >= today.out_of_date + today.proof_holds && later.out_of_date > today.out_of_date);
}

#[test]
fn a_clock_that_was_set_back_shows_nothing_as_proven() {
    let world = world(300, 5);

    let then = NOW - days(365);
    let counts = world.store.read_blocking(|conn| device_list::counts(conn, &base(), &Reach::All, then)).unwrap();

    assert_eq!(counts.proof_holds, 0);
    assert!(counts.unknown > 0);
}

#[test]
fn the_ages_of_proven_data_add_up() {
    let world = world(300, 9);
    let cuts = [NOW - days(1), NOW - days(3), Time::from_millis(0)];

    let (ages, counts) = world
        .store
        .read_blocking(|conn| {
            let counts = device_list::counts(conn, &base(), &Reach::All, NOW)?;
            Ok::<_, holdfast::error::Error>((device_list::ages(conn, &Reach::All, &cuts, NOW)?, counts))
        })
        .unwrap();

    assert_eq!(ages.iter().sum::<i64>(), counts.proof_holds);
}

#[test]
fn a_changed_device_is_listed_as_it_is() {
    let world = world(40, 1);
    let (device, status, proof) = world.fleet.iter().find(|it| it.0.state == DeviceState::Enrolled).unwrap().clone();

    let (id, team) = (device.id, world.teams[0]);
    world
        .store
        .write_blocking(move |conn| {
            let renamed = Device { name: "Zebra".to_owned(), team_id: Some(team), generation: 2, ..device };
            assert!(store::device::reenroll(conn, &renamed, 1)?);
            store::device_status::set(conn, &DeviceStatus { encryption: Encryption::Off, ..status })?;
            store::device_proof::set(conn, &fleet::proven(proof, NOW, NOW + days(1)))?;
            Ok::<_, holdfast::error::Error>(())
        })
        .unwrap();

    let filter =
        Filter { q: "zebra".to_owned(), team: Some(team), encryption: Some(Encryption::Off), ..Filter::default() };
    let query =
        Query { filter, reach: Reach::All, sort: Sort::Worst, is_descending: false, from: From::Start, limit: 9 };
    assert_eq!(walk(&world, &query, NOW), [id]);
}
