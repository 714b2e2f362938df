//! What this installation is: the address it is reached at, and whether it is a demo.
use crate::error::Result;
use crate::store::Conn;
use crate::store::setting::{DEMO, PUBLIC_URL};
use domain::time::Time;

/// The address that browsers use, for links in mails and on the command line; none before the server's first start.
///
/// # Errors
/// When the database does not answer.
pub fn public_url(conn: &mut Conn) -> Result<Option<String>> {
    Ok(PUBLIC_URL.find(conn)?)
}

/// Stores the address the server was started with, for what runs without its settings.
///
/// # Errors
/// When the database refuses.
pub fn set_public_url(conn: &mut Conn, url: &str, now: Time) -> Result<()> {
    if public_url(conn)?.as_deref() != Some(url) {
        PUBLIC_URL.set(conn, &url.to_owned(), now)?;
    }
    Ok(())
}

/// Whether this is the demo, which every page says.
///
/// # Errors
/// When the database does not answer.
pub fn is_demo(conn: &mut Conn) -> Result<bool> {
    Ok(DEMO.find(conn)?.unwrap_or(false))
}

/// Makes this the demo.
///
/// # Errors
/// When the database refuses.
pub fn become_demo(conn: &mut Conn, now: Time) -> Result<()> {
    Ok(DEMO.set(conn, &true, now)?)
}
