//! Downloads: a thread feeds a child and hands its bytes on as fast as they are taken.
use super::message::{End, Head, Job, Taken, Task};
use super::parent::{self, Heard, Work};
use super::room::Place;
use super::tools::Tools;
use super::trouble::{Outcome, Trouble};
use crate::error::Result;
use crate::proof::runner::Watcher;
use crate::service;
use crate::service::content::Opened;
use anyhow::Context;
use domain::by::By;
use domain::content::ReadOutcome;
use domain::object::ObjectKind;
use domain::time::minutes;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The slowest speed at which an intact backup is read on a busy machine, and the time a download gets on top.
const BYTES_PER_SECOND: u64 = 8 << 20;
const SPARE_SECONDS: u64 = 120;
/// A reader that takes no piece for this long has gone.
const PATIENCE: Duration = minutes(2);
/// How often it is looked whether a download may go on.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A download that has begun.
pub struct Flow {
    pub head: Head,
    pieces: mpsc::Receiver<Piece>,
}

/// The end of a download that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole;

enum Piece {
    Head(Head),
    Part(Vec<u8>),
    End(Outcome<Taken>),
}

impl Flow {
    /// The next bytes; `Err(Ok)` at the end of what is whole, `Err(Err)` where it breaks off.
    ///
    /// # Errors
    /// At the end.
    pub async fn next(&mut self) -> std::result::Result<Vec<u8>, Outcome<Whole>> {
        match self.pieces.recv().await {
            Some(Piece::Part(bytes)) => Ok(bytes),
            Some(Piece::End(Ok(_))) => Err(Ok(Whole)),
            Some(Piece::End(Err(trouble))) => Err(Err(trouble)),
            // Without an end it is not whole, whatever came before.
            Some(Piece::Head(_)) | None => Err(Err(Trouble::Lost)),
        }
    }
}

/// Begins a download; the inner error is why there is nothing to send.
///
/// # Errors
/// When no thread can be started.
pub(super) async fn begin(
    tools: Tools,
    (by, opened): (&By, &Opened),
    leaves_out: bool,
    place: Place,
) -> Result<Outcome<Flow>> {
    let (sender, mut pieces) = mpsc::channel(2);
    let runtime = tokio::runtime::Handle::current();
    let taking = Taking { tools, by: by.clone(), opened: opened.clone(), sender, runtime, _place: place };
    std::thread::Builder::new()
        .name("download".to_owned())
        .spawn(move || taking.run(leaves_out))
        .context("starting a download")?;
    Ok(match tokio::time::timeout(PATIENCE, pieces.recv()).await {
        Ok(Some(Piece::Head(head))) => Ok(Flow { head, pieces }),
        Ok(Some(Piece::End(Err(trouble)))) => Err(trouble),
        Ok(Some(Piece::Part(_) | Piece::End(Ok(_))) | None) => Err(Trouble::Lost),
        Err(_late) => Err(Trouble::late()),
    })
}

/// How far a download is.
#[derive(Default)]
struct Sent {
    bytes: u64,
    /// Kept back until the end is known: a reader who counts bytes must not have all of what breaks off.
    last: Option<Vec<u8>>,
}

/// One download, on its own thread.
struct Taking {
    tools: Tools,
    by: By,
    opened: Opened,
    sender: mpsc::Sender<Piece>,
    runtime: tokio::runtime::Handle,
    _place: Place,
}

impl Taking {
    fn run(self, leaves_out: bool) {
        let mut sent = Sent::default();
        let ended = self.send_all(leaves_out, &mut sent);
        let outcome = match &ended {
            Ok(taken) if taken.left_out > 0 => {
                let note = format!("{} left out", domain::words::counted(taken.left_out, "entry", "entries"));
                (ReadOutcome::LeftOut, note)
            }
            Ok(_) => (ReadOutcome::Complete, String::new()),
            Err(trouble) => (ReadOutcome::BrokenOff, trouble.to_string()),
        };
        self.keep(outcome, sent.bytes);
        // Whoever reads has all of it only once that is written down.
        if let (Ok(_), Some(last)) = (&ended, sent.last.take()) {
            self.give(Piece::Part(last));
        }
        self.give(Piece::End(ended));
    }

    fn send_all(&self, leaves_out: bool, sent: &mut Sent) -> Outcome<Taken> {
        let at = &self.opened;
        let (served, key) = self.tools.prepare(&at.repository, &[at.point.as_of]).map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "a download could not be prepared");
            Trouble::Lost
        })?;
        let stored: u64 = served.ledger.iter().filter(|it| it.0.0 == ObjectKind::Data).map(|it| *it.1).sum();
        let job = Job {
            task: Task::Take { snapshot: at.point.snapshot_name.clone(), path: at.read.path.clone(), leaves_out },
            cpu_seconds: 2 * (stored / BYTES_PER_SECOND) + SPARE_SECONDS,
        };
        let watcher = Going { taking: self, looked: Mutex::new((Instant::now(), true)) };
        let work = Work { served: &served, key: &key, job: &job, watcher: &watcher };
        let ended = parent::run(&self.tools.runner, &work, &mut |heard| match heard {
            Heard::Head(head) => self.give(Piece::Head(head)),
            Heard::Part(bytes) => {
                sent.bytes += u64::try_from(bytes.len()).unwrap_or(0);
                sent.last.replace(bytes).is_none_or(|before| self.give(Piece::Part(before)))
            }
        });
        match ended.0 {
            Ok(End::Taken(taken)) => Ok(taken),
            Ok(end) => Err(end.into()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Hands over a piece; false if nobody takes it any more. The child waits meanwhile.
    fn give(&self, piece: Piece) -> bool {
        let given = async { tokio::time::timeout(PATIENCE, self.sender.send(piece)).await };
        matches!(self.runtime.block_on(given), Ok(Ok(())))
    }

    fn keep(&self, (outcome, note): (ReadOutcome, String), sent: u64) {
        let (by, id, now) = (self.by.clone(), self.opened.read.id, self.tools.clock.now());
        let sent = i64::try_from(sent).unwrap_or(i64::MAX);
        let kept = self
            .tools
            .store
            .act_blocking(move |conn| service::content::finish(conn, &by, id, (outcome, &note, sent), now));
        if let Err(error) = kept {
            tracing::error!(error = format!("{error:#}"), "how a download ended could not be written down");
        }
    }
}

/// Ends a download when the server stops, or whoever asked may no longer read.
struct Going<'a> {
    taking: &'a Taking,
    looked: Mutex<(Instant, bool)>,
}

impl Watcher for Going<'_> {
    fn stop(&self) -> bool {
        let tools = &self.taking.tools;
        if tools.store.wake().is_stopping() {
            return true;
        }
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.0.elapsed() >= LOOK_AGAIN {
            let (user, device) = (self.taking.by.user, self.taking.opened.device.id);
            // A database that is away for a moment ends nothing; nothing can change in it either.
            let may = tools.store.read_blocking(|conn| service::content::may_go_on(conn, user, device)).unwrap_or(true);
            *looked = (Instant::now(), may);
        }
        !looked.1
    }
}
