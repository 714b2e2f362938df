//! The database itself, as the pages it consists of, and what is counted in it. SQLite only.
use crate::error::{self, Error};
use crate::store::schema::{activity_head, devices, repositories, restore_points, users};
use crate::store::{Conn, in_transaction};
use anyhow::{Context, anyhow};
use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;

diesel::table! {
    /// SQLite's own table of its pages (sqlite.org/dbpage.html), compiled in by `.cargo/config.toml`.
    sqlite_dbpage (pgno) {
        pgno -> Integer,
        data -> Binary,
    }
}

/// How many rows there are of what everything else hangs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    pub users: i64,
    pub devices: i64,
    pub repositories: i64,
    pub objects: i64,
    pub restore_points: i64,
    /// The number of the newest entry of the history.
    pub activity: i64,
}

impl Counts {
    /// All rows together.
    pub fn sum(&self) -> i64 {
        self.users + self.devices + self.repositories + self.objects + self.restore_points + self.activity
    }
}

/// Counts them.
pub fn counts(conn: &mut Conn) -> QueryResult<Counts> {
    Ok(Counts {
        users: users::table.count().get_result(conn)?,
        devices: devices::table.count().get_result(conn)?,
        repositories: repositories::table.count().get_result(conn)?,
        objects: repositories::table.select(repositories::object_count).load::<i64>(conn)?.iter().sum(),
        restore_points: restore_points::table.count().get_result(conn)?,
        activity: activity_head::table.find(1).select(activity_head::seq).first(conn)?,
    })
}

/// Gives `take` each page of the database with its number, from 1 on, all as of one moment; returns what was counted at
/// that moment.
///
/// # Errors
/// When this is not SQLite, it cannot be read, or `take` returns an error.
pub fn pages(conn: &mut Conn, mut take: impl FnMut(u32, &[u8]) -> anyhow::Result<()>) -> error::Result<Counts> {
    in_transaction(conn, |conn| {
        let counted = counts(conn)?;
        let Conn::Sqlite(sqlite) = conn else { return Err(anyhow!("only SQLite’s pages can be read").into()) };
        each_page(sqlite, &mut take)?;
        Ok::<_, Error>(counted)
    })
}

/// Gives `take` each page as of one moment. Never by opening the file itself: closing it would end all locks that this
/// process has on it, and another process could then take the log away from under the server.
///
/// # Errors
/// When it cannot be read, or `take` returns an error.
pub(super) fn each_page(
    sqlite: &mut SqliteConnection,
    mut take: impl FnMut(u32, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let rows = sqlite_dbpage::table
        .select((sqlite_dbpage::pgno, sqlite_dbpage::data))
        .load_iter::<(i32, Vec<u8>), DefaultLoadingMode>(sqlite)
        .context("reading the database’s pages")?;
    for row in rows {
        let (number, data) = row.context("reading a page of the database")?;
        take(u32::try_from(number).context("a page has no number")?, &data)?;
    }
    Ok(())
}
