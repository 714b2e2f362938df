//! What this installation is: the address it is reached at, and whether it is a demo.
use crate::error::Result;
use crate::store::{self, Conn};
use domain::time::Time;

/// The address that browsers use, for links in mails and on the command line; none before the server's first start.
///
/// # Errors
/// When the database does not answer.
pub fn public_url(conn: &mut Conn) -> Result<Option<String>> {
    Ok(store::setting::find(conn, PUBLIC_URL)?)
}

/// Stores the address the server was started with, for what runs without its settings.
///
/// # Errors
/// When the database refuses.
pub fn set_public_url(conn: &mut Conn, url: &str, now: Time) -> Result<()> {
    if public_url(conn)?.as_deref() != Some(url) {
        store::setting::set(conn, PUBLIC_URL, url, now)?;
    }
    Ok(())
}

const PUBLIC_URL: &str = "public_url";

/// Whether this is the demo, which every page says.
///
/// # Errors
/// When the database does not answer.
pub fn is_demo(conn: &mut Conn) -> Result<bool> {
    Ok(store::setting::find(conn, DEMO)?.as_deref() == Some("true"))
}

/// The name of the setting that marks a demo; its value is `true`.
pub const DEMO: &str = "demo";
