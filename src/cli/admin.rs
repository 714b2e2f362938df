//! `holdfast admin`: people, API tokens and the set-up link, from the server's own machine.
//!
//! While the server runs, it does the writing, asked through its control socket; otherwise this process takes
//! the data folder's lock and writes itself. Both ways end in [`execute`].
use crate::cli::control::{self, Answer, HostAct, Request};
use crate::cli::device::ReadOptions;
use crate::cli::host::{self, FounderCommand, SessionsCommand};
use crate::cli::lock::{Lock, refuse_read_only};
use crate::cli::output::{Table, print, print_json};
use crate::cli::proof_key::ProofKeyCommand;
use crate::cli::write::{WriteOptions, find};
use crate::config::{Config, Options};
use crate::error::{Error, Result as Done};
use crate::service::user::Invitation;
use crate::service::{api_token, installation, proof, set_up, user};
use crate::store::{self, Conn, Database, Store};
use anyhow::anyhow;
use clock::Clock;
use domain::account::{INVITE_LINK_LIFE, SET_UP_LINK_LIFE};
use domain::activity::Actor;
use domain::by::Author;
use domain::id::ApiTokenId;
use domain::role::{Role, Scope};
use domain::time::Time;
use serde::Serialize;
use std::process::ExitCode;

/// What an administrator of the machine may do.
#[derive(Debug, clap::Subcommand)]
pub enum AdminCommand {
    /// People who may sign in
    #[command(subcommand)]
    User(UserCommand),
    /// Read-only API tokens for scripts
    #[command(subcommand)]
    Token(TokenCommand),
    /// Sessions of people who are signed in
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Founders, whose word on wipes counts at once, without the wait of 72 hours
    #[command(subcommand)]
    Founder(FounderCommand),
    /// Stop everything that wipes, removes, restores or loosens a guard, until `unfreeze`
    Freeze(WriteOptions),
    /// End the freeze; holds that were under way start again
    Unfreeze(WriteOptions),
    /// The key that opens every backup; without it none can be tested or restored
    #[command(subcommand)]
    ProofKey(ProofKeyCommand),
    /// Print a new one-time link for creating the owner's account
    SetupLink(WriteOptions),
}

/// What can be done with people.
#[derive(Debug, clap::Subcommand)]
pub enum UserCommand {
    /// Add a person; prints the one-time link with which they set a password
    Add {
        email: String,
        /// The person's name [default: the address]
        #[arg(long, default_value = "")]
        name: String,
        /// A role in the organisation; may be given several times
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
        roles: Vec<Role>,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// List people with their roles
    List(ReadOptions),
    /// Close a person's account: sessions and tokens end at once
    Disable {
        email: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Close an account for good, even the only owner's; only `unlock` opens it again
    Lock {
        email: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Open a locked account; prints the one-time link with which the person sets a password
    Unlock {
        email: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Replace a person's roles in the organisation
    SetRoles {
        email: String,
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
        roles: Vec<Role>,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// What can be done with API tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token that can read what this person can read; it is printed once
    Create {
        /// The person in whose name it reads
        email: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// Days until it expires, at most 90
        #[arg(long, default_value_t = 30)]
        days: u32,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// List tokens, without their secrets
    List(ReadOptions),
    /// End a token
    Revoke {
        id: String,
        #[command(flatten)]
        write: WriteOptions,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| {
        let words: Vec<_> = Role::ALL.iter().map(|it| it.as_str()).collect();
        format!("use one of: {}", words.join(", "))
    })
}

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
        let config = self.config(file)?;
        refuse_read_only(&config.database)?;
        if !config.data.is_dir() {
            expect_server(&config)?;
        }
        crate::app::make_private_folder(&config.data)?;
        let answer = match Lock::take(&config.data)? {
            Some(_lock) => {
                expect_server(&config)?;
                let actor = control::actor(rustix::process::getuid().as_raw());
                let store = Store::open(&config.database)?;
                execute(&store, &actor, &config.public_url, request, &Clock::System)
            }
            None => control::ask(&config.data, &request)?,
        };
        self.show(&answer)
    }

    fn show(&self, answer: &Answer) -> anyhow::Result<ExitCode> {
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
        Request::Host { act } => host::last_word(conn, actor, &public_url, act, now)?,
        Request::Prove { device } => Answer::Test { id: proof::ask_on_host(conn, actor, device, now)? },
        Request::RevokeToken { id } => {
            let id = ApiTokenId::parse(&id).ok_or(Error::NotFound("API token; `admin token list` shows the ids"))?;
            api_token::revoke(conn, Author::Host(actor), id, now)?;
            Answer::Done { message: "The token was revoked.".to_owned() }
        }
    })
}

#[derive(Serialize)]
struct UserRow {
    email: String,
    name: String,
    /// `locked` if the server's own machine said so.
    state: String,
    founder: bool,
    roles: Vec<String>,
}

fn list_users(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let rows = read.open(file)?.read_blocking(|conn| -> Done<Vec<UserRow>> {
        let mut rows = Vec::new();
        for user in store::user::all(conn)? {
            let mut roles = Vec::new();
            for (role, scope) in store::user::grants(conn, user.id)?.iter() {
                roles.push(match scope {
                    Scope::Organisation => role.to_string(),
                    Scope::Team(team) => format!("{role} in {}", team_name(conn, *team)?),
                });
            }
            let host = store::user::host_said(conn, user.id)?;
            let state = if host.locked_at.is_some() { "locked".to_owned() } else { user.state.to_string() };
            let (email, name, founder) = (user.email, user.name, host.founder_at.is_some());
            rows.push(UserRow { email, name, state, founder, roles });
        }
        Ok(rows)
    })?;
    if read.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["ADDRESS", "NAME", "STATE", "FOUNDER", "ROLES"]);
    for row in rows {
        let founder = if row.founder { "yes" } else { "-" };
        table.row([row.email, row.name, row.state, founder.to_owned(), row.roles.join(", ")]);
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
}

fn team_name(conn: &mut Conn, id: domain::id::TeamId) -> Done<String> {
    Ok(store::team::find(conn, id)?.map_or_else(|| id.to_string(), |it| it.name))
}

#[derive(Serialize)]
struct TokenRow {
    id: String,
    user: String,
    name: String,
    created_at: String,
    expires_at: String,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
}

fn list_tokens(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let rows = read.open(file)?.read_blocking(|conn| -> Done<Vec<TokenRow>> {
        let mut rows = Vec::new();
        for token in store::api_token::all(conn)? {
            let user = store::user::find(conn, token.user_id)?.map(|it| it.email).unwrap_or_default();
            rows.push(TokenRow {
                id: token.id.to_string(),
                user,
                name: token.name,
                created_at: token.created_at.iso(),
                expires_at: token.expires_at.iso(),
                revoked_at: token.revoked_at.map(Time::iso),
                last_used_at: token.last_used_at.map(Time::iso),
            });
        }
        Ok(rows)
    })?;
    if read.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["ID", "USER", "NAME", "EXPIRES", "REVOKED", "LAST USED"]);
    for row in rows {
        let or_dash = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
        table.row([row.id, row.user, row.name, row.expires_at, or_dash(row.revoked_at), or_dash(row.last_used_at)]);
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
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
