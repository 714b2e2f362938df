//! What a device says about its backups.
use crate::object::ObjectName;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What a finished backup was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The enrolment it was made in.
    pub generation: i64,
    pub snapshot: ObjectName,
    pub manifest: ObjectName,
    pub file_count: u64,
    pub size_bytes: u64,
    /// Files whose size, mtime or ctime changed while they were read, and files that could not be
    /// read, in the manifest's spelling: left out of the comparison, counted against the coverage.
    pub excluded: Vec<String>,
    /// What a wipe may erase but the backup does not hold, with the reasons.
    pub left_out: LeftOut,
    /// Protected folders that could not be backed up because they were missing.
    pub away: Vec<RootAway>,
    pub started_at: Time,
    pub finished_at: Time,
}

/// A backup that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedBackup {
    pub generation: i64,
    /// When it ended, by the server's clock as far as the device knows it.
    pub at: Time,
    /// For a person: what was wrong.
    pub reason: String,
}

/// What a backup does not hold: how much in total, and the first ones by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub count: u64,
    pub named: Vec<NotBackedUp>,
}

/// One path, in the manifest's spelling, and why it is not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotBackedUp {
    pub path: String,
    pub reason: String,
}

/// A protected folder that was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootAway {
    pub path: String,
    pub reason: String,
}

impl LeftOut {
    /// The most that are named.
    pub const NAMED: usize = 200;
    /// A longer path or reason is cut.
    const LONGEST: usize = 1024;

    /// Adds one.
    pub fn add(&mut self, path: &str, reason: &str) {
        self.count += 1;
        if self.named.len() < Self::NAMED {
            let cut = |text: &str| text.chars().take(Self::LONGEST).collect();
            self.named.push(NotBackedUp { path: cut(path), reason: cut(reason) });
        }
    }

    /// What is kept of it: a device may send anything.
    pub fn bounded(mut self) -> Self {
        let count = self.count.max(self.named.len() as u64);
        let named = std::mem::take(&mut self.named);
        named.iter().take(Self::NAMED).for_each(|it| self.add(&it.path, &it.reason));
        Self { count, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_left_out_is_counted_and_the_first_are_named() {
        let mut left_out = LeftOut::default();
        for number in 0..=LeftOut::NAMED {
            left_out.add(&format!("/{number}"), &"x".repeat(5000));
        }
        assert_eq!((left_out.count, left_out.named.len()), (201, 200));
        let first = NotBackedUp { path: "/0".to_owned(), reason: "x".repeat(1024) };
        assert_eq!(left_out.named.first(), Some(&first), "a long reason is cut");
    }

    #[test]
    fn what_a_device_says_was_left_out_is_bounded_and_no_fewer_than_it_names() {
        let one = NotBackedUp { path: "x".repeat(5000), reason: String::new() };
        let told = LeftOut { count: 3, named: vec![one; 300] };
        let kept = told.bounded();
        assert_eq!((kept.count, kept.named.len()), (300, 200));
        assert_eq!(kept.named.first().map(|it| it.path.len()), Some(1024));
        assert_eq!(LeftOut { count: 7, named: vec![] }.bounded().count, 7);
    }
}
