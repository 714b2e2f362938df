//! `holdfast admin user list` and `token list`.
use crate::cli::device::ReadOptions;
use crate::cli::output::{Table, print, print_json};
use crate::config::Options;
use crate::error::Result as Done;
use crate::store::{self, Conn};
use domain::role::Scope;
use domain::time::Time;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct UserRow {
    email: String,
    name: String,
    /// `locked` if the server's own machine said so.
    state: String,
    founder: bool,
    roles: Vec<String>,
}

/// Prints the accounts, as a table or as JSON.
///
/// # Errors
/// When the data cannot be read.
pub(super) fn list_users(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
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

/// Prints the API tokens, as a table or as JSON.
///
/// # Errors
/// When the data cannot be read.
pub(super) fn list_tokens(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
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
