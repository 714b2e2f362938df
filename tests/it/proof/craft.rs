//! Repositories made by hand, good and hostile.
use domain::id::{DeviceId, RepositoryId, RestorePointId};
use domain::manifest::{Header, Manifest, ManifestFile, TAG_PREFIX};
use domain::object::{ObjectKind, ObjectName};
use domain::restore_test::TestReport;
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::{BlobKey, BlobStore};
use holdfast::proof::frame::{FailedBefore, TestJob};
use holdfast::proof::runner::{Ended, Runner, Served, Used};
use repository::{Id, MasterKey};
use secret::sha256;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::NOW;

/// A blob in a pack.
#[derive(Clone)]
pub struct Blob {
    pub id: Id,
    pub is_tree: bool,
    pub sealed: Vec<u8>,
    /// What header and index say the content's length is, where it is compressed.
    pub plain: Option<u32>,
}

/// A repository under construction.
pub struct Craft {
    pub key: MasterKey,
    pub device: DeviceId,
    pub repository: RepositoryId,
    pub objects: BTreeMap<(String, ObjectName), (ObjectKind, Vec<u8>)>,
    pub nonce: u128,
    pub compressed: bool,
}

pub fn name_of(bytes: &[u8]) -> ObjectName {
    ObjectName::from_hash(&sha256(bytes))
}

impl Craft {
    pub fn new(version: u32) -> Self {
        let mut craft = Self {
            key: MasterKey::from_bytes(&std::array::from_fn::<u8, 64, _>(|at| u8::try_from(at).unwrap())).unwrap(),
            device: DeviceId::generate(NOW),
            repository: RepositoryId::generate(NOW),
            objects: BTreeMap::new(),
            nonce: 0,
            compressed: version == 2,
        };
        let config = craft.seal(
            json!({"version": version, "id": "00", "chunker_polynomial": "25b468838dcb75"}).to_string().as_bytes(),
        );
        craft.keep(ObjectKind::Config, ObjectName::config(), config);
        craft
    }

    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.nonce += 1;
        self.key.seal(self.nonce.to_le_bytes(), plain).unwrap()
    }

    pub fn keep(&mut self, kind: ObjectKind, name: ObjectName, bytes: Vec<u8>) -> ObjectName {
        self.objects.insert((kind.to_string(), name.clone()), (kind, bytes));
        name
    }

    fn file(&mut self, kind: ObjectKind, json: &Value) -> ObjectName {
        let mut plain = json.to_string().into_bytes();
        if self.compressed {
            plain = [&[2][..], &zstd::encode_all(&plain[..], 3).unwrap()].concat();
        }
        let sealed = self.seal(&plain);
        self.keep(kind, name_of(&sealed), sealed)
    }

    pub fn blob(&mut self, is_tree: bool, content: &[u8]) -> Blob {
        let id = Id(sha256(content));
        if self.compressed {
            let packed = zstd::encode_all(content, 3).unwrap();
            let plain = Some(u32::try_from(content.len()).unwrap());
            Blob { id, is_tree, sealed: self.seal(&packed), plain }
        } else {
            Blob { id, is_tree, sealed: self.seal(content), plain: None }
        }
    }

    /// Puts blobs into a pack and an index into the repository.
    pub fn pack(&mut self, blobs: &[Blob]) -> ObjectName {
        let (name, entry) = self.pack_only(blobs);
        self.file(ObjectKind::Index, &json!({ "packs": [entry] }));
        name
    }

    /// Puts blobs into a pack; gives what an index says of it.
    pub fn pack_only(&mut self, blobs: &[Blob]) -> (ObjectName, Value) {
        let mut bytes: Vec<u8> = blobs.iter().flat_map(|it| it.sealed.clone()).collect();
        let mut header = Vec::new();
        for blob in blobs {
            header.push(u8::from(blob.is_tree) + if blob.plain.is_some() { 2 } else { 0 });
            header.extend(u32::try_from(blob.sealed.len()).unwrap().to_le_bytes());
            header.extend(blob.plain.map(u32::to_le_bytes).into_iter().flatten());
            header.extend(blob.id.0);
        }
        let header = self.seal(&header);
        bytes.extend(&header);
        bytes.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
        let name = name_of(&bytes);
        self.keep(ObjectKind::Data, name.clone(), bytes);
        let mut offset = 0;
        let listed: Vec<Value> = blobs
            .iter()
            .map(|blob| {
                let kind = if blob.is_tree { "tree" } else { "data" };
                let mut entry =
                    json!({"id": blob.id.name(), "type": kind, "offset": offset, "length": blob.sealed.len()});
                if let Some(plain) = blob.plain {
                    entry["uncompressed_length"] = plain.into();
                }
                offset += blob.sealed.len();
                entry
            })
            .collect();
        let entry = json!({"id": name, "blobs": listed});
        (name, entry)
    }

    pub fn index(&mut self, packs: &[Value]) -> ObjectName {
        self.file(ObjectKind::Index, &json!({ "packs": packs }))
    }

    pub fn snapshot<'a>(&mut self, tree: Id, manifest: impl IntoIterator<Item = &'a ObjectName>) -> ObjectName {
        let tags: Vec<String> = manifest.into_iter().map(|it| format!("{TAG_PREFIX}{it}")).collect();
        let json = json!({"time": "2026-11-22T14:06:11Z", "tree": tree.name(), "paths": ["/data"], "tags": tags});
        self.file(ObjectKind::Snapshots, &json)
    }

    pub fn manifest(&mut self, device: &str, files: &[(&str, &[u8])]) -> ObjectName {
        let mut files: Vec<ManifestFile> = files
            .iter()
            .map(|(path, content)| ManifestFile {
                path: (*path).to_owned(),
                size: content.len() as u64,
                sha256: hex::encode(sha256(content)),
            })
            .collect();
        files.sort();
        let header = Header {
            version: 1,
            device_id: device.to_owned(),
            roots: vec!["/data".to_owned()],
            away: vec![],
            made_at: 0,
            file_count: files.len() as u64,
        };
        let bytes = Manifest { header, files }.encode().unwrap();
        self.keep(ObjectKind::Manifests, name_of(&bytes), bytes)
    }

    pub fn file_node(name: &str, size: usize, content: &[Id]) -> Value {
        let content: Vec<ObjectName> = content.iter().map(Id::name).collect();
        json!({"name": name, "type": "file", "mode": 420, "size": size, "content": content})
    }

    pub fn folder_node(name: &str, tree: Id) -> Value {
        json!({"name": name, "type": "dir", "mode": 2_147_484_141_u32, "subtree": tree.name()})
    }

    pub fn tree(&mut self, nodes: &[Value]) -> Blob {
        self.blob(true, json!({ "nodes": nodes }).to_string().as_bytes())
    }

    /// Files under `/data` with a manifest: each one chunk, all in one pack, the folders in another.
    pub fn backup(&mut self, files: &[(&str, &[u8])]) -> TestJob {
        let mut chunks = Vec::new();
        let mut nodes = Vec::new();
        for (name, content) in files {
            if content.is_empty() {
                nodes.push(Self::file_node(name, 0, &[]));
                continue;
            }
            let blob = self.blob(false, content);
            nodes.push(Self::file_node(name, content.len(), &[blob.id]));
            chunks.push(blob);
        }
        if !chunks.is_empty() {
            self.pack(&chunks);
        }
        self.backup_of(&nodes, files)
    }

    /// The given nodes under `/data`, with a manifest of `files` by their names.
    pub fn backup_of(&mut self, nodes: &[Value], files: &[(&str, &[u8])]) -> TestJob {
        let paths: Vec<(String, &[u8])> =
            files.iter().map(|(name, content)| (format!("/data/{name}"), *content)).collect();
        let listed: Vec<(&str, &[u8])> = paths.iter().map(|(path, content)| (path.as_str(), *content)).collect();
        let device = self.device.to_string();
        let manifest = self.manifest(&device, &listed);
        self.backup_listed(nodes, manifest)
    }

    /// The given nodes under `/data`, with that manifest.
    pub fn backup_listed(&mut self, nodes: &[Value], manifest: ObjectName) -> TestJob {
        let data = self.tree(nodes);
        let root = self.tree(&[Self::folder_node("data", data.id)]);
        let top = root.id;
        self.pack(&[data, root]);
        let snapshot = self.snapshot(top, Some(&manifest));
        self.job(snapshot, Some(manifest))
    }

    pub fn job(&self, snapshot: ObjectName, manifest: Option<ObjectName>) -> TestJob {
        TestJob {
            device: self.device,
            point: RestorePointId::generate(NOW),
            snapshot,
            manifest,
            base_manifest: None,
            excluded: Vec::new(),
            failed_before: FailedBefore::default(),
            cpu_seconds: 120,
        }
    }

    /// The objects of a kind, in the order of their names.
    pub fn names(&self, kind: ObjectKind) -> Vec<ObjectName> {
        self.objects
            .values()
            .zip(self.objects.keys())
            .filter(|(it, _)| it.0 == kind)
            .map(|(_, key)| key.1.clone())
            .collect()
    }

    pub fn bytes(&self, kind: ObjectKind, name: &ObjectName) -> &[u8] {
        &self.objects[&(kind.to_string(), name.clone())].1
    }

    /// Writes everything to a store.
    pub fn stored(&self) -> Stored {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FsBlobs::open(folder.path()).unwrap();
        for ((_, name), (kind, bytes)) in &self.objects {
            put(&blobs, self.repository, *kind, name, bytes);
        }
        let ledger = self.objects.iter().map(|((_, name), (kind, bytes))| ((*kind, name.clone()), bytes.len() as u64));
        let served = Served {
            blobs: Arc::new(blobs),
            repository: self.repository,
            ledger: ledger.collect(),
            since: Default::default(),
            manifests: Vec::new(),
        };
        Stored { folder, served, key: self.key.clone() }
    }

    /// Stores everything and tests it.
    pub fn test(&self, job: &TestJob) -> TestReport {
        self.stored().test(job)
    }
}

pub fn put(blobs: &dyn BlobStore, repository: RepositoryId, kind: ObjectKind, name: &ObjectName, bytes: &[u8]) {
    let key = BlobKey::new(repository, kind, name.clone());
    let mut upload = blobs.begin(&key).unwrap();
    upload.write(bytes).unwrap();
    let _ = upload.commit().unwrap();
}

/// A repository in a store on the disk.
pub struct Stored {
    pub folder: tempfile::TempDir,
    pub served: Served,
    pub key: MasterKey,
}

pub fn runner() -> Runner {
    Runner::of(PathBuf::from(env!("CARGO_BIN_EXE_holdfast")))
}

impl Stored {
    pub fn test(&self, job: &TestJob) -> TestReport {
        self.measured(job).0
    }

    pub fn measured(&self, job: &TestJob) -> (TestReport, Used) {
        match runner().run(&self.served, &self.key, job, &()) {
            Ended::Reported(report, used) => (*report, used),
            Ended::Stopped => panic!("nobody stopped it"),
        }
    }

    /// The file of an object.
    pub fn path(&self, name: &ObjectName) -> PathBuf {
        find(self.folder.path(), name.as_str()).unwrap()
    }
}

pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy() == name {
            return Some(entry.path());
        }
        if entry.path().is_dir()
            && let Some(found) = find(&entry.path(), name)
        {
            return Some(found);
        }
    }
    None
}
