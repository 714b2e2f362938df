//! Whose blob folder it is: a marker in it, a lock on it, and a check before each write.
//!
//! A folder whose disk is gone looks like a new, empty one. Without the marker nobody could tell, and uploads
//! would be acknowledged onto the disk below the missing mount.
use crate::blob::StoreFault;
use domain::ground::AwayCause;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The folder for the marker and the lock, beside those of the repositories.
pub(super) const FOLDER: &str = "holdfast";
const MARKER: &str = "store.json";
const LOCK: &str = "lock";
/// Where uploads arrive; it also identifies a backup folder without a marker.
const UPLOADS: &str = "tmp";

/// A server that is ending holds the lock a moment longer than its data folder.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whom a blob folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub server: String,
    pub database: String,
    /// The second store's own id; none for the one that devices upload to. So neither is taken for the other, nor a
    /// second store for one that it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
}

/// The marker's content.
#[derive(Serialize, Deserialize)]
pub(super) struct Marker {
    about: String,
    #[serde(flatten)]
    identity: Identity,
}

impl Marker {
    /// The marker of a store.
    pub(super) fn new(identity: &Identity) -> Self {
        let about = "This holds the backups of a Holdfast server. The server does not use it without this file.";
        Self { about: about.to_owned(), identity: identity.clone() }
    }

    /// What is written.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Whether `text` is the marker of any store.
    pub(super) fn is_one(text: &[u8]) -> bool {
        serde_json::from_slice::<Self>(text).is_ok()
    }

    /// Whether `text`, found at `place`, is the marker of `identity`.
    pub(super) fn check(text: &[u8], place: &str, identity: &Identity) -> Result<(), StoreFault> {
        let marker = serde_json::from_slice::<Self>(text).map_err(|why| StoreFault {
            cause: AwayCause::Unreadable,
            why: format!("the marker of {place} is damaged: {why}"),
        })?;
        let found = marker.identity;
        if found == *identity {
            return Ok(());
        }
        let whose = if found.server != identity.server {
            "the store of another server"
        } else if found.database != identity.database {
            "the store of another database"
        } else if found.copy.is_none() {
            "this server’s backup store itself"
        } else if identity.copy.is_none() {
            "the second store of this server, and not its backup store"
        } else {
            "another second store of this server"
        };
        let why = format!("{place} is {whose} (server {}, database {})", found.server, found.database);
        Err(StoreFault { cause: AwayCause::Foreign, why })
    }
}

/// How a folder is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The ledger has no objects yet: the folder may be created.
    New,
    /// The ledger has objects, so the marker must be there.
    Known,
    /// As found, without a lock; for reading beside a server.
    Beside,
    /// Whatever marker it has: the person who runs the server says it is the right one.
    Adopted,
}

/// A folder that was found to be the right one.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    identity: Option<Identity>,
    held: Mutex<Held>,
    locks: bool,
}

#[derive(Debug)]
struct Held {
    device: u64,
    inode: u64,
    /// None if the disk is read-only and has no lock file: nobody writes there.
    _lock: Option<File>,
}

impl Home {
    /// Takes the folder for this process.
    ///
    /// # Errors
    /// When it is not there, is another's, is used by another process, or cannot be read.
    pub fn open(dir: &Path, identity: &Identity, opening: Opening) -> Result<Self, StoreFault> {
        let mut lock = None;
        match (look(dir, identity), opening) {
            (Ok(_), _) => {}
            (Err(fault), Opening::New) if fault.cause == AwayCause::Away => {
                if holds_backups(dir).map_err(|error| unreadable(dir, &error))? {
                    return Err(StoreFault {
                        why: format!("{} holds backups that this database knows nothing about", dir.display()),
                        cause: AwayCause::Foreign,
                    });
                }
                mark(dir, identity).map_err(|error| unusable(dir, &error))?;
            }
            (Err(fault), Opening::Adopted) if matches!(fault.cause, AwayCause::Away | AwayCause::Foreign) => {
                // Before the marker changes: a server that uses the folder would lose it.
                if dir.join(FOLDER).is_dir() {
                    lock = take_lock(dir)?;
                }
                mark(dir, identity).map_err(|error| unusable(dir, &error))?;
            }
            (Err(fault), Opening::New | Opening::Known | Opening::Beside | Opening::Adopted) => return Err(fault),
        }
        let (device, inode) = look(dir, identity)?;
        let locks = opening != Opening::Beside;
        if locks && lock.is_none() {
            lock = take_lock(dir)?;
        }
        let held = Mutex::new(Held { device, inode, _lock: lock });
        Ok(Self { dir: dir.to_owned(), identity: Some(identity.clone()), held, locks })
    }

    /// Opens a folder that belongs to nobody in particular, and may be opened again: for tests and measurements.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn unnamed(dir: &Path) -> Result<Self, StoreFault> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir.join(UPLOADS));
        made.map_err(|error| unusable(dir, &error))?;
        let (device, inode) = look_at_unnamed(dir)?;
        let held = Mutex::new(Held { device, inode, _lock: None });
        Ok(Self { dir: dir.to_owned(), identity: None, held, locks: false })
    }

    /// Whether the folder carries the marker of a server.
    pub fn is_named(&self) -> bool {
        self.identity.is_some()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the folder is still the one that was opened: one `stat` if it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn still(&self) -> Result<(), StoreFault> {
        let path = if self.is_named() { marker_path(&self.dir) } else { self.dir.join(UPLOADS) };
        if let Ok(found) = fs::metadata(&path) {
            let held = self.held();
            if (held.device, held.inode) == (found.dev(), found.ino()) {
                return Ok(());
            }
        }
        self.look_again()
    }

    /// Reads the marker once more. The right folder, if put back, is taken again with its lock.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn look_again(&self) -> Result<(), StoreFault> {
        let (device, inode) = match &self.identity {
            Some(identity) => look(&self.dir, identity)?,
            None => look_at_unnamed(&self.dir)?,
        };
        let mut held = self.held();
        if (held.device, held.inode) != (device, inode) {
            let lock = if self.locks { take_lock(&self.dir)? } else { None };
            *held = Held { device, inode, _lock: lock };
        }
        Ok(())
    }
}

fn marker_path(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join(MARKER)
}

/// The identity in a folder's marker; none if there is no readable marker.
pub fn read_marker(dir: &Path) -> Option<Identity> {
    let text = fs::read_to_string(marker_path(dir)).ok()?;
    Some(serde_json::from_str::<Marker>(&text).ok()?.identity)
}

/// Whether a folder holds backups or a marker: if there are any but no database, the database is lost.
///
/// # Errors
/// When it cannot be read.
pub fn holds_backups(dir: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if domain::id::RepositoryId::parse(&name).is_some() {
            return Ok(true);
        }
    }
    Ok(read_marker(dir).is_some())
}

fn look_at_unnamed(dir: &Path) -> Result<(u64, u64), StoreFault> {
    match fs::metadata(dir.join(UPLOADS)) {
        Ok(found) => Ok((found.dev(), found.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = format!("{} is no longer the same folder", dir.display());
            Err(StoreFault { cause: AwayCause::Away, why })
        }
        Err(error) => Err(unreadable(dir, &error)),
    }
}

/// Device and inode of the marker, if it is the right one.
fn look(dir: &Path, identity: &Identity) -> Result<(u64, u64), StoreFault> {
    let fault = |cause, why| StoreFault { cause, why };
    let path = marker_path(dir);
    let found = fs::metadata(&path).and_then(|found| Ok((found, fs::read_to_string(&path)?)));
    let (found, text) = match found {
        Ok(it) => it,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = match dir.try_exists() {
                Ok(true) => format!("{} does not carry the marker of this server ({FOLDER}/{MARKER})", dir.display()),
                Ok(false) => format!("the folder {} is not there", dir.display()),
                Err(error) => return Err(unreadable(dir, &error)),
            };
            return Err(fault(AwayCause::Away, why));
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    Marker::check(text.as_bytes(), &dir.display().to_string(), identity)?;
    // The marker may come from the system's cache even if the folder itself can no longer be read.
    if let Err(error) = fs::read_dir(dir).and_then(|mut it| it.next().transpose()) {
        return Err(unreadable(dir, &error));
    }
    Ok((found.dev(), found.ino()))
}

/// Something of the store that the system does not let us read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> StoreFault {
    StoreFault { cause: AwayCause::Unreadable, why: format!("{} cannot be read: {error}", path.display()) }
}

/// Something of the store that cannot be made or cleared.
pub(super) fn unusable(path: &Path, error: &io::Error) -> StoreFault {
    StoreFault { cause: AwayCause::Unreadable, why: format!("{} cannot be used: {error}", path.display()) }
}

/// Creates the folder and its marker, both durable.
fn mark(dir: &Path, identity: &Identity) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let part = folder.join("store.part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&Marker::new(identity).bytes()?)?;
    file.sync_all()?;
    fs::rename(&part, folder.join(MARKER))?;
    File::open(&folder)?.sync_all()?;
    File::open(dir)?.sync_all()
}

/// Locks the folder for this process; it is free again when the process ends, however it ends.
fn take_lock(dir: &Path) -> Result<Option<File>, StoreFault> {
    let path = dir.join(FOLDER).join(LOCK);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => match File::open(&path) {
            Ok(file) => file,
            Err(_) => return Ok(None),
        },
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(StoreFault {
                    cause: AwayCause::Foreign,
                    why: format!("another server is using {}", dir.display()),
                });
            }
            Err(error) => return Err(unusable(&path, &error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(server: &str, database: &str) -> Identity {
        Identity { server: server.to_owned(), database: database.to_owned(), copy: None }
    }

    fn why(opened: Result<Home, StoreFault>) -> (AwayCause, String) {
        let fault = opened.map(drop).unwrap_err();
        (fault.cause, fault.why)
    }

    #[test]
    fn a_folder_is_made_only_while_nothing_is_known_to_be_in_it() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("blobs");
        let ours = identity("s", "d");

        assert_eq!(why(Home::open(&dir, &ours, Opening::Known)).0, AwayCause::Away);
        assert!(!dir.exists(), "a missing mount is not made");
        drop(Home::open(&dir, &ours, Opening::New).unwrap());
        drop(Home::open(&dir, &ours, Opening::Known).unwrap());

        fs::remove_dir_all(dir.join(FOLDER)).unwrap();
        assert_eq!(why(Home::open(&dir, &ours, Opening::Known)).0, AwayCause::Away, "an empty mount point");
    }

    #[test]
    fn a_folder_of_another_server_or_database_is_refused_unless_it_is_adopted() {
        let dir = tempfile::tempdir().unwrap();
        drop(Home::open(dir.path(), &identity("s", "d"), Opening::New).unwrap());

        for (other, word) in [(identity("t", "e"), "another server"), (identity("s", "e"), "another database")] {
            for opening in [Opening::New, Opening::Known, Opening::Beside] {
                let (cause, why) = why(Home::open(dir.path(), &other, opening));
                assert_eq!(cause, AwayCause::Foreign);
                assert!(why.contains(word), "{why}");
            }
        }
        drop(Home::open(dir.path(), &identity("s", "e"), Opening::Adopted).unwrap());
        drop(Home::open(dir.path(), &identity("s", "e"), Opening::Known).unwrap());
    }

    #[test]
    fn neither_store_of_a_server_is_taken_for_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let primary = identity("s", "d");
        let copy = |id: &str| Identity { copy: Some(id.to_owned()), ..primary.clone() };
        drop(Home::open(dir.path(), &copy("one"), Opening::New).unwrap());

        let (cause, text) = why(Home::open(dir.path(), &primary, Opening::Known));
        assert_eq!((cause, text.contains("and not its backup store")), (AwayCause::Foreign, true), "{text}");
        let (cause, text) = why(Home::open(dir.path(), &copy("two"), Opening::Known));
        assert_eq!((cause, text.contains("another second store")), (AwayCause::Foreign, true), "{text}");
        drop(Home::open(dir.path(), &primary, Opening::Adopted).unwrap());
        let (cause, text) = why(Home::open(dir.path(), &copy("one"), Opening::New));
        assert_eq!((cause, text.contains("backup store itself")), (AwayCause::Foreign, true), "{text}");
    }

    #[test]
    fn backups_without_a_marker_are_not_taken_for_a_new_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("0190163d-8694-739b-aea5-966c26f8ad90")).unwrap();
        assert_eq!(why(Home::open(dir.path(), &identity("s", "d"), Opening::New)).0, AwayCause::Foreign);
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        assert!(holds_backups(dir.path()).unwrap());
    }

    #[test]
    fn one_process_has_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let ours = identity("s", "d");
        let first = Home::open(dir.path(), &ours, Opening::New).unwrap();

        let (_, text) = why(Home::open(dir.path(), &ours, Opening::Known));
        assert!(text.contains("another server is using"), "{text}");
        Home::open(dir.path(), &ours, Opening::Beside).unwrap().still().unwrap();
        drop(first);
        Home::open(dir.path(), &ours, Opening::Known).unwrap();
    }

    #[test]
    fn a_folder_that_goes_while_it_is_used_is_missed_and_known_again_when_it_is_back() {
        let above = tempfile::tempdir().unwrap();
        let (dir, aside) = (above.path().join("blobs"), above.path().join("aside"));
        let home = Home::open(&dir, &identity("s", "d"), Opening::New).unwrap();

        fs::rename(&dir, &aside).unwrap();
        assert_eq!(home.still().unwrap_err().cause, AwayCause::Away, "gone");
        fs::create_dir(&dir).unwrap();
        assert_eq!(home.still().unwrap_err().cause, AwayCause::Away, "an empty folder in its place");
        drop(Home::open(&dir, &identity("t", "e"), Opening::New).unwrap());
        assert_eq!(home.still().unwrap_err().cause, AwayCause::Foreign, "another's in its place");
        fs::remove_dir_all(&dir).unwrap();
        fs::rename(&aside, &dir).unwrap();
        home.still().unwrap();
    }
}
