//! Copies what the ledger says the second store does not have, and repairs what is damaged.
use super::away;
use super::copier::Copier;
use super::memory::Memory;
use super::send::Halt;
use super::step::{PATIENCE, Steps};
use super::turn;
use crate::blob::{BlobStore, StoreFault};
use crate::error::Result;
use crate::service::setting::COPY_SPEED;
use crate::store::{self, Store};
use domain::ground::AwayCause;
use domain::object::Location;
use domain::time::{Time, minutes};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often an idle second store is looked at.
const LOOK_EVERY: Duration = minutes(1);

/// How often it is asked whether a store still answers.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// How long a server that stops waits for an object on its way; afterwards it is sent again.
const GRACE: Duration = Duration::from_secs(10);

/// Copies, and repairs from the copy. Cheap to clone.
#[derive(Clone)]
pub struct Replicator {
    copier: Arc<Copier>,
    /// A run that has not come back: another would only hang as well.
    hangs: Arc<AtomicBool>,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// Objects that the second store has now.
    pub copied: usize,
    /// Objects of the backup store that were restored from the second one.
    pub repaired: usize,
    /// Whether something failed: it is tried again after a while.
    pub failed: bool,
    /// More can be copied at once.
    pub more: bool,
}

impl Replicator {
    /// Copies from `primary` to `copy`.
    pub fn new(store: Store, primary: Arc<dyn BlobStore>, copy: Arc<dyn BlobStore>) -> Self {
        Self::with_patience(store, primary, copy, PATIENCE)
    }

    /// [`Replicator::new`] that gives up on a store that does not answer for so long.
    pub fn with_patience(
        store: Store,
        primary: Arc<dyn BlobStore>,
        copy: Arc<dyn BlobStore>,
        patience: Duration,
    ) -> Self {
        let copier = Copier {
            store,
            primary,
            copy,
            memory: Memory::default(),
            steps: Steps::new(patience),
            may_be_there: AtomicBool::new(false),
            turn: Mutex::default(),
        };
        Self { copier: Arc::new(copier), hangs: Arc::default() }
    }

    /// The second store.
    pub fn copy(&self) -> &Arc<dyn BlobStore> {
        &self.copier.copy
    }

    /// Copies some objects of one repository, and repairs what can be. Any stop may come in between: an object whose row
    /// was not written is sent again, and found to be there.
    ///
    /// # Errors
    /// When the database refuses. What goes wrong with a store is kept, and tried again.
    pub fn run(&self, now: Time) -> Result<Run> {
        if self.copier.turn().backoff.waits(now) {
            return Ok(Run::default());
        }
        let store = &self.copier.store;
        match self.watched(now) {
            Ok(run) => return Ok(run),
            Err(Halt::Database(error)) => return Err(error),
            Err(Halt::Away(Location::Copy, fault)) => {
                self.copier.turn().looked_at = None;
                away::went(store, &fault, now)?;
            }
            // Its own watch keeps and tells that.
            Err(Halt::Away(Location::Primary, _)) => {}
            Err(Halt::Failed(why)) => away::note_failure(store, Some(&why), now)?,
        }
        self.copier.turn().backoff.failed(now);
        Ok(Run { failed: true, ..Run::default() })
    }

    /// A run on a thread of its own, which is left alone if a store does not answer.
    fn watched(&self, now: Time) -> Result<Run, Halt> {
        if self.hangs.load(Ordering::SeqCst) {
            return Err(silent(self.copier.steps.overdue(Instant::now()).unwrap_or(Location::Copy)));
        }
        let (sender, receiver) = channel();
        let (copier, hangs) = (Arc::clone(&self.copier), Arc::clone(&self.hangs));
        hangs.store(true, Ordering::SeqCst);
        let thread = std::thread::Builder::new().name("copying".to_owned()).spawn(move || {
            let done = copier.take_turn(now);
            hangs.store(false, Ordering::SeqCst);
            // Nobody is waiting any more if it took too long.
            let _ = sender.send(done);
        });
        if let Err(error) = thread {
            self.hangs.store(false, Ordering::SeqCst);
            return Err(Halt::Failed(format!("the server has no thread to copy with: {error}")));
        }
        self.wait(&receiver)
    }

    fn wait(&self, receiver: &Receiver<Result<Run, Halt>>) -> Result<Run, Halt> {
        let mut stopping_since = None;
        loop {
            match receiver.recv_timeout(WATCH_EVERY) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Disconnected) => {
                    self.hangs.store(false, Ordering::SeqCst);
                    return Err(Halt::Failed("copying failed; see the server’s log".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(location) = self.copier.steps.overdue(Instant::now()) {
                return Err(silent(location));
            }
            if self.copier.store.wake().is_stopping()
                && stopping_since.get_or_insert_with(Instant::now).elapsed() > GRACE
            {
                return Ok(Run::default());
            }
        }
    }
}

fn silent(location: Location) -> Halt {
    Halt::Away(location, StoreFault { cause: AwayCause::Silent, why: "it does not answer".to_owned() })
}

impl Copier {
    fn take_turn(&self, now: Time) -> Result<Run, Halt> {
        // Whatever has become of the first store: what is said of this one must be so now.
        self.look(now)?;
        // While the backup store is away, nobody can say what is missing from it.
        if self.store.read_blocking(store::ground::away)?.is_some() {
            return Ok(Run::default());
        }
        let rate = self.store.read_blocking(move |conn| COPY_SPEED.find(conn, now))?;
        self.turn().pace.grow(rate.saturating_mul(1 << 20), now);
        let repaired = self.repair(now)?;
        let Some(repository) = self.next(now)? else {
            self.turn().backoff.worked();
            return Ok(Run { repaired, ..Run::default() });
        };
        let copied = self.copy_of(repository, now)?;
        let mut turn = self.turn();
        turn.backoff.worked();
        Ok(Run { copied, repaired, failed: false, more: turn.pace.may_send() })
    }

    /// The repository whose turn it is; none if nothing can be copied.
    fn next(&self, now: Time) -> Result<Option<domain::id::RepositoryId>> {
        let (last, rests) = {
            let turn = self.turn();
            (turn.last(), turn.rests(now))
        };
        if rests {
            return Ok(None);
        }
        let next = self.store.read_blocking(|conn| turn::next(conn, last))?;
        Ok(self.turn().take(next, now))
    }

    /// Looks whether the second store is there and the right one, if that is not known from a moment ago.
    fn look(&self, now: Time) -> Result<(), Halt> {
        if self.turn().looked_at.is_some_and(|at| now >= at && now < at + LOOK_EVERY) {
            return Ok(());
        }
        self.at(Location::Copy, 0, |blobs| blobs.check()).map_err(|fault| Halt::Away(Location::Copy, fault))?;
        away::is_there(&self.store, now)?;
        self.turn().looked_at = Some(now);
        Ok(())
    }
}
