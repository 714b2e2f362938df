//! Accounts: the first owner, signing in, sessions and passwords.
use crate::domain::account::UserState;
use crate::domain::id::UserId;
use crate::domain::role::Grants;
use crate::error::Result;
use crate::store::user::User;
use crate::store::{self, Conn};

/// A person who may sign in, with their roles; none for a disabled or unknown account.
pub fn active(conn: &mut Conn, id: UserId) -> Result<Option<(User, Grants)>> {
    let Some(user) = store::user::find(conn, id)? else { return Ok(None) };
    if user.state != UserState::Active {
        return Ok(None);
    }
    let grants = store::user::grants(conn, id)?;
    Ok(Some((user, grants)))
}
