//! What is known of backups whose key the customer keeps: that what was sent is there, and nothing more.
//!
//! No test reads them, because nobody here can. But each object is named by the hash of its bytes, so verification compares
//! it without a key. Which objects a restore point needs is not known; so a point is verified if everything was read back
//! that had come when it did, for as long as the one that was read back longest ago counts.
use super::level::learned;
use crate::error::Result;
use crate::service::setting::VERIFIED_VALIDITY;
use crate::store::evidence::ReadBack;
use crate::store::{self, Conn};
use domain::id::{DeviceId, RepositoryId};
use domain::proof::is_ahead;
use domain::time::Time;

/// What was found of a repository that no test reads.
#[derive(Debug, Clone)]
pub struct Untested {
    repository: RepositoryId,
    device: DeviceId,
    found: ReadBack,
    oldest: Time,
}

/// The repositories that were read back further than their restore points say. Only reads.
///
/// # Errors
/// When the database refuses.
pub fn untested(conn: &mut Conn, now: Time) -> Result<Vec<Untested>> {
    let mut all = Vec::new();
    for (repository, device) in store::repository::of_customers(conn)? {
        let found = store::evidence::read_back(conn, repository)?;
        // Without an object that was read back, nothing is known; and one from the future counts for nothing.
        let Some(oldest) = found.oldest.filter(|it| !is_ahead(*it, now)) else { continue };
        if store::evidence::has_read_back_news(conn, repository, (&found, oldest))? {
            all.push(Untested { repository, device, found, oldest });
        }
    }
    Ok(all)
}

/// Notes what was found; returns for how many restore points it was news. What came in between counts next time.
///
/// # Errors
/// When the database refuses.
pub fn note_read_back(conn: &mut Conn, it: &Untested, now: Time) -> Result<usize> {
    // Damage may have been found since, which withdraws what this would say.
    if store::evidence::read_back(conn, it.repository)? != it.found {
        return Ok(0);
    }
    let validity = VERIFIED_VALIDITY.span(conn, now)?;
    let news = store::evidence::note_read_back(conn, it.repository, (&it.found, it.oldest), validity)?;
    if news > 0 {
        learned(conn, it.device, now)?;
    }
    Ok(news)
}
