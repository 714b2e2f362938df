//! Enrolment tokens: they let devices in.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::{freeze, guard, reach, wipe};
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::device::Ownership;
use domain::guard::{FEW_USES, GuardedAct};
use domain::id::{DeviceId, EnrollmentTokenId, TeamId, UserId};
use domain::name;
use domain::role::Permission;
use domain::time::{Time, days, hours, minutes};
use std::time::Duration;

/// What every enrolment token begins with.
pub const TOKEN_PREFIX: &str = "hf_enroll_";

/// An enrolment token as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraft {
    pub name: String,
    pub team_id: Option<TeamId>,
    pub ownership: Ownership,
    /// 1 for a one-time token.
    pub use_limit: i64,
    pub valid_for: Duration,
    /// The one device that is to enroll again; none for new devices.
    pub device_id: Option<DeviceId>,
}

/// Makes an enrolment token; an act. The text is shown once: only its hash is kept.
///
/// # Errors
/// When a field is wrong, or the device to enroll again or the team is not within the person's reach.
pub fn make_token(conn: &mut Conn, by: &By, draft: &TokenDraft, now: Time) -> Result<(EnrollmentToken, String)> {
    let reach = reach::of(by, Permission::EnrollDevices)?;
    freeze::check(conn)?;
    let device = draft.device_id.map(|id| reach::device(conn, &reach, id)).transpose()?;
    let team_id = draft.team_id.or(device.as_ref().and_then(|it| it.team_id));
    if !reach.covers(team_id) {
        return Err(Error::invalid("team", "Choose a team that your roles reach."));
    }
    check_draft(draft)?;
    if device.is_some() {
        check_again_limit(conn, by, now)?;
    }
    let text = secret::generate(TOKEN_PREFIX)?;
    let token = EnrollmentToken {
        id: EnrollmentTokenId::generate(now),
        token_hash: secret::hash(&text),
        name: draft.name.trim().to_owned(),
        team_id,
        device_id: draft.device_id,
        ownership: draft.ownership,
        use_limit: draft.use_limit,
        use_count: 0,
        created_by: maker(by).to_owned(),
        created_at: now,
        expires_at: now + draft.valid_for,
        revoked_at: None,
    };
    if act_of(conn, by, draft, now)? == GuardedAct::MakeWideEnrollmentToken {
        guard::tell_of_token(conn, &by.actor, &token, now)?;
    }
    store::enrollment_token::insert(conn, &token)?;
    record_token(conn, &by.actor, Action::EnrollmentTokenMade, &token, now)?;
    Ok((token, text))
}

/// Makes a token with which only this device can enroll again; an act.
///
/// # Errors
/// As [`make_token`].
pub fn make_token_again(conn: &mut Conn, by: &By, id: DeviceId, now: Time) -> Result<(EnrollmentToken, String)> {
    let device = reach::acted_on(conn, by, Permission::EnrollDevices, id)?;
    let draft = TokenDraft {
        name: format!("{} again", device.name.chars().take(70).collect::<String>()),
        team_id: device.team_id,
        ownership: device.ownership,
        use_limit: 1,
        valid_for: days(1),
        device_id: Some(id),
    };
    make_token(conn, by, &draft, now)
}

/// Which act making a token counts as: a person's open tokens count together, otherwise twenty tokens of twenty
/// uses each would slip through.
///
/// # Errors
/// When the database refuses.
pub fn act_of(conn: &mut Conn, by: &By, draft: &TokenDraft, now: Time) -> Result<GuardedAct> {
    if draft.device_id.is_some() {
        return Ok(GuardedAct::EnrollAgain);
    }
    let open = store::enrollment_token::open_uses(conn, maker(by), now)?;
    let is_wide = open.saturating_add(draft.use_limit) > FEW_USES;
    Ok(if is_wide { GuardedAct::MakeWideEnrollmentToken } else { GuardedAct::MakeEnrollmentToken })
}

/// Whoever enrolls another machine in a device's place has in effect removed it, so the same hourly limit
/// applies to both.
fn check_again_limit(conn: &mut Conn, by: &By, now: Time) -> Result<()> {
    let per_hour = wipe::limits(conn, now)?.per_hour;
    if store::enrollment_token::count_again(conn, maker(by), now - hours(1), now)? < per_hour {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "you have made {per_hour} tokens for devices to enroll again within the hour, which is the limit; make the \
         next one later"
    )))
}

fn maker(by: &By) -> &str {
    by.actor.id.as_deref().unwrap_or(&by.actor.name)
}

fn check_draft(draft: &TokenDraft) -> Result<()> {
    let mut errors = FieldErrors::new();
    name::check(&draft.name, "name", 80, &mut errors);
    if !(1..=100_000).contains(&draft.use_limit) {
        errors.add("use_limit", "1 to 100,000 devices");
    }
    if draft.device_id.is_some() && draft.use_limit != 1 {
        errors.add("use_limit", "a token for one device works once");
    }
    if draft.valid_for < minutes(1) || draft.valid_for > days(366) {
        errors.add("valid_for", "1 minute to 366 days");
    }
    Ok(errors.into_result()?)
}

/// Revokes an enrolment token; an act.
///
/// # Errors
/// When there is none of a team within the person's reach, or it was already revoked.
pub fn revoke_token(conn: &mut Conn, by: &By, id: EnrollmentTokenId, now: Time) -> Result<()> {
    let reach = reach::of(by, Permission::EnrollDevices)?;
    let token = store::enrollment_token::find(conn, id)?.filter(|it| reach.covers(it.team_id));
    let token = token.ok_or(Error::NotFound("enrolment token"))?;
    if !store::enrollment_token::revoke(conn, id, now)? {
        return Err(Error::Conflict("this token was already revoked".to_owned()));
    }
    record_token(conn, &by.actor, Action::EnrollmentTokenRevoked, &token, now)
}

fn record_token(conn: &mut Conn, actor: &Actor, action: Action, token: &EnrollmentToken, now: Time) -> Result<()> {
    let mut act = Act::done(action, Object::new("enrollment_token", token.id, token.name.clone()));
    act.device = token.device_id;
    activity::record(conn, actor, &act, now)
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("this enrolment token is unknown; check that all of it was copied")]
    Unknown,
    #[error("this enrolment token has expired; ask for a new one")]
    Expired,
    #[error("this enrolment token was revoked; ask for a new one")]
    Revoked,
    #[error("this enrolment token was already used; ask for a new one")]
    UsedUp,
    #[error(
        "the account that made this enrolment token may no longer enroll devices; ask somebody who may for a new one"
    )]
    Orphaned,
}

/// Whether a token lets a device in at `now`.
///
/// # Errors
/// Why not; a refusal is a value.
pub(super) fn check(token: &EnrollmentToken, now: Time) -> std::result::Result<(), TokenRefusal> {
    match () {
        () if token.revoked_at.is_some() => Err(TokenRefusal::Revoked),
        () if token.expires_at <= now => Err(TokenRefusal::Expired),
        // Last, because a device whose answer was lost gets past this one, and past no other.
        () if token.use_count >= token.use_limit => Err(TokenRefusal::UsedUp),
        () => Ok(()),
    }
}

/// Whether a device could enroll with a token now; asking does not use it up.
///
/// # Errors
/// When the database refuses. A token's refusal is a value.
pub fn check_open(conn: &mut Conn, token: &str, now: Time) -> Result<std::result::Result<(), TokenRefusal>> {
    match store::enrollment_token::find_by_hash(conn, &secret::hash(token))? {
        None => Ok(Err(TokenRefusal::Unknown)),
        Some(token) => check_open_token(conn, &token, now),
    }
}

/// The same of a token that was found already.
///
/// # Errors
/// As [`check_open`].
pub fn check_open_token(
    conn: &mut Conn,
    token: &EnrollmentToken,
    now: Time,
) -> Result<std::result::Result<(), TokenRefusal>> {
    Ok(if is_backed(conn, token)? { check(token, now) } else { Err(TokenRefusal::Orphaned) })
}

/// Whether the account that made a token may still enroll devices in its team. What the host made needs no
/// account.
pub(super) fn is_backed(conn: &mut Conn, token: &EnrollmentToken) -> Result<bool> {
    let Some(maker) = UserId::parse(&token.created_by) else { return Ok(true) };
    let again = match token.device_id {
        Some(id) => store::device::find(conn, id)?,
        None => None,
    };
    // The device may have moved to another team since the token was made.
    let team = again.map_or(token.team_id, |it| it.team_id);
    guard::still_holds(conn, maker, Permission::EnrollDevices, team)
}
