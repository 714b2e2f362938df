//! The sub-commands of `holdfast admin`.
use crate::cli::device::ReadOptions;
use crate::cli::host::{FounderCommand, SessionsCommand};
use crate::cli::proof_key::ProofKeyCommand;
use crate::cli::write::WriteOptions;
use domain::role::Role;

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
