//! Opens the second store: one that does not fail together with the first, or none.
use crate::blob::bucket::{Access, Bucket, Patience};
use crate::blob::fs::FsBlobs;
use crate::blob::home::read_marker;
use crate::blob::late::LateStore;
use crate::blob::pulled::{PulledBlobs, Relay};
use crate::blob::system::System;
use crate::blob::{BlobStore, StoreFault};
use crate::config::{BucketSettings, Config, CopySettings, CopyTarget};
use crate::service;
use crate::service::copy::{Begun, Locker};
use crate::store::setting::COPY;
use crate::store::{self, Store};
use anyhow::{Context, anyhow};
use domain::copy::SecondStore;
use domain::failure_domain::{FailureDomain, Seen, SeenBucket, SeenPuller, Shared, StoreKind, refusal, shared};
use domain::ground::AwayCause;
use domain::time::Time;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The second store, and what sets locks there if it is a bucket.
pub(super) type Opened = (Arc<dyn BlobStore>, Option<Locker>);

/// Looks at both stores, and opens the second one when it is there; the server runs meanwhile.
///
/// # Errors
/// When the second store would fail together with the first; the text says why and what to do.
pub(super) fn open_copy(
    config: &Config,
    store: &Store,
    (system, relay): (Arc<dyn System>, Option<Relay>),
    now: Time,
) -> anyhow::Result<Option<Opened>> {
    // Nothing could be noted of what is copied.
    if store.is_read_only() {
        return Ok(None);
    }
    let Some(settings) = config.copy.clone() else {
        service::copy::none(store, now)?;
        return Ok(None);
    };
    let pair = Arc::new(Pair { primary: (config.blobs.clone(), config.location.clone()), settings, system, relay });
    let has_copies = store.read_blocking(store::copy::has_any)?;
    let known = store.read_blocking(|conn| COPY.find(conn))?.filter(|_| has_copies);
    let is_new = pair.settings.anew.is_some();
    let second = pair.second_store(known.filter(|_| !is_new))?;
    if let Some(typed) = pair.settings.anew.as_deref().filter(|_| has_copies) {
        refuse_unnamed(&second, &pair.settings.target, typed)?;
    }
    let begun = service::copy::begin(store, &second, is_new, now)?;
    let opener = Arc::new(Opener::new(pair, begun, store)?);
    let locker = opener.bucket.clone().map(|it| Locker::new(store.clone(), it));
    let judge = Arc::clone(&opener);
    let copy: Arc<dyn BlobStore> = Arc::new(LateStore::new(move || opener.open(), move || judge.judge()));
    Ok(Some((copy, locker)))
}

/// Another store is begun with only by its name: the prompt of the wrong machine looks like the right one.
/// `set` is how the settings have it, such as a folder behind a symbolic link.
fn refuse_unnamed(store: &SecondStore, set: &CopyTarget, typed: &str) -> anyhow::Result<()> {
    let name = match store.kind {
        // Without its address.
        StoreKind::Bucket => store.place.split_once(" at ").map_or(store.place.as_str(), |it| it.0),
        StoreKind::Folder | StoreKind::Puller => store.place.as_str(),
    };
    let is_as_set = match set {
        CopyTarget::Folder(path) => Path::new(typed) == path,
        CopyTarget::Bucket(_) | CopyTarget::Puller(_) => false,
    };
    if typed == name || is_as_set {
        return Ok(());
    }
    Err(anyhow!(
        "--new-copy forgets what this server has copied. If everything is to be copied anew to {}, start once with \
         --new-copy={name}",
        store.place
    ))
}

/// How long a start waits for a folder of another machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The two stores as they are set, and who is asked about them.
struct Pair {
    primary: (PathBuf, String),
    settings: CopySettings,
    system: Arc<dyn System>,
    /// Where the puller asks, if the second store is one.
    relay: Option<Relay>,
}

/// What is seen of the second store.
struct Look {
    domain: FailureDomain,
    /// Everything that it has in common with the first.
    found: Vec<Shared>,
    /// Whether a folder is not there, or not the one that was used.
    is_absent: bool,
}

impl Pair {
    /// The second store as it is to be kept; `known` is the one to which something was copied.
    ///
    /// A disk that is not mounted stops no server. What is seen in its place is another disk, or nothing that answers: the
    /// store is judged when it is back, and stays until then what it was.
    fn second_store(self: &Arc<Self>, known: Option<SecondStore>) -> anyhow::Result<SecondStore> {
        let known = known.filter(|it| it.kind == self.kind()).map(|it| SecondStore { opened_at: None, ..it });
        let Some(looked) = self.look_in_time() else {
            let why = "the second store does not answer: check the disk, or the network connection to it";
            return known.ok_or_else(|| anyhow!(why));
        };
        let Look { domain, found, is_absent } = looked.context("looking at the second store")?;
        if let Some(known) = known.filter(|it| is_absent && it.place == domain.place()) {
            return Ok(known);
        }
        Ok(SecondStore {
            kind: self.kind(),
            place: domain.place(),
            location: self.settings.location.clone(),
            administration: domain.administration(),
            shares: self.judge(&found).map_err(|why| anyhow!("the second store is refused: {why}"))?,
            versions: None,
            opened_at: None,
        })
    }

    const fn kind(&self) -> StoreKind {
        match self.settings.target {
            CopyTarget::Folder(_) => StoreKind::Folder,
            CopyTarget::Bucket(_) => StoreKind::Bucket,
            CopyTarget::Puller(_) => StoreKind::Puller,
        }
    }

    /// A look at both; none if that takes too long.
    fn look_in_time(self: &Arc<Self>) -> Option<io::Result<Look>> {
        let (sender, receiver) = channel();
        let pair = Arc::clone(self);
        // Left alone if it never ends: a network disk that has gone may never answer.
        let thread = std::thread::Builder::new().name("copy".to_owned());
        // Nobody is waiting any more if it took too long.
        thread.spawn(move || drop(sender.send(pair.look()))).ok()?;
        receiver.recv_timeout(PATIENCE).ok()
    }

    fn look(&self) -> io::Result<Look> {
        let (blobs, location) = &self.primary;
        let mut folder = self.system.folder(blobs)?;
        let seen = match &self.settings.target {
            CopyTarget::Folder(dir) => Seen::Folder(self.system.folder(dir)?),
            CopyTarget::Bucket(it) => Seen::Bucket(SeenBucket {
                endpoint: it.endpoint.clone(),
                bucket: it.bucket.clone(),
                prefix: it.prefix.clone(),
                access_key: it.access_key.clone(),
                hosts: self.system.hosts(host_of(&it.endpoint)),
            }),
            CopyTarget::Puller(name) => {
                // By these two machines know each other; every machine calls itself localhost.
                folder.hosts.extend(self.system.marks());
                folder.hosts.retain(|it| !is_everyones(it));
                Seen::Puller(SeenPuller { name: name.clone(), hosts: self.puller_hosts() })
            }
        };
        let primary = FailureDomain { location: location.clone(), seen: Seen::Folder(folder) };
        let copy = FailureDomain { location: self.settings.location.clone(), seen };
        let found = shared(&primary, &copy);
        Ok(Look { domain: copy, found, is_absent: self.is_absent() })
    }

    /// The puller's names, as far as it has said any. An address of its that is this machine's is all of this one's names:
    /// names of strangers are not looked up.
    fn puller_hosts(&self) -> BTreeSet<String> {
        let hello = self.relay.as_ref().and_then(Relay::hello);
        let mut hosts: BTreeSet<String> = hello.map(|it| it.hosts).unwrap_or_default();
        let addresses: Vec<_> = hosts.iter().filter(|it| it.parse::<IpAddr>().is_ok()).cloned().collect();
        hosts.extend(addresses.iter().flat_map(|it| self.system.hosts(it)));
        hosts.retain(|it| !is_everyones(it));
        hosts
    }

    /// What a spare store has in common with the first, in words; empty for a second store.
    ///
    /// # Errors
    /// Why it is neither, and what to do.
    fn judge(&self, found: &[Shared]) -> Result<Vec<String>, String> {
        let itself: Vec<_> = found.iter().filter(|it| it.is_itself()).cloned().collect();
        if let Some(why) = refusal(&itself) {
            return Err(why);
        }
        match refusal(found) {
            Some(why) if !self.settings.is_spare => {
                Err(format!("{why} With --copy-is-spare it is used to repair damage, but counts as no second copy."))
            }
            _ => Ok(found.iter().map(Shared::sentence).collect()),
        }
    }

    fn is_absent(&self) -> bool {
        match &self.settings.target {
            CopyTarget::Folder(dir) => read_marker(dir).is_none(),
            CopyTarget::Bucket(_) => false,
            CopyTarget::Puller(_) => self.relay.as_ref().is_none_or(|it| it.hello().is_none()),
        }
    }
}

/// Opens the second store, as often as it takes.
struct Opener {
    pair: Arc<Pair>,
    begun: Begun,
    store: Store,
    /// The client of a bucket.
    bucket: Option<Bucket>,
}

impl Opener {
    /// Fails where the settings of a bucket make no client.
    fn new(pair: Arc<Pair>, begun: Begun, store: &Store) -> anyhow::Result<Self> {
        let bucket = match &pair.settings.target {
            CopyTarget::Folder(_) | CopyTarget::Puller(_) => None,
            CopyTarget::Bucket(it) => {
                Some(Bucket::new(&access(it), Patience::default()).context("using the settings of the copy")?)
            }
        };
        Ok(Self { pair, begun, store: store.clone(), bucket })
    }

    /// Once more, now that it is certainly there: only then is its disk the one that is seen.
    fn judge(&self) -> Result<(), StoreFault> {
        let looked = self.pair.look().map_err(|error| unreadable(&error))?;
        let shares = self.pair.judge(&looked.found).map_err(|why| StoreFault { cause: AwayCause::Foreign, why })?;
        // Not to know it is no reason not to copy.
        let versions = self.bucket.as_ref().and_then(|it| it.keeps_versions().ok());
        service::copy::found(&self.store, shares, versions).map_err(|error| unreadable(&error))
    }

    fn open(&self) -> Result<Arc<dyn BlobStore>, StoreFault> {
        let Begun { identity, opening } = &self.begun;
        match (&self.pair.settings.target, &self.bucket) {
            (CopyTarget::Folder(dir), _) => open_folder(dir, &self.begun),
            (CopyTarget::Bucket(_), Some(bucket)) => Ok(Arc::new(bucket.open(identity, *opening)?)),
            (CopyTarget::Puller(_), _) => {
                let relay = self.pair.relay.as_ref().ok_or_else(|| unreadable(&"nobody can ask for it"))?;
                Ok(Arc::new(PulledBlobs::open(relay, identity, *opening)?))
            }
            (CopyTarget::Bucket(_), None) => {
                Err(StoreFault { cause: AwayCause::Unreadable, why: "its settings make no client".to_owned() })
            }
        }
    }
}

fn open_folder(dir: &Path, begun: &Begun) -> Result<Arc<dyn BlobStore>, StoreFault> {
    let blobs = FsBlobs::open_home(dir, &begun.identity, begun.opening)?;
    // What a stop interrupted is copied again, and then read back.
    let unsettled = blobs.unsettled().map_err(|error| unreadable(&error))?;
    unsettled.into_iter().for_each(|(_, stored)| stored.settle());
    Ok(Arc::new(blobs))
}

fn unreadable(error: &dyn std::fmt::Display) -> StoreFault {
    StoreFault { cause: AwayCause::Unreadable, why: error.to_string() }
}

/// What opens the bucket of these settings.
pub fn access(settings: &BucketSettings) -> Access {
    Access {
        endpoint: settings.endpoint.clone(),
        bucket: settings.bucket.clone(),
        prefix: settings.prefix.clone(),
        region: settings.region.clone(),
        access_key: settings.access_key.clone(),
        secret_key: settings.secret_key.0.clone(),
    }
}

/// What every machine calls itself.
fn is_everyones(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.to_canonical().is_loopback())
}

/// The host in an address, without scheme and port.
fn host_of(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, it)| it);
    let rest = rest.split('/').next().unwrap_or(rest);
    match rest.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((inside, _)) => inside,
        None => rest.split(':').next().unwrap_or(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_behind_an_address_is_its_host() {
        for (endpoint, host) in [
            ("https://s3.example.com", "s3.example.com"),
            ("http://127.0.0.1:8333", "127.0.0.1"),
            ("https://[2001:db8::1]:9000/x", "2001:db8::1"),
        ] {
            assert_eq!(host_of(endpoint), host);
        }
    }
}
