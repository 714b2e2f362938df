//! Packs that no store has intact, and the indexes that clients are not shown because these name them.
use crate::store::Conn;
use crate::store::column::{from_json, to_json};
use crate::store::schema::{avoided_packs, copies};
use diesel::prelude::*;
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;
use std::collections::HashSet;

/// The packs of a repository for which other indexes were published.
pub fn avoided(conn: &mut Conn, repository: RepositoryId) -> QueryResult<HashSet<ObjectName>> {
    let of = avoided_packs::table.filter(avoided_packs::repository_id.eq(repository));
    Ok(of.select(avoided_packs::pack_name).load::<ObjectName>(conn)?.into_iter().collect())
}

/// The indexes that clients are not shown: each names a pack that is still damaged.
pub fn hidden_indexes(conn: &mut Conn, repository: RepositoryId) -> QueryResult<HashSet<ObjectName>> {
    let its_pack =
        copies::repository_id.eq(avoided_packs::repository_id).and(copies::name.eq(avoided_packs::pack_name));
    let lists: Vec<String> = avoided_packs::table
        .inner_join(copies::table.on(its_pack))
        .filter(avoided_packs::repository_id.eq(repository))
        .filter(copies::kind.eq(ObjectKind::Data).and(copies::location.eq(Location::Primary)))
        .filter(copies::damaged_at.is_not_null())
        .select(avoided_packs::indexes)
        .load(conn)?;
    let mut hidden = HashSet::new();
    for list in lists {
        hidden.extend(from_json::<Vec<ObjectName>>(&list)?);
    }
    Ok(hidden)
}

/// The repositories for which other indexes were published.
pub fn repositories(conn: &mut Conn) -> QueryResult<Vec<RepositoryId>> {
    let of = avoided_packs::table.select(avoided_packs::repository_id).distinct();
    of.order(avoided_packs::repository_id).load(conn)
}

/// Forgets all of a repository, because other indexes are there now: they are looked at anew.
pub fn forget(conn: &mut Conn, repository: RepositoryId) -> QueryResult<usize> {
    diesel::delete(avoided_packs::table.filter(avoided_packs::repository_id.eq(repository))).execute(conn)
}

/// Notes that these indexes are not shown while a pack is damaged.
pub fn insert(
    conn: &mut Conn,
    repository: RepositoryId,
    pack: &ObjectName,
    indexes: &[ObjectName],
    now: Time,
) -> QueryResult<()> {
    let which = avoided_packs::table.find((repository, pack));
    diesel::delete(which).execute(conn)?;
    let row = (
        avoided_packs::repository_id.eq(repository),
        avoided_packs::pack_name.eq(pack),
        avoided_packs::indexes.eq(to_json(&indexes)?),
        avoided_packs::avoided_at.eq(now),
    );
    diesel::insert_into(avoided_packs::table).values(row).execute(conn).map(drop)
}
