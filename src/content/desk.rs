//! Where pages ask to look inside.
use super::message::{Changes, End, Found, Head, Hits, Job, Taken, Task};
use super::parent::{self, Failure, Heard, Work};
use super::room::{LOOKING, Place, Room, TAKING};
use crate::blob::BlobStore;
use crate::error::{Error, Result};
use crate::proof::keys::ProofKeys;
use crate::proof::runner::{Runner, Served, Watcher};
use crate::service;
use crate::service::content::{Compared, Opened, Search, Searched, Wanted};
use crate::store::Store;
use crate::store::repository::Repository;
use anyhow::Context;
use clock::Clock;
use domain::by::By;
use domain::content::ReadOutcome;
use domain::id::RestorePointId;
use domain::object::ObjectKind;
use domain::time::{Time, minutes};
use repository::MasterKey;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The processor time for one page.
const LOOK_SECONDS: u64 = 30;
/// How long a search or a comparison goes on before it tells what it has.
const SEARCH_SECONDS: u64 = 20;
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

/// What came of it, or why nothing did.
pub type Outcome<T> = std::result::Result<T, Trouble>;

/// What was asked, and what came of it.
pub struct Look {
    pub opened: Opened,
    pub found: Outcome<Found>,
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
        let task = Task::List {
            snapshot: opened.point.snapshot_name.clone(),
            path: opened.read.path.clone(),
            filter,
            from,
        };
        let end = self.look(place, keys, (opened.repository.clone(), opened.point.as_of), task).await?;
        let found = end.and_then(|end| if let End::Found(found) = end { Ok(found) } else { Err(trouble(end)) });
        Ok(Look { opened, found })
    }

    /// In which of a device's restore points a name is.
    ///
    /// # Errors
    /// As [`service::content::search`]; `Busy` if too many look inside already.
    pub async fn find(&self, by: &By, search: Search) -> Result<(Searched, Outcome<Hits>)> {
        let place = self.looking.enter(by.user)?;
        let keys = self.keys()?;
        let (acting, now, text) = (by.clone(), self.clock.now(), search.text.clone());
        let searched = self.store.act(move |conn| service::content::search(conn, &acting, &search, now)).await?;
        let Some((repository, as_of)) = searched.repository.clone().zip(searched.points.iter().map(|it| it.as_of).max())
        else {
            return Ok((searched, Ok(Hits::default())));
        };
        let snapshots = searched.points.iter().map(|it| it.snapshot_name.clone()).collect();
        let task = Task::Find { snapshots, text, seconds: SEARCH_SECONDS };
        let end = self.look(place, keys, (repository, as_of), task).await?;
        Ok((searched, end.and_then(|end| if let End::Hits(hits) = end { Ok(hits) } else { Err(trouble(end)) })))
    }

    /// What two restore points differ in, one page from the difference number `from` on.
    ///
    /// # Errors
    /// As [`service::content::compare`]; `Busy` if too many look inside already.
    pub async fn compare(
        &self,
        by: &By,
        points: (RestorePointId, RestorePointId),
        from: u64,
    ) -> Result<(Compared, Outcome<Changes>)> {
        let place = self.looking.enter(by.user)?;
        let keys = self.keys()?;
        let (acting, now) = (by.clone(), self.clock.now());
        let compared = self.store.act(move |conn| service::content::compare(conn, &acting, points, now)).await?;
        let task = Task::Compare {
            old: compared.old.snapshot_name.clone(),
            new: compared.new.snapshot_name.clone(),
            from,
            seconds: SEARCH_SECONDS,
        };
        let as_of = compared.old.as_of.max(compared.new.as_of);
        let end = self.look(place, keys, (compared.repository.clone(), as_of), task).await?;
        Ok((compared, end.and_then(|end| if let End::Changes(it) = end { Ok(it) } else { Err(trouble(end)) })))
    }

    /// Runs one process to its end, on a thread where it may block.
    async fn look(
        &self,
        place: Place,
        keys: Arc<ProofKeys>,
        (repository, as_of): (Repository, Time),
        task: Task,
    ) -> Result<Outcome<End>> {
        let desk = self.clone();
        let look = move || {
            let _place = place;
            let (served, key) = desk.prepare(&keys, &repository, as_of)?;
            let runner = Runner { silence: LOOK_LONGEST, longest: LOOK_LONGEST, ..desk.runner.clone() };
            let job = Job { task, cpu_seconds: LOOK_SECONDS };
            let watcher = Stops(&desk.store);
            let work = Work { served: &served, key: &key, job: &job, watcher: &watcher };
            Ok(parent::run(&runner, &work, &mut |_| true).map_err(Trouble::from))
        };
        actix_web::web::block(look).await.context("looking inside a restore point")?
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
    ) -> Result<(Opened, Outcome<Flow>)> {
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

    fn prepare(&self, keys: &ProofKeys, repository: &Repository, as_of: Time) -> Result<(Served, MasterKey)> {
        let key = keys.open_master_key(repository)?;
        let objects = self.store.read_blocking(|conn| service::content::view(conn, repository.id, as_of))?;
        let served = Served {
            blobs: Arc::clone(&self.blobs),
            repository: repository.id,
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
        End::Found(_) | End::Taken(_) | End::Hits(_) | End::Changes(_) => Trouble::Lost,
    }
}

/// Stops with the server.
struct Stops<'a>(&'a Store);

impl Watcher for Stops<'_> {
    fn stop(&self) -> bool {
        self.0.wake().is_stopping()
    }
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
    desk: Desk,
    by: By,
    opened: Opened,
    sender: mpsc::Sender<Piece>,
    runtime: tokio::runtime::Handle,
    _place: Place,
}

impl Taking {
    fn run(self, keys: &ProofKeys, leaves_out: bool) {
        let mut sent = Sent::default();
        let ended = self.send_all(keys, leaves_out, &mut sent);
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

    fn send_all(
        &self,
        keys: &ProofKeys,
        leaves_out: bool,
        sent: &mut Sent,
    ) -> Outcome<Taken> {
        let at = &self.opened;
        let (served, key) = self.desk.prepare(keys, &at.repository, at.point.as_of).map_err(|error| {
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
                sent.bytes += u64::try_from(bytes.len()).unwrap_or(0);
                sent.last.replace(bytes).is_none_or(|before| self.give(Piece::Part(before)))
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
