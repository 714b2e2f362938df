//! Whether the SQLite database is whole: a copy of it is checked once a day.
use super::notice;
use crate::blob::disk::space_of;
use crate::error::Result;
use crate::service::activity::{Act, record};
use crate::store::setting::DATABASE_CHECK;
use crate::store::{Conn, Store, integrity};
use anyhow::{Context, ensure};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::ground::{DatabaseCheck, Trouble};
use domain::time::Time;
use std::path::Path;

/// Checks a copy of the database if that is due; returns what is wrong with it as far as is known, and tells of it
/// once. Blocks, for minutes if it is large.
///
/// # Errors
/// When the database refuses.
pub fn check_database(store: &Store, database: &Path, now: Time) -> Result<Option<Trouble>> {
    let before = store.read_blocking(|conn| DATABASE_CHECK.find(conn))?.unwrap_or_default();
    if !before.is_due(now) {
        return Ok(before.trouble);
    }
    let found = look(database).map_err(|error| format!("{error:#}"));
    let after = before.after(found, now);
    let (trouble, kept) = (after.trouble.clone(), after);
    store.act_blocking(move |conn| keep(conn, &before, &kept, now))?;
    Ok(trouble)
}

/// What is wrong with a copy; an error if none could be checked.
fn look(database: &Path) -> anyhow::Result<Vec<String>> {
    let folder = database.parent().context("the database has no folder")?;
    let (size, room) = (integrity::size(database)?, space_of(folder));
    ensure!(room.is_none_or(|(free, _)| free / 2 > size), "there is no room beside it for a copy to check");
    integrity::faults(database, &database.with_extension("check"))
}

fn keep(conn: &mut Conn, before: &DatabaseCheck, after: &DatabaseCheck, now: Time) -> Result<()> {
    DATABASE_CHECK.set(conn, after, now)?;
    let told = |it: &DatabaseCheck| it.trouble.as_ref().map(|it| it.is_damage);
    if told(before) == told(after) {
        return Ok(());
    }
    let object = Object::new("database", "database", "database");
    let act = match &after.trouble {
        Some(it) if it.is_damage => Act::done(Action::DatabaseDamaged, object).because(&it.why).ended(Outcome::Failed),
        Some(it) => Act::done(Action::DatabaseNotChecked, object).because(&it.why).ended(Outcome::Failed),
        None => Act::done(Action::DatabaseWhole, object),
    };
    record(conn, &Actor::system(), &act, now)?;
    after.trouble.as_ref().map_or(Ok(()), |it| notice::database(conn, it, now))
}
