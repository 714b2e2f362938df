//! A backup with the real restic.
use super::Args;
use super::run::{Run, report};
use super::target::Target;
use crate::app::App;
use crate::bench::machine;
use crate::bench::machine::cpu;
use crate::bench::server::say;
use crate::store;
use anyhow::anyhow;
use rustix::time::ClockId;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A backup with the real restic, and what it cost the server.
pub(super) fn restic(args: &Args, app: &App, address: SocketAddr) -> anyhow::Result<()> {
    let is_there = Command::new("restic").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|it| it.success()) {
        return say("skipped   restic is not installed");
    }
    let source = args.folder.join("source");
    make_source(&source, args.restic_mib)?;
    let mut runs = Vec::new();
    for _ in 0..args.runs.max(1) {
        let target = Target::make(app, address)?;
        let (began, cpu_before) = (Instant::now(), cpu(ClockId::ProcessCPUTime));
        let status = Command::new("restic")
            .args(["--quiet", "--no-cache", "backup"])
            .arg(&source)
            .env(
                "RESTIC_REPOSITORY",
                format!("rest:http://{}:{}@{address}/restic/{}/", target.id, target.token, target.id),
            )
            .env("RESTIC_PASSWORD", &target.password)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(anyhow!("restic ended with {status}"));
        }
        let id = target.id;
        let stored = app.store.read_blocking(move |conn| store::repository::find(conn, id))?;
        let (count, bytes) = stored.map_or((0, 0), |it| (it.object_count, it.stored_bytes));
        runs.push(Run {
            count: usize::try_from(count)?,
            bytes: usize::try_from(bytes)?,
            took: began.elapsed(),
            server_cpu: cpu(ClockId::ProcessCPUTime).saturating_sub(cpu_before),
        });
    }
    report(
        &format!("restic backup of {} MiB random and 20,000 small files", args.restic_mib),
        &runs,
        &|it| it.server_cpu.as_secs_f64(),
        "server CPU-seconds, goal 1.9",
    )?;
    say(&format!("          server memory so far: {}", machine::peak_memory()))
}

fn make_source(folder: &Path, mib: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut random = std::fs::File::open("/dev/urandom")?.take((mib as u64) << 20);
    std::io::copy(&mut random, &mut std::fs::File::create(folder.join("random"))?)?;
    for number in 0..20_000 {
        let below = folder.join(format!("{:02}", number % 100));
        if number < 100 {
            std::fs::create_dir(&below)?;
        }
        std::fs::write(below.join(format!("{number}.txt")), format!("small file {number}\n").repeat(20))?;
    }
    Ok(())
}
