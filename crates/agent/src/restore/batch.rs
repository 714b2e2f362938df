//! Gives many finished entries their names, and waits for the disk once for all of them.
//!
//! The order is that of one entry: every step is written down first; then what is replaced is moved away, and that
//! is on the disk before anything takes its name. What turns out otherwise than it was when it was written down is
//! done once more by itself.
use super::cut::cut_here;
use super::hands;
use super::place::{Choice, Fit, Place, Placed};
use super::steps::{Aside, Steps};
use super::trail::Step;
use rustix::fs::{AtFlags, unlinkat};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What is to become of an entry.
enum Plan {
    /// It is to get a name that is free.
    Take {
        name: CString,
        fit: Fit,
    },
    /// What has its name is to be moved away.
    Replace(Aside),
    /// What had its name was moved away, to this number.
    TakeOver(u64),
    /// It is done by itself, after the others.
    Alone,
    Done(io::Result<Placed>),
}

/// Gives each entry its name, or one beside it. What got none is removed from its temporary name.
pub fn put_all(places: &[Place<'_>], steps: &Steps) -> Vec<io::Result<Placed>> {
    let (mut plans, lines) = plan(places, steps);
    if steps.announce(&lines).is_err() {
        // On a full disk there may be room for some of them: what gets no name is removed.
        plans
            .iter_mut()
            .filter(|it| matches!(it, Plan::Take { .. } | Plan::Replace(_)))
            .for_each(|it| *it = Plan::Alone);
    }
    move_away(places, &mut plans, steps);
    for (place, plan) in places.iter().zip(&mut plans) {
        take(place, plan);
    }
    places.iter().zip(plans).map(|(place, plan)| end(place, plan)).collect()
}

/// What is to become of each, and the steps that this takes. No name is given twice, nor is anything moved twice:
/// the trail says of each name what it last was.
fn plan(places: &[Place<'_>], steps: &Steps) -> (Vec<Plan>, Vec<Step>) {
    let (mut named, mut moved, mut lines) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut plan = |place: &Place<'_>| -> io::Result<Plan> {
        let (name, fit) = match place.choose()? {
            Choice::Nothing(placed) => return Ok(Plan::Done(Ok(placed))),
            Choice::Replace => (place.name.to_owned(), None),
            Choice::Take { name, fit } => (name, Some(fit)),
        };
        if !named.insert((place.folder.to_vec(), name.clone())) {
            return Ok(Plan::Alone);
        }
        let creating = place.creating(&name)?;
        let Some(fit) = fit else {
            let aside = steps.choose_slot(place.dir, place.folder, place.name)?;
            if !moved.insert(aside.inode) {
                return Ok(Plan::Alone);
            }
            lines.extend([aside.step(), creating]);
            return Ok(Plan::Replace(aside));
        };
        lines.push(creating);
        Ok(Plan::Take { name, fit })
    };
    let plans = places.iter().map(|it| plan(it).unwrap_or_else(|error| Plan::Done(Err(error)))).collect();
    (plans, lines)
}

/// Moves what is replaced out of the way, and waits until it is on the disk there.
fn move_away(places: &[Place<'_>], plans: &mut [Plan], steps: &Steps) {
    let mut dirs: Vec<BorrowedFd<'_>> = Vec::new();
    for (place, plan) in places.iter().zip(plans.iter_mut()) {
        let Plan::Replace(aside) = plan else { continue };
        *plan = match steps.move_aside(place.dir, place.name, aside) {
            Ok(()) => Plan::TakeOver(aside.slot),
            // Somebody removed it, so there is nothing to replace.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Plan::Alone,
            Err(error) => Plan::Done(Err(error)),
        };
        dirs.push(place.dir);
    }
    if dirs.is_empty() {
        return;
    }
    if let Err(error) = steps.sync_area().and_then(|()| sync_all(dirs)) {
        for (place, plan) in places.iter().zip(plans) {
            if let Plan::TakeOver(slot) = *plan {
                // If it cannot go back, it does when the restore ends.
                let _ = steps.put_back(place.dir, place.name, slot);
                *plan = Plan::Done(Err(io::Error::new(error.kind(), error.to_string())));
            }
        }
    }
    cut_here();
}

fn take(place: &Place<'_>, plan: &mut Plan) {
    let taken = match plan {
        Plan::Take { name, fit } => place.take(name, *fit).transpose(),
        Plan::TakeOver(slot) => Some(place.take_over(*slot)),
        Plan::Replace(_) | Plan::Alone | Plan::Done(_) => return,
    };
    // Something else took its name: what becomes of it is found out anew.
    *plan = taken.map_or(Plan::Alone, Plan::Done);
}

fn end(place: &Place<'_>, plan: Plan) -> io::Result<Placed> {
    let placed = match plan {
        Plan::Done(placed) => placed,
        Plan::Alone | Plan::Take { .. } | Plan::Replace(_) | Plan::TakeOver(_) => place.put(),
    };
    if !matches!(placed, Ok(Placed::New { .. })) {
        let _ = unlinkat(place.dir, place.temporary, AtFlags::empty());
    }
    placed
}

/// Flushes folders to disk, each once.
///
/// # Errors
/// The first refusal.
pub fn sync_all(mut dirs: Vec<BorrowedFd<'_>>) -> io::Result<()> {
    dirs.sort_unstable_by_key(AsRawFd::as_raw_fd);
    dirs.dedup_by_key(|it| it.as_raw_fd());
    hands::each(&dirs, |it| rustix::fs::fsync(it)).into_iter().try_for_each(|it| Ok(it?))
}
