//! `holdfast bench proof`: what a restore test costs.
//!
//! A repository of random files, written by `rustic_core` as the agent writes
//! it, is tested by the real process. The processor time of both sides counts: that of the test's process and
//! that of the parent that hands it the objects.
use crate::bench::machine;
use crate::blob::fs::FsBlobs;
use crate::blob::{BlobKey, BlobStore, WriteFault};
use crate::proof::frame::{FailedBefore, TestJob};
use crate::proof::runner::{Ended, Runner, Served, Used};
use anyhow::{Context, anyhow};
use domain::id::{DeviceId, RepositoryId, RestorePointId};
use domain::manifest::{Header, Manifest, ManifestFile, TAG_PREFIX, encode_path};
use domain::object::{ObjectKind, ObjectName};
use domain::proof::TestResult;
use domain::time::Time;
use repository::MasterKey;
use rustic_core::{
    BackupOptions, BytesList, ConfigOptions, Credentials, ErrorKind, FileType, Id, KeyOptions, PathList, ReadBackend,
    RepositoryBackends, RepositoryOptions, RusticError, RusticResult, SnapshotOptions, WriteBackend,
};
use rustix::time::ClockId;
use secret::sha256;
use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often each stored byte is hashed at least: in its object, and in its chunk.
const HASHED: f64 = 2.0;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Files of the backup
    #[arg(long, default_value_t = 20_000)]
    files: u64,
    /// Their total content
    #[arg(long, default_value_t = 1434, value_name = "MIB")]
    size: u64,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Folder for the files and the repository; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
    /// Another build of this program that runs the tests
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When a test does not pass: then its figure does not count.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = std::fs::canonicalize(&args.folder).map_err(Into::into).and_then(|it| measure(args, &it));
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

/// One run.
struct Figure {
    stored_bytes: u64,
    parent_cpu: Duration,
    used: Used,
    took: Duration,
}

impl Figure {
    fn cpu(&self) -> Duration {
        self.parent_cpu + self.used.cpu
    }

    fn rate(&self) -> f64 {
        mib(self.stored_bytes) / self.cpu().as_secs_f64()
    }
}

fn measure(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "machine: {}; files on {}", machine::describe(), machine::file_system(folder))?;
    writeln!(out, "settings: {} files of {} MiB random data, {} runs", args.files, args.size, args.runs)?;
    let (served, key, job) = prepare(args, folder)?;
    let runner = args.program.clone().map_or_else(Runner::this_program, |it| Ok(Runner::of(it)))?;
    let mut figures = Vec::new();
    for number in 1..=args.runs.max(1) {
        let figure = test(&runner, &served, &key, &job)?;
        writeln!(
            out,
            "run {number}: {:.0} MiB stored, {:.2} s CPU ({:.2} test, {:.2} parent), {:.2} s, {:.0} MiB/CPU-s, peak {:.0} MiB",
            mib(figure.stored_bytes),
            figure.cpu().as_secs_f64(),
            figure.used.cpu.as_secs_f64(),
            figure.parent_cpu.as_secs_f64(),
            figure.took.as_secs_f64(),
            figure.rate(),
            mib(figure.used.peak_memory_bytes)
        )?;
        figures.push(figure);
    }
    figures.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let median = figures.get(figures.len() / 2).ok_or_else(|| anyhow!("there was no run"))?;
    let peak = figures.iter().map(|it| it.used.peak_memory_bytes).max().unwrap_or(0);
    let rate = median.rate();
    writeln!(out, "median: {rate:.0} MiB of stored data per CPU-second, goal 500; peak memory {:.0} MiB", mib(peak))?;
    let floor = machine::sha256_rate(median.stored_bytes)? / HASHED;
    let ratio = rate / floor;
    writeln!(out, "floor: {floor:.0} MiB per CPU-second by SHA-256 of each byte twice; {ratio:.2} of that is reached")?;
    Ok(())
}

fn test(runner: &Runner, served: &Served, key: &MasterKey, job: &TestJob) -> anyhow::Result<Figure> {
    let (begun, before) = (Instant::now(), machine::cpu(ClockId::ProcessCPUTime));
    let Ended::Reported(report, used) = runner.run(served, key, job, &()) else {
        return Err(anyhow!("the test was stopped"));
    };
    if report.result != TestResult::Passed {
        return Err(anyhow!("the restore test did not pass: {}", report.summary));
    }
    let parent_cpu = machine::cpu(ClockId::ProcessCPUTime).saturating_sub(before);
    Ok(Figure { stored_bytes: report.stored_bytes_read, parent_cpu, used, took: begun.elapsed() })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn prepare(args: &Args, folder: &Path) -> anyhow::Result<(Served, MasterKey, TestJob)> {
    let source = folder.join("source");
    let device = DeviceId::generate(Time::from_millis(0));
    let manifest = write_files(args, &source, device)?.encode()?;
    let list = ObjectName::from_hash(&sha256(&manifest));
    let blobs: Arc<dyn BlobStore> = Arc::new(FsBlobs::open(&folder.join("blobs"))?);
    let repository = RepositoryId::generate(Time::from_millis(0));
    let backend = Backend { blobs: Arc::clone(&blobs), repository };
    backend.put(ObjectKind::Manifests, list.clone(), &[&manifest])?;
    let (key, snapshot) = back_up(backend, &source, &list).map_err(|error| anyhow!("{error}"))?;
    std::fs::remove_dir_all(&source)?;
    let ledger = blobs.list(repository)?.into_iter().map(|(key, size)| ((key.kind, key.name), size)).collect();
    let served = Served { blobs, repository, ledger, since: HashMap::new(), manifests: Vec::new() };
    let job = TestJob {
        device,
        point: RestorePointId::generate(Time::from_millis(0)),
        snapshot,
        manifest: Some(list),
        base_manifest: None,
        excluded: Vec::new(),
        failed_before: FailedBefore::default(),
        cpu_seconds: 3600,
    };
    Ok((served, key, job))
}

/// Half a percent of the files are 4 MiB, of several chunks; the others share what is left.
fn write_files(args: &Args, source: &Path, device: DeviceId) -> anyhow::Result<Manifest> {
    let large_size = 4 << 20;
    let total = args.size << 20;
    let large_count = (args.files / 200).min(total / 2 / large_size);
    let small_size = (total - large_count * large_size) / (args.files - large_count).max(1);
    let mut files = Vec::new();
    let mut content = Vec::new();
    for number in 0..args.files {
        let size = if number < large_count { large_size } else { small_size };
        content.resize(usize::try_from(size)?, 0);
        aws_lc_rs::rand::fill(&mut content).map_err(|_why| {
            anyhow!(
                "the operating system provided no \
         randomness"
            )
        })?;
        let folder = source.join(format!("{:03}", number % 200));
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{number:06}.bin"));
        std::fs::write(&path, &content)?;
        let path = encode_path(path.as_os_str().as_bytes());
        files.push(ManifestFile { path, size, sha256: hex::encode(sha256(&content)) });
    }
    files.sort();
    let roots = vec![source.display().to_string()];
    let header =
        Header { version: 1, device_id: device.to_string(), roots, away: vec![], made_at: 0, file_count: args.files };
    Ok(Manifest { header, files })
}

fn back_up(backend: Backend, source: &Path, list: &ObjectName) -> Result<(MasterKey, ObjectName), Box<RusticError>> {
    let failed = |what: &str| RusticError::new(ErrorKind::Internal, what.to_owned());
    let backends = RepositoryBackends::new(Arc::new(backend), None);
    let repository = rustic_core::Repository::new(&RepositoryOptions::default().no_cache(true), &backends)?.init(
        &Credentials::password("bench"),
        &KeyOptions::default(),
        &ConfigOptions::default(),
    )?;
    let key = repository.key();
    let bytes = [key.encrypt.as_slice(), key.mac.k.as_slice(), key.mac.r.as_slice()].concat();
    let key = MasterKey::from_bytes(&bytes).ok_or_else(|| failed("the key does not have 64 bytes"))?;
    let snapshot = SnapshotOptions::default().add_tags(&format!("{TAG_PREFIX}{list}"))?.to_snapshot()?;
    let made =
        repository.to_indexed_ids()?.backup(&BackupOptions::default(), &PathList::from_iter([source]), snapshot)?;
    let name = ObjectName::parse(made.id.to_hex().as_str()).ok_or_else(|| failed("the snapshot has no name"))?;
    Ok((key, name))
}

/// The blob store as `rustic_core` writes to it.
struct Backend {
    blobs: Arc<dyn BlobStore>,
    repository: RepositoryId,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Backend({})", self.repository)
    }
}

impl Backend {
    fn put(&self, kind: ObjectKind, name: ObjectName, parts: &[&[u8]]) -> Result<(), WriteFault> {
        let mut upload = self.blobs.begin(&BlobKey::new(self.repository, kind, name))?;
        for part in parts {
            upload.write(part)?;
        }
        upload.commit().map(drop)
    }

    fn key(&self, kind: FileType, id: &Id) -> RusticResult<BlobKey> {
        let kind = kind_of(kind);
        let name = if kind == ObjectKind::Config {
            Some(ObjectName::config())
        } else {
            ObjectName::parse(id.to_hex().as_str())
        };
        Ok(BlobKey::new(self.repository, kind, name.ok_or_else(|| RusticError::new(ErrorKind::Backend, "a bad name"))?))
    }

    fn read(&self, kind: FileType, id: &Id, offset: u64, len: u64) -> RusticResult<bytes::Bytes> {
        self.blobs.read(&self.key(kind, id)?, offset, len).map(Into::into).map_err(unavailable)
    }
}

fn unavailable(fault: impl std::error::Error + Send + Sync + 'static) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, "the store failed", fault)
}

fn kind_of(kind: FileType) -> ObjectKind {
    match kind {
        FileType::Config => ObjectKind::Config,
        FileType::Index => ObjectKind::Index,
        FileType::Key => ObjectKind::Keys,
        FileType::Snapshot => ObjectKind::Snapshots,
        FileType::Pack => ObjectKind::Data,
    }
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        "bench".to_owned()
    }
    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let kind = kind_of(kind);
        let listed = self.blobs.list(self.repository).map_err(unavailable)?;
        let of_kind = listed.into_iter().filter(|(key, _)| key.kind == kind);
        Ok(of_kind
            .map(|(key, size)| (key.name.as_str().parse().unwrap_or_default(), u32::try_from(size).unwrap_or(u32::MAX)))
            .collect())
    }
    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<bytes::Bytes> {
        self.read(kind, id, 0, u64::MAX >> 1)
    }
    fn read_partial(&self, kind: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<bytes::Bytes> {
        self.read(kind, id, offset.into(), length.into())
    }
    fn warmup_path(&self, _: FileType, _: &Id) -> String {
        String::new()
    }
}

impl WriteBackend for Backend {
    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        let key = self.key(kind, id)?;
        let parts = content.slice().concat();
        self.put(key.kind, key.name, &[&parts]).map_err(unavailable)
    }
    fn remove(&self, kind: FileType, id: &Id, _: bool) -> RusticResult<()> {
        self.blobs.remove(&self.key(kind, id)?).map(drop).map_err(unavailable)
    }
}
