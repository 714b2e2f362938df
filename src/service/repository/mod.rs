//! Repositories: made at enrolment, opened by tokens, closed by the next enrolment.
mod prepare;
mod reconcile;

pub use prepare::Prepared;
pub use reconcile::{Reconciled, reconcile, reconcile_repository};

use crate::domain::activity::{Action, Actor, Object};
use crate::domain::id::{DeviceId, RepositoryId, RepositoryTokenId};
use crate::domain::name::is_plain;
use crate::domain::object::{ObjectKind, RepositoryState, TokenKind};
use crate::domain::time::Time;
use crate::error::{Error, Result};
use crate::secret;
use crate::service::activity::{Act, record};
use crate::service::backup::{self, Kept};
use crate::service::setting;
use crate::store::repository::{Repository, RepositoryToken};
use crate::store::{self, Conn};

/// The prefix of every token of the restic door.
pub const TOKEN_PREFIX: &str = "hf_repo_";

/// Adds the repository of a new enrolment and closes those of older ones: they
/// keep what they have for restores, take nothing more, and the agent's old
/// token dies.
///
/// # Errors
/// When the repository is there already, or the database refuses.
pub fn insert(
    conn: &mut Conn,
    prepared: &Prepared,
    device: DeviceId,
    generation: i64,
    now: Time,
) -> Result<Repository> {
    store::repository::revoke_older(conn, device, generation, TokenKind::Agent, now)?;
    store::repository::close_older(conn, device, generation)?;
    let repository = Repository {
        id: prepared.id,
        device_id: device,
        generation,
        state: RepositoryState::Active,
        sealed_master_key: prepared.sealed_master_key.clone(),
        quota_bytes: setting::number(conn, &setting::QUOTA, now)?,
        stored_bytes: 0,
        object_count: 0,
        newest_at: now,
        created_at: now,
    };
    store::repository::insert(conn, &repository)?;
    for (key, size) in prepared.objects() {
        backup::received(conn, &key, size, TokenKind::Agent, now)?;
    }
    let token = token_row(prepared.id, TokenKind::Agent, &prepared.token, "Agent", None, now);
    store::repository::insert_token(conn, &token)?;
    store::repository::find(conn, prepared.id)?.ok_or(Error::NotFound("repository"))
}

fn token_row(
    repository: RepositoryId,
    kind: TokenKind,
    token: &str,
    name: &str,
    created_by: Option<String>,
    now: Time,
) -> RepositoryToken {
    RepositoryToken {
        id: RepositoryTokenId::generate(now),
        repository_id: repository,
        kind,
        token_hash: secret::hash(token),
        name: name.to_owned(),
        created_by,
        created_at: now,
        revoked_at: None,
    }
}

/// The name of a token of an own client, as it is kept.
///
/// # Errors
/// Where it is empty or too long.
pub fn own_client_name(text: &str) -> Result<&str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 || !is_plain(name) {
        return Err(Error::invalid("name", "Say in 1 to 100 characters where you will use it, on one line."));
    }
    Ok(name)
}

/// Makes a token for a person's own restic or rustic, which may read and append. It is shown once.
///
/// `key` is the key object of the password that goes with it, kept by [`backup::keep`] beforehand.
///
/// # Errors
/// When the name is empty, or the repository takes no more backups.
pub fn make_own_client_token(
    conn: &mut Conn,
    actor: &Actor,
    key: &Kept,
    name: &str,
    now: Time,
) -> Result<(RepositoryTokenId, String)> {
    let name = own_client_name(name)?;
    if key.key.kind != ObjectKind::Keys {
        return Err(anyhow::anyhow!("{} is no key object", key.key).into());
    }
    let repository = store::repository::find(conn, key.key.repository)?.ok_or(Error::NotFound("repository"))?;
    backup::received(conn, &key.key, key.size, TokenKind::OwnClient, now)?;
    let token = secret::generate(TOKEN_PREFIX)?;
    let row = token_row(repository.id, TokenKind::OwnClient, &token, name, Some(actor.name.clone()), now);
    store::repository::insert_token(conn, &row)?;
    let object = Object::new("repository_token", row.id, name);
    record(conn, actor, &Act::done(Action::RepositoryTokenMade, object).on(repository.device_id), now)?;
    Ok((row.id, token))
}

/// Revokes a token of the restic door; it opens nothing from the next request on.
///
/// # Errors
/// When there is no such token that is not revoked already.
pub fn revoke_token(conn: &mut Conn, actor: &Actor, id: RepositoryTokenId, now: Time) -> Result<()> {
    let token = store::repository::token(conn, id)?.ok_or(Error::NotFound("token"))?;
    let repository = store::repository::find(conn, token.repository_id)?.ok_or(Error::NotFound("repository"))?;
    if !store::repository::revoke_token(conn, id, now)? {
        return Err(Error::Conflict("this token was revoked already".to_owned()));
    }
    let object = Object::new("repository_token", id, token.name);
    record(conn, actor, &Act::done(Action::RepositoryTokenRevoked, object).on(repository.device_id), now)
}
