//! Several hands for what mostly waits for the disk: a file system writes what many wait for at the same time as one.
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More bring nothing: eight files that are synced side by side already share one write of the journal.
const HANDS: usize = 8;

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
    fn each_item_has_its_outcome_in_its_place() {
        for count in [0, 1, 7, 1000] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(each(&items, |it| it * 2), items.iter().map(|it| it * 2).collect::<Vec<_>>());
        }
    }
}
