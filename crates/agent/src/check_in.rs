//! A check-in: facts and results out, policy and commands in.
use super::Agent;
use super::backup;
use super::net::client::CallError;
use super::progress::Event;
use super::state::{Away, ClockOffset, Held, Journal, Policy, Roots, Seen};
use anyhow::Result;
use domain::command::CommandKind;
use domain::continuity::Brought;
use domain::epoch::{self, Epoch, KnownEpoch};
use domain::time::days;
use wire::{CHECK_IN, CheckIn, CheckInAnswer, CommandResult, DeviceFacts, Fact};

impl Agent {
    /// Checks in once; the commands in the answer are not run here.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn check_in(&self) -> Result<CheckInAnswer, CallError> {
        let before = self.client.offset_millis();
        let (mut message, mut results) = self.check_in_message()?;
        let mut answer = self.client.post::<CheckInAnswer>(CHECK_IN, &message);
        if self.client.offset_millis() != before {
            // The facts were dated before the server corrected the clock: it refused them, or took them for
            // old.
            (message, results) = self.check_in_message()?;
            answer = self.client.post(CHECK_IN, &message);
        }
        let answer = answer?;
        // Before acting on anything in it: an agent that is killed now brings what this answer belonged to.
        self.state.put(&Held { baton: answer.baton.clone(), attempt: None })?;
        self.hear(answer.epoch.as_ref())?;
        self.client.learn(answer.server_time);
        if self.client.offset_millis() != before {
            self.state.put(&ClockOffset { millis: self.client.offset_millis() })?;
            self.note(Event::Note(
                "This device's clock differs from the server's; requests are signed with the server's time".to_owned(),
            ));
        }
        self.acknowledge(&results)?;
        let next_check_in_seconds = answer.next_check_in_seconds;
        self.state.change::<Policy, ()>(|held| {
            held.next_check_in_seconds = next_check_in_seconds;
            if let Some(policy) = &answer.policy {
                held.policy = policy.clone();
            }
        })?;
        self.state.put(&Seen { at: self.around.clock.now() })?;
        self.server_answered()?;
        Ok(answer)
    }

    /// Keeps which life of the server this is; says so when it is another.
    fn hear(&self, epoch: Option<&Epoch>) -> Result<()> {
        let before = self.state.find::<KnownEpoch>()?.unwrap_or_default();
        let after = before.clone().hears(epoch);
        if after == before {
            return Ok(());
        }
        self.state.put(&after)?;
        if epoch.is_some_and(|it| before.is_news(it)) {
            self.report_again()?;
        }
        if after.is_read_only() && !before.is_read_only() {
            self.note(Event::Warning(format!("Orders are refused: {}", epoch::READ_ONLY)));
        }
        Ok(())
    }

    /// Whether nothing may be erased or overwritten here, because the server was restored from an older copy.
    ///
    /// # Errors
    /// When that cannot be read: then nothing may be.
    pub(super) fn is_read_only(&self) -> Result<bool> {
        Ok(self.state.find::<KnownEpoch>()?.unwrap_or_default().is_read_only())
    }

    /// Keeps since when the server has given no good answer, and why; says whether it gave one until now.
    pub(super) fn server_failed(&self, error: &CallError) -> bool {
        let known = self.state.find::<Away>().ok().flatten();
        let since = known.as_ref().map_or_else(|| self.around.clock.now(), |it| it.since);
        let away = Away { since, reason: error.to_string() };
        if known.as_ref() == Some(&away) {
            return false;
        }
        if let Err(error) = self.state.put(&away) {
            // A full disk is no reason to stop waiting for commands.
            tracing::debug!(error = format!("{error:#}"), "could not record since when the server is away");
        }
        known.is_none()
    }

    /// Says that the server is back, if it was away.
    pub(super) fn server_answered(&self) -> Result<()> {
        if self.state.find::<Away>()?.is_some() {
            self.state.remove::<Away>()?;
            self.note(Event::Note("The server is back".to_owned()));
        }
        Ok(())
    }

    fn check_in_message(&self) -> Result<(CheckIn, Vec<CommandResult>)> {
        let journal = self.state.find::<Journal>()?.unwrap_or_default();
        let results: Vec<_> =
            journal.commands.into_iter().filter(|it| !it.acknowledged).filter_map(|it| it.result).collect();
        let message = CheckIn {
            generation: self.enrollment.generation,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            facts: self.facts()?,
            results: results.clone(),
            policy_version: self.state.find::<Policy>()?.unwrap_or_default().policy.version,
            orders: orders(),
            continuity: Some(self.attempt()?),
        };
        Ok((message, results))
    }

    /// Shows that this is the machine that was answered last; on disk before it is sent.
    fn attempt(&self) -> Result<Brought> {
        let held = self.state.find::<Held>()?.unwrap_or_default();
        let (baton, attempt) = match held {
            Held { baton, attempt: Some(attempt) } => (baton, attempt),
            Held { baton, attempt: None } => {
                let attempt = secret::generate("")?;
                self.state.put(&Held { baton: baton.clone(), attempt: Some(attempt.clone()) })?;
                (baton, attempt)
            }
        };
        Ok(Brought { baton, attempt })
    }

    /// What the device can report about itself now.
    ///
    /// # Errors
    /// When a record of the agent is damaged.
    pub fn facts(&self) -> Result<DeviceFacts> {
        let roots = self.roots()?;
        let now = self.client.server_now();
        let mut facts = self.around.platform.facts(&roots, now);
        if facts.changes.is_none() {
            let index = self.state.find()?.unwrap_or_default();
            let (changes, away) = match backup::changes(&self.state.get::<Roots>()?.roots, &index) {
                Ok(changes) => (Some(changes), Vec::new()),
                Err(away) => (None, away),
            };
            let source = || "file times".to_owned();
            facts.changes = changes.map(|value| Fact { value, source: source(), measured_at: now });
            facts.roots_away = Some(Fact { value: away, source: "folder marks".to_owned(), measured_at: now });
        }
        Ok(facts)
    }

    /// Marks the results that the server has; forgets commands older than a month.
    fn acknowledge(&self, results: &[CommandResult]) -> Result<()> {
        if results.is_empty() {
            return Ok(());
        }
        let old = self.around.clock.now() - days(31);
        self.state.change::<Journal, ()>(|journal| {
            for entry in &mut journal.commands {
                entry.acknowledged |= results.iter().any(|it| it.id == entry.id);
            }
            journal.commands.retain(|it| !it.acknowledged || it.begun_at > old);
        })
    }

    pub(super) fn note(&self, event: Event) {
        self.around.progress.event(event);
    }
}

/// The words of the orders this agent carries out.
pub fn orders() -> Vec<String> {
    CommandKind::OF_AGENTS.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, enrolled, open, server};
    use clock::Clock;
    use std::sync::mpsc::channel;

    #[test]
    fn a_check_in_that_was_not_answered_is_the_same_attempt_even_after_a_kill() {
        let (sender, brought) = channel();
        let address = server(move |_, body| {
            let said: CheckIn = serde_json::from_slice(body).unwrap();
            let said = said.continuity.unwrap();
            let is_first = said.baton.is_none();
            sender.send(said).unwrap();
            // The second try of the first is answered.
            static TRIES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            if is_first && TRIES.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                return (500, String::new());
            }
            let time = NOW.millis();
            let rest = r#""policy":null,"commands":[],"next_check_in_seconds":60,"baton":"1.x""#;
            (200, format!("{{\"server_time\":{time},{rest}}}"))
        });
        let temp = tempfile::tempdir().unwrap();
        let docs = temp.path().canonicalize().unwrap().join("docs");
        std::fs::create_dir(&docs).unwrap();
        let state = temp.path().join("state");
        enrolled(&state, &address, &[docs]);
        let reopen = || open(&state, &Clock::fixed(NOW), None);

        assert!(reopen().check_in().is_err());
        reopen().check_in().unwrap();
        reopen().check_in().unwrap();

        let [first, second, third] = [(); 3].map(|()| brought.recv().unwrap());
        assert_eq!(first, second, "one attempt, whatever was lost");
        assert_eq!(third.baton.as_deref(), Some("1.x"));
        assert_ne!(third.attempt, first.attempt);
    }
}
