//! The lock on a data folder: one process writes there.
use crate::blob::disk::is_read_only;
use crate::error::DISK_READ_ONLY;
use crate::store::Database;
use anyhow::{Context, anyhow};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A data folder that is ours until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

impl Lock {
    /// Takes the folder; none if another process has it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let (mut file, is_read_only) = match opened {
            Ok(file) => (file, false),
            // There is nothing to write on a read-only disk, but the folder itself can be locked.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => (File::open(data)?, true),
            Err(error) => return Err(error).with_context(|| format!("opening the lock file {}", path.display())),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_read_only => Ok(Some(Self(file))),
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Some(Self(file)))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }
}

/// Refuses what would write if the database's disk accepts no writes.
///
/// # Errors
/// With the reason, and what to do.
pub fn refuse_read_only(database: &Database) -> anyhow::Result<()> {
    match database {
        Database::Sqlite(path) if is_read_only(path) => Err(anyhow!(DISK_READ_ONLY)),
        Database::Sqlite(_) | Database::Postgres(_) => Ok(()),
    }
}

/// The process that holds the folder, as its lock file says.
pub fn holder(data: &Path) -> String {
    let mut text = String::new();
    let read = File::open(data.join("lock")).and_then(|mut file| {
        file.rewind()?;
        file.take(20).read_to_string(&mut text)
    });
    match read {
        Ok(_) if !text.is_empty() => format!("process {text}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_by_one_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();

        let first = Lock::take(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(Lock::take(folder.path()).unwrap().is_none());
        assert_eq!(holder(folder.path()), format!("process {}", std::process::id()));
        drop(first);

        assert!(Lock::take(folder.path()).unwrap().is_some());
    }
}
