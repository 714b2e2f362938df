//! Commands: each is written down before it is acted on, runs once, and its result is kept until the server has
//! it.
use super::Agent;
use super::net::backoff::Stop;
use super::progress::Event;
use super::state::{BackupRequest, Journal, JournalEntry};
use anyhow::Result;
use domain::command::CommandKind;
use domain::epoch::READ_ONLY;
use domain::id::CommandId;
use std::sync::atomic::Ordering;
use wire::{Command, CommandResult, Payload};

/// Said about an order that names nothing to do.
const INCOMPLETE: &str = "the command is missing what it needs";
const NOT_HERE: &str = "the agent has no such command";

/// What to do with a delivered command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// It ran, is running, or was refused: nothing.
    Nothing,
    /// It is written down and may run.
    Run,
}

impl Agent {
    /// Writes a command down, unless it was seen before or must not run.
    ///
    /// # Errors
    /// When it could not be written down; then it must not run.
    pub fn accept(&self, command: &Command) -> Result<Order> {
        let now = self.client.server_now();
        let refusal = if command.generation != self.enrollment.generation {
            Some("the command belongs to another enrolment of this device")
        } else if command.expires_at <= now {
            Some("the command had expired when it arrived")
        } else if command.kind.overwrites() && self.is_read_only()? {
            Some(READ_ONLY)
        } else {
            None
        };
        self.state.change::<Journal, Order>(|journal| {
            if let Some(seen) = journal.commands.iter_mut().find(|it| it.id == command.id) {
                // Delivered again: the server does not have the result yet.
                seen.acknowledged = false;
                return Order::Nothing;
            }
            let result = refusal.map(|reason| CommandResult {
                id: command.id,
                done: false,
                detail: reason.to_owned(),
                finished_at: now,
            });
            self.news.fetch_or(result.is_some(), Ordering::AcqRel);
            let run = if result.is_some() { Order::Nothing } else { Order::Run };
            let (id, kind) = (command.id, command.kind);
            let order = result.is_none().then(|| command.payload.clone());
            journal.commands.push(JournalEntry { id, kind, begun_at: now, order, result, acknowledged: false });
            run
        })
    }

    /// Writes down how a command ended.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn finish(&self, id: CommandId, outcome: Result<String, String>) -> Result<()> {
        let finished_at = self.client.server_now();
        let (done, detail) = match outcome {
            Ok(detail) => (true, detail),
            Err(reason) => (false, reason),
        };
        let text = if done { "done" } else { "failed" };
        self.note(Event::Note(format!("Command {id}: {text}: {detail}")));
        self.state.change::<Journal, ()>(|journal| {
            if let Some(entry) = journal.commands.iter_mut().find(|it| it.id == id) {
                entry.result = Some(CommandResult { id, done, detail, finished_at });
                entry.order = None;
            }
        })?;
        self.news.store(true, Ordering::Release);
        Ok(())
    }

    /// Continues the commands that were accepted before the agent was killed: a lock, a restore and a wipe are
    /// carried out. An interrupted backup is not a backup, and the console says so.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn settle_interrupted(&self) -> Result<()> {
        let journal = self.state.find::<Journal>()?.unwrap_or_default();
        for entry in journal.commands.into_iter().filter(|it| it.result.is_none()) {
            match (entry.kind, entry.order) {
                // Locking twice does no harm; not locking does.
                (CommandKind::Lock, _) => self.finish(entry.id, self.around.platform.lock())?,
                (CommandKind::BackUpNow, _) => {
                    self.finish(entry.id, Err("the agent was stopped while this ran; ask again".to_owned()))?;
                }
                (CommandKind::Restore, _) if self.has_restore(entry.id)? => {}
                (CommandKind::Restore, Some(Payload::Restore(order))) => self.begin_restore(entry.id, order)?,
                (CommandKind::UndoRestore, _) if self.has_undo(entry.id)? => {}
                (CommandKind::UndoRestore, Some(Payload::UndoRestore { restore_id })) => {
                    self.begin_undo(entry.id, restore_id)?;
                }
                // The wipe has its own journal: `resume_wipe` creates it from an accepted order.
                (CommandKind::Wipe | CommandKind::RemoveCompanyData, _) if self.has_wipe()? => {}
                (
                    CommandKind::Restore
                    | CommandKind::UndoRestore
                    | CommandKind::Wipe
                    | CommandKind::RemoveCompanyData,
                    _,
                ) => {
                    self.finish(entry.id, Err(INCOMPLETE.to_owned()))?;
                }
                (
                    CommandKind::LostModeOn
                    | CommandKind::LostModeOff
                    | CommandKind::PlaySound
                    | CommandKind::Locate
                    | CommandKind::ClearPasscode
                    | CommandKind::Restart
                    | CommandKind::ShutDown
                    | CommandKind::RotateRecoveryKey
                    | CommandKind::SetRecoveryLock
                    | CommandKind::FetchBypassCode,
                    _,
                ) => self.finish(entry.id, Err(NOT_HERE.to_owned()))?,
            }
        }
        Ok(())
    }

    /// Does a command that takes a moment: a lock at once; the rest goes to `later`.
    ///
    /// # Errors
    /// When a wipe was stopped in the middle.
    pub(super) fn act(&self, command: Command, stop: &Stop, later: &dyn Fn(Work)) -> Result<()> {
        match (command.kind, command.payload) {
            (CommandKind::Lock, _) => self.finish(command.id, self.around.platform.lock()),
            (CommandKind::BackUpNow, _) => {
                later(Work::Backup(AskedBy::Command(command.id)));
                Ok(())
            }
            (CommandKind::Wipe, Payload::Wipe { roots }) => self.wipe((command.id, command.kind), &roots, stop),
            // Whatever the order says, it names no folder.
            (CommandKind::RemoveCompanyData, _) => self.wipe((command.id, command.kind), &[], stop),
            (CommandKind::Restore, Payload::Restore(order)) => {
                self.begin_restore(command.id, order)?;
                later(Work::Restore);
                Ok(())
            }
            (CommandKind::UndoRestore, Payload::UndoRestore { restore_id }) => {
                self.begin_undo(command.id, restore_id)?;
                later(Work::Undo);
                Ok(())
            }
            (CommandKind::Wipe | CommandKind::Restore | CommandKind::UndoRestore, _) => {
                self.finish(command.id, Err(INCOMPLETE.to_owned()))
            }
            (
                CommandKind::LostModeOn
                | CommandKind::LostModeOff
                | CommandKind::PlaySound
                | CommandKind::Locate
                | CommandKind::ClearPasscode
                | CommandKind::Restart
                | CommandKind::ShutDown
                | CommandKind::RotateRecoveryKey
                | CommandKind::SetRecoveryLock
                | CommandKind::FetchBypassCode,
                _,
            ) => self.finish(command.id, Err(NOT_HERE.to_owned())),
        }
    }
}

/// Long work that is done beside the check-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    Backup(AskedBy),
    Restore,
    /// The undo of a restore.
    Undo,
}

/// Who wants a backup and should hear how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBy {
    Policy,
    Command(CommandId),
    /// A person at the device, through a [`BackupRequest`].
    Person(BackupRequest),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, NOWHERE, enrolled, open};
    use clock::Clock;
    use domain::id::{RepositoryId, RestoreId};
    use domain::object::ObjectName;
    use domain::restore::Conflict;
    use domain::time::{Time, hours};
    use std::fs;
    use wire::RestoreOrder;

    fn command(kind: CommandKind) -> Command {
        let (id, expires_at) = (CommandId::generate(NOW), NOW + hours(1));
        Command { id, kind, generation: 1, expires_at, payload: Payload::None }
    }

    fn world() -> (tempfile::TempDir, Clock) {
        let temp = tempfile::tempdir().unwrap();
        let docs = temp.path().canonicalize().unwrap().join("docs");
        fs::create_dir(&docs).unwrap();
        enrolled(&temp.path().join("state"), NOWHERE, &[docs]);
        (temp, Clock::fixed(NOW))
    }

    fn restore_order(at: i64) -> Command {
        let order = RestoreOrder {
            restore_id: RestoreId::generate(Time::from_millis(at)),
            repository_id: RepositoryId::generate(NOW),
            repository_path: "/restic/r/".to_owned(),
            snapshot: ObjectName::from_hash(&[0; 32]),
            sealed: String::new(),
            selection: Vec::new(),
            conflict: Conflict::KeepBoth,
            landing: domain::restore::Landing::InPlace,
            file_count: 1,
            size_bytes: 1,
        };
        Command { payload: Payload::Restore(order), ..command(CommandKind::Restore) }
    }

    fn results(agent: &Agent) -> Vec<(bool, String)> {
        let journal: Journal = agent.state.get().unwrap();
        journal.commands.into_iter().filter_map(|it| it.result).map(|it| (it.done, it.detail)).collect()
    }

    #[test]
    fn a_command_runs_once_even_after_a_restart() {
        let (temp, clock) = world();
        let command = command(CommandKind::BackUpNow);
        let agent = open(&temp.path().join("state"), &clock, None);

        assert_eq!(agent.accept(&command).unwrap(), Order::Run);
        assert_eq!(agent.accept(&command).unwrap(), Order::Nothing);
        // Killed while it runs.
        drop(agent);
        let agent = open(&temp.path().join("state"), &clock, None);
        assert_eq!(agent.accept(&command).unwrap(), Order::Nothing);
        agent.settle_interrupted().unwrap();

        let told = results(&agent);
        assert_eq!(told.len(), 1);
        assert!(!told[0].0 && told[0].1.contains("stopped"), "{told:?}");
    }

    #[test]
    fn what_belongs_to_another_enrolment_or_is_too_late_is_refused_and_said() {
        let (temp, clock) = world();
        let agent = open(&temp.path().join("state"), &clock, None);

        let other = Command { generation: 2, ..command(CommandKind::Wipe) };
        let late = Command { expires_at: NOW, ..command(CommandKind::Lock) };

        assert_eq!(agent.accept(&other).unwrap(), Order::Nothing);
        assert_eq!(agent.accept(&late).unwrap(), Order::Nothing);
        let told = results(&agent);
        assert!(told[0].1.contains("another enrolment") && told[1].1.contains("expired"), "{told:?}");
        assert!(told.iter().all(|it| !it.0));
    }

    #[test]
    fn an_accepted_wipe_is_carried_out_after_a_kill_at_once() {
        let (temp, clock) = world();
        let docs = temp.path().canonicalize().unwrap().join("docs");
        let stop = Stop::default();
        stop.stop();
        for kind in [CommandKind::Wipe, CommandKind::RemoveCompanyData] {
            let (temp, _) = world();
            let docs = temp.path().canonicalize().unwrap().join("docs");
            let roots = vec![docs.display().to_string()];
            let agent = open(&temp.path().join("state"), &clock, None);
            let order = Command { payload: Payload::Wipe { roots }, ..command(kind) };
            assert_eq!(agent.accept(&order).unwrap(), Order::Run);
            // Killed before anything else was written.
            drop(agent);

            let agent = open(&temp.path().join("state"), &clock, None);
            let stopped = agent.resume_wipe(&stop).unwrap_err().to_string();

            assert!(stopped.contains("report"), "only the report is still to be sent: {stopped}");
            assert_eq!(docs.exists(), kind == CommandKind::RemoveCompanyData);
            assert!(agent.state.find::<crate::state::Credentials>().unwrap().is_none());
            agent.settle_interrupted().unwrap();
            assert!(results(&agent).is_empty(), "its report says how it went: {:?}", results(&agent));
        }
        assert!(docs.exists(), "without an order nothing is erased");
    }

    #[test]
    fn an_accepted_restore_begins_after_a_kill_at_once() {
        let (temp, clock) = world();
        let agent = open(&temp.path().join("state"), &clock, None);
        let order = restore_order(1);
        let id = order.id;
        agent.accept(&order).unwrap();
        drop(agent);

        let agent = open(&temp.path().join("state"), &clock, None);
        agent.settle_interrupted().unwrap();

        assert!(agent.has_restore(id).unwrap() && results(&agent).is_empty());
    }

    #[test]
    fn a_wipe_without_what_it_needs_is_told_as_failed_and_destroys_nothing() {
        let (temp, clock) = world();
        let agent = open(&temp.path().join("state"), &clock, None);
        agent.accept(&command(CommandKind::Wipe)).unwrap();

        agent.settle_interrupted().unwrap();

        assert!(!results(&agent)[0].0);
        assert!(temp.path().join("docs").exists());
    }

    #[test]
    fn a_second_restore_is_refused_while_the_first_is_under_way() {
        let (temp, clock) = world();
        let agent = open(&temp.path().join("state"), &clock, None);
        let [first, second] = [1, 2].map(restore_order);
        let first_id = first.id;

        for it in [first, second] {
            assert_eq!(agent.accept(&it).unwrap(), Order::Run);
            agent.act(it, &Stop::default(), &|_| {}).unwrap();
        }

        assert!(agent.has_restore(first_id).unwrap());
        let told = results(&agent);
        assert!(told.len() == 1 && told[0].1.contains("another restore"), "{told:?}");
    }

    #[test]
    fn d05_an_undo_of_a_restore_that_was_never_here_fails() {
        let (temp, clock) = world();
        let agent = open(&temp.path().join("state"), &clock, None);
        let payload = Payload::UndoRestore { restore_id: RestoreId::generate(NOW) };
        let order = Command { payload, ..command(CommandKind::UndoRestore) };
        assert_eq!(agent.accept(&order).unwrap(), Order::Run);

        agent.act(order, &Stop::default(), &|_| {}).unwrap();

        let told = results(&agent);
        assert!(!told[0].0 && told[0].1.contains("nothing is known of this restore here"), "{told:?}");
        assert!(!agent.has_unfinished_undo().unwrap());
    }

    #[test]
    fn a_command_without_what_it_needs_fails() {
        let (temp, clock) = world();
        let agent = open(&temp.path().join("state"), &clock, None);
        let wipe = command(CommandKind::Wipe);
        agent.accept(&wipe).unwrap();

        agent.act(wipe, &Stop::default(), &|_| {}).unwrap();

        assert!(!results(&agent)[0].0);
        assert!(!agent.has_wipe().unwrap());
    }
}
