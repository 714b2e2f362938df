//! Lists of commands with their devices: waiting and past ones.
use crate::store::Conn;
use crate::store::command::Command;
use crate::store::schema::{commands, devices};
use crate::store::search::starts_with;
use diesel::prelude::*;
use domain::command::{CommandKind, CommandState};
use domain::id::{CommandId, TeamId};
use domain::role::Reach;

/// Which commands are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub kind: Option<CommandKind>,
    pub state: Option<CommandState>,
    /// Only those that have not ended.
    pub is_open: bool,
    /// Only those from one form: the key it was sent with.
    pub batch: Option<String>,
    /// Only older ones.
    pub before: Option<CommandId>,
}

/// A command with the name of its device and its team.
pub type Listed = (Command, String, Option<TeamId>);

/// The newest commands first, at most `limit`.
pub fn newest(conn: &mut Conn, filter: &Filter, reach: &Reach, limit: i64) -> QueryResult<Vec<Listed>> {
    let mut query = commands::table.inner_join(devices::table.on(devices::id.eq(commands::device_id))).into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(commands::kind.eq(kind));
    }
    if let Some(state) = filter.state {
        query = query.filter(commands::state.eq(state));
    }
    if filter.is_open {
        query = query.filter(commands::state.eq_any(CommandState::OPEN));
    }
    if let Some(batch) = &filter.batch {
        query = query.filter(commands::request_key.like(starts_with(&format!("{batch}/"))).escape('!'));
    }
    if let Some(before) = filter.before {
        query = query.filter(commands::id.lt(before));
    }
    // An id begins with the time it was made.
    query
        .order(commands::id.desc())
        .limit(limit)
        .select((Command::as_select(), devices::name, devices::team_id))
        .load(conn)
}
