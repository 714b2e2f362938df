//! Repositories: made at enrolment, opened by tokens, closed by the next enrolment.
mod client;
mod heal;
mod prepare;
mod reconcile;

pub use client::{ClientDraft, MAX_READING, READING, make_client_token, may_use, own_client_name};
pub use heal::{heal, heal_one, put_back};
pub use prepare::{OwnRepository, Prepared, Recipients};
pub use reconcile::{Reconciled, reconcile, reconcile_repository};

use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::setting::QUOTA;
use crate::service::{backup, reach, recovery_key, team_key};
use crate::store::device::Device;
use crate::store::repository::{Repository, RepositoryToken};
use crate::store::{self, Conn};
use domain::activity::{Action, Object};
use domain::by::By;
use domain::id::{DeviceId, RepositoryId, RepositoryTokenId};
use domain::key_holder::KeyHolder;
use domain::object::{RepositoryState, TokenKind};
use domain::role::Permission;
use domain::time::Time;

/// The prefix of every token for the backup door.
pub const TOKEN_PREFIX: &str = "hf_repo_";

/// Closes the repositories of a device's older enrolments: what another machine backs up is not this one's. They keep
/// what they have for restores, accept nothing more, and the agent's old token dies.
///
/// # Errors
/// When the database refuses.
pub fn close_older(conn: &mut Conn, device: DeviceId, generation: i64, now: Time) -> Result<()> {
    // Only the agent's: with people's own tokens, what is there can still be read.
    store::repository::revoke_older(conn, device, generation, TokenKind::Agent, now)?;
    store::repository::close_older(conn, device, generation)?;
    Ok(())
}

/// Adds the repository of a new enrolment, after [`close_older`].
///
/// # Errors
/// When the repository already exists, or the database refuses.
pub fn insert(
    conn: &mut Conn,
    prepared: &Prepared,
    device: DeviceId,
    generation: i64,
    now: Time,
) -> Result<Repository> {
    let repository = Repository {
        id: prepared.id,
        device_id: device,
        generation,
        state: RepositoryState::Active,
        sealed_master_key: prepared.sealed_master_key.clone(),
        team_key_id: prepared.team_key,
        quota_bytes: QUOTA.find(conn, now)?,
        stored_bytes: 0,
        object_count: 0,
        newest_at: now,
        created_at: now,
        key_holder: prepared.key_holder,
    };
    store::repository::insert(conn, &repository)?;
    match prepared.key_holder {
        KeyHolder::Server => {
            team_key::note(conn, device, prepared.team_key, now)?;
            recovery_key::keep(conn, prepared.id, &prepared.escrows, now)?;
        }
        KeyHolder::Customer => {}
    }
    for (key, size) in prepared.objects() {
        backup::received(conn, &key, size, TokenKind::Agent, now)?;
    }
    for (key, bytes) in prepared.copies() {
        store::kept_object::keep(conn, key.repository, key.kind, &key.name, bytes)?;
    }
    store::repository::insert_token(conn, &agent_token(prepared.id, &prepared.token, now))?;
    store::repository::find(conn, prepared.id)?.ok_or(Error::NotFound("repository"))
}

fn agent_token(repository: RepositoryId, token: &str, now: Time) -> RepositoryToken {
    RepositoryToken {
        id: RepositoryTokenId::generate(now),
        repository_id: repository,
        kind: TokenKind::Agent,
        token_hash: secret::hash(token),
        name: "Agent".to_owned(),
        created_by: None,
        user_id: None,
        reason: String::new(),
        created_at: now,
        expires_at: None,
        revoked_at: None,
        as_of: None,
    }
}

/// Revokes a token for the backup door; it opens nothing from the next request on.
///
/// # Errors
/// When there is no such token of a device whose backups the person may run, or it is already revoked.
pub fn revoke_token(conn: &mut Conn, by: &By, id: RepositoryTokenId, now: Time) -> Result<Device> {
    let token = store::repository::token(conn, id)?.ok_or(Error::NotFound("token"))?;
    let repository = store::repository::find(conn, token.repository_id)?.ok_or(Error::NotFound("token"))?;
    let device = match reach::acted_on(conn, by, Permission::RunBackups, repository.device_id) {
        Err(Error::NotFound(_)) => return Err(Error::NotFound("token")),
        found => found?,
    };
    if !store::repository::revoke_token(conn, id, now)? {
        return Err(Error::Conflict("this token was already revoked".to_owned()));
    }
    let object = Object::new("repository_token", id, token.name);
    record(conn, &by.actor, &Act::done(Action::RepositoryTokenRevoked, object).on(device.id), now)?;
    Ok(device)
}
