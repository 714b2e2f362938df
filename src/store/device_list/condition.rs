//! The views, grades and parts of a list as conditions in SQL.
use super::view::View;
use domain::proof::Grade;

impl View {
    pub(super) const fn condition(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Failed => Some(FAILED),
            Self::NeverProven => Some(NEVER_PROVEN),
            Self::OutOfDate => Some(OUT_OF_DATE),
            Self::Partial => Some(PARTIAL),
            Self::NotEncrypted => Some("l.encryption = 'off'"),
            Self::Silent => Some(SILENT),
            Self::LoseAll => Some(LOSE_ALL),
            Self::AtRisk => Some(AT_RISK),
            Self::CannotSay => Some(CANNOT_SAY),
            Self::Restorable => Some(RESTORABLE),
            Self::NotRestorable => Some(NOT_RESTORABLE),
            Self::NearlyFull => Some(NEARLY_FULL),
            Self::InDoubt => Some(IN_DOUBT),
        }
    }
}

const SILENT: &str = "l.enrolled_at < {silent} AND l.seen_at < {silent}";

// The grades of `Evidence::grade`, one condition each: every device meets exactly one of
// failed, unknown, proven, partial, never, out of date, verified, stored and reported.
const FAILED: &str = "l.failed_at > 0";
macro_rules! proven {
    () => {
        "l.failed_at = 0 AND l.store_away_at = 0 AND l.noted_at <= {future} AND l.proven_tested_at <= {future} AND l.proven_until > {now}"
    };
}
macro_rules! known {
    () => {
        "l.failed_at = 0 AND l.store_away_at = 0 AND l.noted_at <= {future} AND l.tested_at <= {future}"
    };
}
macro_rules! unknown {
    () => {
        "l.failed_at = 0 AND (l.store_away_at > 0 OR l.noted_at > {future} OR (l.tested_at > {future} AND \
          (l.proven_tested_at > {future} OR l.proven_until <= {now})))"
    };
}
pub(super) const UNKNOWN: &str = unknown!();
pub(super) const PROVEN: &str = proven!();
const PARTIAL: &str = concat!(known!(), " AND l.proven_until <= {now} AND l.partial_until > {now}");
const OUT_OF_DATE: &str =
    concat!(known!(), " AND l.proven_until > 0 AND l.proven_until <= {now} AND l.partial_until <= {now}");
const NEVER_PROVEN: &str = concat!(known!(), " AND l.proven_until = 0 AND l.partial_until <= {now}");

/// The device's own count still counts.
macro_rules! counted {
    () => {
        "l.changed < 2 AND l.seen_at <= {future} AND l.counted_until > {now}"
    };
}
// The four parts of "If we lost…", as `domain::loss` computes them; each enrolled device is in exactly one.
// 0 would lose everything, 1 recent work, 2 cannot say, 3 proven to come back.
macro_rules! part {
    () => {
        concat!(
            "CASE WHEN ",
            counted!(),
            " AND l.changed = 0 AND l.holds_files = 0 THEN 2 WHEN l.stored_at = 0 AND l.verified_until = 0 \
             AND l.proven_until = 0 AND NOT (",
            unknown!(),
            ") THEN 0 WHEN l.damaged > 0 THEN 1 WHEN {away} = 1 OR (",
            unknown!(),
            ") OR NOT (",
            counted!(),
            ") THEN 2 WHEN ",
            proven!(),
            " AND l.changed = 0 AND l.not_proven = 0 THEN 3 ELSE 1 END"
        )
    };
}
/// The order of the parts, worst first; devices that are not enrolled come last.
pub(super) const PART_ORDER: &str =
    concat!("CAST(CASE WHEN l.state <> 'enrolled' THEN 4 ELSE ", part!(), " END AS BIGINT)");
/// Within one part, the devices that would lose the most files come first.
pub(super) const LOST_ORDER: &str =
    concat!("CAST(CASE WHEN ", counted!(), " THEN -coalesce(s.changed_files, 0) ELSE 0 END AS BIGINT)");
const LOSE_ALL: &str = concat!("l.state = 'enrolled' AND 0 = ", part!());
const AT_RISK: &str = concat!("l.state = 'enrolled' AND 1 = ", part!());
const CANNOT_SAY: &str = concat!("l.state = 'enrolled' AND 2 = ", part!());
const RESTORABLE: &str = concat!("l.state = 'enrolled' AND 3 = ", part!());
const NOT_RESTORABLE: &str = concat!("l.state = 'enrolled' AND 3 <> ", part!());

/// As `Space::room` in the domain; worded like the index `repositories_nearly_full`, so that the index is used.
const NEARLY_FULL: &str = "l.device_id IN (SELECT r.device_id FROM repositories r \
     WHERE r.state = 'active' AND r.stored_bytes >= r.quota_bytes - r.quota_bytes / 10)";

const IN_DOUBT: &str =
    "l.state = 'enrolled' AND l.device_id IN (SELECT d.device_id FROM device_status d WHERE d.doubt <> 'none')";

pub(super) const fn grade_condition(grade: Grade) -> (&'static str, &'static str) {
    match grade {
        Grade::Failed => (FAILED, ""),
        Grade::Unknown => (UNKNOWN, ""),
        Grade::Proven => (PROVEN, ""),
        Grade::Partial => (PARTIAL, ""),
        Grade::OutOfDate => (OUT_OF_DATE, ""),
        Grade::Verified => (NEVER_PROVEN, " AND l.verified_until > {now}"),
        Grade::Stored => (NEVER_PROVEN, " AND l.verified_until <= {now} AND l.stored_at > 0"),
        Grade::Reported => (NEVER_PROVEN, " AND l.verified_until <= {now} AND l.stored_at = 0 AND l.newest_at > 0"),
        Grade::Never => (NEVER_PROVEN, " AND l.verified_until <= {now} AND l.stored_at = 0 AND l.newest_at = 0"),
    }
}
