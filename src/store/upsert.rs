//! Two statements that a derived backend cannot build: `ON CONFLICT` and many rows at once.
use crate::store::connection::{Conn, MultiBackend};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, InsertStatement, QueryFragment, QueryId};

/// An `INSERT` with a fixed `ON CONFLICT` clause; both databases read the same text.
pub struct Upsert<I> {
    insert: I,
    conflict: &'static str,
}

/// Adds [`UpsertExt::on_conflict_sql`] to inserts.
pub trait UpsertExt: Sized {
    /// Appends ` ON CONFLICT ` and `conflict`, such as `(id) DO UPDATE SET name = excluded.name`.
    fn on_conflict_sql(self, conflict: &'static str) -> Upsert<Self> {
        Upsert { insert: self, conflict }
    }
}

impl<T: QuerySource, V> UpsertExt for InsertStatement<T, V> {}

impl<I: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Upsert<I> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.insert.walk_ast(out.reborrow())?;
        out.push_sql(" ON CONFLICT ");
        out.push_sql(self.conflict);
        Ok(())
    }
}

/// No static id: the clause is a value, so the statement is cached by its text.
impl<I> QueryId for Upsert<I> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<I> RunQueryDsl<Conn> for Upsert<I> {}
