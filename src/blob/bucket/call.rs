//! One call to a bucket, from a thread that waits for it: within a limit, whatever the other side does.
use super::fault::CallFault;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the call itself, and for being connected.
    pub call: Duration,
    /// The slowest that bytes may come or go.
    pub bytes_per_second: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { call: Duration::from_secs(20), bytes_per_second: 256 << 10 }
    }
}

/// What a listing may take, as bytes: a repository has at most 250,000 objects, 1,000 on a page.
pub(super) const LISTING: u64 = 128 << 20;

impl Patience {
    fn limit(self, bytes: u64) -> Duration {
        self.call + Duration::from_secs(bytes.div_ceil(self.bytes_per_second.max(1)))
    }
}

/// A runtime of its own: whoever calls has none, or one in which it may not wait.
pub(super) struct Caller {
    runtime: Option<Runtime>,
    patience: Patience,
}

/// The runtime ends the call at its limit; only a runtime that is stuck itself needs longer.
const GRACE: Duration = Duration::from_secs(5);

impl Caller {
    pub(super) fn new(patience: Patience) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("bucket").enable_all().build()?;
        Ok(Self { runtime: Some(runtime), patience })
    }

    /// Waits for a call that may move `bytes`.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        bytes: u64,
        call: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, CallFault> {
        let limit = self.patience.limit(bytes);
        let Some(runtime) = &self.runtime else { return Err(CallFault::Failed("the server is stopping".to_owned())) };
        let (sender, receiver) = sync_channel(1);
        runtime.spawn(async move {
            // Nobody is waiting any more if it took too long.
            let _ = sender.send(tokio::time::timeout(limit, call).await);
        });
        match receiver.recv_timeout(limit + GRACE) {
            Ok(Ok(done)) => done.map_err(|error| CallFault::of(&error)),
            Ok(Err(_elapsed)) => Err(CallFault::Silent(limit)),
            Err(RecvTimeoutError::Timeout) => Err(CallFault::Silent(limit)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(CallFault::Failed("the call failed; see the server’s log".to_owned()))
            }
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // Waiting for it is not allowed where somebody else's runtime drops it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_ends_is_given_up_even_inside_another_runtime() {
        let patience = Patience { call: Duration::from_millis(20), bytes_per_second: 1 << 20 };
        let outer = Builder::new_current_thread().build().unwrap();
        outer.block_on(async {
            let caller = Caller::new(patience).unwrap();
            let ended = caller.wait(0, std::future::pending::<object_store::Result<()>>());
            assert!(matches!(ended, Err(CallFault::Silent(_))), "{ended:?}");
            assert!(caller.wait(0, async { Ok(()) }).is_ok(), "and the next one is made");
        });
    }

    #[test]
    fn more_bytes_may_take_longer() {
        let patience = Patience::default();
        assert_eq!(patience.limit(0), Duration::from_secs(20));
        assert_eq!(patience.limit(16 << 20), Duration::from_secs(20 + 64));
        assert_eq!(patience.limit(1), Duration::from_secs(21));
    }
}
