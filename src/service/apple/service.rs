//! Apple's device-enrolment service: which devices Apple says are ours, to whom each was given here, and how it then enrolls
//! by itself.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::apple::enrollment::{Begun, Bound, Rights, begin_with};
use crate::service::enrollment::check_open_token;
use crate::store::apple::service::{AppleService, AppleServiceDevice};
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::activity::{Action, Actor, Object};
use domain::device::Ownership;
use domain::id::EnrollmentTokenId;
use domain::time::{Time, days, minutes};
use std::time::Duration;

/// How often Apple is asked.
const EVERY: Duration = minutes(30);

/// How long nothing is asked after something went wrong, unless Apple says how long.
const AFTER_FAILURE: Duration = minutes(10);

/// How long a device may take from being given to somebody to its enrolment: until it is taken out of its box.
const GIVEN_FOR: Duration = days(366);

/// How often each device may enroll until it has to be given again: after each time that it was erased.
const TIMES_EACH: i64 = 20;

/// How many devices are given a definition at once: Apple's limit.
const AT_ONCE: i64 = 1000;

/// A page of Apple's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// With whether it is ours no more.
    pub devices: Vec<(AppleServiceDevice, bool)>,
    pub cursor: String,
    pub has_more: bool,
}

/// Why Apple's service did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It does not know the cursor any more.
    #[error("the list has to be read from its beginning")]
    Cursor,
    #[error("{0}")]
    Other(String),
    /// Come again then.
    #[error("Apple’s service asks to come again in {} s", .0.as_secs())]
    Later(Duration),
}

/// What the token file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub organization: String,
    pub until: Option<Time>,
}

/// The service, with the account that is kept.
pub trait DeviceService {
    /// A new key pair for the token file.
    ///
    /// # Errors
    /// When there is no key to encrypt it with.
    fn make(&self, now: Time) -> Result<AppleService>;

    /// Whose account it is.
    ///
    /// # Errors
    /// When Apple does not say.
    fn account(&self, kept: &AppleService, now: Time) -> std::result::Result<Known, Failure>;

    /// The next page of the list: of all, or of what changed.
    ///
    /// # Errors
    /// When Apple does not give it.
    fn list(&self, kept: &AppleService, now: Time) -> std::result::Result<Page, Failure>;

    /// Defines how devices enroll; its identifier.
    ///
    /// # Errors
    /// When Apple does not take it.
    fn define(&self, kept: &AppleService, now: Time) -> std::result::Result<String, Failure>;

    /// Gives devices a definition; those that got it.
    ///
    /// # Errors
    /// When Apple does not take it.
    fn assign(
        &self,
        kept: &AppleService,
        devices: (&str, &[String]),
        now: Time,
    ) -> std::result::Result<Vec<String>, Failure>;
}

/// Keeps a key pair that was just made, unless there is one. An act.
///
/// # Errors
/// When the database refuses.
pub fn keep_key(conn: &mut Conn, made: &AppleService, now: Time) -> Result<()> {
    if store::apple::service::insert(conn, made)? {
        let act = Act::done(Action::DeviceServiceKeyMade, object());
        activity::record(conn, &Actor::system(), &act, now)?;
    }
    Ok(())
}

fn object() -> Object {
    Object::new("server", "", "Apple’s device-enrolment service")
}

/// Takes the token file that Apple made for the key. Whether it opens shows when the service is next asked. An act.
///
/// # Errors
/// When there is no key yet; when the database refuses.
pub fn set_token(conn: &mut Conn, by: &Actor, file: &[u8], now: Time) -> Result<()> {
    let kept = store::apple::service::find(conn)?;
    let kept =
        kept.ok_or_else(|| Error::Refused("there is no key yet: start the server with --apple-listen".to_owned()))?;
    let next = AppleService {
        token_file: Some(BASE64_STANDARD.encode(file)),
        token_until: None,
        organization: String::new(),
        profile_uuid: None,
        // It may be another account's list.
        sync_cursor: None,
        listing_from: None,
        synced_at: None,
        due_at: now,
        failure: None,
        ..kept
    };
    store::apple::service::set(conn, &next)?;
    activity::record(conn, by, &Act::done(Action::DeviceServiceTokenSet, object()), now)
}

/// Gives devices that Apple says are ours to a team, or to none: each enrolls by itself from then on, as the company's. An act.
///
/// # Errors
/// When there is no such team, or one of them is not ours; nothing was changed then.
pub fn give(conn: &mut Conn, by: &Actor, (serials, team): (&[String], Option<&str>), now: Time) -> Result<()> {
    let team = match team {
        Some(name) => Some(
            store::team::find_by_name(conn, name)?
                .ok_or_else(|| Error::Refused(format!("there is no team “{name}”")))?,
        ),
        None => None,
    };
    let count = i64::try_from(serials.len()).unwrap_or(i64::MAX);
    if !(1..=AT_ONCE).contains(&count) {
        return Err(Error::Refused(format!("name 1 to {AT_ONCE} serial numbers")));
    }
    let whose = team.as_ref().map_or("no team", |it| it.name.as_str());
    let token = EnrollmentToken {
        id: EnrollmentTokenId::generate(now),
        // Nobody ever sees its text: what lets in is the serial number.
        token_hash: secret::hash(&secret::generate("")?),
        name: format!("By itself, for {whose}").chars().take(80).collect(),
        team_id: team.as_ref().map(|it| it.id),
        device_id: None,
        ownership: Ownership::Company,
        use_limit: count.saturating_mul(TIMES_EACH),
        use_count: 0,
        created_by: by.name.clone(),
        created_at: now,
        expires_at: now + GIVEN_FOR,
        revoked_at: None,
    };
    store::enrollment_token::insert(conn, &token)?;
    for serial in serials {
        if !store::apple::service::give(conn, serial, token.id)? {
            return Err(Error::Refused(format!("Apple does not say that {serial} is yours")));
        }
    }
    let object = Object::new("enrollment_token", token.id, token.name.clone());
    let reason = serials.join(", ");
    activity::record(conn, by, &Act::done(Action::DevicesGiven, object).because(&reason), now)?;
    if let Some(kept) = store::apple::service::find(conn)? {
        store::apple::service::set(conn, &AppleService { due_at: now, ..kept })?;
    }
    Ok(())
}

/// Begins the enrolment of a device that says this serial number. Its profile is for no other.
///
/// # Errors
/// `Refused` if Apple does not say that it is ours, or it was given to nobody; as [`begin_with`].
pub fn begin(conn: &mut Conn, serial: &str, (topic, rights): (&str, &dyn Rights), now: Time) -> Result<Begun> {
    // Whoever asks learns nothing about which serial numbers are ours.
    let refused = || Error::Refused("this device is not one that enrolls here by itself".to_owned());
    let device =
        store::apple::service::device(conn, serial)?.filter(|it| it.removed_at.is_none()).ok_or_else(refused)?;
    let token = device.token_id.map(|it| store::enrollment_token::find(conn, it)).transpose()?.flatten();
    let token = token.ok_or_else(refused)?;
    check_open_token(conn, &token, now)?.map_err(|why| Error::Refused(why.to_string()))?;
    let bound = Bound { account: None, serial: Some(device.serial) };
    begin_with(conn, &token, bound, (topic, rights), now)
}

/// The account, if it is time to ask Apple.
///
/// # Errors
/// When the database refuses.
pub fn due(conn: &mut Conn, now: Time) -> Result<Option<AppleService>> {
    Ok(store::apple::service::find(conn)?.filter(|it| it.token_file.is_some() && it.due_at <= now))
}

/// Keeps a page of the list; whether there is more.
///
/// # Errors
/// When the database refuses.
pub fn keep_page(conn: &mut Conn, page: &Page, now: Time) -> Result<bool> {
    let Some(mut kept) = store::apple::service::find(conn)? else { return Ok(false) };
    if kept.sync_cursor.is_none() {
        kept.listing_from = Some(now);
    }
    for (device, is_gone) in &page.devices {
        match is_gone {
            true => store::apple::service::remove(conn, &device.serial, now)?,
            false => store::apple::service::keep(conn, device)?,
        }
    }
    kept.sync_cursor = Some(page.cursor.clone());
    if !page.has_more {
        if let Some(from) = kept.listing_from.take() {
            store::apple::service::remove_unsaid(conn, from, now)?;
        }
        kept.synced_at = Some(now);
        kept.due_at = now + EVERY;
    }
    kept.failure = None;
    store::apple::service::set(conn, &kept)?;
    Ok(page.has_more)
}

/// Keeps what did not work, and when it is tried again.
///
/// # Errors
/// When the database refuses.
pub fn failed(conn: &mut Conn, failure: &Failure, now: Time) -> Result<()> {
    let Some(mut kept) = store::apple::service::find(conn)? else { return Ok(()) };
    kept.due_at = match failure {
        Failure::Cursor if kept.sync_cursor.is_some() => {
            (kept.sync_cursor, kept.listing_from) = (None, None);
            now
        }
        Failure::Later(wait) => now + *wait,
        // Where there was no cursor, beginning again at once would have no end.
        Failure::Cursor | Failure::Other(_) => now + AFTER_FAILURE,
    };
    kept.failure = Some(failure.to_string());
    Ok(store::apple::service::set(conn, &kept)?)
}

/// Keeps what the account is, and how its devices enroll.
///
/// # Errors
/// When the database refuses.
pub fn keep_account(conn: &mut Conn, known: &Known, profile: &str) -> Result<()> {
    let Some(kept) = store::apple::service::find(conn)? else { return Ok(()) };
    let next = AppleService {
        organization: known.organization.clone(),
        token_until: known.until,
        profile_uuid: Some(profile.to_owned()),
        ..kept
    };
    Ok(store::apple::service::set(conn, &next)?)
}

/// The devices that Apple is still to tell how they enroll.
///
/// # Errors
/// When the database refuses.
pub fn untold(conn: &mut Conn, profile: &str) -> Result<Vec<String>> {
    Ok(store::apple::service::without_profile(conn, profile, AT_ONCE)?)
}
