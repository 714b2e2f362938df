//! What every command that changes something needs.
use crate::error::{Error, Result};
use crate::store::user::User;
use crate::store::{self, Conn};
use std::path::PathBuf;

/// Where the data is.
#[derive(Debug, clap::Args)]
pub struct WriteOptions {
    /// Folder of the server's data
    #[arg(long, value_name = "DIR", env = "HOLDFAST_DATA")]
    pub(super) data: Option<PathBuf>,
    /// SQLite file, or `postgres://USER@HOST/NAME` [default: DATA/holdfast.db]
    #[arg(long, value_name = "URL", env = "HOLDFAST_DATABASE", hide_env_values = true)]
    pub(super) database: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn find(conn: &mut Conn, email: &str) -> Result<User> {
    store::user::find_by_email(conn, email)?.ok_or(Error::NotFound("user; `admin user list` shows them"))
}
