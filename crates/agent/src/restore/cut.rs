//! Where tests kill the agent, or do something meanwhile: between any two steps.

#[cfg(test)]
pub use test::{killed_after, meanwhile};

/// Ends the agent here if a test says so, without any of its tidying up; or does what somebody else does.
pub fn cut_here() {
    #[cfg(test)]
    test::count_down();
}

#[cfg(test)]
mod test {
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    type Act = Box<dyn FnOnce()>;

    thread_local! {
        static FUSE: Cell<Option<u64>> = const { Cell::new(None) };
        static MEANWHILE: RefCell<Option<(u64, Act)>> = const { RefCell::new(None) };
    }

    pub(super) fn count_down() {
        let due = MEANWHILE.with_borrow_mut(|it| match it {
            Some((0, _)) => it.take().map(|it| it.1),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        });
        if let Some(act) = due {
            act();
        }
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

    /// Runs something while somebody else acts after so many steps; false if it ended before.
    pub fn meanwhile(steps: u64, act: impl FnOnce() + 'static, run: impl FnOnce()) -> bool {
        MEANWHILE.set(Some((steps, Box::new(act))));
        run();
        MEANWHILE.take().is_none()
    }
}
