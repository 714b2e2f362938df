//! What a figure was measured on.
use anyhow::anyhow;
use aws_lc_rs::digest;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Processor, cores, memory and kernel, in one line.
pub fn describe() -> String {
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|it| it.starts_with(name)).map(ToOwned::to_owned);
        line.and_then(|it| it.split_once(':').map(|(_, value)| value.trim().to_owned())).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut text = format!("{}, {cores} cores", field("/proc/cpuinfo", "model name"));
    let _ = write!(text, ", {} memory, Linux {}", field("/proc/meminfo", "MemTotal"), kernel.trim());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let _ = write!(text, ", load {}", load.split(' ').next().unwrap_or_default());
    text
}

/// The file system that holds `path`, as the kernel names it.
pub fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let found = mounts.lines().filter_map(|line| {
        let mut parts = line.split(' ').skip(1);
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    });
    found.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len()).map(|it| it.1).unwrap_or_default()
}

/// The processor time that each thread of this process has used, by the thread's name; in hundredths of a second.
pub fn cpu_by_thread() -> BTreeMap<String, u64> {
    let mut used = BTreeMap::new();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return used };
    for task in tasks.flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.split_once('(').and_then(|(_, it)| it.rsplit_once(')')) else { continue };
        let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum::<u64>();
        *used.entry(name.to_owned()).or_default() += ticks;
    }
    used
}

/// How many MiB a second of processor time hashes by SHA-256 alone, of `bytes` that are in memory: what nothing that
/// compares stored bytes with their name can beat.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn sha256_rate(bytes: u64) -> anyhow::Result<f64> {
    const PIECE: u64 = 1 << 20;
    let mut piece = vec![0; usize::try_from(PIECE)?];
    aws_lc_rs::rand::fill(&mut piece).map_err(|_why| anyhow!("the operating system gave no randomness"))?;
    let before = cpu(ClockId::ThreadCPUTime);
    let mut hash = digest::Context::new(&digest::SHA256);
    let pieces = bytes.div_ceil(PIECE);
    for _ in 0..pieces {
        hash.update(&piece);
    }
    std::hint::black_box(hash.finish());
    Ok(f64::from(u32::try_from(pieces)?) / cpu(ClockId::ThreadCPUTime).saturating_sub(before).as_secs_f64())
}

/// How much processor time was used, by this thread or by the whole process.
pub fn cpu(of: ClockId) -> Duration {
    Duration::try_from(clock_gettime(of)).unwrap_or_default()
}

/// Forgets the most memory that this process had, so that [`peak_memory`] tells of what follows.
///
/// # Errors
/// When the kernel does not take it.
pub fn forget_peak() -> std::io::Result<()> {
    // proc(5): 5 resets the peak resident set size.
    std::fs::write("/proc/self/clear_refs", "5")
}

/// How much memory this process has now, and had at most.
pub fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| {
        status.lines().find_map(|it| it.strip_prefix(name)).map(|it| it.trim().to_owned()).unwrap_or_default()
    };
    format!("{} now, {} at its peak", value("VmRSS:"), value("VmHWM:"))
}
