//! Asking the running agent for a backup: two processes would write the same records.
use crate::net::backoff::Stop;
use crate::state::{BackupAnswer, BackupRequest, LastBackup, State};
use anyhow::{Result, anyhow, bail};
use std::time::Duration;

/// How often to look for the answer.
const GLANCE: Duration = Duration::from_millis(200);

/// Asks the agent that holds the state directory for a backup, and waits until it is done.
///
/// # Errors
/// With the agent's own words if its backup failed; when the agent stops in the meantime, or `stop` was
/// requested.
pub fn ask(state: &State, stop: &Stop) -> Result<LastBackup> {
    let request = match state.find::<BackupRequest>()? {
        // Somebody else is already waiting for one: it serves both.
        Some(request) => request,
        None => {
            let request = BackupRequest { id: hex::encode(secret::bytes::<8>()?) };
            state.put(&request)?;
            request
        }
    };
    loop {
        let is_running = state.is_in_use();
        match state.find::<BackupAnswer>()? {
            Some(answer) if answer.id == request.id => return answer.outcome.map_err(|error| anyhow!(error)),
            _ if !is_running => {
                state.remove::<BackupRequest>()?;
                bail!("the agent stopped before the backup was done; run this again");
            }
            _ if stop.is_stopped() => bail!("stopped waiting; the running agent continues the backup"),
            _ => drop(stop.sleep(GLANCE)),
        }
    }
}
