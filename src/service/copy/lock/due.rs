//! What of the second store is to be locked for longer, to be held or to be freed.
use crate::error::Result;
use crate::service::hold;
use crate::store::copy_lock::{CopyLock, Due, Wanted};
use crate::store::{self, Conn};
use domain::copy::lock::LockRule;
use domain::id::RepositoryId;
use domain::retention::Held;
use domain::time::Time;
use std::collections::BTreeMap;

/// How many of a repository are taken from the ledger at once.
const BATCH: i64 = 200;

/// What is to be set of one object.
pub(super) struct Task {
    pub lock: CopyLock,
    pub longer: bool,
    /// Whether the hold changes, and to what.
    pub hold: Option<bool>,
}

/// The repositories that are held, each with the time up to which what was received is.
///
/// # Errors
/// When the database refuses.
pub(super) fn held_repositories(conn: &mut Conn) -> Result<BTreeMap<RepositoryId, Time>> {
    let mut held = BTreeMap::new();
    for id in store::ground::repositories(conn)? {
        let Some(repository) = store::repository::find(conn, id)? else { continue };
        let Some(device) = store::device::find(conn, repository.device_id)? else { continue };
        for (_, covers) in hold::covering(conn, &device)? {
            let until = match covers {
                Held::Device(_) | Held::Person(_) => Some(Time::from_millis(i64::MAX)),
                // What a point needs had arrived by then.
                Held::Point(point) => store::restore_point::find(conn, point)?
                    .filter(|it| it.repository_id == id)
                    .map(|it| it.as_of.max(it.received_at)),
            };
            if let Some(until) = until {
                held.entry(id).and_modify(|it: &mut Time| *it = until.max(*it)).or_insert(until);
            }
        }
    }
    Ok(held)
}

/// What is to be set of the next of a repository's objects.
///
/// # Errors
/// When the database refuses.
pub(super) fn tasks(
    conn: &mut Conn,
    id: RepositoryId,
    rule: LockRule,
    held_until: Option<Time>,
    now: Time,
) -> Result<Vec<Task>> {
    let wanted = Wanted { due_before: rule.due_before(now).unwrap_or(now), held_until };
    let due = store::copy_lock::due(conn, id, wanted, BATCH)?;
    let mut tasks: Vec<_> = due.into_iter().map(|it| task(id, it, wanted)).collect();
    // Whatever else is held there stays held.
    if held_until.is_none() {
        let ended = store::copy_lock::held_ended(conn, id, BATCH)?;
        tasks.extend(ended.into_iter().map(|lock| Task { lock, longer: false, hold: Some(false) }));
    }
    Ok(tasks)
}

fn task(id: RepositoryId, due: Due, wanted: Wanted) -> Task {
    let Due { kind, name, added_at, received_at, lock } = due;
    let known = lock.filter(|it| it.added_at == added_at);
    let longer = known.as_ref().is_none_or(|it| it.locked_until < wanted.due_before);
    let is_held = known.as_ref().is_some_and(|it| it.held_at.is_some());
    let to_hold = wanted.held_until.is_some_and(|it| received_at <= it);
    let lock = known.unwrap_or(CopyLock {
        repository_id: id,
        kind,
        name,
        added_at,
        locked_until: Time::from_millis(0),
        held_at: None,
    });
    Task { lock, longer, hold: (is_held != to_hold).then_some(to_hold) }
}
