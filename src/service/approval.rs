//! A second person's agreement, whatever it is to: who may give it, that it is to what they were shown, and that it
//! still stands.
use crate::error::{Error, Result};
use crate::service::ground;
use crate::store::{self, Conn};
use anyhow::{Context, anyhow};
use domain::by::{By, Presence};
use domain::consent::{Account, Approval, Terms, may_approve};
use domain::guard::GuardedAct;
use domain::id::{TeamId, UserId};
use domain::time::Time;

/// What two people agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    /// "a wipe".
    pub what: &'static str,
    /// What the requester did: its row in the table of guards says which permission each of the two needs.
    pub act: GuardedAct,
    pub requester: UserId,
    /// The team of each device that it is about; both people need their permission for all of them.
    pub teams: Vec<Option<TeamId>>,
}

/// A digest of what somebody is shown and agrees to.
///
/// # Errors
/// When it cannot be written.
pub fn digest(terms: &impl Terms) -> Result<String> {
    Ok(secret::hash(&terms.canonical().context("writing what is agreed to")?))
}

/// Whether the person acting is a second person to the requester, and both may still do their part.
///
/// # Errors
/// When they are not, or act through something other than a person at the console.
pub fn may_decide(conn: &mut Conn, by: &By, matter: &Matter, now: Time) -> Result<()> {
    let Matter { what, act, .. } = matter;
    let guard = act.guard();
    let (Some(asks), Some(approves)) = (guard.permission, guard.second) else {
        return Err(anyhow!("{act} needs no second person").into());
    };
    // Tokens and scripts can ask for things; only a person looking at the facts can agree.
    if by.presence != Presence::Page {
        return Err(Error::Refused(format!("{what} can only be approved on its page, by a person")));
    }
    ground::refuse_while_away(conn)?;
    let (requester, approver) = (active(conn, matter.requester)?, active(conn, by.user)?);
    for team in &matter.teams {
        let Some(asks_since) = store::user::held_since(conn, requester.id, asks, *team)? else {
            return Err(Error::Refused(format!("the requester may no longer request {what} of this device")));
        };
        let approves_since = store::user::held_since(conn, approver.id, approves, *team)?;
        let approver = approver.with_role_since(approves_since.unwrap_or(now));
        may_approve(&requester.with_role_since(asks_since), &approver, now)?;
        if approves_since.is_none() {
            return Err(Error::Forbidden);
        }
    }
    Ok(())
}

fn active(conn: &mut Conn, id: UserId) -> Result<Account> {
    let person = store::person::find(conn, id)?.ok_or(Error::NotFound("user"))?;
    if !person.is_active {
        return Err(Error::Refused(format!("the account of {} is disabled", person.name)));
    }
    Ok(person.account)
}

/// Whether whoever asked, and whoever approved if somebody has, may still do their part.
///
/// They must be the people they were at the approval: whoever came in through a link since then may be somebody else.
///
/// # Errors
/// When the database refuses.
pub fn is_backed(conn: &mut Conn, matter: &Matter, approval: Option<&Approval>) -> Result<bool> {
    let guard = matter.act.guard();
    let mut parts = vec![(matter.requester, guard.permission)];
    parts.extend(approval.map(|it| (it.by, guard.second)));
    for (user, permission) in parts {
        let (Some(person), Some(permission)) = (store::person::find(conn, user)?, permission) else {
            return Ok(false);
        };
        if !person.is_active || approval.is_some_and(|it| person.account.in_use_since > it.at) {
            return Ok(false);
        }
        for team in &matter.teams {
            // A role that was taken away and given back since may have been given by somebody else.
            let held_since = store::user::held_since(conn, user, permission, *team)?;
            if held_since.is_none_or(|since| approval.is_some_and(|it| since > it.at)) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
