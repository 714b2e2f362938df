//! Blobs on a real disk, a full one, and a failing one.
use crate::support::NOW;
use domain::ground::StopCause;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use holdfast::blob;
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::home::{Identity, Opening};
use holdfast::blob::piece::{self, Piece};
use holdfast::blob::{BlobKey, BlobStore, ReadFault, WriteFault};
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

fn key(bytes: &[u8]) -> BlobKey {
    BlobKey::new(RepositoryId::generate(NOW), ObjectKind::Data, ObjectName::from_hash(&secret::sha256(bytes)))
}

fn upload(blobs: &FsBlobs, key: &BlobKey, bytes: &[u8]) -> Result<(), WriteFault> {
    let mut upload = blobs.begin(key)?;
    upload.write(bytes)?;
    upload.commit()?.settle();
    Ok(())
}

fn tmp_count(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("tmp")).unwrap().count()
}

#[test]
fn what_was_committed_is_read_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open(folder.path()).unwrap();
    let key = key(b"some bytes");

    upload(&blobs, &key, b"some bytes").unwrap();

    assert_eq!(blobs.size(&key).unwrap(), Some(10));
    assert_eq!(blobs.read(&key, 5, 3).unwrap(), b"byt");
    assert_eq!(blobs.read(&key, 5, 300).unwrap(), b"bytes");
    assert_eq!(blobs.read(&key, 50, 3).unwrap(), b"");
    assert_eq!(Some(blob::sha256_of(&blobs, &key).unwrap()), key.name.hash());
    assert_eq!(blob::read_all(&blobs, &key, 10).unwrap(), b"some bytes");
    assert!(blob::read_all(&blobs, &key, 9).is_err());
    assert_eq!(blobs.list(key.repository).unwrap(), [(key.clone(), 10)]);
    let placed =
        folder.path().join(key.repository.as_str()).join("data").join(&key.name.as_str()[..2]).join(key.name.as_str());
    assert_eq!(std::fs::metadata(placed).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(blobs.remove(&key).unwrap());
    assert!(!blobs.remove(&key).unwrap());
    assert_eq!(blobs.read(&key, 0, 1), Err(ReadFault::Lost));
    assert_eq!(tmp_count(folder.path()), 0);
}

#[test]
fn what_is_set_aside_is_nowhere_until_it_is_put_back_or_erased() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open(folder.path()).unwrap();
    let key = key(b"some bytes");
    assert!(!blobs.set_aside(&key).unwrap() && !blobs.put_back(&key).unwrap() && !blobs.erase(&key).unwrap());
    upload(&blobs, &key, b"some bytes").unwrap();
    assert!(blobs.put_back(&key).unwrap() && !blobs.erase(&key).unwrap(), "what is at its place is not in the trash");
    for _ in 0..2 {
        assert!(blobs.set_aside(&key).unwrap(), "twice does no harm");
        assert_eq!((blobs.size(&key).unwrap(), blobs.list(key.repository).unwrap()), (None, Vec::new()));
        assert_eq!(blobs.read(&key, 0, 1), Err(ReadFault::Lost));
        assert!(!blobs.remove(&key).unwrap(), "nothing but erasing takes it from the trash");
    }
    for _ in 0..2 {
        assert!(blobs.put_back(&key).unwrap());
        assert_eq!(blob::read_all(&blobs, &key, 10).unwrap(), b"some bytes");
    }
    // Sent again while it is in the trash: what is at its place stays.
    assert!(blobs.set_aside(&key).unwrap());
    upload(&blobs, &key, b"some bytes").unwrap();
    assert!(blobs.put_back(&key).unwrap() && blobs.erase(&key).unwrap() && !blobs.erase(&key).unwrap());
    assert_eq!(blobs.size(&key).unwrap(), Some(10));
    assert!(blobs.set_aside(&key).unwrap() && blobs.erase(&key).unwrap());
    assert!(!blobs.put_back(&key).unwrap(), "it is gone");
}

#[test]
fn a_disk_that_cannot_sync_a_move_stops_and_the_file_is_at_one_of_its_places() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(b"some bytes");
    upload(&FsBlobs::open(folder.path()).unwrap(), &key, b"some bytes").unwrap();
    static FAILS: AtomicBool = AtomicBool::new(false);
    let sync =
        |file: &File| if FAILS.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { file.sync_all() };
    let blobs = FsBlobs::open_with(folder.path(), sync).unwrap();
    FAILS.store(true, Ordering::SeqCst);
    assert!(matches!(blobs.set_aside(&key), Err(WriteFault::Stopped(StopCause::Sync, _))));
    FAILS.store(false, Ordering::SeqCst);
    assert!(blobs.set_aside(&key).is_err(), "it is not tried again: nobody knows what the disk has");
    let after = FsBlobs::open(folder.path()).unwrap();
    assert!(after.put_back(&key).unwrap());
    assert_eq!(blob::read_all(&after, &key, 10).unwrap(), b"some bytes");
}

/// Uploads as the door does: full pieces, then what is left.
fn upload_in_pieces(blobs: &FsBlobs, key: &BlobKey, mut bytes: &[u8]) -> Result<(), WriteFault> {
    let mut upload = blobs.begin(key)?;
    let mut piece = Piece::new(bytes.len());
    while !bytes.is_empty() {
        bytes = piece.fill(bytes);
        upload.write(piece.bytes())?;
        piece.clear();
    }
    upload.commit()?.settle();
    Ok(())
}

#[test]
fn what_went_past_the_cache_is_read_back_whatever_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open(folder.path()).unwrap();
    for len in [piece::SIZE - 1, piece::SIZE, piece::SIZE + 1, 2 * piece::SIZE, 2 * piece::SIZE + 4096] {
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        let key = key(&bytes);
        upload_in_pieces(&blobs, &key, &bytes).unwrap();
        assert_eq!(blob::read_all(&blobs, &key, len as u64).unwrap(), bytes, "{len}");
    }
}

#[test]
fn a_commit_never_overwrites_and_a_replace_does() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open(folder.path()).unwrap();
    let key = key(b"name");
    upload(&blobs, &key, b"first").unwrap();

    assert_eq!(upload(&blobs, &key, b"second").unwrap_err(), WriteFault::Taken);
    assert_eq!(blobs.read(&key, 0, 99).unwrap(), b"first");

    let mut again = blobs.begin(&key).unwrap();
    again.write(b"third").unwrap();
    again.replace().unwrap().settle();
    assert_eq!(blobs.read(&key, 0, 99).unwrap(), b"third");
    drop(blobs.begin(&key).unwrap());
    assert_eq!(tmp_count(folder.path()), 0);
}

#[test]
fn a_start_clears_what_never_finished_and_names_what_did() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open(folder.path()).unwrap();
    let (done, half) = (key(b"done"), key(b"half"));
    let mut upload = blobs.begin(&done).unwrap();
    upload.write(b"done").unwrap();
    let _unsettled = upload.commit().unwrap();
    let mut dying = blobs.begin(&half).unwrap();
    dying.write(b"ha").unwrap();
    std::mem::forget(dying);
    assert_eq!(tmp_count(folder.path()), 2);

    let again = FsBlobs::open(folder.path()).unwrap();

    let unsettled = again.unsettled().unwrap();
    assert_eq!(unsettled.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&done]);
    unsettled.into_iter().for_each(|(_, stored)| stored.settle());
    assert_eq!(tmp_count(folder.path()), 0);
    assert_eq!(again.size(&half).unwrap(), None);
}

#[test]
fn a_start_takes_from_the_folder_of_uploads_only_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("blobs");
    let identity = Identity { server: "one".to_owned(), database: "two".to_owned(), copy: None };
    let blobs = FsBlobs::open_home(&dir, &identity, Opening::New).unwrap();
    let mut half = blobs.begin(&key(b"half")).unwrap();
    half.write(b"ha").unwrap();
    let name = std::fs::read_dir(dir.join("tmp")).unwrap().next().unwrap().unwrap().file_name();
    drop((half, blobs));
    std::fs::write(dir.join("tmp").join(name), "ha").unwrap();
    std::fs::write(dir.join("tmp/notes.txt"), "of somebody").unwrap();

    drop(FsBlobs::open_home(&dir, &identity, Opening::Known).unwrap());

    assert_eq!(tmp_count(&dir), 1, "the upload that a kill cut off has gone");
    assert_eq!(std::fs::read_to_string(dir.join("tmp/notes.txt")).unwrap(), "of somebody");
}

static FAILS: AtomicBool = AtomicBool::new(false);

fn failing_sync(file: &File) -> io::Result<()> {
    if FAILS.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { file.sync_all() }
}

#[test]
fn after_a_failed_sync_nothing_more_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open_with(folder.path(), failing_sync).unwrap();
    let (before, after) = (key(b"before"), key(b"after"));
    upload(&blobs, &before, b"before").unwrap();

    FAILS.store(true, Ordering::SeqCst);
    assert!(upload(&blobs, &after, b"after").is_err());
    FAILS.store(false, Ordering::SeqCst);

    let error = upload(&blobs, &after, b"after").unwrap_err();
    assert!(error.to_string().contains("restart"), "{error}");
    assert_eq!(blobs.read(&before, 0, 99).unwrap(), b"before", "reading goes on");
    assert_eq!(blobs.size(&after).unwrap(), None);
    assert_eq!(tmp_count(folder.path()), 0);
}

#[test]
fn a_disk_that_is_full_only_when_it_syncs_is_full_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    drop(FsBlobs::open(folder.path()).unwrap());
    let blobs = FsBlobs::open_with(folder.path(), full_at_a_file).unwrap();

    let refused = upload(&blobs, &key(b"a"), b"a").unwrap_err();

    assert!(matches!(refused, WriteFault::Stopped(StopCause::Full, _)), "{refused:?}");
}

fn full_at_a_file(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

/// A disk of one MiB, if one may be mounted.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|it| it.status.success()).then_some(Self(folder))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_half() {
    let Some(disk) = TinyDisk::mount() else {
        println!("skipped: a small file system cannot be mounted here");
        return;
    };
    let blobs = FsBlobs::open(disk.0.path()).unwrap();
    let (fits, too_large) = (vec![1; 500_000], vec![2; 900_000]);
    upload(&blobs, &key(&fits), &fits).unwrap();

    for send in [upload, upload_in_pieces] {
        let error = send(&blobs, &key(&too_large), &too_large).unwrap_err();

        assert!(matches!(error, WriteFault::Stopped(StopCause::Full, _)), "{error:?}");
        assert_eq!(tmp_count(disk.0.path()), 0);
    }
    let small = vec![3; 300_000];
    upload(&blobs, &key(&small), &small).unwrap();
}
