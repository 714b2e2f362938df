//! Whose turn it is.
use super::order;
use super::pace::{Backoff, Pace};
use crate::error::Result;
use crate::store::{Conn, uncopied};
use domain::id::RepositoryId;
use domain::time::Time;
use std::time::Duration;

/// How many repositories are passed by in one run because only damaged objects of them wait.
const PASSED_BY: usize = 64;

/// How long nothing is looked for where only damaged objects wait.
const REST: Duration = Duration::from_secs(30);

/// Where the next run continues.
#[derive(Debug, Default)]
pub struct Turn {
    pub pace: Pace,
    pub backoff: Backoff,
    /// When the second store was last found.
    pub looked_at: Option<Time>,
    after: Option<RepositoryId>,
    rests_until: Option<Time>,
}

/// Which repository is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Repository(RepositoryId),
    /// What waits of those up to this one, or of all, is damaged in the backup store.
    OnlyDamaged(Option<RepositoryId>),
    Nothing,
}

impl Turn {
    /// The repository that had its turn last.
    pub const fn last(&self) -> Option<RepositoryId> {
        self.after
    }

    /// Whether all that waits was damaged a moment ago.
    pub fn rests(&self, now: Time) -> bool {
        self.rests_until.is_some_and(|it| now < it && it <= now + REST)
    }

    /// Takes the next turn; returns whose it is, if anybody's.
    pub fn take(&mut self, next: Next, now: Time) -> Option<RepositoryId> {
        self.rests_until = None;
        match next {
            Next::Repository(repository) => {
                self.after = Some(repository);
                Some(repository)
            }
            Next::OnlyDamaged(last) => {
                // The others come in the next run.
                self.after = last;
                self.rests_until = last.is_none().then_some(now + REST);
                None
            }
            Next::Nothing => None,
        }
    }
}

/// The first repository after `after`, or else of all, of which something can be copied.
///
/// # Errors
/// When the database refuses.
pub fn next(conn: &mut Conn, after: Option<RepositoryId>) -> Result<Next> {
    let (mut at, mut is_around) = (after, after.is_none());
    for _ in 0..PASSED_BY {
        match uncopied::next_repository(conn, at)? {
            Some(next) if !order::next(conn, next, 1)?.is_empty() => return Ok(Next::Repository(next)),
            Some(next) => at = Some(next),
            None if is_around && at.is_none() => return Ok(Next::Nothing),
            None if is_around => return Ok(Next::OnlyDamaged(None)),
            None => (at, is_around) = (None, true),
        }
    }
    Ok(Next::OnlyDamaged(at))
}
