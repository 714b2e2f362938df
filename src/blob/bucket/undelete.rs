//! Brings back what somebody deleted or overwrote in a bucket that keeps versions.
//!
//! Nothing is ever deleted or overwritten there by this server, except that rotten bytes are replaced by right ones. So
//! every marker of a deletion is somebody else's, and of several versions the right one is the one whose bytes match its
//! name. What has no hash for a name is right as it first was.
use super::fault::CallFault;
use super::request::Request;
use super::versions::{History, Version};
use super::{Bucket, Marker};
use crate::blob::{BlobKey, StoreFault};
use domain::object::ObjectKind;
use object_store::path::Path;
use object_store::signer::Method;
use object_store::{GetOptions, ObjectStore, PutMode, PutPayload};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

/// How many keys are worked on at once; each may have a whole object in memory.
const PARALLEL: usize = 6;

/// How many keys that cannot be brought back are named.
const NAMED: usize = 20;

/// What was found, and what was done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undeleted {
    /// Keys that were looked at.
    pub keys: u64,
    /// Of them, those that a marker hides.
    pub hidden: u64,
    /// Those whose newest bytes are not the right ones.
    pub overwritten: u64,
    /// What these have, as bytes.
    pub bytes: u64,
    /// Those that are right again.
    pub mended: u64,
    /// How many of these had to be sent again, as the access key may not remove a marker, or as other bytes were there.
    pub sent: u64,
    /// How many cannot be brought back: no version has the right bytes.
    pub hopeless: u64,
    /// Some of them, and why.
    pub named: Vec<String>,
}

impl Undeleted {
    /// Whether everything there is as it should be.
    pub const fn is_whole(&self) -> bool {
        self.hidden + self.overwritten == self.mended && self.hopeless == 0
    }
}

/// How it is known which version is the right one.
enum Right {
    /// By the hash in its name.
    Hash([u8; 32], u64),
    /// The first one: a config, which is never replaced by other bytes.
    First,
    /// The newest that is a marker of a store.
    Store,
}

/// The bytes that a key should have.
struct Found<'a> {
    version: &'a Version,
    /// None if they were not read, because there is only one version.
    bytes: Option<Vec<u8>>,
}

/// What one key was found to be.
enum Verdict<'a> {
    Fine,
    Wrong { is_hidden: bool, right: Found<'a> },
    Hopeless(&'static str),
}

impl Bucket {
    /// Looks at every key of the store, and, unless `is_trial`, brings back what is hidden or overwritten. `say` is told
    /// how far it is, from time to time. Interrupted, it begins again, and finds less to do.
    ///
    /// # Errors
    /// When the bucket cannot be listed or read, or does not let this access key put what is missing.
    pub fn undelete(&self, is_trial: bool, say: &(dyn Fn(&Undeleted) + Sync)) -> Result<Undeleted, StoreFault> {
        let (sender, receiver) = sync_channel::<History>(2 * PARALLEL);
        let (receiver, done, failed) = (Mutex::new(receiver), Mutex::new(Undeleted::default()), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(|| {
                    while let Some(history) = take(&receiver) {
                        match self.undelete_one(&history, is_trial, &done, say) {
                            Ok(()) => {}
                            Err(fault) => {
                                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
                            }
                        }
                    }
                });
            }
            let listed = self.histories(&mut |history| {
                if let Some(fault) = failed.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                    return Err(fault);
                }
                // Whoever takes them ends only after this.
                let _ = sender.send(history);
                Ok(())
            });
            drop(sender);
            listed
        })?;
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(fault),
            None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn undelete_one(
        &self,
        history: &History,
        is_trial: bool,
        done: &Mutex<Undeleted>,
        say: &(dyn Fn(&Undeleted) + Sync),
    ) -> Result<(), StoreFault> {
        let Some((path, right)) = self.right_of(history.key()) else { return Ok(()) };
        let verdict = self.judge(&path, history, &right)?;
        let sent = match &verdict {
            Verdict::Wrong { right, .. } if !is_trial => Some(self.mend(&path, history, right)?),
            Verdict::Wrong { .. } | Verdict::Fine | Verdict::Hopeless(_) => None,
        };
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        done.keys += 1;
        match verdict {
            Verdict::Fine => {}
            Verdict::Wrong { is_hidden, right } => {
                *(if is_hidden { &mut done.hidden } else { &mut done.overwritten }) += 1;
                done.bytes += right.version.size;
                done.mended += u64::from(sent.is_some());
                done.sent += u64::from(sent == Some(true));
            }
            Verdict::Hopeless(why) => {
                done.hopeless += 1;
                if done.named.len() < NAMED {
                    done.named.push(format!("{}: {why}", history.key()));
                }
            }
        }
        if done.keys.is_multiple_of(1_000) {
            say(&done);
        }
        Ok(())
    }

    /// How the right version of a key is known; none for what is not ours.
    fn right_of(&self, key: &str) -> Option<(Path, Right)> {
        let path = Path::parse(key).ok().filter(|it| it.as_ref() == key)?;
        let place = &self.0.place;
        if path == place.marker() {
            return Some((path, Right::Store));
        }
        let BlobKey { kind, name, .. } = place.key_of(place.repository_of(&path)?, &path)?;
        let right = match (kind, name.hash()) {
            // Somebody's lock ended long ago.
            (ObjectKind::Locks, _) => return None,
            (kind, Some(hash)) => Right::Hash(hash, kind.max_bytes()),
            (_, None) => Right::First,
        };
        Some((path, right))
    }

    fn judge<'a>(&self, path: &Path, history: &'a History, right: &Right) -> Result<Verdict<'a>, StoreFault> {
        let is_hidden = history.is_hidden();
        let mut versions = history.with_bytes();
        let (newest, others) = (versions.next(), versions.next().is_some());
        let Some(newest) = newest else { return Ok(Verdict::Hopeless("every version of it is gone")) };
        if !others {
            // Compared with its name when it is read.
            let right = Found { version: newest, bytes: None };
            return Ok(if is_hidden { Verdict::Wrong { is_hidden, right } } else { Verdict::Fine });
        }
        if !is_hidden && self.is_right(path, newest, history, right)?.is_some() {
            return Ok(Verdict::Fine);
        }
        // From the first on: whoever overwrites comes later.
        let mut oldest_first: Vec<_> = history.with_bytes().collect();
        if !matches!(right, Right::Store) {
            oldest_first.reverse();
        }
        for version in oldest_first {
            if let Some(bytes) = self.is_right(path, version, history, right)? {
                return Ok(Verdict::Wrong { is_hidden, right: Found { version, bytes: Some(bytes) } });
            }
        }
        Ok(Verdict::Hopeless("no version of it has the bytes that it should have"))
    }

    /// The bytes of a version, if they are the right ones.
    fn is_right(
        &self,
        path: &Path,
        version: &Version,
        history: &History,
        right: &Right,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        match right {
            Right::Hash(_, most) if version.size > *most => Ok(None),
            Right::Hash(hash, _) => Ok(self.version(path, version)?.filter(|it| secret::sha256(it) == *hash)),
            Right::First => {
                let Some(first) = history.with_bytes().next_back() else { return Ok(None) };
                let Some(wanted) = self.version(path, first)? else { return Ok(None) };
                if version == first {
                    return Ok(Some(wanted));
                }
                Ok(self.version(path, version)?.filter(|it| *it == wanted))
            }
            Right::Store => Ok(self.version(path, version)?.filter(|it| Marker::is_one(it))),
        }
    }

    /// The bytes of a version; none if it is not there any more.
    fn version(&self, path: &Path, version: &Version) -> Result<Option<Vec<u8>>, StoreFault> {
        let most = ObjectKind::Data.max_bytes();
        if version.size > most {
            return Ok(None);
        }
        let options = GetOptions {
            version: Some(version.id.clone()),
            range: Some((0..most + 1).into()),
            ..GetOptions::default()
        };
        let options = if version.size == 0 { GetOptions { range: None, ..options } } else { options };
        let asked = path.clone();
        let got =
            self.call(version.size, move |store| async move { store.get_opts(&asked, options).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(CallFault::NotFound) => Ok(None),
            Err(CallFault::Forbidden(why)) => {
                let why = format!(
                    "older versions cannot be read ({why}): grant s3:GetObjectVersion to the access key, or use the \
                     account owner’s"
                );
                Err(CallFault::Forbidden(why).of_store(&self.0.place))
            }
            Err(fault) => Err(fault.of_store(&self.0.place)),
        }
    }

    /// Makes `right` what is at a key; true if its bytes had to be sent again.
    fn mend(&self, path: &Path, history: &History, right: &Found<'_>) -> Result<bool, StoreFault> {
        let above: Vec<_> = history.versions.iter().take_while(|it| *it != right.version).collect();
        if above.iter().all(|it| it.is_marker) && self.remove_markers(path, &above)? {
            return Ok(false);
        }
        let bytes = match &right.bytes {
            Some(bytes) => Some(bytes.clone()),
            None => self.version(path, right.version)?,
        };
        let Some(bytes) = bytes else { return Err(CallFault::NotFound.of_store(&self.0.place)) };
        let (path, size) = (path.clone(), bytes.len() as u64);
        let put = self.call(size, move |store| async move {
            store.put_opts(&path, PutPayload::from(bytes), PutMode::Overwrite.into()).await
        });
        put.map(|_| true).map_err(|fault| fault.of_store(&self.0.place))
    }

    /// Removes markers, the newest first; false if the access key may not.
    fn remove_markers(&self, path: &Path, markers: &[&Version]) -> Result<bool, StoreFault> {
        for marker in markers {
            let request = Request::new(Method::DELETE, path.clone(), &[("versionId", &marker.id)]);
            match self.ask(request) {
                Ok(_) | Err(CallFault::NotFound) => {}
                Err(CallFault::Forbidden(_)) => return Ok(false),
                Err(fault) => return Err(fault.of_store(&self.0.place)),
            }
        }
        Ok(true)
    }
}

fn take(receiver: &Mutex<Receiver<History>>) -> Option<History> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
