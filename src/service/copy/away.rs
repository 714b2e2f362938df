//! A second store that cannot be used: kept at once, told once it lasts.
use crate::blob::StoreFault;
use crate::error::Result;
use crate::service::activity::{Act, record};
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::setting::{COPY, COPY_AWAY, COPY_FAILED, COPY_SEEN, COPY_TOLD};
use crate::store::{Conn, Store};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::copy::{SecondStore, advice};
use domain::ground::Away;
use domain::role::Permission;
use domain::time::{Time, minutes};
use std::time::Duration;

/// A network that is gone for a moment is nobody's work: people are told after this.
const TELL_AFTER: Duration = minutes(15);

/// How often it is written down that it was found; what is said of it counts on that for an hour.
const NOTE_EVERY: Duration = minutes(5);

#[derive(Template)]
#[template(path = "mail/copy_away.txt")]
struct CopyAway<'a> {
    store: &'a SecondStore,
    away: &'a Away,
    advice: &'static str,
    since: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/copy_back.txt")]
struct CopyBack<'a> {
    store: &'a SecondStore,
    since: String,
    url: String,
}

/// Keeps that the second store cannot be used.
pub(super) fn went(store: &Store, fault: &StoreFault, now: Time) -> Result<()> {
    let (before, told) =
        store.read_blocking(|conn| Ok::<_, crate::error::Error>((COPY_AWAY.find(conn)?, COPY_TOLD.find(conn)?)))?;
    let since = before.as_ref().map_or(now, |it| it.since);
    // A clock that was set back does not silence it for longer.
    let is_due = now.since(since) >= TELL_AFTER || now < since;
    let is_told = told.unwrap_or(false);
    if before.as_ref().is_some_and(|it| it.cause == fault.cause) && (is_told || !is_due) {
        return Ok(());
    }
    tracing::error!(cause = %fault.cause, why = fault.why, "the second store cannot be used");
    let away = Away { cause: fault.cause, why: fault.why.clone(), since };
    store.act_blocking(move |conn| {
        COPY_AWAY.set(conn, &away, now)?;
        if is_told || !is_due {
            return Ok(());
        }
        COPY_TOLD.set(conn, &true, now)?;
        let act = Act::done(Action::SecondStoreAway, object()).because(&away.why).ended(Outcome::Failed);
        record(conn, &Actor::system(), &act, now)?;
        let Some(second) = COPY.find(conn)? else { return Ok(()) };
        let (advice, since, url) = (advice(second.kind, away.cause), away.since.iso(), url(conn)?);
        let body = CopyAway { store: &second, away: &away, advice, since, url }.render();
        tell(conn, "copy_away", "Holdfast: the second store cannot be used", body.context("writing a mail")?, now)
    })
}

/// Keeps that the second store was found, and is the right one.
pub(super) fn is_there(store: &Store, now: Time) -> Result<()> {
    let (away, second, seen_at) = store.read_blocking(|conn| {
        Ok::<_, crate::error::Error>((COPY_AWAY.entry(conn)?, COPY.find(conn)?, COPY_SEEN.find(conn)?))
    })?;
    // Also when the clock was set back.
    let is_fresh = seen_at.is_some_and(|at| at <= now && now < at + NOTE_EVERY);
    if away.is_none() && second.as_ref().is_none_or(|it| it.opened_at.is_some()) {
        return if is_fresh { Ok(()) } else { store.write_blocking(move |conn| COPY_SEEN.set(conn, &now, now)) };
    }
    store.act_blocking(move |conn| {
        COPY_SEEN.set(conn, &now, now)?;
        if let Some(second) = COPY.find(conn)?.filter(|it| it.opened_at.is_none()) {
            COPY.set(conn, &SecondStore { opened_at: Some(now), ..second }, now)?;
        }
        let before = COPY_AWAY.find(conn)?;
        COPY_AWAY.remove(conn)?;
        let told = COPY_TOLD.find(conn)?.unwrap_or(false);
        COPY_TOLD.remove(conn)?;
        let (Some(before), Some(second), true) = (before, COPY.find(conn)?, told) else { return Ok(()) };
        tracing::warn!("the second store can be used again");
        let why = format!("it could not be used since {}", before.since.iso());
        record(conn, &Actor::system(), &Act::done(Action::SecondStoreBack, object()).because(&why), now)?;
        let body = CopyBack { store: &second, since: before.since.iso(), url: url(conn)? }.render();
        tell(conn, "copy_back", "Holdfast: the second store can be used again", body.context("writing a mail")?, now)
    })
}

/// Keeps what went wrong while something was copied; none once something was copied.
pub(super) fn note_failure(store: &Store, why: Option<&str>, now: Time) -> Result<()> {
    let known = store.read_blocking(|conn| COPY_FAILED.find(conn))?;
    if known.as_deref() == why {
        return Ok(());
    }
    if let Some(why) = why {
        tracing::warn!(why, "an object could not be copied to the second store; it is tried again");
    }
    let why = why.map(ToOwned::to_owned);
    store.write_blocking(move |conn| match why {
        Some(why) => COPY_FAILED.set(conn, &why, now),
        None => COPY_FAILED.remove(conn),
    })
}

fn object() -> Object {
    Object::new("store", "copy", "second store")
}

fn tell(conn: &mut Conn, kind: &'static str, subject: &str, body: String, now: Time) -> Result<()> {
    let to = Recipients::Permission(Permission::ManageSettings, None);
    mail::enqueue(conn, &Mail { to, kind, dedupe_key: None, subject: subject.to_owned(), body }, now).map(drop)
}

fn url(conn: &mut Conn) -> Result<String> {
    Ok(format!("{}/", installation::public_url(conn)?.unwrap_or_default()))
}
