//! This server's side: what waits to be done, who is doing it, and who waits for the answer.
use super::message::{Done, Hello, Task};
use crate::blob::StoreFault;
use bytes::Bytes;
use domain::ground::AwayCause;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a puller that asks waits for something to do.
const WAIT: Duration = Duration::from_secs(20);

/// A puller that has not asked for this long is gone, and another may take its place.
const GONE: Duration = Duration::from_secs(30);

/// How long an answer may take, and the slowest that bytes may come or go.
const PATIENCE: Duration = Duration::from_secs(90);
const SLOWEST: u64 = 64 << 10;

/// How slowly bytes may go to a puller that says nothing meanwhile, before it counts as gone: another may take its place
/// then, such as the same one after a restart.
const SLOW: u64 = 1 << 20;

/// What is handed to the puller, and how it comes back. Cheap to clone.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    name: String,
    state: Mutex<State>,
    /// Something waits to be done.
    comes: Notify,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    next: u64,
    queue: VecDeque<Work>,
    /// What a worker is doing, and since when.
    out: HashMap<u8, (Work, Instant)>,
    /// Whose answers are being read.
    answering: HashSet<u64>,
    waiting: HashMap<u64, SyncSender<(Done, Bytes)>>,
}

struct Session {
    hello: Hello,
    seen: Instant,
}

/// Something to be done.
#[derive(Clone)]
pub struct Work {
    pub number: u64,
    pub task: Task,
    pub bytes: Bytes,
}

/// Another program asks with the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict;

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({})", self.0.name)
    }
}

impl Relay {
    /// One for the puller that people call this.
    pub fn new(name: &str) -> Self {
        Self(Arc::new(Inner { name: name.to_owned(), state: Mutex::default(), comes: Notify::new() }))
    }

    /// What people call the puller.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the puller last said of itself; none if it is gone.
    pub fn hello(&self) -> Option<Hello> {
        let state = self.lock();
        state.session.as_ref().filter(|it| state.is_there(it)).map(|it| it.hello.clone())
    }

    fn silent(&self, why: &str) -> StoreFault {
        StoreFault { cause: AwayCause::Silent, why: format!("the other Holdfast, {}, {why}", self.0.name) }
    }

    /// Has something done, and waits for the answer.
    ///
    /// # Errors
    /// When the puller is gone, or does not answer in time.
    pub(super) fn call(&self, task: Task, bytes: Bytes) -> Result<(Done, Bytes), StoreFault> {
        let limit = PATIENCE + Duration::from_secs((bytes.len() as u64 + task.most()) / SLOWEST);
        let (sender, receiver) = sync_channel(1);
        let number = {
            let mut state = self.lock();
            if !state.session.as_ref().is_some_and(|it| state.is_there(it)) {
                return Err(self.silent("does not ask for anything"));
            }
            state.next += 1;
            let number = state.next;
            state.queue.push_back(Work { number, task, bytes });
            state.waiting.insert(number, sender);
            number
        };
        self.0.comes.notify_waiters();
        receiver.recv_timeout(limit).map_err(|_late| {
            let mut state = self.lock();
            state.waiting.remove(&number);
            state.queue.retain(|it| it.number != number);
            state.out.retain(|_, it| it.0.number != number);
            self.silent("does not answer")
        })
    }

    /// The next thing to be done; none if nothing comes for a while.
    ///
    /// # Errors
    /// When another program asks, or asked a moment ago.
    pub async fn ask(&self, hello: Hello) -> Result<Option<Work>, Conflict> {
        let until = tokio::time::Instant::now() + WAIT;
        let (session, worker) = (hello.session.clone(), hello.worker);
        self.enter(hello)?;
        loop {
            let comes = self.0.comes.notified();
            tokio::pin!(comes);
            // Before the look, so that nothing comes unnoticed in between.
            comes.as_mut().enable();
            if let Some(work) = self.take(&session, worker) {
                return Ok(Some(work));
            }
            if tokio::time::timeout_at(until, comes).await.is_err() {
                return Ok(None);
            }
        }
    }

    fn enter(&self, hello: Hello) -> Result<(), Conflict> {
        let mut state = self.lock();
        let is_same = state.session.as_ref().is_some_and(|it| it.hello.session == hello.session);
        if !is_same {
            if state.session.as_ref().is_some_and(|it| state.is_there(it)) {
                return Err(Conflict);
            }
            let lost: Vec<_> = state.out.drain().map(|it| it.1.0).collect();
            state.queue.extend(lost);
        } else if let Some((lost, _)) = state.out.remove(&hello.worker) {
            // It never heard of it, or its answer never came.
            state.queue.push_front(lost);
        }
        state.session = Some(Session { hello, seen: Instant::now() });
        Ok(())
    }

    fn take(&self, session: &str, worker: u8) -> Option<Work> {
        let mut state = self.lock();
        if state.session.as_ref().is_none_or(|it| it.hello.session != session) {
            return None;
        }
        let work = state.queue.pop_front()?;
        state.out.insert(worker, (work.clone(), Instant::now()));
        Some(work)
    }

    /// Begins to read an answer: what a worker of the session is doing under this number. None if nobody waits for it, or
    /// it is being answered already.
    pub fn answering(&self, session: &str, number: u64) -> Option<Answering> {
        let mut state = self.lock();
        state.session.as_ref().filter(|it| it.hello.session == session)?;
        let task = state.out.values().find(|it| it.0.number == number).map(|it| it.0.task.clone())?;
        state.answering.insert(number).then(|| Answering {
            relay: self.clone(),
            session: session.to_owned(),
            number,
            task,
        })
    }

    /// Hands an answer to whoever waits for it; false if nobody does.
    pub fn answer(&self, session: &str, number: u64, done: Done, bytes: Bytes) -> bool {
        let mut state = self.lock();
        let Some(known) = state.session.as_mut().filter(|it| it.hello.session == session) else { return false };
        known.seen = Instant::now();
        if !state.out.values().any(|it| it.0.number == number) {
            return false;
        }
        state.out.retain(|_, it| it.0.number != number);
        let waiting = state.waiting.remove(&number);
        drop(state);
        waiting.is_some_and(|it| it.send((done, bytes)).is_ok())
    }
}

impl State {
    /// Bytes that are under way to it take their time, and it says nothing meanwhile.
    fn is_there(&self, session: &Session) -> bool {
        let is_under_way = |(work, since): &(Work, Instant)| {
            !work.bytes.is_empty() && since.elapsed() < GONE + Duration::from_secs(work.bytes.len() as u64 / SLOW)
        };
        session.seen.elapsed() < GONE || self.out.values().any(is_under_way)
    }
}

/// An answer that is being read: one at a time for each thing that is to be done.
pub struct Answering {
    relay: Relay,
    session: String,
    number: u64,
    pub task: Task,
}

impl Answering {
    /// Bytes of it came; false if nobody waits for it any more.
    pub fn moves(&self) -> bool {
        let mut state = self.relay.lock();
        if let Some(known) = state.session.as_mut().filter(|it| it.hello.session == self.session) {
            known.seen = Instant::now();
        }
        state.out.values().any(|it| it.0.number == self.number)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.relay.lock().answering.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(session: &str, worker: u8) -> Hello {
        Hello { session: session.to_owned(), worker, hosts: std::collections::BTreeSet::new(), space: None }
    }

    #[actix_web::test]
    async fn what_is_asked_for_is_done_once_and_again_if_it_was_lost_on_the_way() {
        let relay = Relay::new("b");
        let fault = relay.call(Task::Repositories, Bytes::new()).unwrap_err();
        assert_eq!(fault.cause, AwayCause::Silent, "nobody has asked yet");
        let early = relay.clone();
        let first = tokio::spawn(async move { early.ask(hello("one", 0)).await });
        let caller = relay.clone();
        let call = tokio::task::spawn_blocking(move || {
            while caller.hello().is_none() {
                std::thread::yield_now();
            }
            caller.call(Task::Repositories, Bytes::from_static(b"x"))
        });
        let work = first.await.unwrap().unwrap().unwrap();
        assert_eq!((&work.task, &work.bytes[..]), (&Task::Repositories, &b"x"[..]));

        assert_eq!(relay.ask(hello("two", 0)).await.err(), Some(Conflict), "another one with the same token");
        let again = relay.ask(hello("one", 0)).await.unwrap().unwrap();
        assert_eq!(again.number, work.number, "it asked again without an answer");
        let reading = relay.answering("one", work.number).unwrap();
        assert_eq!(reading.task, Task::Repositories);
        assert!(relay.answering("one", work.number).is_none(), "one answer is read at a time");
        assert!(relay.answering("two", work.number).is_none());
        assert!(reading.moves());
        drop(reading);
        assert!(relay.answering("one", work.number).is_some(), "what broke off may be sent again");
        assert!(!relay.answer("two", work.number, Done::Yes, Bytes::new()), "not its to answer");
        assert!(!relay.answer("one", work.number + 1, Done::Yes, Bytes::new()));
        assert!(relay.answer("one", work.number, Done::Yes, Bytes::from_static(b"y")));
        assert!(!relay.answer("one", work.number, Done::Lost, Bytes::new()), "an answer is given once");
        assert!(relay.answering("one", work.number).is_none(), "and no other is read");
        assert_eq!(call.await.unwrap().unwrap(), (Done::Yes, Bytes::from_static(b"y")));
    }
}
