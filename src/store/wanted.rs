//! What a write has made work for: noted where the row is written, and told after the commit.
//!
//! A write runs on one thread from its beginning to its end, so the notes lie beside it on that thread: whoever
//! queues a command, a mail or a restore test cannot forget to wake what waits for it, and nobody is woken for what
//! was taken back.
use crate::wake::Wanted;
use std::cell::RefCell;

thread_local! {
    static NOTED: RefCell<Vec<Wanted>> = const { RefCell::new(Vec::new()) };
}

/// Notes that the running write has made work.
pub(super) fn note(wanted: Wanted) {
    NOTED.with_borrow_mut(|noted| {
        if !noted.contains(&wanted) {
            noted.push(wanted);
        }
    });
}

/// How much was noted before a part of a write, which may be taken back.
pub(super) fn mark() -> usize {
    NOTED.with_borrow(Vec::len)
}

/// Forgets what was noted since the mark.
pub(super) fn forget_since(mark: usize) {
    NOTED.with_borrow_mut(|noted| noted.truncate(mark));
}

/// Runs a write and returns what it noted; nothing if it failed.
pub(super) fn collect<T, E>(work: impl FnOnce() -> Result<T, E>) -> (Result<T, E>, Vec<Wanted>) {
    // Not empty if an earlier write on this thread panicked.
    forget_since(0);
    let result = work();
    let noted = NOTED.take();
    let kept = if result.is_ok() { noted } else { Vec::new() };
    (result, kept)
}
