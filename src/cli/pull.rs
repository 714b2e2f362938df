//! `holdfast pull`: this machine keeps the second copy of a console on another one.
//!
//! It connects to the console and asks what there is to be done; the console cannot connect to it. What it does with its
//! folder is up to [`Hand`], which removes nothing and overwrites nothing that is right, whoever asks.
use crate::blob::BlobStore;
use crate::blob::pulled::{Done, Hand, Hello, Task, frame, unframe};
use crate::blob::system::{System, ThisMachine};
use crate::cli::output::say;
use agent::net::backoff::Stop;
use agent::net::http::{Answer, Call, Http};
use anyhow::{Context, anyhow, bail, ensure};
use domain::object::ObjectKind;
use domain::words;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What `pull` needs.
#[derive(Debug, clap::Args)]
pub struct PullOptions {
    /// Address of the console, such as `https://mdm.example.com`
    #[arg(long, value_name = "URL", env = "HOLDFAST_PULL_FROM")]
    from: String,
    /// File with the token that `holdfast puller add` printed there
    #[arg(long, value_name = "FILE", env = "HOLDFAST_PULL_TOKEN_FILE")]
    token_file: PathBuf,
    /// Folder to keep everything in, on a disk of this machine
    #[arg(long, value_name = "DIR", env = "HOLDFAST_PULL_BACKUPS")]
    backups: PathBuf,
    /// Certificate of your own authority (PEM), if the console’s is signed by one
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take over a folder that was another console’s, once
    #[arg(long)]
    adopt: bool,
}

/// How many things are done at once: as many as the console sends at once, and one that reads back.
const WORKERS: u8 = 6;

/// How long a request may take: a wait for something to do, and the largest object at 256 KiB/s. A connection that has
/// gone is not missed for longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// The largest message: an object and its head.
const MOST: u64 = ObjectKind::Data.max_bytes() + (1 << 20);

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Fetches until it is stopped.
///
/// # Errors
/// When the folder or the token cannot be used, or the console refuses the token.
pub fn run(options: PullOptions) -> anyhow::Result<ExitCode> {
    let PullOptions { from, token_file, backups, ca, adopt } = options;
    let from = from.trim_end_matches('/').to_owned();
    ensure!(
        is_safe(&from),
        "{from} is no https address: the token and the backups would go over the network in the clear"
    );
    let token = fs::read_to_string(&token_file).with_context(|| format!("reading {}", token_file.display()))?;
    let ca = ca.map(|it| fs::read_to_string(&it).with_context(|| format!("reading {}", it.display()))).transpose()?;
    let puller = Puller {
        http: Http::new(ca.as_deref())?,
        from,
        bearer: format!("Bearer {}", token.trim()),
        session: hex::encode(secret::bytes::<16>()?),
        hand: Hand::open(&backups, adopt)?,
        hosts: hosts(&backups)?,
        kept: AtomicU64::new(0),
        stop: Stop::default(),
    };
    say(&format!(
        "Fetching from {} to {}. Nothing here is ever removed or overwritten.",
        puller.from,
        backups.display()
    ));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                scope.spawn({
                    let puller = &puller;
                    move || puller.work(number)
                })
            })
            .collect();
        let ended = workers.into_iter().map(|it| it.join().unwrap_or_else(|_panic| Err(anyhow!("a worker failed"))));
        ended.collect::<anyhow::Result<Vec<()>>>()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Names, addresses and marks of this machine and of the one that has the disk, which the console compares with its own.
fn hosts(backups: &std::path::Path) -> anyhow::Result<BTreeSet<String>> {
    let seen = ThisMachine.folder(backups).with_context(|| format!("looking at {}", backups.display()))?;
    Ok(seen.hosts.into_iter().chain(ThisMachine.marks()).collect())
}

/// Only to itself a machine speaks in the clear.
fn is_safe(url: &str) -> bool {
    let rest = url.strip_prefix("http://").map(|it| it.split(['/', ':']).next().unwrap_or_default());
    url.starts_with("https://") || matches!(rest, Some("localhost" | "127.0.0.1"))
}

struct Puller {
    http: Http,
    from: String,
    bearer: String,
    session: String,
    hand: Hand,
    hosts: BTreeSet<String>,
    kept: AtomicU64,
    stop: Stop,
}

/// What was handed to a worker.
struct Given {
    number: u64,
    task: Task,
    bytes: Vec<u8>,
}

impl Puller {
    /// Asks, does, and answers, for ever.
    fn work(&self, worker: u8) -> anyhow::Result<()> {
        while !self.stop.is_stopped() {
            match self.ask(worker).and_then(|given| given.map_or(Ok(()), |it| self.answer(&it))) {
                Ok(()) => {}
                Err(Trouble::Passing(why)) => {
                    if worker == 0 {
                        say(&format!("{why}; trying again."));
                    }
                    self.stop.sleep(AGAIN);
                }
                Err(Trouble::Lasting(why)) => {
                    self.stop.stop();
                    bail!(why);
                }
            }
        }
        Ok(())
    }

    fn ask(&self, worker: u8) -> Result<Option<Given>, Trouble> {
        let space = self.hand.keeping().and_then(|it| it.blobs.space());
        let hello = Hello { session: self.session.clone(), worker, hosts: self.hosts.clone(), space };
        let body = serde_json::to_vec(&hello).context("writing a message")?;
        let answer = self.post("/pull/v1/tasks", &body)?;
        if answer.status == 204 {
            return Ok(None);
        }
        let ((number, task), bytes) = unframe::<(u64, Task)>(&answer.body)?;
        Ok(Some(Given { number, task, bytes: bytes.to_vec() }))
    }

    fn answer(&self, given: &Given) -> Result<(), Trouble> {
        let (done, bytes) = self.hand.act(&given.task, &given.bytes);
        self.tell(&given.task, &done);
        let path = format!("/pull/v1/answers/{}/{}", self.session, given.number);
        self.post(&path, &frame(&done, &bytes)?).map(drop)
    }

    fn tell(&self, task: &Task, done: &Done) {
        match (task, done) {
            (Task::Put { .. }, Done::Yes) => {
                let kept = self.kept.fetch_add(1, Ordering::Relaxed) + 1;
                if kept == 1 || kept.is_multiple_of(1_000) {
                    say(&format!("{} kept since the start.", words::counted(kept, "object", "objects")));
                }
            }
            (_, Done::Away { why, .. } | Done::Full { why } | Done::Failed { why } | Done::Unreadable { why }) => {
                say(why);
            }
            (_, Done::Yes | Done::Taken | Done::Number { .. } | Done::Lost) => {}
        }
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<Answer, Trouble> {
        let url = format!("{}{path}", self.from);
        let headers = [("Authorization", &*self.bearer), ("Content-Type", "application/octet-stream")];
        let call = Call { method: "POST", url: &url, headers: &headers, body, timeout: PATIENCE, limit: MOST };
        let answer = self.http.send(&call).map_err(|error| Trouble::Passing(error.to_string()))?;
        let said = || String::from_utf8_lossy(&answer.body).chars().filter(|it| !it.is_control()).take(300).collect();
        match answer.status {
            200 | 204 => Ok(answer),
            // It was given up meanwhile, and is asked for again.
            410 => Ok(Answer { status: 204, ..answer }),
            401 => Err(Trouble::Lasting(said())),
            _ => Err(Trouble::Passing(said())),
        }
    }
}

/// What keeps a worker from going on.
enum Trouble {
    /// For a while.
    Passing(String),
    /// Until somebody does something.
    Lasting(String),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Passing(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_no_network_in_the_clear() {
        for safe in ["https://mdm.example.com", "http://127.0.0.1:8000", "http://localhost"] {
            assert!(is_safe(safe), "{safe}");
        }
        for bad in ["http://mdm.example.com", "http://localhost.example.com", "ftp://x", "mdm.example.com"] {
            assert!(!is_safe(bad), "{bad}");
        }
    }
}
