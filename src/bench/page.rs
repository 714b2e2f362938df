//! `holdfast bench page`: how long the list of devices takes, how soon a server answers, and how much memory it
//! uses.
//!
//! The server is a separate process, started as `holdfast serve` on the database this one has made.
use crate::bench::fleet;
use crate::bench::machine;
use crate::bench::server::say;
use crate::store::{Database, Store};
use clock::Clock;

use anyhow::{Context, anyhow};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Enrolled devices
    #[arg(long, default_value_t = 100_000)]
    devices: usize,
    /// Requests of each page
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Starts of the server; the median counts
    #[arg(long, default_value_t = 9)]
    starts: usize,
    /// Seconds without a request before memory is read
    #[arg(long, default_value_t = 20)]
    idle: u64,
    /// Folder for the database; created, and removed at the end
    #[arg(long, default_value = "holdfast-bench")]
    folder: PathBuf,
}

/// The pages of the list that are requested: filtered, sorted and searched.
const PAGES: [(&str, &str); 11] = [
    ("worst first", "/devices"),
    ("by name, last first", "/devices?sort=name&dir=desc"),
    ("by last check-in", "/devices?sort=last_seen"),
    ("failed", "/devices?view=failed"),
    ("proof out of date, by backup", "/devices?view=out_of_date&sort=newest_backup"),
    ("silent, by name", "/devices?view=silent&sort=name"),
    ("not encrypted, by proof", "/devices?view=not_encrypted&sort=proven_at&dir=desc"),
    ("search, one hit", "/devices?q=laptop-004242"),
    ("search, many hits, by name", "/devices?q=hopper&sort=name"),
    ("search, no hit", "/devices?q=nobody+at+all"),
    ("filter, search and sort", "/devices?platform=linux&encryption=on&q=grace&sort=last_seen&dir=desc"),
];

/// Measures and prints.
///
/// # Errors
/// When the server cannot start, or a page is not served: a figure with errors is not a result.
pub fn run(args: &Args) -> anyhow::Result<()> {
    std::fs::create_dir(&args.folder)
        .with_context(|| format!("creating {}: is it left from an earlier run?", args.folder.display()))?;
    let measured = measure(args);
    std::fs::remove_dir_all(&args.folder).with_context(|| format!("removing {}", args.folder.display()))?;
    measured
}

fn measure(args: &Args) -> anyhow::Result<()> {
    let now = Clock::System.now();
    say(&format!("machine   {}", machine::describe()))?;
    say(&format!(
        "settings  SQLite on {}, {} devices, {} requests of each page, one after the other",
        machine::file_system(&args.folder),
        args.devices,
        args.count
    ))?;
    let data = args.folder.join("data");
    crate::app::make_private_folder(&data)?;
    let cookie = {
        let store = Store::open(&Database::Sqlite(data.join("holdfast.db")))?;
        fleet::add(&store, args.devices, now)?;
        store.act_blocking(move |conn| fleet::sign_in(conn, now))?
    };
    starts(&data, args.starts)?;
    let (mut server, address, _) = Server::start(&data)?;
    let idle = server.after(Duration::from_secs(args.idle))?;
    say(&format!("memory    {idle} resident after its start and {} s without a request", args.idle))?;
    pages(args, address, &cookie)?;
    let idle = server.after(Duration::from_secs(args.idle))?;
    say(&format!("memory    {idle} resident after all pages and {} s without a request", args.idle))
}

/// Starts the server again and again on the same database.
fn starts(data: &Path, count: usize) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for _ in 0..count {
        took.push(Server::start(data)?.2);
    }
    took.sort_unstable();
    let (median, worst) = (at_percent(&took, 50), took.last().copied().unwrap_or_default());
    say(&format!("start     {median:.1?} until the first page is served, worst {worst:.1?} of {count}"))
}

fn pages(args: &Args, address: SocketAddr, cookie: &str) -> anyhow::Result<()> {
    let agent = ureq::Agent::new_with_defaults();
    let mut all = Vec::new();
    for (name, path) in PAGES {
        let first = get(&agent, address, path, cookie)?;
        // The page after the first, if there is one: deep pages must not cost more.
        let next = next_page(&first);
        let mut took = Vec::with_capacity(args.count);
        for number in 0..args.count {
            let path = next.as_deref().filter(|_| number % 2 == 1).unwrap_or(path);
            let began = Instant::now();
            get(&agent, address, path, cookie)?;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        say(&format!("  {name:30} p50 {:7.1?}  p95 {:7.1?}", at_percent(&took, 50), at_percent(&took, 95)))?;
        all.extend(took);
    }
    all.sort_unstable();
    say(&format!("all       p50 {:.1?}, p95 {:.1?}; goal p95 under 150 ms", at_percent(&all, 50), at_percent(&all, 95)))
}

fn get(agent: &ureq::Agent, address: SocketAddr, path: &str, cookie: &str) -> anyhow::Result<String> {
    let mut answer = agent.get(format!("http://{address}{path}")).header("Cookie", cookie).call()?;
    let text = answer.body_mut().read_to_string()?;
    if !text.contains("<h1") || text.contains("name=\"password\"") {
        return Err(anyhow!("{path} did not answer with a list of devices"));
    }
    Ok(text)
}

fn next_page(html: &str) -> Option<String> {
    let (before, _) = html.split_once("\" rel=\"next\"")?;
    let (_, address) = before.rsplit_once("href=\"")?;
    Some(address.replace("&amp;", "&").replace("&#38;", "&"))
}

fn at_percent(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// `holdfast serve` as a separate process; killed when this is dropped.
struct Server(Child);

impl Server {
    /// Also returns how long it took until a page was served.
    fn start(data: &Path) -> anyhow::Result<(Self, SocketAddr, Duration)> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let began = Instant::now();
        let mut server = Self(
            Command::new(std::env::current_exe()?)
                .args(["serve", "--data"])
                .arg(data)
                .args(["--listen", &free.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?,
        );
        let url = format!("http://{free}/sign-in");
        while TcpStream::connect(free).is_err() {
            if let Some(status) = server.0.try_wait()? {
                return Err(anyhow!("the server ended with {status}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        ureq::get(url).call().context("asking for the first page")?;
        Ok((server, free, began.elapsed()))
    }

    /// How much memory it uses after this long without a request.
    fn after(&mut self, idle: Duration) -> anyhow::Result<String> {
        std::thread::sleep(idle);
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        Ok(line.context("reading the server's memory")?.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
