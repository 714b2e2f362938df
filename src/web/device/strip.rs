//! The last 30 days of restore points.
use crate::store::restore_point::RestorePoint;
use crate::zone::Zone;
use domain::proof::Grade;
use domain::time::{Time, days};
use domain::words::counted;

/// How many days are shown.
const DAYS: u64 = 30;

/// The strip, and the same as a table.
pub struct Strip {
    /// "proven", "stored", "failed" or "none", oldest first.
    pub days: Vec<&'static str>,
    pub title: String,
    pub first: String,
    pub rows: Vec<Day>,
}

/// One day with at least one restore point.
pub struct Day {
    pub date: String,
    /// The worst news of the day, otherwise the best.
    pub word: &'static str,
    pub count: usize,
}

/// When the strip begins.
pub fn begins(now: Time) -> Time {
    now - days(DAYS)
}

/// Sorts points into days in the reader's zone, from the day of enrolment on: before that there was nothing to
/// back up.
pub fn strip(points: &[RestorePoint], zone: &Zone, enrolled_at: Time, now: Time) -> Strip {
    // Backups of an earlier enrolment are shown nevertheless.
    let oldest = points.iter().map(|it| it.received_at).fold(enrolled_at.min(now), Time::min);
    // A date is written year first, so that it sorts as text.
    let begin = zone.field(oldest);
    let each: Vec<(String, &'static str, usize)> = (0..DAYS)
        .rev()
        .filter(|ago| zone.field(now - days(*ago)) >= begin)
        .map(|ago| {
            let date = zone.field(now - days(ago));
            let of_day: Vec<&RestorePoint> = points.iter().filter(|it| zone.field(it.received_at) == date).collect();
            (zone.day(now - days(ago)), word(&of_day), of_day.len())
        })
        .collect();
    let is_young = each.len() < usize::try_from(DAYS).unwrap_or(usize::MAX);
    let count = |word: &str| each.iter().filter(|it| it.1 == word).count();
    Strip {
        days: each.iter().map(|it| it.1).collect(),
        title: format!(
            "{}: {} with a proven restore point, {} stored but not proven, {} without a backup, {} failed.",
            if is_young {
                format!("Since enrolment, {}", counted(each.len(), "day", "days"))
            } else {
                format!("Last {DAYS} days")
            },
            count("proven"),
            count("stored"),
            count("none"),
            count("failed")
        ),
        first: match each.first() {
            Some((day, ..)) if is_young => format!("enrolled {day}"),
            Some((day, ..)) => day.clone(),
            None => String::new(),
        },
        rows: each
            .into_iter()
            .rev()
            .filter(|it| it.2 > 0)
            .map(|(date, word, count)| Day { date, word: name(word), count })
            .collect(),
    }
}

/// The worst news of a day wins: a failure is never hidden behind a proof of the same day.
fn word(points: &[&RestorePoint]) -> &'static str {
    if points.iter().any(|it| it.failed_at.is_some()) {
        "failed"
    } else if points.iter().any(|it| it.proven_at.is_some()) {
        "proven"
    } else if points.iter().any(|it| it.stored_at.is_some()) {
        "stored"
    } else {
        // What is only reported is not a backup yet.
        "none"
    }
}

/// The word for a day with a restore point, as on the badges.
fn name(word: &str) -> &'static str {
    match word {
        "failed" => Grade::Failed.name(),
        "proven" => Grade::Proven.name(),
        "stored" => Grade::Stored.name(),
        _ => Grade::Reported.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{DeviceId, RepositoryId};
    use domain::object::{ObjectName, TokenKind};

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn reported() -> RestorePoint {
        let of = (RepositoryId::generate(NOW), DeviceId::generate(NOW));
        RestorePoint { stored_at: None, ..RestorePoint::received(of, &ObjectName::config(), TokenKind::Agent, NOW) }
    }

    #[test]
    fn the_strip_begins_with_enrolment_and_counts_no_gap_before_it() {
        let zone = Zone::new("UTC", NOW);
        let stored = RestorePoint { stored_at: Some(NOW), ..reported() };

        let young = strip(std::slice::from_ref(&stored), &zone, NOW - days(2), NOW);

        assert_eq!(young.days, ["none", "none", "stored"]);
        assert!(young.title.starts_with("Since enrolment, 3 days: 0 with a proven"), "{}", young.title);
        let old = strip(std::slice::from_ref(&stored), &zone, NOW - days(60), NOW);
        assert_eq!(old.days.len(), 30);
        let earlier = RestorePoint { received_at: NOW - days(5), ..stored };
        assert_eq!(strip(&[earlier], &zone, NOW, NOW).days.len(), 6, "backups of an earlier enrolment are shown");
    }

    #[test]
    fn what_is_only_reported_is_not_shown_as_stored() {
        let zone = Zone::new("UTC", NOW);
        let stored = RestorePoint { stored_at: Some(NOW), ..reported() };
        let failed = RestorePoint { failed_at: Some(NOW), ..stored.clone() };
        for (points, block, word) in [
            (vec![reported()], "none", "Reported"),
            (vec![reported(), stored.clone()], "stored", "Stored"),
            (vec![stored, failed], "failed", "Failed"),
        ] {
            let strip = strip(&points, &zone, NOW - days(60), NOW);
            assert_eq!((strip.days.last().copied(), strip.rows[0].word), (Some(block), word));
        }
    }
}
