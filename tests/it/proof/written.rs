//! Repositories as real clients write them.
use super::craft::{Stored, put};
use crate::support::{NOW, skip};
use domain::id::{DeviceId, RepositoryId, RestorePointId};
use domain::manifest::{Header, Manifest, ManifestFile, TAG_PREFIX, encode_path};
use domain::object::{ObjectKind, ObjectName};
use domain::proof::{Level, TestResult};
use holdfast::blob::ReadFault;
use holdfast::blob::fs::FsBlobs;
use holdfast::proof::frame::{FailedBefore, TestJob};
use holdfast::proof::runner::Served;
use repository::{Access, Fault, MasterKey, NodeKind, Objects, Repository};
use rustic_core::repofile::{KeyFile, MasterKey as RusticKey};
use rustic_core::{
    BackupOptions, BytesList, ConfigOptions, Credentials, ErrorKind, FileType, Id, KeyOptions, PathList, ReadBackend,
    RepositoryBackends, RepositoryOptions, RusticError, RusticResult, SnapshotOptions, WriteBackend,
};
use secret::sha256;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

type Files = BTreeMap<(String, String), Vec<u8>>;

#[derive(Debug, Default)]
struct Memory(Mutex<Files>);

fn key(kind: FileType, id: &Id) -> (String, String) {
    let name = if kind == FileType::Config { "config".to_owned() } else { id.to_hex().as_str().to_owned() };
    (kind.dirname().to_owned(), name)
}

impl ReadBackend for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }
    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let files = self.0.lock().unwrap();
        let listed = files.iter().filter(|(it, _)| it.0 == kind.dirname());
        Ok(listed.map(|(it, bytes)| (it.1.parse().unwrap_or_default(), u32::try_from(bytes.len()).unwrap())).collect())
    }
    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<bytes::Bytes> {
        let files = self.0.lock().unwrap();
        let found = files.get(&key(kind, id)).ok_or_else(|| RusticError::new(ErrorKind::Backend, "missing"))?;
        Ok(found.clone().into())
    }
    fn read_partial(&self, kind: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<bytes::Bytes> {
        let bytes = self.read_full(kind, id)?;
        Ok(bytes.slice(usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap()))
    }
    fn warmup_path(&self, _: FileType, _: &Id) -> String {
        String::new()
    }
}

impl WriteBackend for Memory {
    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        self.0.lock().unwrap().insert(key(kind, id), content.slice().concat());
        Ok(())
    }
    fn remove(&self, kind: FileType, id: &Id, _: bool) -> RusticResult<()> {
        self.0.lock().unwrap().remove(&key(kind, id));
        Ok(())
    }
}

/// Files with every kind of name and size.
fn tree(root: &Path) -> Vec<PathBuf> {
    let names: [&[u8]; 7] = [
        b"plain.txt",
        "grün 😀".as_bytes(),
        b"new\nline",
        b"back\\slash \"quoted\"",
        b"not utf8 \xff\xfe",
        b"%41",
        b"empty",
    ];
    let mut paths = Vec::new();
    for folder in ["", "deep/er", "sp ace"] {
        fs::create_dir_all(root.join(folder)).unwrap();
        for (at, name) in names.iter().enumerate() {
            let path = root.join(folder).join(OsStr::from_bytes(name));
            let content = if name == b"empty" { vec![] } else { name.repeat(at * 1000 + 1) };
            fs::write(&path, content).unwrap();
            paths.push(path);
        }
    }
    // More than one chunk, and not compressible.
    let mut large = Vec::new();
    let mut block = [0; 32];
    while large.len() < 5 << 20 {
        block = sha256(&block);
        large.extend(block);
    }
    fs::write(root.join("large"), large).unwrap();
    paths.push(root.join("large"));
    std::os::unix::fs::symlink("plain.txt", root.join("link")).unwrap();
    paths
}

fn manifest(device: DeviceId, paths: &[PathBuf]) -> Vec<u8> {
    let mut files: Vec<ManifestFile> = paths
        .iter()
        .map(|path| {
            let content = fs::read(path).unwrap();
            ManifestFile {
                path: encode_path(path.as_os_str().as_bytes()),
                size: content.len() as u64,
                sha256: hex::encode(sha256(&content)),
            }
        })
        .collect();
    files.sort();
    let file_count = files.len() as u64;
    let header =
        Header { version: 1, device_id: device.to_string(), roots: vec![], away: vec![], made_at: 0, file_count };
    Manifest { header, files }.encode().unwrap()
}

fn stored(files: &Files, key: MasterKey, device: DeviceId, manifest: &[u8]) -> (Stored, TestJob) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FsBlobs::open(folder.path()).unwrap();
    let repository = RepositoryId::generate(NOW);
    let mut served = Served {
        blobs: Arc::new(blobs),
        repository,
        ledger: Default::default(),
        since: Default::default(),
        manifests: vec![],
    };
    let list = ObjectName::from_hash(&sha256(manifest));
    let mut objects: Vec<(ObjectKind, ObjectName, &[u8])> = vec![(ObjectKind::Manifests, list.clone(), manifest)];
    for ((folder, name), bytes) in files {
        let Some(kind) = ObjectKind::parse(folder) else { panic!("{folder}") };
        let name = if kind == ObjectKind::Config { ObjectName::config() } else { ObjectName::parse(name).unwrap() };
        objects.push((kind, name, bytes));
    }
    for (kind, name, bytes) in &objects {
        put(&*served.blobs, repository, *kind, name, bytes);
        served.ledger.insert((*kind, name.clone()), bytes.len() as u64);
    }
    let snapshot = objects.iter().find(|it| it.0 == ObjectKind::Snapshots).unwrap().1.clone();
    let job = TestJob {
        device,
        point: RestorePointId::generate(NOW),
        snapshot,
        manifest: Some(list),
        base_manifest: None,
        excluded: vec![],
        failed_before: FailedBefore::default(),
        cpu_seconds: 300,
    };
    (Stored { folder, served, key }, job)
}

fn master_key(key: &RusticKey) -> MasterKey {
    MasterKey::from_bytes(&[&key.encrypt[..], &key.mac.k, &key.mac.r].concat()).unwrap()
}

fn by_rustic() -> (tempfile::TempDir, Vec<PathBuf>, Stored, TestJob) {
    let source = tempfile::tempdir().unwrap();
    let paths = tree(source.path());
    let device = DeviceId::generate(NOW);
    let manifest = manifest(device, &paths);
    let memory = Arc::new(Memory::default());
    let backends = RepositoryBackends::new(Arc::<Memory>::clone(&memory), None);
    let repository = rustic_core::Repository::new(&RepositoryOptions::default().no_cache(true), &backends)
        .unwrap()
        .init(&Credentials::password("password"), &KeyOptions::default(), &ConfigOptions::default())
        .unwrap();
    let key = master_key(&repository.key());
    let tag = format!("{TAG_PREFIX}{}", ObjectName::from_hash(&sha256(&manifest)));
    let snapshot = SnapshotOptions::default().add_tags(&tag).unwrap().to_snapshot().unwrap();
    let sources = PathList::from_iter([source.path()]);
    repository.to_indexed_ids().unwrap().backup(&BackupOptions::default(), &sources, snapshot).unwrap();
    let files = memory.0.lock().unwrap().clone();
    let (stored, job) = stored(&files, key, device, &manifest);
    (source, paths, stored, job)
}

#[test]
fn a_backup_by_rustic_is_proven() {
    let (_source, paths, stored, job) = by_rustic();

    let (report, used) = stored.measured(&job);

    assert_eq!((report.result, report.level), (TestResult::Passed, Level::Proven), "{report:?}");
    assert_eq!(report.matched_count, paths.len() as u64);
    assert!(used.peak_memory_bytes < 256 << 20, "{used:?}");
}

#[test]
fn the_reader_returns_every_byte_and_name_even_by_ranges() {
    let (source, paths, stored, job) = by_rustic();
    for access in [Access::Ranges, Access::WholePacks { keep: 8 << 20 }] {
        let mut repository = Repository::open(Local(&stored.served), stored.key.clone(), access).unwrap();
        let snapshot = repository.snapshot(&job.snapshot).unwrap();
        let mut walk = repository.walk(snapshot.tree);
        let (mut files, mut links) = (Vec::new(), 0);
        while let Some(entry) = walk.next(&mut repository) {
            let entry = entry.unwrap();
            let path = PathBuf::from(OsStr::from_bytes(&entry.path));
            match &entry.node.kind {
                NodeKind::File { size, content } => {
                    let mut bytes = Vec::new();
                    assert_eq!(repository.copy(content, &mut bytes).unwrap(), *size);
                    assert_eq!(bytes, fs::read(&path).unwrap(), "{path:?}");
                    files.push(path);
                }
                NodeKind::Symlink { target } => {
                    assert_eq!(target, b"plain.txt");
                    links += 1;
                }
                NodeKind::Folder { .. } | NodeKind::Other(_) => {}
            }
        }
        let mut paths = paths.clone();
        paths.sort();
        files.sort();
        assert_eq!((files, links), (paths, 1));
    }
    drop(source);
}

/// Objects without a process between.
struct Local<'a>(&'a Served);

impl Objects for Local<'_> {
    fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>, Fault> {
        let key = holdfast::blob::BlobKey::new(self.0.repository, kind, name.clone());
        self.0.blobs.read(&key, offset, len).map_err(|fault| match fault {
            ReadFault::Lost => Fault::Missing { kind, name: name.clone() },
            ReadFault::Unreadable(why) => Fault::Unavailable(why),
            ReadFault::Away(fault) => Fault::Unavailable(fault.why),
        })
    }
    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>, Fault> {
        Ok(self.0.ledger.iter().filter(|(it, _)| it.0 == kind).map(|(it, size)| (it.1.clone(), *size)).collect())
    }
}

fn restic(repository: &Path, arguments: &[&OsStr]) -> bool {
    let run = Command::new("restic")
        .env("RESTIC_PASSWORD", "password")
        .env("RESTIC_REPOSITORY", repository)
        .arg("--no-cache")
        .args(arguments)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    true
}

#[test]
fn a_backup_by_restic_is_proven() {
    if Command::new("restic").arg("version").output().is_err() {
        skip("restic");
        return;
    }
    for version in ["1", "2"] {
        let (source, repository) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let paths = tree(source.path());
        let device = DeviceId::generate(NOW);
        let manifest = manifest(device, &paths);
        let tag = format!("{TAG_PREFIX}{}", ObjectName::from_hash(&sha256(&manifest)));
        restic(repository.path(), &["init".as_ref(), "--repository-version".as_ref(), version.as_ref()]);
        restic(repository.path(), &["backup".as_ref(), "--tag".as_ref(), tag.as_ref(), source.path().as_os_str()]);

        let mut files = Files::new();
        collect(repository.path(), repository.path(), &mut files);
        let key_file = files.iter().find(|(it, _)| it.0 == "keys").unwrap().1;
        let key_file: KeyFile = serde_json::from_slice(key_file).unwrap();
        let opened = format!("{:?}", key_file.key_from_password(&"password").unwrap());
        let bytes: Vec<u8> = opened.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect();
        let key = MasterKey::from_bytes(&bytes[bytes.len() - 64..]).unwrap();
        let (stored, job) = stored(&files, key, device, &manifest);

        let report = stored.test(&job);

        assert_eq!((report.result, report.level), (TestResult::Passed, Level::Proven), "{report:?}");
        assert_eq!(report.matched_count, paths.len() as u64);
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let kind = path.strip_prefix(root).unwrap().components().next().unwrap();
        let kind = kind.as_os_str().to_string_lossy().into_owned();
        if kind != "locks" {
            files.insert((kind, entry.file_name().to_string_lossy().into_owned()), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_foreign_key_opens_nothing() {
    let (_source, _, mut stored, job) = by_rustic();
    stored.key = MasterKey::from_bytes(&[1; 64]).unwrap();
    let report = stored.test(&job);
    assert_eq!(report.result, TestResult::Failed);
    assert!(report.summary.contains("another key"), "{}", report.summary);
}
