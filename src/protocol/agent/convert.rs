//! From the wire to what the server works with, and back.
use crate::error::{Error, Result};
use crate::service::check_in::{Answer, Report};
use crate::service::enrollment::agent::{Joined, Joining};
use crate::service::enrollment::join::Newcomer;
use crate::service::repository::{OwnRepository, Prepared};
use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::activity::Via;
use domain::backup::{Backup, FailedBackup};
use domain::channel::Channel;
use domain::command::{Ending, Instruction, Order};
use domain::id::RepositoryId;
use domain::time::Time;
use domain::{restore, wipe};
use secret::seal;
use wire::{Command, CommandResult, Payload};

/// What an agent says when it joins.
///
/// # Errors
/// When its own repository is not base64.
pub fn joining(said: wire::Enroll) -> Result<Joining> {
    Ok(Joining {
        newcomer: Newcomer {
            token_hash: secret::hash(&said.token),
            name: said.name,
            person: said.person,
            platform: said.platform,
            model: said.model,
            serial: said.serial,
            os_version: said.os_version,
            channel: Channel::of_agent(&said.orders),
            via: Via::Agent,
            identity: said.signing_key,
            device_id: said.device_id,
            device_generation: said.device_generation,
        },
        agent_version: said.agent_version,
        sealing_key: said.sealing_key,
        protected_roots: said.protected_roots,
        own_repository: said.own_repository.map(own_repository).transpose()?,
    })
}

fn own_repository(said: wire::OwnRepository) -> Result<OwnRepository> {
    let read = |text: &str| BASE64_STANDARD.decode(text).map(Bytes::from);
    match (read(&said.config), read(&said.key)) {
        (Ok(config), Ok(key)) => Ok(OwnRepository { config, key }),
        (Err(_), _) | (_, Err(_)) => Err(Error::invalid("own_repository", "a config and a key, both in base64")),
    }
}

/// The answer to an enrolment, with what opens the device's repository sealed to it.
///
/// # Errors
/// When sealing fails.
pub fn enrolled(joined: Joined, prepared: &Prepared, now: Time) -> Result<wire::Enrolled> {
    let credentials =
        wire::RepositoryCredentials { token: prepared.token.clone(), password: prepared.password.clone() };
    let plain = serde_json::to_vec(&credentials).context("writing a device's credentials")?;
    let context = wire::credentials_context(joined.device, joined.generation);
    Ok(wire::Enrolled {
        device_id: joined.device,
        generation: joined.generation,
        audience: joined.audience,
        ownership: joined.ownership,
        server_time: now,
        repository_id: joined.repository,
        repository_path: door(joined.repository),
        sealed_credentials: seal::seal(&joined.sealing_key, &context, &plain)?,
        policy: joined.policy,
        // The first check-in is due at once: until then the device is only a name.
        next_check_in_seconds: 1,
    })
}

/// The path of a repository's backup door.
fn door(repository: RepositoryId) -> String {
    format!("/restic/{repository}/")
}

pub fn report(said: wire::CheckIn) -> Report {
    let ending = |it: CommandResult| Ending { id: it.id, done: it.done, detail: it.detail };
    Report {
        facts: said.facts.reported(),
        endings: said.results.into_iter().map(ending).collect(),
        policy_version: said.policy_version,
        continuity: said.continuity,
    }
}

pub fn answer(answer: Answer, now: Time) -> wire::CheckInAnswer {
    wire::CheckInAnswer {
        server_time: now,
        policy: answer.policy,
        commands: answer.instructions.into_iter().map(command).collect(),
        next_check_in_seconds: u32::try_from(answer.next.as_secs()).unwrap_or(u32::MAX),
        baton: answer.baton,
        epoch: Some(answer.epoch),
    }
}

fn command(it: Instruction) -> Command {
    let kind = it.order.kind();
    Command { id: it.id, kind, generation: it.generation, expires_at: it.expires_at, payload: payload(it.order) }
}

fn payload(order: Order) -> Payload {
    match order {
        // Those of makers' protocols reach no agent: its channel does not carry them.
        Order::Lock { .. }
        | Order::BackUpNow
        | Order::RemoveCompanyData
        | Order::LostModeOn { .. }
        | Order::LostModeOff
        | Order::PlaySound
        | Order::Locate
        | Order::ClearPasscode
        | Order::Restart
        | Order::ShutDown
        | Order::RotateRecoveryKey
        | Order::SetRecoveryLock
        | Order::FetchBypassCode => Payload::None,
        Order::Wipe { roots, .. } => Payload::Wipe { roots },
        Order::UndoRestore { restore_id } => Payload::UndoRestore { restore_id },
        Order::Restore(order) => Payload::Restore(wire::RestoreOrder {
            restore_id: order.restore_id,
            repository_id: order.repository_id,
            repository_path: door(order.repository_id),
            snapshot: order.snapshot,
            sealed: order.sealed,
            selection: order.selection,
            conflict: order.conflict,
            landing: order.landing,
            file_count: order.file_count,
            size_bytes: order.size_bytes,
        }),
    }
}

pub fn backup(said: wire::BackupReport) -> Backup {
    Backup {
        generation: said.generation,
        snapshot: said.snapshot,
        manifest: said.manifest,
        file_count: said.file_count,
        size_bytes: said.size_bytes,
        excluded: said.excluded,
        left_out: said.left_out,
        away: said.away,
        started_at: said.started_at,
        finished_at: said.finished_at,
    }
}

pub fn failed_backup(said: wire::FailedAttempt) -> FailedBackup {
    FailedBackup { generation: said.generation, at: said.at, reason: said.reason }
}

pub fn restore_progress(said: wire::RestoreProgress) -> restore::RestoreProgress {
    restore::RestoreProgress { restored_count: said.restored_count, file_count: said.file_count }
}

pub fn restore_result(said: wire::RestoreResult) -> restore::RestoreResult {
    restore::RestoreResult {
        files: said.files,
        failures: said.failures,
        kept: said.kept,
        replaced: said.replaced,
        shortfalls: said.shortfalls,
    }
}

pub fn wipe_report(said: wire::WipeReport) -> wipe::WipeReport {
    wipe::WipeReport {
        command_id: said.command_id,
        generation: said.generation,
        complete: said.complete,
        key_destroyed: said.key_destroyed,
        roots: said.roots,
        finished_at: said.finished_at,
    }
}
