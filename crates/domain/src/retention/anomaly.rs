//! What is unusual about a new restore point, compared with those before it.
//!
//! Everything it looks at was counted by the restore test, except what a device says beside it, which can only raise
//! an alarm.
use crate::words::{bytes, counted, files, number};

/// How many earlier points are compared with.
pub const COMPARED: usize = 10;

/// Fewer say nothing about what is usual.
const LEAST: usize = 3;

/// Smaller backups change completely all the time.
const FEW_FILES: i64 = 50;
const FEW_BYTES: i64 = 10_000_000;

/// What a restore test counted in a point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    pub files: i64,
    pub bytes: i64,
    /// Files and bytes that the newest proven point before it does not have; none if nothing was compared.
    pub changed: Option<(i64, i64)>,
    /// Bytes that the store took up for it.
    pub stored: i64,
}

/// Something unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anomaly {
    /// Files now, and usually.
    FewFiles(i64, i64),
    /// Bytes now, and usually.
    FewBytes(i64, i64),
    /// Changed files, of all.
    MassChange(i64, i64),
    /// What changed does not compress any more, as what is encrypted: percent now, and usually.
    Incompressible(i64, i64),
}

impl Anomaly {
    /// What it is, as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::FewFiles(now, usual) => format!("It has {}; usually it has about {}.", files(*now), number(*usual)),
            Self::FewBytes(now, usual) => format!("It has {}; usually it has about {}.", bytes(*now), bytes(*usual)),
            Self::MassChange(changed, all) => {
                format!("{} of {} changed since the last proven backup.", number(*changed), files(*all))
            }
            Self::Incompressible(now, usual) => format!(
                "What changed takes up {now} % of its size in the store, as encrypted files do; usually about {usual} %."
            ),
        }
    }
}

/// That a rule keeps backups of so many devices until somebody has looked at them.
pub fn held_words(devices: i64) -> String {
    let what = counted(devices, "device has a backup that looks", "devices have backups that look");
    format!("{what} as if something was lost: what was good before is kept until somebody has looked")
}

/// Everything unusual about `now`, compared with the points `before` it, newest first.
pub fn anomalies(now: &Measured, before: &[Measured]) -> Vec<Anomaly> {
    let before = before.get(..COMPARED).unwrap_or(before);
    let mut found = Vec::new();
    if before.len() >= LEAST {
        let usual = median(before.iter().map(|it| it.files));
        if usual >= FEW_FILES && is_fifth(now.files, usual) {
            found.push(Anomaly::FewFiles(now.files, usual));
        }
        let usual = median(before.iter().map(|it| it.bytes));
        if usual >= FEW_BYTES && is_fifth(now.bytes, usual) {
            found.push(Anomaly::FewBytes(now.bytes, usual));
        }
    }
    // The first backup has nothing before it: all of it is new.
    if let Some((changed, _)) = now.changed.filter(|_| !before.is_empty())
        && now.files >= FEW_FILES
        && i128::from(changed) * 2 > i128::from(now.files)
    {
        found.push(Anomaly::MassChange(changed, now.files));
    }
    let usual: Vec<_> = before.iter().filter_map(taken_up).collect();
    if let Some(taken) = taken_up(now)
        && usual.len() >= LEAST
    {
        let usual = median(usual.into_iter());
        if taken >= 97 && usual <= 80 {
            found.push(Anomaly::Incompressible(taken, usual));
        }
    }
    found
}

/// How many percent of what changed the store took up; none if little changed, or that is not known.
fn taken_up(it: &Measured) -> Option<i64> {
    let (_, changed) = it.changed.filter(|(_, bytes)| *bytes >= FEW_BYTES)?;
    let percent = i128::from(it.stored) * 100 / i128::from(changed.max(1));
    i64::try_from(percent).ok()
}

/// Whether `now` is less than a fifth of `usual`.
fn is_fifth(now: i64, usual: i64) -> bool {
    i128::from(now) * 5 < i128::from(usual)
}

fn median(values: impl Iterator<Item = i64>) -> i64 {
    let mut sorted: Vec<i64> = values.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Measured {
        Measured { files: 1_000, bytes: 2_000_000_000, changed: Some((20, 40_000_000)), stored: 20_000_000 }
    }

    #[test]
    fn what_is_usual_is_no_anomaly() {
        let before = [usual(); 5];
        for now in [
            usual(),
            Measured { files: 200, bytes: 400_000_000, ..usual() },
            Measured { files: 5_000, ..usual() },
            Measured { changed: Some((500, 400_000_000)), stored: 200_000_000, ..usual() },
            Measured { changed: Some((9, 9_000_000)), stored: 9_000_000, ..usual() },
            Measured { changed: None, ..usual() },
        ] {
            assert_eq!(anomalies(&now, &before), [], "{now:?}");
        }
        assert_eq!(anomalies(&Measured { changed: Some((1_000, 1)), ..usual() }, &[]), [], "the first");
        assert_eq!(anomalies(&Measured::default(), &before[..2]), [], "nobody knows yet what is usual");
        let small = Measured { files: 40, bytes: 1_000_000, changed: Some((40, 1_000_000)), stored: 1_000_000 };
        assert_eq!(anomalies(&Measured::default(), &[small; 5]), [], "small ones come and go");
        assert_eq!(anomalies(&small, &[small; 5]), []);
    }

    #[test]
    fn a_collapse_a_mass_change_and_encryption_are_anomalies() {
        let before = [usual(); 5];
        let found = |now: Measured| anomalies(&now, &before);
        assert_eq!(found(Measured { files: 199, ..usual() }), [Anomaly::FewFiles(199, 1_000)]);
        assert_eq!(found(Measured { files: 0, ..usual() }), [Anomaly::FewFiles(0, 1_000)]);
        assert_eq!(found(Measured { bytes: 399_999_999, ..usual() }), [Anomaly::FewBytes(399_999_999, 2_000_000_000)]);
        assert_eq!(found(Measured { changed: Some((501, 1_000)), ..usual() }), [Anomaly::MassChange(501, 1_000)]);
        let encrypted = Measured { changed: Some((400, 800_000_000)), stored: 801_000_000, ..usual() };
        assert_eq!(found(encrypted), [Anomaly::Incompressible(100, 50)]);
        let films = [Measured { stored: 39_000_000, ..usual() }; 5];
        assert_eq!(anomalies(&encrypted, &films), [], "what never compressed says nothing");
        for it in found(Measured { files: 1, bytes: 1, changed: Some((1_000, 1)), stored: 0 }) {
            assert!(it.sentence().ends_with('.'), "{it:?}");
        }
    }

    #[test]
    fn one_odd_backup_does_not_change_what_is_usual() {
        let mut before = vec![Measured { files: 1, bytes: 1, ..usual() }];
        before.extend([usual(); 3]);
        assert_eq!(anomalies(&Measured { files: 10, ..usual() }, &before), [Anomaly::FewFiles(10, 1_000)]);
    }
}
