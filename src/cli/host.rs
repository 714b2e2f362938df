//! What only the server's own machine decides, and what always works there: even against the only owner,
//! whether the server runs or not, and whatever is waiting in the outbox.
use crate::cli::control::{Answer, HostAct, KeyAct};
use crate::cli::write::{WriteOptions, find};
use crate::error::{Error, Result};
use crate::service::console_copy::{remove_holder, set_holder};
use crate::service::{apple, copy_proof, host, puller, recovery_key, team_key, unseal};
use crate::store::Conn;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::account::INVITE_LINK_LIFE;
use domain::activity::Actor;
use domain::time::Time;
use domain::words;

/// What can be done with sessions.
#[derive(Debug, clap::Subcommand)]
pub enum SessionsCommand {
    /// End every session of a person, or of everyone if none is named
    End {
        email: Option<String>,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// What can be done with founders.
#[derive(Debug, clap::Subcommand)]
pub enum FounderCommand {
    /// Name a founder; takes effect at once, and everyone is told
    Add {
        email: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Revoke a founder; everyone is told
    Remove {
        email: String,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// Carries it out, in the transaction of its activity entry.
///
/// # Errors
/// When there is no such person, or the database refuses.
pub(super) fn last_word(conn: &mut Conn, by: &Actor, public_url: &str, act: HostAct, now: Time) -> Result<Answer> {
    let message = match act {
        HostAct::LockUser { email } => {
            let id = find(conn, &email)?.id;
            let user = host::lock(conn, by, id, now)?;
            format!("The account of {} is locked. Its sessions, tokens and links ended.", user.email)
        }
        HostAct::UnlockUser { email } => {
            let id = find(conn, &email)?.id;
            let (user, path) = host::unlock(conn, by, id, now)?;
            return Ok(Answer::Link {
                message: format!("The account of {} is open again. Send them this link:", user.email),
                url: format!("{public_url}{path}"),
                expires_at: (now + INVITE_LINK_LIFE).iso(),
            });
        }
        HostAct::EndSessions { email } => {
            let id = email.map(|it| find(conn, &it)).transpose()?.map(|it| it.id);
            let count = host::end_sessions(conn, by, id, now)?;
            format!("{} ended.", words::counted(count, "session", "sessions"))
        }
        HostAct::Freeze => {
            host::freeze(conn, by, now)?;
            "Frozen. Nothing is wiped, removed, restored or loosened until `holdfast admin unfreeze`.".to_owned()
        }
        HostAct::Unfreeze => {
            host::unfreeze(conn, by, now)?;
            "No longer frozen. Holds that were under way start again.".to_owned()
        }
        HostAct::AddFounder { email } => {
            let id = find(conn, &email)?.id;
            let user = host::add_founder(conn, by, id, now)?;
            format!("{} is a founder. Everyone is told by mail.", user.email)
        }
        HostAct::RemoveFounder { email } => {
            let id = find(conn, &email)?.id;
            let user = host::remove_founder(conn, by, id, now)?;
            format!("{} is no longer a founder. Everyone is told by mail.", user.email)
        }
        HostAct::MakePuller { name } => return Ok(Answer::PullToken { token: puller::make(conn, by, &name, now)? }),
        HostAct::RevokePuller { name } => {
            puller::revoke(conn, by, &name, now)?;
            format!("{name} fetches nothing any more. What it has stays there. Everyone is told by mail.")
        }
        HostAct::SetAppleToken { file } => {
            let file =
                BASE64_STANDARD.decode(file).map_err(|_odd| Error::Refused("the file is no base64".to_owned()))?;
            apple::service::set_token(conn, by, &file, now)?;
            "Taken. `holdfast apple devices` says in a minute whether Apple takes it.".to_owned()
        }
        HostAct::GiveAppleDevices { serials, team } => {
            apple::service::give(conn, by, (&serials, team.as_deref()), now)?;
            format!("{} given.", words::counted(serials.len(), "device", "devices"))
        }
    };
    Ok(Answer::Done { message })
}

/// Does something with the keys that open backups; an act.
///
/// # Errors
/// When a rule or the database refuses.
pub(super) fn about_keys(conn: &mut Conn, by: &Actor, act: KeyAct, now: Time) -> Result<Answer> {
    let message = match act {
        KeyAct::RecoveryKeyMade { public, voucher, state } => {
            let key = recovery_key::make(conn, by, &public, &voucher, now)?;
            set_holder(conn, &state, now)?;
            format!("The recovery key {} was made.", key.name)
        }
        KeyAct::RecoveryKeyConfirmed { public } => {
            let key = recovery_key::confirm(conn, by, &public, now)?;
            format!("The shares are good: they give the recovery key {}.", key.name)
        }
        KeyAct::RetireRecoveryKey { name } => {
            let key = recovery_key::retire(conn, by, &name, now)?;
            remove_holder(conn, &key.public_key, now)?;
            format!("The recovery key {} is retired: destroy its shares.", key.name)
        }
        KeyAct::RotateTeamKeys { team } => {
            let count = team_key::rotate(conn, by, team.as_deref(), now)?;
            let retired = words::counted(count, "key", "keys");
            format!("{retired} retired. The proof side makes new ones: `holdfast key status` says how far it is.")
        }
        KeyAct::Unseal { device, reason } => {
            unseal::unseal(conn, by, device, &reason, now)?;
            "It is written down.".to_owned()
        }
        KeyAct::CopyTested { ended } => {
            let test = copy_proof::finish(conn, by, &ended, now)?;
            format!("Recorded: {}.", test.result)
        }
        KeyAct::ProofKeyCopy { public } => {
            host::proof_key_copy_checked(conn, by, &public, now)?;
            "The copy is good: it opens every backup of this server.".to_owned()
        }
    };
    Ok(Answer::Done { message })
}
