use super::*;
use crate::testing::Random;

const NOW: Time = Time::from_millis(1_795_356_371_000);

const RULE: Rule = Rule { last: 3, daily: 0, weekly: 0, monthly: 0, yearly: 0, within_days: 14 };

fn point(sequence: i64, age: Duration) -> Point {
    let received_at = NOW - age;
    Point {
        id: RestorePointId::generate(received_at),
        received_at,
        sequence,
        claimed_at: Some(received_at),
        is_verified: true,
        is_proven: false,
        has_failed: false,
        is_held: false,
        is_needed: false,
    }
}

/// One a day for `count` days, the newest of today.
fn daily(count: u64) -> Vec<Point> {
    (0..count).rev().map(|age| point(i64::try_from(count - age).unwrap(), days(age))).collect()
}

fn kept(rule: Rule, points: &[Point]) -> Vec<usize> {
    let decided = decide(&Keep::By(rule), points, NOW);
    (0..points.len()).filter(|at| decided[*at] != Decision::Ends).collect()
}

/// The ages in days of what is kept of a point a day.
fn ages(rule: Rule, points: &[Point]) -> Vec<u64> {
    kept(rule, points).into_iter().rev().map(|at| NOW.since(points[at].received_at).as_secs() / 86_400).collect()
}

#[test]
fn without_a_rule_nothing_ends() {
    let decided = decide(&Keep::Everything, &daily(400), NOW);
    assert!(decided.iter().all(|it| *it != Decision::Ends));
}

#[test]
fn each_part_of_a_rule_keeps_what_it_says() {
    let points = daily(800);
    let young: Vec<u64> = (0..14).collect();
    let and = |more: &[u64]| [&young[..], more].concat();
    assert_eq!(ages(RULE, &points), young);
    assert_eq!(ages(Rule { last: 16, ..RULE }, &points), and(&[14, 15]));
    assert_eq!(ages(Rule { within_days: 17, ..RULE }, &points), and(&[14, 15, 16]));
    assert_eq!(ages(Rule { daily: 16, ..RULE }, &points), and(&[14, 15]));
    // NOW is a Sunday: weeks began 6, 13, 20 and 27 days ago.
    assert_eq!(ages(Rule { weekly: 4, ..RULE }, &points), and(&[20, 27]));
    // The 22nd of November: months began 21, 52 and 82 days ago, years 325 and 690.
    assert_eq!(ages(Rule { monthly: 3, ..RULE }, &points), and(&[21, 52, 82]));
    assert_eq!(ages(Rule { yearly: 2, ..RULE }, &points), and(&[325, 690]));
    assert_eq!(ages(Rule { yearly: 3, ..RULE }, &points), and(&[325, 690, 799]));
}

#[test]
fn days_without_a_point_do_not_count() {
    let points: Vec<_> = [400, 300, 200, 100].into_iter().zip(1..).map(|(age, at)| point(at, days(age))).collect();
    assert_eq!(kept(Rule { daily: 4, ..RULE }, &points), [0, 1, 2, 3]);
    assert_eq!(kept(RULE, &points), [1, 2, 3], "a device that was away for a year keeps its newest");
}

#[test]
fn floors_keep_what_no_rule_would() {
    let mut points = daily(100);
    points[0].is_held = true;
    points[1].is_needed = true;
    points[2].is_proven = true;
    points[3].received_at = NOW + days(1);
    let decided = decide(&Keep::By(RULE), &points, NOW);
    let kept = |why| Decision::Kept(why);
    assert_eq!(
        decided[..5],
        [kept(Why::Held), kept(Why::Needed), kept(Why::NewestProven), kept(Why::Clock), Decision::Ends]
    );
    // Long after: the last three are kept, whatever their age.
    let later = decide(&Keep::By(RULE), &daily(100), NOW + days(5_000));
    assert_eq!(later[97..], [kept(Why::NewestVerified); 3]);
    assert!(later[..97].iter().all(|it| *it == Decision::Ends));
}

#[test]
fn what_a_devices_clock_says_decides_nothing() {
    let points = daily(100);
    let mut other = points.clone();
    for it in &mut other {
        it.claimed_at = Some(it.received_at + hours(1));
    }
    let rule = Rule { weekly: 4, monthly: 2, ..RULE };
    assert_eq!(kept(rule, &points), kept(rule, &other));
    other.iter_mut().for_each(|it| it.claimed_at = None);
    assert_eq!(kept(rule, &points), kept(rule, &other), "no claim is no contradiction");
}

#[test]
fn a_server_clock_that_was_wrong_for_a_while_costs_no_point() {
    let rule = Rule { daily: 30, ..RULE };
    let before = kept(rule, &daily(60));
    let cases: [(Time, &[i64]); 3] =
        [(NOW - days(900), &[20, 40, 58]), (NOW + days(400), &[0, 20, 40, 58]), (NOW - days(40), &[40, 58])];
    for (wrong, places) in cases {
        for at in places {
            let mut points = daily(60);
            for it in &mut points {
                it.sequence *= 2;
            }
            let odd = Point { sequence: at * 2 + 1, received_at: wrong, ..point(0, days(0)) };
            points.push(odd);
            for now in [NOW, NOW + days(500)] {
                let decided = decide(&Keep::By(rule), &points, now);
                assert_eq!(decided[60], Decision::Kept(Why::Clock), "{wrong:?} {at}");
            }
            assert_eq!(kept(rule, &points)[..before.len()], before, "{wrong:?} {at}");
        }
    }
}

#[test]
fn only_what_goes_back_is_outside_the_longest_row() {
    let fits = |times: &[i64]| in_order(&times.iter().map(|it| Time::from_millis(*it)).collect::<Vec<_>>());
    assert_eq!(fits(&[]), Vec::<bool>::new());
    assert_eq!(fits(&[1, 1, 2]), [true; 3]);
    assert_eq!(fits(&[1, 9, 2, 3]), [true, false, true, true]);
    assert_eq!(fits(&[5, 6, 1, 7]), [true, true, false, true]);
    assert_eq!(fits(&[5, 1, 2, 3, 6]), [false, true, true, true, true]);
}

fn any_rule(random: &mut Random) -> Rule {
    let mut below = |end| u32::try_from(random.below(end)).unwrap();
    Rule {
        last: 3 + below(6),
        daily: below(20),
        weekly: below(8),
        monthly: below(6),
        yearly: below(3),
        within_days: 14 + below(30),
    }
}

fn any_points(random: &mut Random) -> Vec<Point> {
    let mut at = NOW - days(900);
    let mut points = Vec::new();
    for sequence in 0..i64::try_from(random.below(60)).unwrap() {
        at = at + hours(random.below(24 * 30));
        let received_at = if random.below(20) == 0 { at - days(random.below(60)) } else { at };
        let skew = if random.below(8) == 0 { days(random.below(400)) } else { Duration::ZERO };
        let is_verified = random.below(5) > 0;
        points.push(Point {
            id: RestorePointId::generate(Time::from_millis(sequence + 1)),
            received_at,
            sequence,
            claimed_at: (random.below(4) > 0).then(|| received_at + skew),
            is_verified,
            is_proven: is_verified && random.below(3) == 0,
            has_failed: random.below(12) == 0,
            is_held: random.below(25) == 0,
            is_needed: random.below(25) == 0,
        });
    }
    points
}

fn ends(rule: Rule, points: &[Point], now: Time) -> Vec<RestorePointId> {
    let decided = decide(&Keep::By(rule), points, now);
    points.iter().zip(decided).filter(|it| it.1 == Decision::Ends).map(|it| it.0.id).collect()
}

const ROUNDS: u64 = 3_000;

#[test]
fn nothing_below_the_floors_ever_ends() {
    let mut random = Random(11);
    for _ in 0..ROUNDS {
        let (rule, points) = (any_rule(&mut random), any_points(&mut random));
        let now = NOW + days(random.below(2_000)) - days(random.below(2_000));
        let ended = ends(rule, &points, now);
        for it in points.iter().filter(|it| ended.contains(&it.id)) {
            assert!(!it.is_held && !it.is_needed, "{it:?}");
            assert!(now.since(it.received_at) >= WINDOW && it.received_at <= now, "{it:?}");
        }
        let rivals = Rivals::of(&points, now).verified;
        let newest: Vec<_> = rivals.iter().rev().take(3).map(|it| it.id).collect();
        assert!(!newest.iter().any(|it| ended.contains(it)), "the last three verified stay");
        let proven = rivals.iter().rev().find(|it| it.is_proven);
        assert!(!proven.is_some_and(|it| ended.contains(&it.id)), "the newest proven stays");
    }
}

#[test]
fn a_longer_rule_ends_nothing_that_a_shorter_one_keeps() {
    let mut random = Random(12);
    for _ in 0..ROUNDS {
        let (rule, points) = (any_rule(&mut random), any_points(&mut random));
        let longer = Rule::of(rule.values().map(|it| it + u32::try_from(random.below(3)).unwrap()));
        assert!(!Keep::By(longer).is_shorter_than(&Keep::By(rule)));
        let before = ends(rule, &points, NOW);
        assert!(ends(longer, &points, NOW).iter().all(|it| before.contains(it)), "{rule:?} {longer:?} {points:?}");
        assert!(decide(&Keep::Everything, &points, NOW).iter().all(|it| *it != Decision::Ends));
    }
}

#[test]
fn what_does_not_compete_never_ends_another_point() {
    let mut random = Random(13);
    for _ in 0..ROUNDS {
        let (rule, mut points) = (any_rule(&mut random), any_points(&mut random));
        let before = ends(rule, &points, NOW);
        let came = points.iter().map(|it| it.received_at).max().unwrap_or(NOW);
        for extra in 0..random.below(40) {
            let received_at = came + hours(random.below(2_000));
            let mut garbage = Point {
                id: RestorePointId::generate(Time::from_millis(1_000 + i64::try_from(extra).unwrap())),
                received_at,
                sequence: 1_000 + i64::try_from(extra).unwrap(),
                claimed_at: Some(received_at),
                is_verified: true,
                is_proven: true,
                has_failed: false,
                is_held: false,
                is_needed: false,
            };
            match random.below(4) {
                0 => garbage.claimed_at = Some(received_at - days(1 + random.below(900))),
                1 => garbage.claimed_at = Some(received_at + days(1 + random.below(900))),
                2 => garbage.has_failed = true,
                _ => (garbage.is_verified, garbage.is_proven) = (false, false),
            }
            points.push(garbage);
        }
        let after: Vec<_> = ends(rule, &points, NOW)
            .into_iter()
            .filter(|it| points.iter().any(|p| p.id == *it && p.sequence < 1_000))
            .collect();
        assert_eq!(after, before, "{rule:?}");
    }
}

#[test]
fn a_flood_of_intact_backups_in_one_day_takes_no_older_days_place() {
    let mut random = Random(14);
    for _ in 0..300 {
        // Of what is kept by days, weeks, months and years; how many are the newest is a number of points.
        let rule = Rule { last: 3, ..any_rule(&mut random) };
        let mut points = daily(120);
        let today = points.last().unwrap().received_at;
        let before = ends(rule, &points, NOW);
        for extra in 0..200 {
            points.push(Point { received_at: today, ..point(1_000 + extra, Duration::ZERO) });
        }
        // The flood itself is young; only the floor of three, by count, moves to it, and those were young too.
        assert_eq!(ends(rule, &points, NOW), before);
    }
}

#[test]
fn the_order_in_which_points_are_read_does_not_matter() {
    let mut random = Random(15);
    for _ in 0..500 {
        let (rule, mut points) = (any_rule(&mut random), any_points(&mut random));
        let mut before = ends(rule, &points, NOW);
        for at in (1..points.len()).rev() {
            points.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap());
        }
        let mut after = ends(rule, &points, NOW);
        before.sort_unstable();
        after.sort_unstable();
        assert_eq!(before, after);
    }
}

#[test]
fn what_ended_once_and_was_put_back_ends_again_and_nothing_else_does() {
    let mut random = Random(16);
    for _ in 0..500 {
        let (rule, mut points) = (any_rule(&mut random), any_points(&mut random));
        // Of a clock that was never set back: a point that only seemed older competes once the later one is gone.
        for at in 1..points.len() {
            points[at].received_at = points[at].received_at.max(points[at - 1].received_at);
        }
        let ended = ends(rule, &points, NOW);
        points.retain(|it| !ended.contains(&it.id));
        // Untested points may have been kept only beside others; what is verified and kept stays kept.
        assert_eq!(ends(rule, &points, NOW), Vec::new(), "a second run finds nothing");
    }
}
