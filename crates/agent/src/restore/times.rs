//! When something was changed and read last: kept where the agent is at work, and given back.
use rustix::fs::{Stat, Timespec, Timestamps, fstat};
use std::io;
use std::os::fd::BorrowedFd;

/// Seconds and nanoseconds since 1970.
pub type Moment = (i64, u32);

/// When it was changed last.
pub fn modified(stat: &Stat) -> Moment {
    moment(stat.st_mtime, stat.st_mtime_nsec)
}

/// When it was read last.
pub fn accessed(stat: &Stat) -> Moment {
    moment(stat.st_atime, stat.st_atime_nsec)
}

fn moment(seconds: i64, nanoseconds: impl TryInto<u32>) -> Moment {
    (seconds, nanoseconds.try_into().unwrap_or(0))
}

/// Changes something in a folder that is the agent's own: the folder's times are those of what others do there.
pub fn keeping_times<T>(dir: BorrowedFd<'_>, change: impl FnOnce() -> T) -> T {
    let had = fstat(dir);
    let changed = change();
    if let Ok(had) = had {
        let _ = set_times(dir, accessed(&had), modified(&had));
    }
    changed
}

/// Gives something these times.
///
/// # Errors
/// When the disk refuses.
pub fn set_times(of: BorrowedFd<'_>, accessed: Moment, modified: Moment) -> io::Result<()> {
    let stamp = |(seconds, nanoseconds): Moment| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    let times = Timestamps { last_access: stamp(accessed), last_modification: stamp(modified) };
    Ok(rustix::fs::futimens(of, &times)?)
}
