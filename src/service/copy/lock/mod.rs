//! Keeps what the second store has from being deleted: asks its bucket what it allows, makes locks longer while objects
//! are needed, and puts legal holds on there.
//!
//! Each lock is set by the server itself and written down: that the bucket locks what is put is only its rule of today.
mod due;

use super::damage;
use crate::blob::BlobKey;
use crate::blob::bucket::{Bucket, LockFault};
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::store::copy_lock::CopyLock;
use crate::store::setting::{COPY, COPY_LOCK_FAILED, COPY_LOCKED_AT, COPY_PROTECTION};
use crate::store::{self, Conn, Store};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::copy::lock::{LOOK_EVERY, LockRule, Locks, Protection};
use domain::id::RepositoryId;
use domain::time::Time;
use domain::words::counted;
use due::{Task, held_repositories, tasks};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many objects are set in one run: each costs a request, and other runs have their turn between.
const PER_RUN: usize = 1_000;

/// How many requests are under way at once.
const PARALLEL: usize = 4;

/// How long nothing is looked for after everything was as it should be, while no hold changes.
const REST: Duration = domain::time::hours(1);

/// Asks, locks and holds. Cheap to clone.
#[derive(Clone)]
pub struct Locker {
    store: Store,
    bucket: Bucket,
    per_run: usize,
    turn: Arc<Mutex<Turn>>,
}

/// Where the next run continues.
#[derive(Debug, Default)]
struct Turn {
    after: Option<RepositoryId>,
    /// When the first was looked at: a lock that was long enough then is shorter at the end.
    began_at: Option<Time>,
    rests_until: Option<Time>,
    /// When the bucket was last asked, since this server started.
    asked_at: Option<Time>,
    held: BTreeMap<RepositoryId, Time>,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Locked {
    /// Objects whose lock was made longer.
    pub locked: usize,
    /// Objects that a legal hold was put on.
    pub held: usize,
    /// Objects that one was taken off.
    pub freed: usize,
    /// Whether something failed: it is tried again.
    pub failed: bool,
    /// Whether more is to be done at once.
    pub more: bool,
}

impl Locked {
    const fn count(&self) -> usize {
        self.locked + self.held + self.freed
    }

    fn add(&mut self, other: Self) {
        self.locked += other.locked;
        self.held += other.held;
        self.freed += other.freed;
    }

    /// In words.
    fn sentence(&self) -> String {
        let objects = |count: usize| counted(i64::try_from(count).unwrap_or(i64::MAX), "object", "objects");
        let parts = [
            (self.locked, format!("{} locked for longer", objects(self.locked))),
            (self.held, format!("a legal hold put on {}", objects(self.held))),
            (self.freed, format!("a legal hold taken off {}", objects(self.freed))),
        ];
        parts.into_iter().filter(|it| it.0 > 0).map(|it| it.1).collect::<Vec<_>>().join("; ")
    }
}

/// What became of a task.
enum Set {
    Done {
        lock: CopyLock,
        longer: bool,
        hold: Option<bool>,
    },
    /// There is no such object: it is copied again.
    Gone(BlobKey),
}

impl Locker {
    /// Of the bucket that is the second store.
    pub fn new(store: Store, bucket: Bucket) -> Self {
        Self { store, bucket, per_run: PER_RUN, turn: Arc::default() }
    }

    /// The same in runs of so many objects.
    #[must_use]
    pub fn in_runs_of(self, per_run: usize) -> Self {
        Self { per_run, ..self }
    }

    /// The next run begins with the first again.
    fn begin_anew(&self) {
        let mut turn = self.turn();
        (turn.after, turn.began_at) = (None, None);
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the bucket if that was long ago, and sets what is not as it should be, as far as one run goes.
    ///
    /// # Errors
    /// When the database refuses. What the bucket refuses is kept, and tried again.
    pub fn run(&self, now: Time) -> Result<Locked> {
        let (second, away) = self
            .store
            .read_blocking(|conn| Ok::<_, Error>((COPY.find(conn)?, store::ground::copy_noted_away(conn)?)))?;
        // Nobody knows yet whether it is the right one.
        if away.is_some() || second.is_none_or(|it| it.opened_at.is_none()) {
            return Ok(Locked::default());
        }
        let Some(rule) = self.look(now)?.last_rule.filter(|it| it.mode().is_some()) else {
            return Ok(Locked::default());
        };
        let held = self.store.read_blocking(held_repositories)?;
        {
            let mut turn = self.turn();
            if turn.held != held {
                (turn.held, turn.rests_until) = (held.clone(), None);
            }
            if turn.rests_until.is_some_and(|it| now < it && it <= now + REST) {
                return Ok(Locked::default());
            }
        }
        let (mut done, fault) = self.set_some(rule, &held, now)?;
        self.keep(&done, fault.as_ref(), now)?;
        done.failed = fault.is_some();
        let mut turn = self.turn();
        turn.rests_until = (!done.more && fault.is_none()).then_some(now + REST);
        Ok(done)
    }

    /// What the bucket allows, as it says now or said within the last day and since this server started.
    fn look(&self, now: Time) -> Result<Protection> {
        let known = self.store.read_blocking(|conn| COPY_PROTECTION.find(conn))?;
        let asked_at = self.turn().asked_at;
        // Asked at each start. What it did not say, an hour later it may.
        let is_recent = |it: &Protection| {
            let holds_for = if it.untold.is_empty() { LOOK_EVERY } else { REST };
            asked_at.is_some_and(|at| at <= now && now < at + holds_for)
        };
        if let Some(known) = known.clone().filter(is_recent) {
            return Ok(known);
        }
        let found = self.bucket.protection(now);
        self.turn().asked_at = Some(now);
        let last_rule = found.rule.or(known.as_ref().and_then(|it| it.last_rule));
        let found = Protection { last_rule, ..found };
        let mode = |it: Option<LockRule>| it.and_then(LockRule::mode);
        let is_other_mode = mode(known.as_ref().and_then(|it| it.last_rule)) != mode(found.last_rule);
        let is_other = known.is_none_or(|it| Protection { looked_at: now, ..it } != found);
        let kept = found.clone();
        if is_other_mode {
            // What was locked in the other one is to be locked anew, from the first.
            self.begin_anew();
        }
        self.store.act_blocking(move |conn| {
            COPY_PROTECTION.set(conn, &kept, now)?;
            if is_other_mode {
                store::copy_lock::set_all_due(conn)?;
                COPY_LOCKED_AT.remove(conn)?;
            }
            let Some(second) = COPY.find(conn)?.filter(|_| is_other) else { return Ok(()) };
            let said =
                domain::copy::lock::sentences(&second, Some(&kept), &Locks::default(), now, &Time::iso).join(" ");
            let act = Act::done(Action::ProtectionFound, Object::new("store", "copy", &second.place));
            record(conn, &Actor::system(), &act.because(&said), now)
        })?;
        Ok(found)
    }

    /// Goes through the repositories until a run is full; what could not be set ends it.
    fn set_some(
        &self,
        rule: LockRule,
        held: &BTreeMap<RepositoryId, Time>,
        now: Time,
    ) -> Result<(Locked, Option<LockFault>)> {
        let (after, began_at) = {
            let mut turn = self.turn();
            // A clock that was set back makes nothing older.
            (turn.after, (*turn.began_at.get_or_insert(now)).min(now))
        };
        let repositories = self.store.read_blocking(store::ground::repositories)?;
        let mut done = Locked::default();
        for id in repositories.into_iter().filter(|it| after.is_none_or(|after| *it > after)) {
            loop {
                let held_until = held.get(&id).copied();
                let tasks = self.store.read_blocking(move |conn| tasks(conn, id, rule, held_until, now))?;
                if tasks.is_empty() {
                    break;
                }
                let (some, fault) = self.set_all(tasks, rule, now)?;
                done.add(some);
                if fault.is_some() {
                    return Ok((done, fault));
                }
                if done.count() >= self.per_run || self.store.wake().is_stopping() {
                    // This one goes on next time.
                    done.more = true;
                    return Ok((done, None));
                }
            }
            self.store.write_blocking(move |conn| Ok::<_, Error>(store::copy_lock::forget_ended(conn, id)?))?;
            self.turn().after = Some(id);
        }
        self.begin_anew();
        self.store.write_blocking(move |conn| COPY_LOCKED_AT.set(conn, &began_at, now).map_err(Error::from))?;
        Ok((done, None))
    }

    /// Sets several at once, and writes down what was set; the first failure ends it.
    fn set_all(&self, tasks: Vec<Task>, rule: LockRule, now: Time) -> Result<(Locked, Option<LockFault>)> {
        let until = now + rule.period().unwrap_or_default();
        let (next, ended) = (AtomicUsize::new(0), Mutex::new((Vec::new(), None)));
        let work = || {
            while ended.lock().unwrap_or_else(PoisonError::into_inner).1.is_none() {
                let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let set = self.set_one(task, rule, until, now);
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                match set {
                    Ok(set) => ended.0.push(set),
                    Err(fault) => {
                        ended.1.get_or_insert(fault);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..PARALLEL.min(tasks.len()) {
                let helper = std::thread::Builder::new().name("lock".to_owned());
                // Without another thread it only takes longer.
                if helper.spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        let (set, fault) = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut done = Locked::default();
        for it in &set {
            let Set::Done { longer, hold, .. } = it else { continue };
            done.locked += usize::from(*longer);
            done.held += usize::from(*hold == Some(true));
            done.freed += usize::from(*hold == Some(false));
        }
        let (mut locks, mut missing) = (Vec::new(), Vec::new());
        for it in set {
            match it {
                Set::Done { lock, .. } => locks.push(lock),
                Set::Gone(key) => missing.push(key),
            }
        }
        self.store.write_blocking(move |conn| {
            locks.into_iter().try_for_each(|it| store::copy_lock::set(conn, it)).map_err(Error::from)
        })?;
        for key in missing {
            self.store.act_blocking(move |conn| missed(conn, &key, now))?;
        }
        Ok((done, fault))
    }

    /// Sets one, and says what is to be written down.
    fn set_one(&self, task: &Task, rule: LockRule, until: Time, now: Time) -> std::result::Result<Set, LockFault> {
        let mut lock = task.lock.clone();
        let key = BlobKey::new(lock.repository_id, lock.kind, lock.name.clone());
        if task.longer {
            match self.bucket.lock_until(&key, rule, until) {
                Ok(()) => lock.locked_until = until,
                Err(LockFault::Gone) => return Ok(Set::Gone(key)),
                // What is locked for longer already is refused as well.
                Err(LockFault::Forbidden(why)) => {
                    lock.locked_until = self
                        .longer(&key, rule, until)
                        .ok_or_else(|| LockFault::Forbidden(format!("{why}; grant s3:PutObjectRetention")))?;
                }
                Err(fault) => return Err(fault),
            }
        }
        if let Some(is_held) = task.hold {
            match self.bucket.set_hold(&key, is_held) {
                Ok(()) => lock.held_at = is_held.then_some(now),
                Err(LockFault::Gone) => return Ok(Set::Gone(key)),
                Err(LockFault::Forbidden(why)) => {
                    return Err(LockFault::Forbidden(format!("{why}; grant s3:PutObjectLegalHold")));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(Set::Done { lock, longer: task.longer, hold: task.hold })
    }

    /// Until when something is locked by the mode of `rule` already, or from now on, if that is no earlier than `until`.
    fn longer(&self, key: &BlobKey, rule: LockRule, until: Time) -> Option<Time> {
        let (mode, known) = self.bucket.lock_of(key).ok()?.filter(|it| it.1 >= until)?;
        // A lock of another mode is worth less: it becomes one of this mode, for as long.
        let is_right = Some(mode.as_str()) == rule.mode() || self.bucket.lock_until(key, rule, known).is_ok();
        is_right.then_some(known)
    }

    /// Keeps what failed, or that nothing does, and how much was set.
    fn keep(&self, done: &Locked, fault: Option<&LockFault>, now: Time) -> Result<()> {
        let (why, before) =
            (fault.map(ToString::to_string), self.store.read_blocking(|conn| COPY_LOCK_FAILED.find(conn))?);
        if done.count() == 0 && why == before {
            return Ok(());
        }
        let said = done.sentence();
        let (any, is_other) = (done.count() > 0, why.is_some() && before.is_none());
        self.store.act_blocking(move |conn| {
            match &why {
                // Since when it fails is what is told.
                Some(why) if is_other => COPY_LOCK_FAILED.set(conn, why, now)?,
                Some(_) => {}
                None => COPY_LOCK_FAILED.remove(conn)?,
            }
            let place = COPY.find(conn)?.map_or_else(String::new, |it| it.place);
            let act = Act::done(Action::SecondStoreLocked, Object::new("store", "copy", place));
            if any {
                record(conn, &Actor::system(), &act.clone().because(&said), now)?;
            }
            match why.filter(|_| is_other) {
                Some(why) => record(conn, &Actor::system(), &act.because(&why).ended(Outcome::Failed), now),
                None => Ok(()),
            }
        })
    }
}

/// Notes that an object is not there: it is copied again, and nothing of it is held or locked.
fn missed(conn: &mut Conn, key: &BlobKey, now: Time) -> Result<()> {
    store::copy_lock::remove(conn, key.repository, key.kind, &key.name)?;
    damage::object_damaged(conn, key, "it is not there to be locked", now).map(drop)
}
