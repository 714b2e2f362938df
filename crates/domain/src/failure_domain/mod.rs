//! Failure domains: what two stores must not share if a copy in each of them is to count as two.
//!
//! In 2009 a main database and its backup failed together, because they were one. So a store may not be its own
//! replica: whatever takes one of two copies must leave the other. What the system says of a store is judged here
//! together with what only a person can say, which is where it stands.
use crate::text::text_enum;
use crate::words::is_same_name;
use std::collections::BTreeSet;
use std::path::PathBuf;

#[cfg(test)]
mod tests;

text_enum! {
    /// What kind of thing a store is.
    StoreKind {
        /// A folder of this machine, on its own disk or on a mounted one.
        Folder = "folder",
        /// A bucket behind an S3-compatible address.
        Bucket = "bucket",
        /// Another Holdfast, which fetches what it keeps.
        Puller = "puller",
    }
}

impl StoreKind {
    /// Its name on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "Folder",
            Self::Bucket => "S3 bucket",
            Self::Puller => "Another Holdfast",
        }
    }
}

/// What a store depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureDomain {
    /// Where it stands, in the words of whoever runs it, such as "Zürich, cellar"; empty if they did not say.
    pub location: String,
    pub seen: Seen,
}

/// What the system says of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Folder(SeenFolder),
    Bucket(SeenBucket),
    Puller(SeenPuller),
}

/// A folder as the system sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenFolder {
    /// Absolute, with symbolic links resolved.
    pub path: PathBuf,
    /// The number of its file system (`st_dev`).
    pub device: u64,
    /// What is mounted there, such as `/dev/sdb1` or `nas:/export`.
    pub mount: String,
    /// The disks or pools below it, such as `sdb`; empty if the system does not say.
    pub disks: BTreeSet<String>,
    /// Names and addresses of the machine that has the disk.
    pub hosts: BTreeSet<String>,
}

/// What a machine is best called: by a name rather than by an address.
fn called(hosts: &BTreeSet<String>) -> Option<&str> {
    let is_name = |it: &&String| it.parse::<std::net::IpAddr>().is_err();
    hosts.iter().find(is_name).or_else(|| hosts.first()).map(String::as_str)
}

/// A bucket as its settings and the network show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenBucket {
    pub endpoint: String,
    pub bucket: String,
    /// What its keys begin with, without slashes at either end; empty for the whole bucket.
    pub prefix: String,
    /// The public half of what opens it.
    pub access_key: String,
    /// Names and addresses of the machine that answers for it.
    pub hosts: BTreeSet<String>,
}

/// Another Holdfast, by what it says of itself: a mistake shows in it, and a lie does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenPuller {
    /// What people call it.
    pub name: String,
    /// Names, addresses and marks of its machine, and of the one that has its disk.
    pub hosts: BTreeSet<String>,
}

/// Something that two stores have in common, so that one event can take both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// They are the same folder, whatever it is called.
    Folder(PathBuf),
    /// The first is inside the second.
    Inside(PathBuf, PathBuf),
    /// Part of one bucket is in both.
    Keys(String),
    Bucket(String),
    Device(u64),
    Mount(String),
    Disk(String),
    Host(String),
    /// One access key opens both.
    Credentials(String),
    Location(String),
    /// Nobody said where one of them stands.
    NoLocation,
}

impl Shared {
    /// What they have in common, in words.
    pub fn sentence(&self) -> String {
        match self {
            Self::Folder(path) => format!("both are the same folder, {}", path.display()),
            Self::Inside(inner, outer) => format!("{} is inside {}", inner.display(), outer.display()),
            Self::Keys(bucket) => format!("both are the same part of the bucket {bucket}"),
            Self::Bucket(bucket) => format!("both are in the bucket {bucket}"),
            Self::Device(device) => format!("both are on the same file system (device {device})"),
            Self::Mount(mount) => format!("both are on {mount}"),
            Self::Disk(disk) => format!("both are on the disk {disk}"),
            Self::Host(host) => format!("both are on the machine {host}"),
            Self::Credentials(key) => format!("the access key {key} opens both"),
            Self::Location(location) => format!("both stand at “{location}”"),
            Self::NoLocation => "nobody said where each of them stands".to_owned(),
        }
    }

    /// What whoever runs the server does about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Folder(_) | Self::Inside(..) => "Name another folder, on another machine’s disk, with --copy.",
            Self::Keys(_) | Self::Bucket(_) => "Name another bucket, of another provider or account, with --copy.",
            Self::Device(_) | Self::Mount(_) | Self::Disk(_) => {
                "Mount a disk of another machine and name a folder on it, or name a bucket, with --copy."
            }
            Self::Host(_) => {
                "Name a folder on a disk of another machine, or a bucket that another machine answers for, with --copy."
            }
            Self::Credentials(_) => "Make an access key of its own for the second store, best in another account.",
            Self::Location(_) => "Put the second store somewhere else, and say where with --copy-location.",
            Self::NoLocation => {
                "Say where the backup store stands with --location, and where the second store does with \
                 --copy-location."
            }
        }
    }

    /// Whether both would have the very same bytes: then one is no copy of any kind, not even a spare one.
    pub const fn is_itself(&self) -> bool {
        match self {
            Self::Folder(_) | Self::Inside(..) | Self::Keys(_) => true,
            Self::Bucket(_)
            | Self::Device(_)
            | Self::Mount(_)
            | Self::Disk(_)
            | Self::Host(_)
            | Self::Credentials(_)
            | Self::Location(_)
            | Self::NoLocation => false,
        }
    }
}

/// Everything that two stores have in common; empty if a copy in each of them counts as two.
pub fn shared(one: &FailureDomain, other: &FailureDomain) -> Vec<Shared> {
    let mut found = match (&one.seen, &other.seen) {
        (Seen::Folder(one), Seen::Folder(other)) => folders(one, other),
        (Seen::Bucket(one), Seen::Bucket(other)) => buckets(one, other),
        (Seen::Folder(_), Seen::Bucket(_) | Seen::Puller(_))
        | (Seen::Bucket(_), Seen::Folder(_) | Seen::Puller(_))
        | (Seen::Puller(_), Seen::Folder(_) | Seen::Bucket(_) | Seen::Puller(_)) => Vec::new(),
    };
    // One name is enough to be told; the others are the same machine's.
    let hosts: BTreeSet<String> = one.hosts().intersection(other.hosts()).cloned().collect();
    found.extend(called(&hosts).map(|it| Shared::Host(it.to_owned())));
    if one.location.trim().is_empty() || other.location.trim().is_empty() {
        found.push(Shared::NoLocation);
    } else if is_same_name(&one.location, &other.location) {
        found.push(Shared::Location(one.location.trim().to_owned()));
    }
    found
}

impl FailureDomain {
    /// Who could take it away: its administration domain, in words.
    pub fn administration(&self) -> String {
        match &self.seen {
            Seen::Folder(it) => format!("whoever administers {}", called(&it.hosts).unwrap_or("an unknown machine")),
            Seen::Bucket(it) => format!("the account of the access key {} at {}", it.access_key, it.endpoint),
            Seen::Puller(it) => format!("whoever administers the other Holdfast, {}", it.name),
        }
    }

    /// What it is called in sentences: a path, or a bucket's address.
    pub fn place(&self) -> String {
        match &self.seen {
            Seen::Folder(it) => it.path.display().to_string(),
            Seen::Bucket(it) if it.prefix.is_empty() => format!("s3://{} at {}", it.bucket, it.endpoint),
            Seen::Bucket(it) => format!("s3://{}/{} at {}", it.bucket, it.prefix, it.endpoint),
            Seen::Puller(it) => format!("pull:{}", it.name),
        }
    }

    fn hosts(&self) -> &BTreeSet<String> {
        match &self.seen {
            Seen::Folder(it) => &it.hosts,
            Seen::Bucket(it) => &it.hosts,
            Seen::Puller(it) => &it.hosts,
        }
    }
}

fn folders(one: &SeenFolder, other: &SeenFolder) -> Vec<Shared> {
    let mut found = Vec::new();
    if one.path == other.path {
        found.push(Shared::Folder(one.path.clone()));
    } else if one.path.starts_with(&other.path) {
        found.push(Shared::Inside(one.path.clone(), other.path.clone()));
    } else if other.path.starts_with(&one.path) {
        found.push(Shared::Inside(other.path.clone(), one.path.clone()));
    }
    if one.device == other.device {
        found.push(Shared::Device(one.device));
    }
    if one.mount == other.mount && !one.mount.is_empty() {
        found.push(Shared::Mount(one.mount.clone()));
    }
    found.extend(one.disks.intersection(&other.disks).cloned().map(Shared::Disk));
    found
}

fn buckets(one: &SeenBucket, other: &SeenBucket) -> Vec<Shared> {
    let mut found = Vec::new();
    // An address may be written in several ways: the same name behind the same machine is the same bucket.
    let is_one_place = is_same_name(&one.endpoint, &other.endpoint) || !one.hosts.is_disjoint(&other.hosts);
    if one.bucket == other.bucket && is_one_place {
        let overlap = is_below(&one.prefix, &other.prefix) || is_below(&other.prefix, &one.prefix);
        let shared = if overlap { Shared::Keys } else { Shared::Bucket };
        found.push(shared(one.bucket.clone()));
    }
    if one.access_key == other.access_key {
        found.push(Shared::Credentials(one.access_key.clone()));
    }
    found
}

/// Whether `prefix` is `above` or below it.
fn is_below(prefix: &str, above: &str) -> bool {
    above.is_empty() || prefix == above || prefix.strip_prefix(above).is_some_and(|it| it.starts_with('/'))
}

/// Why two stores are no second copy of each other, each reason with what to do; none if they are one.
pub fn refusal(found: &[Shared]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let reasons: Vec<_> = found.iter().map(|it| format!("{}. {}", it.sentence(), it.advice())).collect();
    Some(format!("one event could take the backup store and its copy together: {}", reasons.join(" Besides, ")))
}
