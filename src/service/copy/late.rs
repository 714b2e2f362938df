//! Says once that copying is late: each object that waits has one copy only.
use super::state::{CopyState, state};
use crate::error::Result;
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::Store;
use crate::store::setting::COPY_LATE_TOLD;
use anyhow::Context;
use askama::Template;
use domain::copy::SecondStore;
use domain::role::Permission;
use domain::time::Time;

#[derive(Template)]
#[template(path = "mail/copy_late.txt")]
struct CopyLate<'a> {
    store: &'a SecondStore,
    since: String,
    said: Vec<String>,
    url: String,
}

/// Tells whoever may change the settings, once, that something has waited for its second copy for a day. While the second
/// store cannot be used, that is told instead. True if it is late.
///
/// # Errors
/// When the database refuses.
pub fn tell(store: &Store, now: Time) -> Result<bool> {
    // Read without the write lock: counting what waits takes a while when there is much of it.
    let (state, told) = store
        .read_blocking(move |conn| Ok::<_, crate::error::Error>((state(conn, now)?, COPY_LATE_TOLD.find(conn)?)))?;
    let late = state.late_since(now);
    match (late, told) {
        (Some(since), None) if state.away.is_none() => {
            tracing::error!(since = %since.iso(), "copying to the second store is late");
            store.write_blocking(move |conn| {
                COPY_LATE_TOLD.set(conn, &now, now)?;
                let url = format!("{}/stores", installation::public_url(conn)?.unwrap_or_default());
                enqueue(conn, &state, (since, url), now)
            })?;
        }
        (None, Some(_)) => store.write_blocking(|conn| COPY_LATE_TOLD.remove(conn))?,
        (Some(_), _) | (None, None) => {}
    }
    Ok(late.is_some())
}

fn enqueue(conn: &mut crate::store::Conn, state: &CopyState, (since, url): (Time, String), now: Time) -> Result<()> {
    let Some(second) = &state.store else { return Ok(()) };
    let said = state.sentences(now, &|it| it.iso());
    let body = CopyLate { store: second, since: since.iso(), said, url }.render().context("writing a mail")?;
    let to = Recipients::Permission(Permission::ManageSettings, None);
    let subject = "Holdfast: copying to the second store is late".to_owned();
    mail::enqueue(conn, &Mail { to, kind: "copy_late", dedupe_key: None, subject, body }, now).map(drop)
}
