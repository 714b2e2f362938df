//! Which restore points of a device end.
use super::calendar::Span;
use super::{Keep, LEAST_VERIFIED, Rule, WINDOW};
use crate::id::RestorePointId;
use crate::time::{Time, days, hours};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A device whose clock is further off than this says nothing that counts about its point.
const SKEW: Duration = hours(1);

/// What the rule looks at in a stored restore point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub id: RestorePointId,
    /// By the server's clock.
    pub received_at: Time,
    /// The order in which the device's points came.
    pub sequence: i64,
    /// By the device's clock; none if it said nothing.
    pub claimed_at: Option<Time>,
    /// Read back and intact, or better.
    pub is_verified: bool,
    pub is_proven: bool,
    /// Its test failed, and what failed has not come back since.
    pub has_failed: bool,
    /// Somebody or a rule holds it, its device or its person.
    pub is_held: bool,
    /// Something else in the server refers to it: the count of changes, a restore, a failure that stands.
    pub is_needed: bool,
}

/// Why a point is kept; several may apply, and the first in this order is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    Held,
    /// The newest proven one.
    NewestProven,
    /// One of the newest verified.
    NewestVerified,
    /// Something refers to it.
    Needed,
    /// Received later than it is now, or out of order: the server's clock was wrong, and nobody can say how old it is.
    Clock,
    /// Younger than [`WINDOW`].
    Young,
    /// There is no rule.
    Everything,
    Last,
    Within,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Why {
    /// The reason as a page says it after "Kept:".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Held => "on hold",
            Self::NewestProven => "the newest proven point",
            Self::NewestVerified => "one of the newest three verified points",
            Self::Needed => "something else still needs it",
            Self::Clock => "received while the server’s clock was wrong",
            Self::Young => "younger than 14 days",
            Self::Everything => "every point is kept",
            Self::Last => "one of the newest",
            Self::Within => "young enough",
            Self::Daily => "the first of its day",
            Self::Weekly => "the first of its week",
            Self::Monthly => "the first of its month",
            Self::Yearly => "the first of its year",
        }
    }
}

/// What becomes of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Kept(Why),
    Ends,
}

/// Decides about all stored points of one device, in the order given.
///
/// A point competes only if it is intact, did not fail, and neither its own clock nor the server's contradicts the
/// order in which points came. Whatever else a device sends takes no point's place.
pub fn decide(keep: &Keep, points: &[Point], now: Time) -> Vec<Decision> {
    let rule = match keep {
        Keep::Everything => None,
        Keep::By(rule) => Some(rule),
    };
    let mut why: HashMap<RestorePointId, Why> = HashMap::new();
    let mut keep = |id, reason: Why| {
        let before = why.entry(id).or_insert(reason);
        *before = (*before).min(reason);
    };
    let rivals = Rivals::of(points, now);
    rivals.astray.iter().for_each(|id| keep(*id, Why::Clock));
    for point in points {
        for (applies, reason) in floors(point, rule, now) {
            if applies {
                keep(point.id, reason);
            }
        }
    }
    if let Some(newest) = rivals.verified.iter().rev().find(|it| it.is_proven) {
        keep(newest.id, Why::NewestProven);
    }
    rivals.verified.iter().rev().take(LEAST_VERIFIED).for_each(|it| keep(it.id, Why::NewestVerified));
    if let Some(rule) = rule {
        let last = usize::try_from(rule.last).unwrap_or(usize::MAX);
        rivals.verified.iter().rev().take(last).for_each(|it| keep(it.id, Why::Last));
        for (span, count, reason) in [
            (Span::Day, rule.daily, Why::Daily),
            (Span::Week, rule.weekly, Why::Weekly),
            (Span::Month, rule.monthly, Why::Monthly),
            (Span::Year, rule.yearly, Why::Yearly),
        ] {
            rivals.first_of_each(span, count).into_iter().for_each(|id| keep(id, reason));
        }
    }
    points.iter().map(|it| why.get(&it.id).map_or(Decision::Ends, |why| Decision::Kept(*why))).collect()
}

/// What keeps a point whatever the others are.
fn floors(point: &Point, rule: Option<&Rule>, now: Time) -> [(bool, Why); 5] {
    let age = now.since(point.received_at);
    let within = rule.map_or(Duration::ZERO, |it| days(it.within_days.into()));
    [
        (point.is_held, Why::Held),
        (point.is_needed, Why::Needed),
        (age < WINDOW, Why::Young),
        (age < within, Why::Within),
        (rule.is_none(), Why::Everything),
    ]
}

/// The points that take part, each in the order in which they came.
struct Rivals {
    verified: Vec<Point>,
    /// Not tested yet: they never take another's place, and are kept only where no other is.
    untested: Vec<Point>,
    /// Those whose times do not fit the order in which they came.
    astray: Vec<RestorePointId>,
}

impl Rivals {
    fn of(points: &[Point], now: Time) -> Self {
        let mut ordered = points.to_vec();
        ordered.sort_by_key(|it| it.sequence);
        let times: Vec<_> = ordered.iter().map(|it| it.received_at).collect();
        let fits = in_order(&times);
        let (sure, astray): (Vec<_>, Vec<_>) =
            ordered.into_iter().zip(fits).partition(|(it, fits)| *fits && it.received_at <= now);
        let sure = sure.into_iter().map(|it| it.0).filter(|it| !it.has_failed && !is_skewed(it));
        let (verified, untested) = sure.partition(|it| it.is_verified);
        Self { verified, untested, astray: astray.into_iter().map(|it| it.0.id).collect() }
    }

    /// The first verified point of each of the newest `count` spans that have one, and the first untested one of each
    /// span among these that has none.
    ///
    /// The first and not the last: no later backup can take its place.
    fn first_of_each(&self, span: Span, count: u32) -> Vec<RestorePointId> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count == 0 {
            return Vec::new();
        }
        let mut firsts = BTreeMap::new();
        for point in &self.verified {
            if let Some(number) = span.number(point.received_at) {
                firsts.entry(number).or_insert(point.id);
            }
        }
        let surplus = firsts.len().saturating_sub(count);
        let mut firsts = match firsts.keys().nth(surplus).copied() {
            Some(oldest) if surplus > 0 => firsts.split_off(&oldest),
            Some(_) | None => firsts,
        };
        let oldest = firsts.keys().next().copied().filter(|_| surplus > 0).unwrap_or(i64::MIN);
        for point in &self.untested {
            if let Some(number) = span.number(point.received_at).filter(|it| *it >= oldest) {
                firsts.entry(number).or_insert(point.id);
            }
        }
        firsts.into_values().collect()
    }
}

/// Which times are in one longest row that never goes back: a clock that was wrong for a while, in either direction,
/// puts only what came in that while outside it.
fn in_order(times: &[Time]) -> Vec<bool> {
    // The last element of the best row of each length so far, and each element's predecessor in its row.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(times.len());
    for (at, time) in times.iter().enumerate() {
        let length = ends.partition_point(|end| times.get(*end).is_some_and(|it| it <= time));
        before.push(length.checked_sub(1).and_then(|it| ends.get(it)).copied());
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut fits = vec![false; times.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        if let Some(it) = fits.get_mut(at) {
            *it = true;
        }
        next = before.get(at).copied().flatten();
    }
    fits
}

fn is_skewed(point: &Point) -> bool {
    point
        .claimed_at
        .is_some_and(|claimed| claimed.since(point.received_at).max(point.received_at.since(claimed)) > SKEW)
}

#[cfg(test)]
mod tests;
