//! `holdfast admin`: people, API tokens and the set-up link, from the server's own machine.
//!
//! While the server runs, it does the writing, asked through its control socket; otherwise this process takes
//! the data folder's lock and writes itself. Both ways end in [`execute`].
mod command;
mod list;

pub use command::{AdminCommand, TokenCommand, UserCommand};

use crate::cli::control::{self, Answer, HostAct, Request};
use crate::cli::host::{self, FounderCommand, SessionsCommand};
use crate::cli::lock::{Lock, refuse_read_only};
use crate::cli::output::{print, print_json};
use crate::cli::write::{WriteOptions, find};
use crate::config::{Config, Options};
use crate::error::{Error, Result as Done};
use crate::service::user::Invitation;
use crate::service::{api_token, installation, proof, set_up, user};
use crate::store::{Conn, Database, Store};
use anyhow::anyhow;
use clock::Clock;
use domain::account::{INVITE_LINK_LIFE, SET_UP_LINK_LIFE};
use domain::activity::Actor;
use domain::by::Author;
use domain::id::ApiTokenId;
use domain::role::{Role, Scope};
use list::{list_tokens, list_users};
use std::process::ExitCode;

/// Runs one sub-command.
///
/// # Errors
/// When the data cannot be reached; what a rule refuses is printed, and the exit code says so.
pub fn run(command: AdminCommand, file: Options) -> anyhow::Result<ExitCode> {
    match command {
        AdminCommand::ProofKey(command) => command.run(file),
        AdminCommand::SetupLink(write) => write.run(Request::SetupLink, file),
        AdminCommand::User(UserCommand::Add { email, name, roles, write }) => {
            write.run(Request::AddUser { email, name, roles }, file)
        }
        AdminCommand::User(UserCommand::Disable { email, write }) => write.run(Request::DisableUser { email }, file),
        AdminCommand::User(UserCommand::Lock { email, write }) => {
            write.run(Request::Host { act: HostAct::LockUser { email } }, file)
        }
        AdminCommand::User(UserCommand::Unlock { email, write }) => {
            write.run(Request::Host { act: HostAct::UnlockUser { email } }, file)
        }
        AdminCommand::Sessions(SessionsCommand::End { email, write }) => {
            write.run(Request::Host { act: HostAct::EndSessions { email } }, file)
        }
        AdminCommand::Founder(FounderCommand::Add { email, write }) => {
            write.run(Request::Host { act: HostAct::AddFounder { email } }, file)
        }
        AdminCommand::Founder(FounderCommand::Remove { email, write }) => {
            write.run(Request::Host { act: HostAct::RemoveFounder { email } }, file)
        }
        AdminCommand::Freeze(write) => write.run(Request::Host { act: HostAct::Freeze }, file),
        AdminCommand::Unfreeze(write) => write.run(Request::Host { act: HostAct::Unfreeze }, file),
        AdminCommand::User(UserCommand::SetRoles { email, roles, write }) => {
            write.run(Request::SetRoles { email, roles }, file)
        }
        AdminCommand::User(UserCommand::List(read)) => list_users(&read, file),
        AdminCommand::Token(TokenCommand::Create { email, name, days, write }) => {
            write.run(Request::MakeToken { email, name, days }, file)
        }
        AdminCommand::Token(TokenCommand::Revoke { id, write }) => write.run(Request::RevokeToken { id }, file),
        AdminCommand::Token(TokenCommand::List(read)) => list_tokens(&read, file),
    }
}

impl WriteOptions {
    /// The server's settings, as far as this command line knows them.
    pub(super) fn config(&self, file: Options) -> anyhow::Result<Config> {
        let given = Options { data: self.data.clone(), database: self.database.clone(), ..Options::default() };
        Config::new(given.or(Options { no_prove: None, ..file }))
    }

    pub(super) fn run(&self, request: Request, file: Options) -> anyhow::Result<ExitCode> {
        let answer = self.ask(request, file)?;
        self.show(&answer)
    }

    /// Has it done by the server if one runs, or does it here.
    pub(super) fn ask(&self, request: Request, file: Options) -> anyhow::Result<Answer> {
        let config = self.config(file)?;
        refuse_read_only(&config.database)?;
        if !config.data.is_dir() {
            expect_server(&config)?;
        }
        crate::app::make_private_folder(&config.data)?;
        match Lock::take(&config.data)? {
            Some(_lock) => {
                expect_server(&config)?;
                let actor = control::actor(rustix::process::getuid().as_raw());
                let store = Store::open(&config.database)?;
                Ok(execute(&store, &actor, &config.public_url, request, &Clock::System))
            }
            None => control::ask(&config.data, &request),
        }
    }

    pub(super) fn show(&self, answer: &Answer) -> anyhow::Result<ExitCode> {
        if self.json {
            print_json(answer)?;
        } else {
            print(&match answer {
                Answer::Done { message } | Answer::Refused { message } => format!("{message}\n"),
                Answer::Link { message, url, expires_at } => {
                    format!("{message}\n{url}\nIt works once, until {expires_at}.\n")
                }
                Answer::Token { id, token, expires_at } => {
                    format!("{token}\nToken {id} can read until {expires_at}; it is not shown again.\n")
                }
                Answer::PullToken { token } => {
                    format!("{token}\nWhoever has it can fetch the encrypted backups; it is not shown again.\n")
                }
                Answer::Test { id } => format!("Restore test {id} was requested.\n"),
            });
        }
        let is_refused = matches!(answer, Answer::Refused { .. });
        Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Refuses a folder without a server's database: a typo must not create a new, empty server.
fn expect_server(config: &Config) -> anyhow::Result<()> {
    match &config.database {
        Database::Sqlite(path) if !path.exists() => {
            Err(anyhow!("there is no Holdfast in {}; name the server's folder with --data", config.data.display()))
        }
        Database::Sqlite(_) | Database::Postgres(_) => Ok(()),
    }
}

/// Carries out a request, in one transaction with its activity entry.
pub fn execute(store: &Store, actor: &Actor, public_url: &str, request: Request, clock: &Clock) -> Answer {
    let (actor, public_url, clock) = (actor.clone(), public_url.to_owned(), clock.clone());
    let done = store.act_blocking(move |conn| act(conn, &actor, &public_url, request, &clock));
    done.unwrap_or_else(|error| {
        if let Error::Internal(cause) = &error {
            tracing::error!(?cause, "a command line request failed");
        }
        Answer::Refused { message: error.to_string() }
    })
}

fn act(conn: &mut Conn, actor: &Actor, public_url: &str, request: Request, clock: &Clock) -> Done<Answer> {
    let now = clock.now();
    // What the server was started with; this process only knows its own defaults.
    let public_url = installation::public_url(conn)?.unwrap_or_else(|| public_url.to_owned());
    let everywhere = |roles: Vec<Role>| roles.into_iter().map(|it| (it, Scope::Organisation)).collect::<Vec<_>>();
    Ok(match request {
        Request::KeepState => {
            return Err(Error::Refused("no server is running: it keeps its state itself when it starts".to_owned()));
        }
        Request::SetupLink => {
            let path = set_up::make_setup_link(conn, actor, now)?;
            Answer::Link {
                message: "Open this to create the owner's account:".to_owned(),
                url: format!("{public_url}{path}"),
                expires_at: (now + SET_UP_LINK_LIFE).iso(),
            }
        }
        Request::AddUser { email, name, roles } => {
            let name = if name.is_empty() { email.clone() } else { name };
            let (user, path) =
                user::invite(conn, Author::Host(actor), &Invitation { email, name, roles: everywhere(roles) }, now)?;
            Answer::Link {
                message: format!("{} was invited. Send them this link:", user.email),
                url: format!("{public_url}{path}"),
                expires_at: (now + INVITE_LINK_LIFE).iso(),
            }
        }
        Request::SetRoles { email, roles } => {
            let user = find(conn, &email)?;
            user::set_roles(conn, Author::Host(actor), user.id, &everywhere(roles), now)?;
            Answer::Done { message: format!("The roles of {} were set; their sessions have ended.", user.email) }
        }
        Request::DisableUser { email } => {
            let user = find(conn, &email)?;
            user::disable(conn, Author::Host(actor), user.id, now)?;
            Answer::Done { message: format!("The account of {} was closed.", user.email) }
        }
        Request::MakeToken { email, name, days } => {
            let user = find(conn, &email)?;
            let (token, secret) = api_token::make(conn, Author::Host(actor), user.id, &name, i64::from(days), now)?;
            Answer::Token { id: token.id.to_string(), token: secret, expires_at: token.expires_at.iso() }
        }
        Request::Key { act } => host::about_keys(conn, actor, act, now)?,
        Request::Host { act } => host::last_word(conn, actor, &public_url, act, now)?,
        Request::Prove { device } => Answer::Test { id: proof::ask_on_host(conn, actor, device, now)? },
        Request::RevokeToken { id } => {
            let id = ApiTokenId::parse(&id).ok_or(Error::NotFound("API token; `admin token list` shows the ids"))?;
            api_token::revoke(conn, Author::Host(actor), id, now)?;
            Answer::Done { message: "The token was revoked.".to_owned() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_server_is_named_instead_of_made() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("typo");
        let write = WriteOptions { data: Some(data.clone()), database: None, json: false };

        let refused = write.run(Request::SetupLink, Options::default()).unwrap_err().to_string();

        assert!(refused.contains("there is no Holdfast in") && refused.contains("--data"), "{refused}");
        assert!(!data.exists(), "nothing was made");
    }
}
