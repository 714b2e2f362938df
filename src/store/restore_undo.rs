//! Undos of restores: one row for each restore that somebody asked to undo.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::{commands, restore_undos};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::command::CommandState;
use domain::id::{CommandId, RestoreId, UserId};
use domain::restore::{UndoReport, UndoState};
use domain::time::Time;

/// The undo of one restore, the last one if there were several.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = restore_undos, treat_none_as_default_value = false)]
pub struct RestoreUndo {
    pub restore_id: RestoreId,
    pub command_id: CommandId,
    pub state: UndoState,
    pub requested_by: UserId,
    pub requested_at: Time,
    pub finished_at: Option<Time>,
    /// JSON; see [`RestoreUndo::said`].
    pub report: String,
    /// Why there is no report; empty otherwise.
    pub note: String,
}

impl RestoreUndo {
    /// How many failures are kept by name.
    pub const NAMED: usize = 500;

    /// What the device says of it.
    pub fn said(&self) -> QueryResult<UndoReport> {
        from_json(&self.report)
    }
}

/// The state of an undo's command, and what the device said of it.
type Answer = (CommandState, Option<String>);

/// The undo of a restore. One whose order ended without an answer has ended too.
pub fn find(conn: &mut Conn, restore: RestoreId) -> QueryResult<Option<RestoreUndo>> {
    let found: Option<(RestoreUndo, Option<Answer>)> = restore_undos::table
        .left_join(commands::table.on(commands::id.eq(restore_undos::command_id)))
        .filter(restore_undos::restore_id.eq(restore))
        .select((RestoreUndo::as_select(), (commands::state, commands::result).nullable()))
        .first(conn)
        .optional()?;
    Ok(found.map(|(undo, command)| match command {
        Some((state, result)) if undo.state == UndoState::Queued && state.is_final() => {
            RestoreUndo { state: UndoState::Ended, note: result.unwrap_or_default(), ..undo }
        }
        _ => undo,
    }))
}

/// The undo whose order is this command.
pub fn of_command(conn: &mut Conn, id: CommandId) -> QueryResult<Option<RestoreUndo>> {
    restore_undos::table
        .filter(restore_undos::command_id.eq(id))
        .select(RestoreUndo::as_select())
        .first(conn)
        .optional()
}

/// Writes an undo, in place of an earlier one of the same restore.
pub fn put(conn: &mut Conn, undo: &RestoreUndo) -> QueryResult<()> {
    diesel::insert_into(restore_undos::table)
        .values(undo)
        .on_conflict_sql(
            "(restore_id) DO UPDATE SET command_id = excluded.command_id, state = excluded.state, requested_by = \
             excluded.requested_by, requested_at = excluded.requested_at, finished_at = excluded.finished_at, report = \
             excluded.report, note = excluded.note",
        )
        .execute(conn)
        .map(drop)
}
