//! The other Holdfast that fetches what is copied: named and given up on the server's own machine, known by a token.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::alert;
use crate::store::Conn;
use crate::store::setting::{PULLER, Puller};
use domain::activity::{Action, Actor, Object};
use domain::time::Time;

/// The prefix of its token.
pub const TOKEN_PREFIX: &str = "hf_pull_";

/// Lets another Holdfast fetch what is copied; returns its token, which nobody can see again. Everyone is told. An act.
///
/// # Errors
/// `Refused` while another one may, or when the name is none.
pub fn make(conn: &mut Conn, by: &Actor, name: &str, now: Time) -> Result<String> {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        return Err(Error::invalid("name", "at most 64 letters, digits, dots, hyphens and underscores"));
    }
    if let Some(known) = PULLER.find(conn)? {
        return Err(Error::Refused(format!(
            "the other Holdfast, {0}, may fetch already, since {1}: give that up first, with `holdfast puller revoke {0}`",
            known.name,
            known.made_at.iso()
        )));
    }
    let token = secret::generate(TOKEN_PREFIX)?;
    let (token_hash, made_by) = (secret::hash(&token), by.name.clone());
    PULLER.set(conn, &Puller { name: name.to_owned(), token_hash, made_at: now, made_by }, now)?;
    activity::record(conn, by, &Act::done(Action::PullerMade, object(name)), now)?;
    let what = format!("Another Holdfast, {name}, may fetch the encrypted backups from now on, and keep them.");
    alert::host_acted(conn, &by.name, &format!("Another Holdfast may fetch backups: {name}"), &what, now)?;
    Ok(token)
}

/// Gives it up: its token opens nothing from the next request on. What it has stays where it is. An act.
///
/// # Errors
/// When there is none of this name.
pub fn revoke(conn: &mut Conn, by: &Actor, name: &str, now: Time) -> Result<()> {
    if PULLER.find(conn)?.is_none_or(|it| it.name != name) {
        return Err(Error::NotFound("puller; `holdfast puller show` says which one there is"));
    }
    PULLER.remove(conn)?;
    activity::record(conn, by, &Act::done(Action::PullerRevoked, object(name)), now)?;
    let what = format!("The other Holdfast, {name}, fetches nothing any more. What it has stays there.");
    alert::host_acted(conn, &by.name, &format!("Another Holdfast may fetch no more: {name}"), &what, now)
}

/// Which one a token is of; none if it opens nothing.
///
/// # Errors
/// When the database refuses.
pub fn of_token(conn: &mut Conn, token: &str) -> Result<Option<Puller>> {
    let hash = secret::hash(token);
    Ok(PULLER.find(conn)?.filter(|it| it.token_hash == hash))
}

fn object(name: &str) -> Object {
    Object::new("puller", name, format!("other Holdfast {name}"))
}
