//! Whether an SQLite database is whole, found out in a copy of it.
//!
//! In a copy, so that what is on the disk is read, and a long check holds up neither the writer nor the log. The
//! pages are copied as they are: a rebuilt copy would have fresh indexes, and hide damaged ones.
use crate::store::connection::open_sqlite;
use crate::store::console_copy::each_page;
use anyhow::{Context, ensure};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How much of what is wrong is told; SQLite itself stops after 100 faults.
const MOST: usize = 20;

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Orphan {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    parent: String,
}

/// Copies the database to `copy`, checks that, and removes it; returns what is wrong, in SQLite's words. Blocks.
///
/// # Errors
/// When it could not be copied, which says nothing about the database.
pub fn faults(database: &Path, copy: &Path) -> anyhow::Result<Vec<String>> {
    remove(copy)?;
    let found = copied(database, copy).map(|()| checked(copy));
    remove(copy)?;
    found
}

/// Keeps a checked copy of the database beside it, as one file named after `what`; returns where. Blocks.
///
/// # Errors
/// When it could not be copied, or the copy is damaged.
pub fn keep(database: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let (part, kept) = (beside(database, ".part"), beside(database, &format!(".{what}")));
    remove(&part)?;
    let done = copied(database, &part).and_then(|()| {
        // The check's own connection, the last one to close it, leaves all of it in one file.
        let faults = check(&part)?;
        ensure!(faults.is_empty(), "the database is damaged: {}", faults.join("; "));
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, &kept)?;
        let folder = database.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Ok(fs::File::open(folder)?.sync_all()?)
    });
    if done.is_err() {
        remove(&part)?;
    }
    done.map(|()| kept)
}

/// How many bytes a copy takes.
///
/// # Errors
/// When the database is not there.
pub fn size(database: &Path) -> anyhow::Result<u64> {
    let len = |path: PathBuf| match fs::metadata(&path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("looking at {}", path.display())),
    };
    Ok(len(database.to_owned())? + len(beside(database, "-wal"))?)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

fn remove(copy: &Path) -> anyhow::Result<()> {
    for end in ["", "-wal", "-shm"] {
        match fs::remove_file(beside(copy, end)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}{end}", copy.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Page by page, as of one moment: what is in the log is in the copy's pages.
fn copied(database: &Path, copy: &Path) -> anyhow::Result<()> {
    let mut reader = open_sqlite(database)?;
    reader.batch_execute("PRAGMA busy_timeout = 5000")?;
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy)?;
    each_page(&mut reader, |_, page| new.write_all(page).with_context(|| format!("writing {}", copy.display())))
}

/// A file that does not open as a database, or breaks off a check, is as damaged as one that says so.
fn checked(copy: &Path) -> Vec<String> {
    check(copy).unwrap_or_else(|error| vec![format!("{error:#}")])
}

/// What SQLite finds wrong with a database that nobody else has open; empty if nothing is.
///
/// # Errors
/// When it does not open as a database.
pub fn check(copy: &Path) -> anyhow::Result<Vec<String>> {
    let mut conn = open_sqlite(copy)?;
    let said: Vec<Said> = diesel::sql_query("PRAGMA integrity_check").load(&mut conn)?;
    let orphans: Vec<Orphan> = diesel::sql_query("PRAGMA foreign_key_check").load(&mut conn)?;
    let faults = said.into_iter().map(|it| it.integrity_check).filter(|it| it != "ok");
    let orphans =
        orphans.into_iter().map(|it| format!("a row of {} refers to a missing one of {}", it.table, it.parent));
    Ok(faults.chain(orphans).take(MOST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, Store};
    use std::os::unix::fs::{FileExt, MetadataExt};

    /// How many locks this process has on a file.
    fn locks(path: &Path) -> usize {
        let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
        let mine = format!(" {} ", std::process::id());
        let all = fs::read_to_string("/proc/locks").unwrap();
        all.lines().filter(|it| it.contains(&inode) && it.contains(&mine)).count()
    }

    #[test]
    fn a_check_leaves_the_server_its_locks_on_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("x.db"), folder.path().join("copy.db"));
        let store = Store::open(&Database::Sqlite(path.clone())).unwrap();
        let held = locks(&path);
        assert!(held > 0, "a server holds one as long as it runs");

        assert_eq!(faults(&path, &copy).unwrap(), Vec::<String>::new());
        keep(&path, "before").unwrap();

        assert_eq!(locks(&path), held, "without it another process could remove the log");
        drop(store);
    }

    #[test]
    fn a_database_in_use_is_whole_and_a_spoilt_page_and_a_row_without_its_parent_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("x.db"), folder.path().join("copy.db"));
        let store = Store::open(&Database::Sqlite(path.clone())).unwrap();
        assert_eq!(faults(&path, &copy).unwrap(), Vec::<String>::new());
        assert!(size(&path).unwrap() > 0);
        drop(store);

        let mut conn = open_sqlite(&path).unwrap();
        conn.batch_execute(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY); \
             CREATE TABLE child (id INTEGER REFERENCES parent, text TEXT); CREATE INDEX words ON child (text); \
             PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (7, 'x')",
        )
        .unwrap();
        let found = faults(&path, &copy).unwrap();
        assert!(found.iter().any(|it| it == "a row of child refers to a missing one of parent"), "{found:?}");

        // A bit of the index alone: its table is whole.
        conn.batch_execute(
            "DELETE FROM child; INSERT INTO parent VALUES (7); INSERT INTO child VALUES (7, 'unlikely')",
        )
        .unwrap();
        conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE").unwrap();
        drop(conn);
        let bytes = fs::read(&path).unwrap();
        let places: Vec<usize> = (0..bytes.len() - 8).filter(|at| bytes[*at..].starts_with(b"unlikely")).collect();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        // Some of these places may be of rows that are gone.
        let found = places.iter().filter(|at| {
            file.write_all_at(b"U", **at as u64).unwrap();
            let is_found = !faults(&path, &copy).unwrap().is_empty();
            file.write_all_at(b"u", **at as u64).unwrap();
            is_found
        });
        assert!(found.count() > 0);
        assert!(faults(&path, &copy).unwrap().is_empty());
        file.write_all_at(b"no database", 0).unwrap();
        assert!(!checked(&path).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no copy stays");
    }
}
