//! Whoever has stolen the console's own key to the bucket: overwrites, deletes, and tries to make it final.
use super::second::SecondPlace;
use crate::blob::bucket::versions::History;
use crate::blob::bucket::{Bucket, LockFault};
use anyhow::{Result, anyhow, ensure};
use clock::Clock;
use domain::time::hours;

/// Every how many objects one is overwritten before it is deleted.
const OVERWRITES: usize = 3;

/// How many versions of what is there are tried to be deleted for good. All of them would only take longer.
const TRIES: usize = 200;

/// The bucket, as whoever has the key sees it.
pub struct Thief {
    bucket: Bucket,
}

impl Thief {
    /// With the key of the settings.
    ///
    /// # Errors
    /// When the second store is no bucket.
    pub fn of(second: &SecondPlace) -> Result<Self> {
        Ok(Self { bucket: second.bucket()? })
    }

    /// Makes the bucket as `docs/second-copy.md` asks for, but for its short retention.
    ///
    /// # Errors
    /// When the server has no versions or locks.
    pub fn lock_bucket(&self) -> Result<()> {
        let send = |method: &str, query: &[(&str, &str)], body: &str| self.bucket.send(method, "", query, body);
        // Whether it is there already is seen next.
        let _ = send("PUT", &[], "");
        send(
            "PUT",
            &[("versioning", "")],
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        )
        .map_err(|fault| anyhow!("turning on versions: {fault}"))?;
        let rule = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                    <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        send("PUT", &[("object-lock", "")], rule).map_err(|fault| anyhow!("turning on locks: {fault}"))?;
        Ok(())
    }

    /// Overwrites some, deletes all, and tries to delete versions and to shorten locks; returns what that came to.
    ///
    /// # Errors
    /// When something could be deleted for good.
    pub fn rob(&self) -> Result<String> {
        let found = self.histories()?;
        ensure!(!found.is_empty(), "there is nothing to steal");
        let mut overwritten = 0;
        for (at, history) in found.iter().enumerate() {
            if at % OVERWRITES == 0 {
                self.send("PUT", history.key(), &[], "ransom")?;
                overwritten += 1;
            }
            self.send("DELETE", history.key(), &[], "")?;
        }
        let refused = self.try_to_make_it_final(&found)?;
        let hidden = self.histories()?;
        ensure!(hidden.iter().all(History::is_hidden), "not everything was deleted");
        Ok(format!(
            "somebody with the console’s key overwrote {overwritten} of {} objects on the second store and deleted all; \
             {refused} attempts to delete a version for good or to shorten its lock were refused",
            found.len()
        ))
    }

    fn try_to_make_it_final(&self, found: &[History]) -> Result<usize> {
        let soon = (Clock::System.now() + hours(1)).iso();
        let shorter =
            |mode: &str| format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{soon}</RetainUntilDate></Retention>");
        let mut refused = 0;
        for version in found.iter().flat_map(|it| &it.versions).take(TRIES) {
            let id = ("versionId", version.id.as_str());
            for (method, query, body) in [
                ("DELETE", vec![id], String::new()),
                ("PUT", vec![("retention", ""), id], shorter("COMPLIANCE")),
                ("PUT", vec![("retention", ""), id], shorter("GOVERNANCE")),
            ] {
                match self.bucket.send(method, &version.key, &query, &body) {
                    Err(LockFault::Forbidden(_)) => refused += 1,
                    other => return Err(anyhow!("{method} {query:?} of {} was not refused: {other:?}", version.key)),
                }
            }
        }
        Ok(refused)
    }

    fn histories(&self) -> Result<Vec<History>> {
        let mut found = Vec::new();
        self.bucket.histories(&mut |it| {
            found.push(it);
            Ok::<_, crate::blob::StoreFault>(())
        })?;
        Ok(found)
    }

    fn send(&self, method: &str, key: &str, query: &[(&str, &str)], body: &str) -> Result<Vec<u8>> {
        self.bucket.send(method, key, query, body).map_err(|fault| anyhow!("{method} {key}: {fault}"))
    }
}
