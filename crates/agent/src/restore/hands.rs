//! Several hands for what mostly waits for the disk: it does what many wait for at the same time hardly slower than one.
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// With 32 it took longer than with 8 when that was tried.
const HANDS: usize = 8;

type Work = Box<dyn FnOnce() + Send>;
/// Where a hand gets its work.
type Waiting = Arc<Mutex<Receiver<Work>>>;

/// Hands that work while something else goes on.
#[derive(Default)]
pub struct Hands {
    /// Where work waits for a hand.
    waiting: Option<(Sender<Work>, Waiting)>,
    threads: Vec<JoinHandle<()>>,
}

impl Hands {
    /// Begins something; its outcome is to be waited for.
    pub fn begin<R: Send + 'static>(&mut self, act: impl FnOnce() -> R + Send + 'static) -> Receiver<R> {
        let (told, outcome) = channel();
        let work: Work = Box::new(move || {
            // If nobody waits for it any more, it is done anyway.
            let _ = told.send(act());
        });
        self.engage();
        match &self.waiting {
            Some((waiting, _)) if !self.threads.is_empty() => {
                if let Err(refused) = waiting.send(work) {
                    (refused.0)();
                }
            }
            _ => work(),
        }
        outcome
    }

    /// One hand more, up to so many.
    fn engage(&mut self) {
        if self.threads.len() >= HANDS {
            return;
        }
        let (_, waiting) = self.waiting.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            (sender, Arc::new(Mutex::new(receiver)))
        });
        let waiting = Arc::clone(waiting);
        let hand = thread::Builder::new().spawn(move || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(work) = next else { return };
                work();
            }
        });
        self.threads.extend(hand);
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.waiting = None;
        for hand in self.threads.drain(..) {
            let _ = hand.join();
        }
    }
}

/// Does something to each item, several at a time; the outcomes are in the order of the items.
pub fn each<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, act(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // Without another thread, this one does it all.
        let start = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let hands: Vec<_> = (1..HANDS.min(items.len())).map_while(start).collect();
        let mut done = work();
        for hand in hands {
            done.extend(hand.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|it| it.0);
    done.into_iter().map(|it| it.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_done_by_several_and_each_has_its_outcome() {
        let mut hands = Hands::default();
        let (gate, opened) = channel::<()>();
        // Only if another hand takes the second does the first end.
        let first = hands.begin(move || opened.recv().is_ok());
        let second = hands.begin(move || gate.send(()).is_ok());
        assert!(first.recv().unwrap() && second.recv().unwrap());
        let all: Vec<_> = (0..100).map(|it| hands.begin(move || it * 2)).collect();
        assert_eq!(hands.threads.len(), HANDS);
        drop(hands);
        let done: Vec<i32> = all.into_iter().map(|it| it.recv().unwrap()).collect();
        assert_eq!(done, (0..100).map(|it| it * 2).collect::<Vec<_>>());
    }

    #[test]
    fn each_item_has_its_outcome_in_its_place() {
        for count in [0, 1, 7, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(each(&items, |it| it * 2), items.iter().map(|it| it * 2).collect::<Vec<_>>());
        }
    }
}
