//! A turn of reading: what is due, as much as the budget allows, and what was found is kept.
use super::examine::{Ended, Found, Want, examine};
use super::{Ask, Turn, Verifier, damage};
use crate::blob::{BlobKey, BlobStore, StoreFault};
use crate::error::{Error, Result};
use crate::service::repository;
use crate::store::verification::{self as sql, Part, SizedCopy};
use crate::store::{self, Conn};
use domain::object::Location;
use domain::time::{Time, minutes};
use domain::verification::{Allowance, KINDS, LOOK_AGAIN, Pace, Rank, due_after, sort};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How many objects one turn reads at most: what was found is then kept, and a kill forgets no more than that.
const BATCH: i64 = 128;

/// How many of them may be known to be damaged.
const AGAIN: i64 = 16;

/// How long a store may be silent between two pieces of an object. Those of a bucket are large, and come from far away;
/// its calls have limits of their own.
const fn patience(location: Location) -> Duration {
    match location {
        Location::Primary => Duration::from_secs(30),
        Location::Copy => minutes(10),
    }
}

/// Where the next turn goes on.
#[derive(Debug, Default)]
pub(super) struct Reading {
    allowance: Option<Allowance>,
    pub(super) pace: Option<Pace>,
    again: Again,
    /// What cannot be compared with anything; it stays unread, and does not hold up the rest.
    unsaid: HashSet<BlobKey>,
}

/// The round over what is known to be damaged.
#[derive(Debug, Default)]
struct Again {
    began_at: Option<Time>,
    /// None while no round is under way.
    after: Option<Option<sql::Place>>,
}

impl Again {
    /// Begins a round if one is due.
    fn begin_if_due(&mut self, now: Time) {
        // Also when the clock was set back.
        let is_due = self.began_at.is_none_or(|at| now >= at + LOOK_AGAIN || now < at);
        if self.after.is_none() && is_due {
            (self.began_at, self.after) = (Some(now), Some(None));
        }
    }

    /// Goes on after the last that was looked at; the round ends if there was nothing left.
    fn went(&mut self, were_left: bool, last: Option<sql::Place>) {
        if !were_left {
            self.after = None;
        } else if last.is_some() {
            self.after = Some(last);
        }
    }
}

/// What the other thread reads, and how.
struct Task {
    wants: Vec<Want>,
    allowance: Allowance,
    is_receiving: Ask,
    stop: Ask,
    now: Time,
}

/// What it did.
struct Done {
    seen: Vec<(Want, Found)>,
    allowance: Allowance,
    is_paused: bool,
    fault: Option<StoreFault>,
}

impl Verifier {
    /// Reads back what is due, as far as the budget allows, and keeps what it finds.
    ///
    /// # Errors
    /// When the database refuses; then what was read is read again.
    pub fn read_back(&self, now: Time) -> Result<Turn> {
        if self.settings().budget.is_off() {
            return Ok(self.pause(Pace::Off));
        }
        if self.is_away()? {
            // When it is back, somebody may have put back what was missing.
            self.reading().again = Again::default();
            return Ok(self.pause(Pace::Away));
        }
        let allowance = self.refill(now);
        if !allowance.has_room() {
            return Ok(Turn::default());
        }
        let (due, again) = self.next(now)?;
        let (wanted, looks_again) = (due.len(), !again.is_empty());
        let wants = self.wants(again.into_iter().chain(due).collect())?;
        if wants.is_empty() {
            self.reading().again.went(false, None);
            return Ok(self.pause(Pace::Resting));
        }
        let Some(done) = self.read(wants, allowance, now)? else { return Ok(self.pause(Pace::Away)) };
        let last = done.seen.iter().rev().find(|(it, _)| it.copy.damaged_at.is_some()).map(|(it, _)| it.place());
        {
            let mut reading = self.reading();
            reading.allowance = Some(done.allowance);
            reading.pace = Some(if done.is_paused { Pace::Paused } else { Pace::Reading });
            reading.again.went(looks_again, last);
        }
        let has_room = done.allowance.has_room() && !done.is_paused;
        let mut turn = Turn { looked_at: done.seen.len(), ..Turn::default() };
        let kept = self.keep(done.seen, now, &mut turn)?;
        // Only if it got on: what stays unread would be read again and again.
        turn.more = has_room && kept > 0 && i64::try_from(wanted).is_ok_and(|it| it >= BATCH);
        Ok(turn)
    }

    /// What is due, and what is known to be damaged and looked at again.
    fn next(&self, now: Time) -> Result<(Vec<SizedCopy>, Vec<SizedCopy>)> {
        let again = {
            let mut reading = self.reading();
            reading.again.begin_if_due(now);
            reading.again.after.clone()
        };
        let (location, cycle) = (self.location(), self.settings().cycle);
        self.0.store.read_blocking(move |conn| {
            let damaged = match &again {
                Some(after) => sql::damaged(conn, location, after.as_ref(), AGAIN)?,
                None => Vec::new(),
            };
            Ok::<_, Error>((next_batch(conn, location, cycle, now)?, damaged))
        })
    }

    /// With the bytes that the database keeps, and without what cannot be compared.
    fn wants(&self, copies: Vec<SizedCopy>) -> Result<Vec<Want>> {
        let mut wants = self.0.store.read_blocking(move |conn| with_kept(conn, copies))?;
        let reading = self.reading();
        wants.retain(|it| !reading.unsaid.contains(&it.key()));
        Ok(wants)
    }

    fn pause(&self, pace: Pace) -> Turn {
        self.reading().pace = Some(pace);
        Turn::default()
    }

    fn refill(&self, now: Time) -> Allowance {
        let mut reading = self.reading();
        let budget = self.settings().budget;
        let allowance = reading.allowance.get_or_insert_with(|| Allowance::new(budget, now));
        allowance.refill(now);
        *allowance
    }

    /// Reads on another thread; none if the store cannot be read, whatever was read before that.
    fn read(&self, wants: Vec<Want>, allowance: Allowance, now: Time) -> Result<Option<Done>> {
        let wake = self.0.store.wake().clone();
        let stop: Ask = Arc::new(move || wake.is_stopping());
        let is_receiving = Arc::clone(&self.0.is_receiving);
        let task = Task { wants, allowance, is_receiving, stop: Arc::clone(&stop), now };
        let done = self
            .0
            .reads
            .run(&self.0.place.blobs, patience(self.location()), &*stop, move |blobs, alive| read(blobs, alive, task));
        match done {
            Ok(done @ Done { fault: None, .. }) => Ok(if self.is_away()? { None } else { Some(done) }),
            Ok(Done { fault: Some(fault), .. }) | Err(fault) => {
                self.note_away(&fault);
                Ok(None)
            }
        }
    }

    /// Keeps what was found by reads that began at or after `at`; returns how many are intact.
    fn keep(&self, seen: Vec<(Want, Found)>, at: Time, turn: &mut Turn) -> Result<usize> {
        let location = self.location();
        let (mut intact, mut others) = (Vec::new(), Vec::new());
        for (want, found) in seen {
            match found {
                Found::Intact if want.copy.damaged_at.is_none() => intact.push(want.copy),
                Found::Intact | Found::Damaged(_) => others.push((want, found)),
                Found::Unsaid => {
                    tracing::error!(key = %want.key(), "the database has nothing to compare this object with");
                    self.reading().unsaid.insert(want.key());
                }
            }
        }
        let kept = intact.len();
        if kept > 0 {
            self.0.store.write_blocking(move |conn| {
                intact.iter().try_for_each(|it| sql::mark_read_back(conn, location, it, at).map(drop))
            })?;
        }
        for (want, found) in others {
            match found {
                Found::Damaged(why) => turn.damaged += usize::from(self.note_damage(&want, why, at)?),
                Found::Intact | Found::Unsaid => turn.healed += usize::from(self.note_intact_again(want.copy, at)?),
            }
        }
        Ok(kept)
    }

    /// True if it was news.
    fn note_damage(&self, want: &Want, why: String, now: Time) -> Result<bool> {
        let (location, key, seen) = (self.location(), want.key(), want.copy.clone());
        // What the database has a copy of is put back, and nothing has to be doubted.
        if let (Location::Primary, Some(kept)) = (location, &want.kept) {
            match repository::put_back(&self.0.store, &*self.0.place.blobs, &key, kept, now) {
                Ok(()) => return Ok(true),
                Err(error) => tracing::warn!(%key, error = format!("{error:#}"), "it could not be put back"),
            }
        }
        self.0.store.act_blocking(move |conn| {
            // Somebody may have found it before, or put other bytes there, or removed it.
            if !sql::is_as_seen(conn, location, &seen)? {
                return Ok(false);
            }
            damage::found(conn, location, &key, &why, now)
        })
    }

    fn note_intact_again(&self, seen: SizedCopy, at: Time) -> Result<bool> {
        let location = self.location();
        self.0.store.act_blocking(move |conn| damage::intact_again(conn, location, &seen, at))
    }
}

/// The copies whose turn it is, in order: as many as one turn reads at most.
///
/// # Errors
/// When the database refuses.
pub fn next_batch(conn: &mut Conn, location: Location, cycle: Duration, now: Time) -> Result<Vec<SizedCopy>> {
    let cut = now - due_after(cycle);
    let unread = KINDS.iter().map(|kind| Part::Unread(*kind));
    let read = Rank::ALL.iter().flat_map(|rank| [Part::ReadAfter(*rank, now), Part::ReadBy(*rank, cut)]);
    let mut due = Vec::new();
    for part in unread.chain(read) {
        due.extend(sql::next(conn, location, part, BATCH)?);
    }
    sort(&mut due, SizedCopy::known, cycle, now);
    due.truncate(usize::try_from(BATCH).unwrap_or(usize::MAX));
    Ok(due)
}

fn with_kept(conn: &mut Conn, copies: Vec<SizedCopy>) -> Result<Vec<Want>> {
    let mut wants = Vec::with_capacity(copies.len());
    for copy in copies {
        let is_kept = store::kept_object::KINDS.contains(&copy.kind);
        let kept = match is_kept {
            true => store::kept_object::find(conn, copy.repository_id, copy.kind, &copy.name)?,
            false => None,
        };
        wants.push(Want { copy, kept });
    }
    Ok(wants)
}

/// Reads until the budget is used up, the server stops, devices send, or the store goes.
fn read(blobs: &dyn BlobStore, alive: &dyn Fn(), task: Task) -> Done {
    let Task { wants, allowance, is_receiving, stop, now } = task;
    let go_on = || {
        alive();
        !stop()
    };
    let mut done = Done { seen: Vec::new(), allowance, is_paused: false, fault: None };
    let mut is_any_damaged = false;
    for want in wants {
        if !done.allowance.has_room() {
            break;
        }
        if !want.copy.known().may_be_read(is_receiving(), now) {
            done.is_paused = true;
            break;
        }
        match examine(blobs, &want, &go_on) {
            Ok(found) => {
                done.allowance.spend(want.copy.size());
                is_any_damaged |= matches!(found, Found::Damaged(_));
                done.seen.push((want, found));
            }
            Err(Ended::Stopped) => break,
            Err(Ended::Away(fault)) => {
                done.fault = Some(fault);
                break;
            }
        }
    }
    if is_any_damaged && done.fault.is_none() {
        // A folder in which many things are missing may be another folder.
        done.fault = blobs.check().err();
    }
    done
}
