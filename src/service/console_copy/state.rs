//! What is known of the copy of the console's own state. The only place that says so.
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::setting::{CONSOLE_KEPT, CONSOLE_PROOF, COPY, COPY_ID, console_failed};
use crate::store::{self, Conn, Store};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::console_copy::{ConsoleCopy, Stage};
use domain::role::Permission;
use domain::time::Time;

#[derive(Template)]
#[template(path = "mail/console_copy_failed.txt")]
struct CopyFailed<'a> {
    why: &'a str,
    said: String,
    /// Whether people hand dumps over, and this server cannot try again.
    is_dump: bool,
    url: String,
}

/// How the copy of the console's own state stands.
///
/// # Errors
/// When the database refuses.
pub fn console_copy(conn: &mut Conn, now: Time) -> Result<ConsoleCopy> {
    let failed = match console_failed(Stage::Test).entry(conn)? {
        Some(it) => Some(it),
        None => console_failed(Stage::Keep).entry(conn)?,
    };
    Ok(ConsoleCopy {
        store: COPY.find(conn)?,
        away: store::ground::copy_away(conn, now)?,
        store_since: COPY_ID.entry(conn)?.map(|it| it.updated_at),
        is_external: conn.is_postgres(),
        kept: CONSOLE_KEPT.find(conn)?,
        proof: CONSOLE_PROOF.find(conn)?,
        failed: failed.map(|it| (it.value.unwrap_or_else(|| "nobody can say why".to_owned()), it.updated_at)),
    })
}

/// Says that no dump of a PostgreSQL database was handed over for too long: nothing else would, because nothing happens.
///
/// # Errors
/// When the database refuses.
pub fn look_for_dump(store: &Store, now: Time) -> Result<bool> {
    let state = store.read_blocking(move |conn| console_copy(conn, now))?;
    if !state.is_external || state.store.is_none() {
        return Ok(false);
    }
    let why = state.no_dump(now).map(|since| {
        let what = if state.kept.is_some() { "since that of" } else { "since the second store was there, on" };
        format!("no dump of the PostgreSQL database was handed over {what} {}", since.iso())
    });
    note_failure(store, Stage::Keep, why.as_deref(), now)?;
    Ok(why.is_some())
}

/// Keeps why the state could not be kept or did not come back, and tells it once; none if it did.
///
/// # Errors
/// When the database refuses.
pub fn note_failure(store: &Store, stage: Stage, why: Option<&str>, now: Time) -> Result<()> {
    let failed = console_failed(stage);
    let before = store.read_blocking(|conn| failed.entry(conn))?;
    let Some(why) = why.map(ToOwned::to_owned) else {
        return match before {
            Some(_) => store.write_blocking(move |conn| failed.remove(conn)),
            None => Ok(()),
        };
    };
    if before.as_ref().is_some_and(|it| it.value.as_deref() == Some(why.as_str())) {
        return Ok(());
    }
    tracing::error!(why, "the copy of the console's own state failed");
    store.act_blocking(move |conn| {
        failed.set(conn, &why, now)?;
        if before.is_some() {
            return Ok(());
        }
        let object = Object::new("store", "console", "console’s own state");
        let act = Act::done(Action::ConsoleCopyFailed, object).because(&why).ended(Outcome::Failed);
        record(conn, &Actor::system(), &act, now)?;
        let (said, is_dump) = (console_copy(conn, now)?.sentence(now, &|it| it.iso()), conn.is_postgres());
        let url = format!("{}/", installation::public_url(conn)?.unwrap_or_default());
        let body = CopyFailed { why: &why, said, is_dump, url }.render().context("writing a mail")?;
        let to = Recipients::Permission(Permission::ManageSettings, None);
        let subject = "Holdfast: the copy of its own database failed".to_owned();
        let mail = Mail { to, kind: "console_copy_failed", dedupe_key: None, subject, body };
        mail::enqueue(conn, &mail, now)?;
        Ok::<_, Error>(())
    })
}
