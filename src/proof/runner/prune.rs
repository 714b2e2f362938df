//! The parent of a prune's child: hands it objects, and takes what it says.
use super::guard::{Guard, Killed};
use super::{Runner, Served, Watcher};
use crate::proof::frame::{self, FromChild, FromParent};
use crate::proof::walk::child::SUB_COMMAND;
use crate::proof::walk::frame::{FromPruner, PruneJob};
use domain::object::{ObjectKind, ObjectName};
use repository::MasterKey;
use std::collections::HashSet;
use std::io::{self, BufReader};
use std::process::{ChildStdin, ChildStdout};

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walked {
    /// Every kept point was walked; these packs are needed by none of them.
    Done(Unneeded),
    /// A kept point cannot be walked, for the reason in words.
    CannotWalk(String),
    /// Nobody can say: the process or the store failed, or the server stops.
    Failed(String),
}

/// What may go, and what takes the place of the indexes that name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unneeded {
    pub packs: Vec<ObjectName>,
    /// Each index that named one of them. Its successor, if it has one, was handed over while the walk ran.
    pub indexes: Vec<ObjectName>,
}

/// Takes the successor of an index.
pub type Keeper<'a> = dyn FnMut(&ObjectName, Vec<u8>) -> crate::error::Result<()> + 'a;

impl Runner {
    /// Has everything that is kept walked in a separate process.
    pub fn walk(
        &self,
        (served, key): (&Served, &MasterKey),
        job: &PruneJob,
        keep: &mut Keeper<'_>,
        watcher: &dyn Watcher,
    ) -> Walked {
        let (child, mut input, output) = match self.start(SUB_COMMAND) {
            Ok(started) => started,
            Err(error) => return Walked::Failed(format!("the process could not be started: {error}")),
        };
        let guard = Guard::new(child, self);
        let said = std::thread::scope(|scope| {
            scope.spawn(|| guard.watch(watcher));
            let mut talk = Talk { served, job, watcher, keep };
            let said = talk.run(key, &mut input, output, &guard);
            drop(input);
            guard.end();
            said
        });
        match (said, guard.into_end().1) {
            (Ok(walked), None) => walked,
            (_, Some(Killed::Stopping)) => Walked::Failed("the server stops".to_owned()),
            (_, Some(Killed::Silent | Killed::TooLong)) => Walked::Failed("the process took too long".to_owned()),
            (Err(error), None) => Walked::Failed(format!("the process ended early: {error}")),
        }
    }
}

struct Talk<'a, 'k> {
    served: &'a Served,
    job: &'a PruneJob,
    watcher: &'a dyn Watcher,
    keep: &'a mut Keeper<'k>,
}

impl Talk<'_, '_> {
    fn run(
        &mut self,
        key: &MasterKey,
        input: &mut ChildStdin,
        output: ChildStdout,
        guard: &Guard,
    ) -> io::Result<Walked> {
        frame::write(input, &[&serde_json::to_vec(self.job)?])?;
        frame::write(input, &[key.expose()])?;
        let mut output = BufReader::new(output);
        let mut found = Unneeded::default();
        loop {
            let said = FromPruner::receive(&mut output)?;
            let answer = guard.while_it_waits(|| {
                self.watcher.alive();
                self.take(said, &mut found)
            })?;
            match answer {
                Answer::None => {}
                Answer::Send(message) => message.send(input)?,
                Answer::End(None) => return Ok(Walked::Done(found)),
                Answer::End(Some(why)) => return Ok(Walked::CannotWalk(why)),
            }
        }
    }

    /// Takes one message. What the child says is checked: it reads what a stranger wrote.
    fn take(&mut self, said: FromPruner, found: &mut Unneeded) -> io::Result<Answer> {
        Ok(match said {
            FromPruner::Asks(FromChild::Read { kind, name, offset, len }) => {
                Answer::Send(self.served.read(kind, name, offset, len))
            }
            FromPruner::Asks(FromChild::List(kind)) => Answer::Send(self.served.list(kind)),
            FromPruner::Asks(FromChild::ListViews(kind)) => Answer::Send(self.served.list_views(kind)),
            FromPruner::Asks(FromChild::Alive) => Answer::None,
            FromPruner::Asks(FromChild::Done(_)) => return Err(broken("a report")),
            FromPruner::Unneeded(packs) => {
                let may_go: HashSet<&ObjectName> = self.job.may_go.iter().collect();
                if !found.packs.is_empty() || !packs.iter().all(|it| may_go.contains(it)) {
                    return Err(broken("a pack that may not go"));
                }
                found.packs = packs;
                Answer::None
            }
            FromPruner::Index(old, new) => {
                let is_known = self.served.ledger.contains_key(&(ObjectKind::Index, old.clone()));
                if !is_known || found.packs.is_empty() || found.indexes.contains(&old) {
                    return Err(broken("an index that it may not replace"));
                }
                if !new.is_empty() {
                    (self.keep)(&old, new).map_err(io::Error::other)?;
                }
                found.indexes.push(old);
                Answer::None
            }
            FromPruner::Ends(why) => Answer::End(why),
        })
    }
}

enum Answer {
    None,
    Send(FromParent),
    End(Option<String>),
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it named {what}"))
}
