//! What a bucket says of itself that keeps what is there from being deleted, and what it lets this server do.
use super::Bucket;
use super::fault::CallFault;
use super::request::Request;
use super::xml;
use crate::blob::BlobKey;
use domain::copy::lock::{LockRule, Protection};
use domain::time::Time;
use object_store::path::Path;
use object_store::signer::Method;
use object_store::{ObjectStore, PutMode, PutPayload};
use std::fmt;

/// Why a lock or a hold was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockFault {
    /// There is no such object.
    Gone,
    /// The access key may not; or the object is locked for longer than that.
    Forbidden(String),
    /// The bucket, or the way to it, fails.
    Failed(String),
}

impl fmt::Display for LockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("there is no such object"),
            Self::Forbidden(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl Bucket {
    /// Asks the bucket what it allows, and tries to delete something of its own.
    pub fn protection(&self, now: Time) -> Protection {
        let mut untold = Vec::new();
        let mut told = |answer: Result<Option<String>, CallFault>, needs: &str| match answer {
            Ok(answer) => Some(answer),
            Err(CallFault::Forbidden(_)) => {
                untold.push(format!("the access key may not ask: grant {needs}"));
                None
            }
            Err(fault) => {
                untold.push(fault.of_store(&self.0.place).why);
                None
            }
        };
        let versions = told(self.versioning(), "s3:GetBucketVersioning").map(|it| it.as_deref() == Some("Enabled"));
        let rule = told(self.rule(), "s3:GetBucketObjectLockConfiguration").map(Option::unwrap_or_default);
        let rule = rule.and_then(|it| LockRule::parse(&it));
        let deleted = told(self.try_to_delete(), "s3:PutObject").map(|it| it.is_some());
        Protection { looked_at: now, versions, rule, last_rule: rule, deleted, untold: untold.join("; ") }
    }

    fn versioning(&self) -> Result<Option<String>, CallFault> {
        let answer = self.ask(Request::new(Method::GET, Path::default(), &[("versioning", "")]))?;
        first(&answer, "Status")
    }

    /// The rule in one line, as [`LockRule::parse`] reads it.
    fn rule(&self) -> Result<Option<String>, CallFault> {
        let answer = match self.ask(Request::new(Method::GET, Path::default(), &[("object-lock", "")])) {
            Ok(answer) => answer,
            // What a bucket says that was made without.
            Err(CallFault::NotFound) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let (mode, days, years) = (first(&answer, "Mode")?, first(&answer, "Days")?, first(&answer, "Years")?);
        Ok(match (mode, days, years) {
            (Some(mode), Some(days), None) => Some(format!("{mode} {days} days")),
            (Some(mode), None, Some(years)) => Some(format!("{mode} {years} years")),
            _ => None,
        })
    }

    /// Puts something and tries to delete that very version; something if that was possible.
    fn try_to_delete(&self) -> Result<Option<String>, CallFault> {
        let (path, bytes) = (self.0.place.trial(), &b"This server tried to delete this, and could not."[..]);
        let put = path.clone();
        let put = self.call(0, move |store| async move {
            store.put_opts(&put, PutPayload::from_static(bytes), PutMode::Overwrite.into()).await
        })?;
        let version = put.version.filter(|it| !it.is_empty());
        let query: Vec<_> = version.iter().map(|it| ("versionId", it.as_str())).collect();
        match self.ask(Request::new(Method::DELETE, path, &query)) {
            Ok(_) => Ok(Some("deleted".to_owned())),
            Err(CallFault::Forbidden(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Locks what is at a key until `until`, by the mode of `rule`; an earlier time than that of its lock is refused.
    ///
    /// # Errors
    /// When it is not there, or the bucket refuses.
    pub fn lock_until(&self, key: &BlobKey, rule: LockRule, until: Time) -> Result<(), LockFault> {
        let Some(mode) = rule.mode() else { return Err(LockFault::Failed("the bucket locks nothing".to_owned())) };
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{mode}</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            until.iso()
        );
        self.set(key, "retention", body)
    }

    /// Until when what is at a key is locked, whatever the mode; none if it is not.
    ///
    /// # Errors
    /// When it is not there, or the bucket refuses.
    pub fn locked_until(&self, key: &BlobKey) -> Result<Option<Time>, LockFault> {
        Ok(self.lock_of(key)?.map(|it| it.1))
    }

    /// The lock of what is at a key: S3's word for its mode, and until when; none if it is not locked.
    ///
    /// # Errors
    /// When it is not there, or the bucket refuses.
    pub fn lock_of(&self, key: &BlobKey) -> Result<Option<(String, Time)>, LockFault> {
        let asked = self.ask(Request::new(Method::GET, self.0.place.key(key), &[("retention", "")]));
        let answer = asked.map_err(|fault| self.of_lock(fault))?;
        let said = |name| first(&answer, name).map_err(|fault| self.of_lock(fault));
        let until = said("RetainUntilDate")?.as_deref().and_then(Time::parse_iso);
        Ok(said("Mode")?.zip(until))
    }

    /// Puts a legal hold on what is at a key, or takes it off.
    ///
    /// # Errors
    /// When it is not there, or the bucket refuses.
    pub fn set_hold(&self, key: &BlobKey, is_held: bool) -> Result<(), LockFault> {
        let status = if is_held { "ON" } else { "OFF" };
        let body = format!(
            "<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}</Status></LegalHold>"
        );
        self.set(key, "legal-hold", body)
    }

    /// Whether a legal hold is on what is at a key.
    ///
    /// # Errors
    /// When it is not there, or the bucket refuses.
    pub fn is_held(&self, key: &BlobKey) -> Result<bool, LockFault> {
        match self.ask(Request::new(Method::GET, self.0.place.key(key), &[("legal-hold", "")])) {
            Ok(answer) => Ok(first(&answer, "Status").map_err(|fault| self.of_lock(fault))?.as_deref() == Some("ON")),
            // What a bucket says of an object that never had one.
            Err(CallFault::NotFound) => Ok(false),
            Err(fault) => Err(self.of_lock(fault)),
        }
    }

    /// Any request, with the right signature: for whoever tries what a bucket refuses. `key` is the whole key; empty for
    /// the bucket itself.
    ///
    /// # Errors
    /// What the bucket says.
    pub fn send(&self, method: &str, key: &str, query: &[(&str, &str)], body: &str) -> Result<Vec<u8>, LockFault> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| LockFault::Failed(error.to_string()))?;
        let request = Request::new(method, Path::from(key), query).with(body.to_owned());
        self.ask(request).map_err(|fault| self.of_lock(fault))
    }

    fn set(&self, key: &BlobKey, what: &str, body: String) -> Result<(), LockFault> {
        let request = Request::new(Method::PUT, self.0.place.key(key), &[(what, "")]).with(body);
        self.ask(request).map(drop).map_err(|fault| self.of_lock(fault))
    }

    fn of_lock(&self, fault: CallFault) -> LockFault {
        match fault {
            CallFault::NotFound => LockFault::Gone,
            CallFault::Forbidden(why) => LockFault::Forbidden(why),
            fault @ (CallFault::Taken
            | CallFault::NoBucket
            | CallFault::Full(_)
            | CallFault::Silent(_)
            | CallFault::Unreached(_)
            | CallFault::Failed(_)) => LockFault::Failed(fault.of_store(&self.0.place).why),
        }
    }
}

/// The text of the first element of a name.
fn first(answer: &[u8], name: &str) -> Result<Option<String>, CallFault> {
    xml::first(answer, name).map_err(|fault| CallFault::Failed(fault.to_string()))
}
