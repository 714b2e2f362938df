//! How one person likes a page to look. This is not an act: it changes nothing for anybody else, and has no
//! entry.
use crate::error::Result;
use crate::store::{self, Conn};
use domain::id::UserId;

/// The columns of a list that somebody does not want to see.
///
/// # Errors
/// When the database refuses.
pub fn hidden_columns(conn: &mut Conn, user: UserId, list: &str) -> Result<Vec<String>> {
    let value = store::preference::find(conn, user, &name(list))?.unwrap_or_default();
    Ok(value.split_whitespace().map(ToOwned::to_owned).collect())
}

/// Saves which columns of a list somebody does not want to see. Columns added later are shown.
///
/// # Errors
/// When the database refuses.
pub fn hide_columns(conn: &mut Conn, user: UserId, list: &str, hidden: &[&str]) -> Result<()> {
    Ok(store::preference::set(conn, user, &name(list), &hidden.join(" "))?)
}

fn name(list: &str) -> String {
    format!("{list}.hidden_columns")
}
