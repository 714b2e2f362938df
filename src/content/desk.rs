//! Where pages ask to look inside.
use super::message::{End, Found, Head, Job, Taken, Task};
use super::parent::{self, Failure, Heard, Work};
use super::room::{LOOKING, Place, Room, TAKING};
use crate::blob::BlobStore;
use crate::error::{Error, Result};
use crate::proof::keys::ProofKeys;
use crate::proof::runner::{Runner, Served, Watcher};
use crate::service;
use crate::service::content::{Opened, Wanted};
use crate::store::Store;
use anyhow::Context;
use clock::Clock;
use domain::by::By;
use domain::content::ReadOutcome;
use domain::object::ObjectKind;
use domain::time::minutes;
use repository::MasterKey;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The processor time for one page.
const LOOK_SECONDS: u64 = 30;
/// The longest time for one page: somebody waits for it.
const LOOK_LONGEST: Duration = Duration::from_secs(60);
/// The slowest speed at which an intact backup is read on a busy machine, and the time a download gets on top.
const BYTES_PER_SECOND: u64 = 8 << 20;
const SPARE_SECONDS: u64 = 120;
/// A reader that takes no piece for this long has gone.
const PATIENCE: Duration = minutes(2);
/// How often it is looked whether a download may go on.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Where pages ask to look inside. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub store: Store,
    pub blobs: Arc<dyn BlobStore>,
    /// None if the proof side is on another host.
    pub keys: Option<Arc<ProofKeys>>,
    pub clock: Clock,
    pub runner: Runner,
    looking: Room,
    taking: Room,
}

/// Why something could not be read, for the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("There is nothing at this path in this restore point.")]
    NotThere,
    #[error("This is neither a file nor a folder, so it cannot be downloaded.")]
    NotAFile,
    /// Which entry, in the manifest's spelling, and what is wrong with it.
    #[error("{} cannot be read: {why}. What is damaged in the store is marked for healing by the next restore test.", shown(.path))]
    Damaged { path: String, why: String },
    #[error("Resource limit: {0}. Nothing else is affected.")]
    Limit(String),
    #[error("The backup store cannot be read at the moment: {0}. Try again later.")]
    Away(String),
    #[error("It was stopped before its end.")]
    Stopped,
    #[error("The process that reads backups ended unexpectedly. Nothing else is affected. Try again.")]
    Lost,
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "This restore point" } else { path }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Limit(what) => Self::Limit(format!("this backup takes more {what} to read than is allowed")),
            Failure::Stopped => Self::Stopped,
            Failure::Lost => Self::Lost,
        }
    }
}

/// What was asked, and what came of it.
pub struct Look {
    pub opened: Opened,
    pub found: std::result::Result<Found, Trouble>,
}

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
    End(std::result::Result<Taken, Trouble>),
}

impl Flow {
    /// The next bytes; `Err(Ok)` at the end of what is whole, `Err(Err)` where it breaks off.
    ///
    /// # Errors
    /// At the end.
    pub async fn next(&mut self) -> std::result::Result<Vec<u8>, std::result::Result<Whole, Trouble>> {
        match self.pieces.recv().await {
            Some(Piece::Part(bytes)) => Ok(bytes),
            Some(Piece::End(Ok(_))) => Err(Ok(Whole)),
            Some(Piece::End(Err(trouble))) => Err(Err(trouble)),
            // Without an end it is not whole, whatever came before.
            Some(Piece::Head(_)) | None => Err(Err(Trouble::Lost)),
        }
    }
}

impl Desk {
    /// With its places.
    pub fn new(
        store: Store,
        blobs: Arc<dyn BlobStore>,
        keys: Option<Arc<ProofKeys>>,
        clock: Clock,
        runner: Runner,
    ) -> Self {
        Self { store, blobs, keys, clock, runner, looking: Room::new(LOOKING), taking: Room::new(TAKING) }
    }

    /// One page of a folder, or what is known of a file.
    ///
    /// # Errors
    /// As [`service::content::open`]; `Busy` if too many look inside already.
    pub async fn list(&self, by: &By, wanted: Wanted, filter: String, from: u64) -> Result<Look> {
        let place = self.looking.enter(by.user)?;
        let keys = self.keys()?;
        let opened = self.open(by, wanted).await?;
        let (desk, at) = (self.clone(), opened.clone());
        let found = actix_web::web::block(move || {
            let _place = place;
            let task =
                Task::List { snapshot: at.point.snapshot_name.clone(), path: at.read.path.clone(), filter, from };
            desk.look(&keys, &at, task)
        })
        .await
        .context("looking inside a restore point")??;
        Ok(Look { opened, found })
    }

    fn look(&self, keys: &ProofKeys, at: &Opened, task: Task) -> Result<std::result::Result<Found, Trouble>> {
        let (served, key) = self.prepare(keys, at)?;
        let runner = Runner { silence: LOOK_LONGEST, longest: LOOK_LONGEST, ..self.runner.clone() };
        let job = Job { task, cpu_seconds: LOOK_SECONDS };
        let watcher = Stops(&self.store);
        let work = Work { served: &served, key: &key, job: &job, watcher: &watcher };
        Ok(match parent::run(&runner, &work, &mut |_| true) {
            Ok(End::Found(found)) => Ok(found),
            Ok(end) => Err(trouble(end)),
            Err(failure) => Err(failure.into()),
        })
    }

    /// Begins a download; the inner error is why there is nothing to send.
    ///
    /// # Errors
    /// As [`service::content::open`]; `Busy` if too much is downloaded already.
    pub async fn take(
        &self,
        by: &By,
        wanted: Wanted,
        leaves_out: bool,
    ) -> Result<(Opened, std::result::Result<Flow, Trouble>)> {
        let place = self.taking.enter(by.user)?;
        let keys = self.keys()?;
        let opened = self.open(by, wanted).await?;
        let (sender, mut pieces) = mpsc::channel(2);
        let taking = Taking {
            desk: self.clone(),
            by: by.clone(),
            opened: opened.clone(),
            sender,
            runtime: tokio::runtime::Handle::current(),
            _place: place,
        };
        std::thread::Builder::new()
            .name("download".to_owned())
            .spawn(move || taking.run(&keys, leaves_out))
            .context("starting a download")?;
        let flow = match pieces.recv().await {
            Some(Piece::Head(head)) => Ok(Flow { head, pieces }),
            Some(Piece::End(Err(trouble))) => Err(trouble),
            Some(Piece::Part(_) | Piece::End(Ok(_))) | None => Err(Trouble::Lost),
        };
        Ok((opened, flow))
    }

    fn keys(&self) -> Result<Arc<ProofKeys>> {
        self.keys.clone().ok_or_else(|| {
            let why = "the key that opens backups is on another host: look inside where `holdfast prove` runs";
            Error::Refused(why.to_owned())
        })
    }

    async fn open(&self, by: &By, wanted: Wanted) -> Result<Opened> {
        let (by, now) = (by.clone(), self.clock.now());
        self.store.act(move |conn| service::content::open(conn, &by, &wanted, now)).await
    }

    fn prepare(&self, keys: &ProofKeys, at: &Opened) -> Result<(Served, MasterKey)> {
        let key = keys.open_master_key(&at.repository)?;
        let point = at.point.clone();
        let objects = self.store.read_blocking(move |conn| service::content::view(conn, &point))?;
        let served = Served {
            blobs: Arc::clone(&self.blobs),
            repository: at.repository.id,
            ledger: objects.into_iter().map(|it| ((it.kind, it.name.clone()), it.size())).collect(),
            manifests: Vec::new(),
        };
        Ok((served, key))
    }
}

fn trouble(end: End) -> Trouble {
    match end {
        End::NotThere => Trouble::NotThere,
        End::NotAFile => Trouble::NotAFile,
        End::Damaged { path, why } => Trouble::Damaged { path, why },
        End::Limit(what) => Trouble::Limit(what),
        End::Away(why) => Trouble::Away(why),
        // An end of another job.
        End::Found(_) | End::Taken(_) => Trouble::Lost,
    }
}

/// Stops with the server.
struct Stops<'a>(&'a Store);

impl Watcher for Stops<'_> {
    fn stop(&self) -> bool {
        self.0.wake().is_stopping()
    }
}

/// One download, on its own thread.
struct Taking {
    desk: Desk,
    by: By,
    opened: Opened,
    sender: mpsc::Sender<Piece>,
    runtime: tokio::runtime::Handle,
    _place: Place,
}

impl Taking {
    fn run(self, keys: &ProofKeys, leaves_out: bool) {
        let mut sent = 0u64;
        let ended = self.send_all(keys, leaves_out, &mut sent);
        let outcome = match &ended {
            Ok(taken) if taken.left_out > 0 => {
                let note = format!("{} left out", domain::words::counted(taken.left_out, "entry", "entries"));
                (ReadOutcome::LeftOut, note)
            }
            Ok(_) => (ReadOutcome::Complete, String::new()),
            Err(trouble) => (ReadOutcome::BrokenOff, trouble.to_string()),
        };
        self.keep(outcome, sent);
        // Last: whoever reads is told that it is whole only once that is written down.
        let _ = self.give(Piece::End(ended));
    }

    fn send_all(&self, keys: &ProofKeys, leaves_out: bool, sent: &mut u64) -> std::result::Result<Taken, Trouble> {
        let at = &self.opened;
        let (served, key) = self.desk.prepare(keys, at).map_err(|error| {
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
        let ended = parent::run(&self.desk.runner, &work, &mut |heard| match heard {
            Heard::Head(head) => self.give(Piece::Head(head)),
            Heard::Part(bytes) => {
                *sent += u64::try_from(bytes.len()).unwrap_or(0);
                self.give(Piece::Part(bytes))
            }
        });
        match ended {
            Ok(End::Taken(taken)) => Ok(taken),
            Ok(end) => Err(trouble(end)),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Hands over a piece; false if nobody takes it any more. The child waits meanwhile.
    fn give(&self, piece: Piece) -> bool {
        let given = async { tokio::time::timeout(PATIENCE, self.sender.send(piece)).await };
        matches!(self.runtime.block_on(given), Ok(Ok(())))
    }

    fn keep(&self, (outcome, note): (ReadOutcome, String), sent: u64) {
        let (by, id, now) = (self.by.clone(), self.opened.read.id, self.desk.clock.now());
        let sent = i64::try_from(sent).unwrap_or(i64::MAX);
        let kept = self
            .desk
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
        let desk = &self.taking.desk;
        if desk.store.wake().is_stopping() {
            return true;
        }
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.0.elapsed() >= LOOK_AGAIN {
            let (user, device) = (self.taking.by.user, self.taking.opened.device.id);
            // A database that is away for a moment ends nothing; nothing can change in it either.
            let may = desk.store.read_blocking(|conn| service::content::may_go_on(conn, user, device)).unwrap_or(true);
            *looked = (Instant::now(), may);
        }
        !looked.1
    }
}
