//! What is decided only on the server's own machine, by nobody at the console: who founded the organisation,
//! whose account is locked, and whose sessions end.
use crate::error::{Error, Result};
use crate::service::account::{name_of, object};
use crate::service::activity::{self, Act};
use crate::service::link::make_invite_link;
use crate::service::{alert, epoch, freeze, proof, removal, setting, user};
use crate::store::setting::PROOF_KEY_COPY;
use crate::store::user::User;
use crate::store::{self, Conn};
use domain::account::UserState;
use domain::activity::{Action, Actor, Object};
use domain::id::UserId;
use domain::time::{Time, days};
use std::time::Duration;

/// Closes an account, even the only owner's: its sessions, tokens and links end, and nobody at the console can
/// open it again. An act.
///
/// # Errors
/// `NotFound` if there is none.
pub fn lock(conn: &mut Conn, by: &Actor, id: UserId, now: Time) -> Result<User> {
    let user = find(conn, id)?;
    let what = format!("The account of {} was locked. Its sessions, tokens and links ended.", name_of(&user));
    // First, so that the account's own person gets the mail too.
    alert::host_acted(conn, &by.name, &format!("Account locked: {}", user.email), &what, now)?;
    store::user::set_state(conn, id, user.state, UserState::Disabled)?;
    store::user::set_locked(conn, id, Some(now))?;
    user::close(conn, id, now)?;
    activity::record(conn, by, &Act::done(Action::UserLocked, object(&user)), now)?;
    Ok(user)
}

/// Opens a locked account; the person sets a new password with the link whose path this returns. An act.
///
/// # Errors
/// `Conflict` if it is not locked.
pub fn unlock(conn: &mut Conn, by: &Actor, id: UserId, now: Time) -> Result<(User, String)> {
    let user = find(conn, id)?;
    if store::user::host_said(conn, id)?.locked_at.is_none() {
        return Err(Error::Conflict(format!("the account of {} is not locked", user.email)));
    }
    store::user::set_locked(conn, id, None)?;
    // Not active: the password from before the lock must not open it again.
    store::user::set_state(conn, id, user.state, UserState::Invited)?;
    activity::record(conn, by, &Act::done(Action::UserUnlocked, object(&user)), now)?;
    let what = format!("The account of {} is open again.", name_of(&user));
    alert::host_acted(conn, &by.name, &format!("Account unlocked: {}", user.email), &what, now)?;
    let path = make_invite_link(conn, id, None, now)?;
    Ok((user, path))
}

/// Ends the sessions of one person, or of everyone, and forgets their browsers; returns how many ended. An act.
///
/// # Errors
/// `NotFound` if there is no such person.
pub fn end_sessions(conn: &mut Conn, by: &Actor, only: Option<UserId>, now: Time) -> Result<usize> {
    let people = match only {
        Some(id) => vec![find(conn, id)?],
        None => store::user::all(conn)?,
    };
    let mut count = 0;
    for user in people {
        let ended = store::session::delete_all(conn, user.id, true)?;
        if ended > 0 || only.is_some() {
            activity::record(conn, by, &Act::done(Action::SessionsEnded, object(&user)), now)?;
        }
        count += ended;
    }
    Ok(count)
}

/// Freezes; everyone is told. An act. A second one changes nothing.
///
/// # Errors
/// When the database refuses.
pub fn freeze(conn: &mut Conn, by: &Actor, now: Time) -> Result<()> {
    if freeze::standing(conn)?.is_some() {
        return Ok(());
    }
    freeze::begin(conn, now)?;
    activity::record(conn, by, &Act::done(Action::Frozen, freeze::object()), now)?;
    let what = "No wipe, removal or restore is sent, and no guard can be loosened, until `holdfast admin \
     unfreeze` is run on the server’s own machine.";
    alert::host_acted(conn, &by.name, "Frozen: nothing is wiped, removed or restored", what, now)
}

/// Ends the freeze; everyone is told. An act. Whatever was waiting starts its wait again.
///
/// # Errors
/// When the database refuses.
pub fn unfreeze(conn: &mut Conn, by: &Actor, now: Time) -> Result<()> {
    if freeze::standing(conn)?.is_none() {
        return Ok(());
    }
    freeze::end(conn, now)?;
    epoch::confirm(conn, now)?;
    setting::wait_again(conn, now)?;
    removal::wait_again(conn, now)?;
    activity::record(conn, by, &Act::done(Action::Unfrozen, freeze::object()), now)?;
    let what = "Wipes, removals and restores continue. The hold of each approved wipe and of each removal, and the \
                72 hours of each looser guard, start again now: look at them, and stop what was not intended.";
    alert::host_acted(conn, &by.name, "Unfrozen: wipes, removals and restores continue", what, now)
}

/// Names a founder, whose word on wipes counts at once; everyone is told. An act.
///
/// It holds for the person who has the account now: whoever comes in through a link later, or gets another
/// role, waits.
///
/// # Errors
/// `Refused` for an account that nobody has signed in to.
pub fn add_founder(conn: &mut Conn, by: &Actor, id: UserId, now: Time) -> Result<User> {
    let user = find(conn, id)?;
    // It would not count: whoever signs in with a link later may be another person.
    if user.state != UserState::Active {
        return Err(Error::Refused(format!(
            "{} has no password yet or is disabled; name them once they have signed in",
            user.email
        )));
    }
    store::user::set_founder(conn, id, Some(now))?;
    activity::record(conn, by, &Act::done(Action::FounderAdded, object(&user)), now)?;
    let what = format!(
        "{} is a founder: if their roles let them request or approve wipes, this counts at once and not only after 72 \
         hours.",
        name_of(&user)
    );
    alert::host_acted(conn, &by.name, &format!("Founder named: {}", user.email), &what, now)?;
    Ok(user)
}

/// Revokes a founder; everyone is told. An act.
///
/// # Errors
/// `Conflict` if they are not one.
pub fn remove_founder(conn: &mut Conn, by: &Actor, id: UserId, now: Time) -> Result<User> {
    let user = find(conn, id)?;
    if store::user::host_said(conn, id)?.founder_at.is_none() {
        return Err(Error::Conflict(format!("{} is not a founder", user.email)));
    }
    store::user::set_founder(conn, id, None)?;
    activity::record(conn, by, &Act::done(Action::FounderRemoved, object(&user)), now)?;
    let what = format!("{} is no longer a founder: the 72 hours apply to them as to everyone.", name_of(&user));
    alert::host_acted(conn, &by.name, &format!("No longer a founder: {}", user.email), &what, now)?;
    Ok(user)
}

/// Records that a copy of the proof key was read and opens what the key opens; `public` is its public half. An
/// act.
///
/// # Errors
/// `Refused` if it is a copy of another key.
pub fn proof_key_copy_checked(conn: &mut Conn, by: &Actor, public: &str, now: Time) -> Result<()> {
    match proof::public_key(conn)? {
        Some(known) if known == public => {}
        Some(_) => return Err(Error::Refused(OTHER_KEY.to_owned())),
        None => return Err(Error::Refused("this server has no proof key yet; start it once".to_owned())),
    }
    PROOF_KEY_COPY.set(conn, &public.to_owned(), now)?;
    activity::record(conn, by, &Act::done(Action::ProofKeyCopyChecked, Object::new("server", "", "the proof key")), now)
}

/// A copy of the current proof key that was found to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCopy {
    pub checked_at: Time,
    /// Long ago, or by a clock that was ahead: nobody knows whether it is still there.
    pub is_old: bool,
}

/// The last check of a copy of the current proof key; none if nobody has checked one.
///
/// # Errors
/// When the database refuses.
pub fn proof_key_copy(conn: &mut Conn, now: Time) -> Result<Option<KeyCopy>> {
    let Some(known) = proof::public_key(conn)? else { return Ok(None) };
    let checked = PROOF_KEY_COPY.entry(conn)?.filter(|it| it.value.as_ref() == Some(&known));
    Ok(checked.map(|it| KeyCopy {
        checked_at: it.updated_at,
        is_old: it.updated_at > now || it.updated_at + COPY_HOLDS < now,
    }))
}

/// How long the check of a copy counts.
const COPY_HOLDS: Duration = days(365);

const OTHER_KEY: &str = "this is another server's proof key: it opens none of the backups here";

fn find(conn: &mut Conn, id: UserId) -> Result<User> {
    store::user::find(conn, id)?.ok_or(Error::NotFound("user"))
}
