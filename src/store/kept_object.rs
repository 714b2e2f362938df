//! A second copy of each repository's `config` and key files: without them nobody can open even the largest
//! repository.
use crate::store::Conn;
use crate::store::schema::kept_objects;
use crate::store::upsert::UpsertExt;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use diesel::prelude::*;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};

/// The kinds of which a copy is kept; they are small and few.
pub const KINDS: [ObjectKind; 2] = [ObjectKind::Config, ObjectKind::Keys];

/// Keeps a copy.
pub fn keep(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
    bytes: &[u8],
) -> QueryResult<()> {
    diesel::insert_into(kept_objects::table)
        .values((
            kept_objects::repository_id.eq(repository),
            kept_objects::kind.eq(kind),
            kept_objects::name.eq(name.clone()),
            kept_objects::body.eq(BASE64_STANDARD.encode(bytes)),
        ))
        .on_conflict_sql("(repository_id, kind, name) DO NOTHING")
        .execute(conn)
        .map(drop)
}

/// The copy of an object; none if none is kept.
pub fn find(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
) -> QueryResult<Option<Vec<u8>>> {
    let text = kept_objects::table
        .find((repository, kind, name))
        .select(kept_objects::body)
        .first::<String>(conn)
        .optional()?;
    Ok(text.and_then(|it| BASE64_STANDARD.decode(it).ok()))
}

/// The names of the copies of a repository.
pub fn names(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Vec<(ObjectKind, ObjectName)>> {
    kept_objects::table
        .filter(kept_objects::repository_id.eq(repository))
        .select((kept_objects::kind, kept_objects::name))
        .load(conn)
}
