//! Restore tests: what is tested, who tests, and what a result changes.
mod claim;
mod due;
mod failure;
mod keyless;
mod level;
mod queue;
mod result;

pub use claim::{Base, Claimed, Needed, claim, extend, needed, needed_alone, release};
pub use due::due;
pub use failure::{FailedBefore, Unsound, unsound};
pub use keyless::{Untested, note_read_back, untested};
pub use level::{learned, refresh};
pub use queue::{ask, ask_on_host, queue, test_newest};
pub use result::{finish, object_damaged, object_healed};

use crate::error::{Error, Result};
use crate::store::setting::PROOF_PUBLIC_KEY;
use crate::store::{self, Conn};
use domain::proof::TOLERANCE;
use domain::time::Time;
use std::time::Duration;

/// The public half of the proof key, to which new repositories are sealed.
///
/// # Errors
/// When the database refuses.
pub fn public_key(conn: &mut Conn) -> Result<Option<String>> {
    Ok(PROOF_PUBLIC_KEY.find(conn)?)
}

/// Makes the public half of the proof key known.
///
/// # Errors
/// When the database refuses.
pub fn publish_key(conn: &mut Conn, public: &str, now: Time) -> Result<()> {
    Ok(PROOF_PUBLIC_KEY.set(conn, &public.to_owned(), now)?)
}

/// Whether this process may date restore tests: with a shared database, its clock must agree with the
/// database's.
///
/// # Errors
/// When it is not.
pub fn check_clock(conn: &mut Conn, now: Time) -> Result<()> {
    let Some(theirs) = store::clock_of(conn)? else { return Ok(()) };
    let apart = Duration::from_millis(theirs.millis().abs_diff(now.millis()));
    if apart > TOLERANCE {
        return Err(Error::Refused(format!(
            "the clock here differs from the database's by {} s; set it right, because restore tests are dated by it",
            apart.as_secs()
        )));
    }
    Ok(())
}
