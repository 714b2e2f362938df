//! The ledger of a whole repository at once, as measurements need it.
use crate::store::Conn;
use crate::store::schema::{copies, objects};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::id::RepositoryId;
use std::time::Duration;

/// Gives one repository the rows of another, each read back `later` than there; returns how many objects that is.
pub fn copy_rows(conn: &mut Conn, from: RepositoryId, to: RepositoryId, later: Duration) -> QueryResult<usize> {
    let rows = objects::table.filter(objects::repository_id.eq(from)).select((
        to.into_sql::<Text>(),
        objects::kind,
        objects::name,
        objects::size_bytes,
        objects::received_at,
    ));
    let added = diesel::insert_into(objects::table)
        .values(rows)
        .into_columns((objects::repository_id, objects::kind, objects::name, objects::size_bytes, objects::received_at))
        .execute(conn)?;
    let later = Some(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)).into_sql::<Nullable<BigInt>>();
    let rows = copies::table.filter(copies::repository_id.eq(from)).select((
        to.into_sql::<Text>(),
        copies::kind,
        copies::name,
        copies::location,
        copies::rank,
        copies::added_at,
        copies::verified_at + later,
    ));
    diesel::insert_into(copies::table)
        .values(rows)
        .into_columns((
            copies::repository_id,
            copies::kind,
            copies::name,
            copies::location,
            copies::rank,
            copies::added_at,
            copies::verified_at,
        ))
        .execute(conn)?;
    Ok(added)
}
