//! Looks at a store on another thread: a network disk that has gone may never answer.
use crate::blob::{BlobStore, StoreFault};
use domain::ground::AwayCause;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often it is looked whether nobody waits any more.
const STEP: Duration = Duration::from_millis(200);

/// How long what is under way may take once nobody wants more.
const GRACE: Duration = Duration::from_secs(2);

/// One look at a time at a store. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Guarded {
    /// One that has not come back: another would only hang as well.
    hangs: Arc<AtomicBool>,
}

/// What the other thread says.
enum Said<T> {
    StillAtWork,
    Done(T),
}

impl Guarded {
    /// Does `work` on its own thread. It may be silent for `patience`; it calls what it is given to say that it gets on.
    /// Once `stop` says so, it is not waited for much longer.
    ///
    /// # Errors
    /// That the store is silent.
    pub fn run<T: Send + 'static>(
        &self,
        blobs: &Arc<dyn BlobStore>,
        patience: Duration,
        stop: &dyn Fn() -> bool,
        work: impl FnOnce(&dyn BlobStore, &dyn Fn()) -> T + Send + 'static,
    ) -> Result<T, StoreFault> {
        if self.hangs.swap(true, Ordering::SeqCst) {
            return Err(silent(patience));
        }
        let (sender, receiver) = channel();
        let (blobs, hangs) = (Arc::clone(blobs), Arc::clone(&self.hangs));
        let thread = std::thread::Builder::new().name("ground".to_owned()).spawn(move || {
            let ended = Ended(hangs);
            // Nobody may be waiting any more.
            let done = work(&*blobs, &|| drop(sender.send(Said::StillAtWork)));
            // Before it is said, so that the next look can begin at once.
            drop(ended);
            drop(sender.send(Said::Done(done)));
        });
        if let Err(error) = thread {
            self.hangs.store(false, Ordering::SeqCst);
            let why = format!("the server has no thread to look at it: {error}");
            return Err(StoreFault { cause: AwayCause::Silent, why });
        }
        wait(&receiver, patience, stop)
    }
}

/// The end of a look, however it ends.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn wait<T>(said: &Receiver<Said<T>>, patience: Duration, stop: &dyn Fn() -> bool) -> Result<T, StoreFault> {
    let mut heard = Instant::now();
    loop {
        match said.recv_timeout(STEP.min(patience)) {
            Ok(Said::Done(done)) => return Ok(done),
            Ok(Said::StillAtWork) => heard = Instant::now(),
            Err(RecvTimeoutError::Timeout) => {
                let patience = if stop() { patience.min(GRACE) } else { patience };
                if heard.elapsed() >= patience {
                    return Err(silent(patience));
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let why = "looking at it failed; see the server's log".to_owned();
                return Err(StoreFault { cause: AwayCause::Unreadable, why });
            }
        }
    }
}

fn silent(patience: Duration) -> StoreFault {
    StoreFault { cause: AwayCause::Silent, why: format!("it has not answered for {} s", patience.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::fs::FsBlobs;

    const MOMENT: Duration = Duration::from_millis(50);

    fn blobs() -> (tempfile::TempDir, Arc<dyn BlobStore>) {
        let folder = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn BlobStore> = Arc::new(FsBlobs::open(folder.path()).unwrap());
        (folder, blobs)
    }

    #[test]
    fn what_hangs_is_waited_for_once_and_nothing_else_is_begun_until_it_ends() {
        let (guarded, (_folder, blobs)) = (Guarded::default(), blobs());
        let (release, held) = channel::<()>();
        let hang = move |_: &dyn BlobStore, _: &dyn Fn()| held.recv().unwrap();

        let fault = guarded.run(&blobs, MOMENT, &|| false, hang).unwrap_err();
        assert_eq!(fault.cause, AwayCause::Silent);
        let begun = Instant::now();
        assert!(guarded.run(&blobs, Duration::from_secs(60), &|| false, |_, _| ()).is_err(), "the first still hangs");
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody waits for that");

        release.send(()).unwrap();
        while guarded.hangs.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        assert_eq!(guarded.run(&blobs, Duration::from_secs(60), &|| false, |_, _| 7), Ok(7));
    }

    #[test]
    fn what_says_that_it_gets_on_may_take_as_long_as_it_needs() {
        let (guarded, (_folder, blobs)) = (Guarded::default(), blobs());
        let patience = Duration::from_secs(2);
        let begun = Instant::now();

        let done = guarded.run(&blobs, patience, &|| false, move |_, alive| {
            while begun.elapsed() < patience * 3 / 2 {
                alive();
                std::thread::yield_now();
            }
            7
        });

        assert_eq!(done, Ok(7));
    }

    #[test]
    fn a_server_that_stops_waits_no_longer_than_a_moment() {
        let (guarded, (_folder, blobs)) = (Guarded::default(), blobs());
        let (release, held) = channel::<()>();
        let begun = Instant::now();

        let fault = guarded.run(&blobs, Duration::from_secs(600), &|| true, move |_, _| held.recv().is_ok());

        assert!(fault.is_err() && begun.elapsed() < Duration::from_secs(60));
        drop(release);
    }

    #[test]
    fn work_that_panics_is_a_fault_and_hangs_nothing() {
        let (guarded, (_folder, blobs)) = (Guarded::default(), blobs());
        let panic = |_: &dyn BlobStore, _: &dyn Fn()| panic!("planted");

        let fault: Result<(), _> = guarded.run(&blobs, Duration::from_secs(60), &|| false, panic);

        assert_eq!(fault.unwrap_err().cause, AwayCause::Unreadable);
        assert_eq!(guarded.run(&blobs, Duration::from_secs(60), &|| false, |_, _| 7), Ok(7));
    }
}
