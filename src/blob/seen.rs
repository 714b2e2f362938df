//! What the backup store saw of the database: a file beside the marker, so that a database that was put back in time is
//! told from one that went on.
use super::home::{FOLDER, Identity, read_marker};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE: &str = "seen.json";

/// The newest entry of the activity, as it was a minute ago at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The database's id: another one's entries say nothing.
    pub database: String,
    /// The entry's number, counted from 1 without a gap.
    pub seq: i64,
    /// The entry's id.
    pub entry: String,
}

/// What is noted in a backup folder; none if nothing is, as in one that was made by an older version.
///
/// # Errors
/// When it cannot be read, or is not what [`write()`] writes.
pub fn read(dir: &Path) -> io::Result<Option<Seen>> {
    match fs::read(dir.join(FOLDER).join(FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes it, durably.
///
/// # Errors
/// When the folder is not there or not `owner`'s any more, or cannot be written.
pub fn write(dir: &Path, owner: &Identity, seen: &Seen) -> io::Result<()> {
    if read_marker(dir).as_ref() != Some(owner) {
        return Err(io::Error::new(ErrorKind::NotFound, "the folder does not carry the marker of this server"));
    }
    let folder = dir.join(FOLDER);
    let part = folder.join("seen.part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&serde_json::to_vec_pretty(seen)?)?;
    file.sync_all()?;
    fs::rename(&part, folder.join(FILE))?;
    File::open(&folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::home::{Home, Opening};

    #[test]
    fn it_is_kept_beside_the_marker_of_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let owner = Identity { server: "s".to_owned(), database: "d".to_owned(), copy: None };
        let seen = Seen { database: "d".to_owned(), seq: 7, entry: "e".to_owned() };

        assert_eq!(write(dir.path(), &owner, &seen).unwrap_err().kind(), ErrorKind::NotFound, "a missing mount");
        assert!(!dir.path().join(FOLDER).exists());
        drop(Home::open(dir.path(), &owner, Opening::New).unwrap());
        assert_eq!(read(dir.path()).unwrap(), None);
        write(dir.path(), &owner, &seen).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(seen.clone()));

        let other = Identity { server: "t".to_owned(), ..owner };
        assert!(write(dir.path(), &other, &seen).is_err());
        fs::write(dir.path().join(FOLDER).join(FILE), "{\"seq\":").unwrap();
        assert!(read(dir.path()).is_err(), "what is damaged is not taken for nothing");
    }
}
