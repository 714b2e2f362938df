//! The lock of a data folder: one process writes there.
use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A data folder that is ours until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock is held as long as the file is open")] File);

impl Lock {
    /// Takes the folder; none when another process has it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("opening the lock file {}", path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
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
