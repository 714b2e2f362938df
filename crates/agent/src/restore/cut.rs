//! Where tests kill the agent: between any two steps.

#[cfg(test)]
pub use test::killed_after;

/// Ends the agent here if a test says so, without any of its tidying up.
pub fn cut_here() {
    #[cfg(test)]
    test::count_down();
}

#[cfg(test)]
mod test {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    thread_local! { static FUSE: Cell<Option<u64>> = const { Cell::new(None) }; }

    pub(super) fn count_down() {
        match FUSE.get() {
            Some(0) => {
                FUSE.set(None);
                resume_unwind(Box::new("killed"));
            }
            Some(left) => FUSE.set(Some(left - 1)),
            None => {}
        }
    }

    /// Runs something that is killed after so many steps; none if it was.
    pub fn killed_after<T>(steps: Option<u64>, run: impl FnOnce() -> T) -> Option<T> {
        FUSE.set(steps);
        let done = catch_unwind(AssertUnwindSafe(run));
        FUSE.set(None);
        done.ok()
    }
}
