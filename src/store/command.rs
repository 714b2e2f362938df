//! Commands to devices.
use crate::store::schema::commands;
use crate::store::{Conn, wanted};
use crate::wake::Wanted;
use diesel::prelude::*;
use domain::activity::Object;
use domain::command::{CommandKind, CommandState};
use domain::id::{CommandId, DeviceId};
use domain::time::Time;

/// One command and its progress.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = commands, treat_none_as_default_value = false)]
pub struct Command {
    pub id: CommandId,
    pub device_id: DeviceId,
    /// The enrolment it is for; never delivered to another.
    pub generation: i64,
    pub kind: CommandKind,
    /// JSON of a [`domain::command::Order`].
    pub payload: String,
    pub state: CommandState,
    /// Makes asking twice the same as asking once.
    pub request_key: Option<String>,
    /// A user's id, or the name of whatever queued it.
    pub created_by: String,
    pub created_at: Time,
    pub expires_at: Time,
    pub delivered_at: Option<Time>,
    pub finished_at: Option<Time>,
    /// The device's own answer, or why it ended without one.
    pub result: Option<String>,
}

impl Command {
    /// How the history names it.
    pub fn object(&self) -> Object {
        Object::new("command", self.id, self.kind.name())
    }
}

/// A command by its id.
pub fn find(conn: &mut Conn, id: CommandId) -> QueryResult<Option<Command>> {
    commands::table.find(id).select(Command::as_select()).first(conn).optional()
}

/// The command that was asked for with this key.
pub fn find_by_request_key(conn: &mut Conn, key: &str) -> QueryResult<Option<Command>> {
    commands::table.filter(commands::request_key.eq(key)).select(Command::as_select()).first(conn).optional()
}

/// The newest commands of all devices, at most `limit`.
pub fn newest(conn: &mut Conn, limit: i64) -> QueryResult<Vec<Command>> {
    commands::table
        .order((commands::created_at.desc(), commands::id.desc()))
        .limit(limit)
        .select(Command::as_select())
        .load(conn)
}

/// How many orders to erase, both wipes and removals, were queued after `since`.
pub fn count_erasing_since(conn: &mut Conn, since: Time) -> QueryResult<i64> {
    commands::table
        .filter(commands::kind.eq_any(CommandKind::ERASING).and(commands::created_at.gt(since)))
        .count()
        .get_result(conn)
}

/// A device's newest commands first, at most `limit`.
pub fn of_device(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<Command>> {
    commands::table
        .filter(commands::device_id.eq(device))
        .order((commands::created_at.desc(), commands::id.desc()))
        .limit(limit)
        .select(Command::as_select())
        .load(conn)
}

/// What a device is to be sent at a check-in: its open commands of this generation, oldest first.
pub fn open(conn: &mut Conn, device: DeviceId, generation: i64, now: Time) -> QueryResult<Vec<Command>> {
    // Not `eq_any`: SQLite would parse such a statement again with each check-in.
    let is_open = commands::state.eq(CommandState::Queued).or(commands::state.eq(CommandState::Delivered));
    commands::table
        .filter(commands::device_id.eq(device))
        .filter(is_open)
        .filter(commands::generation.eq(generation))
        .filter(commands::expires_at.gt(now))
        .order((commands::created_at, commands::id))
        .limit(50)
        .select(Command::as_select())
        .load(conn)
}

/// The devices for which a command is waiting that has not been delivered yet.
pub fn devices_with_queued(conn: &mut Conn, now: Time) -> QueryResult<Vec<DeviceId>> {
    commands::table
        .filter(commands::state.eq(CommandState::Queued))
        .filter(commands::expires_at.gt(now))
        .select(commands::device_id)
        .distinct()
        .load(conn)
}

/// Those of these devices, at most some hundred, that were asked for something and have not ended it.
pub fn devices_asked(conn: &mut Conn, ids: &[DeviceId], kind: CommandKind, now: Time) -> QueryResult<Vec<DeviceId>> {
    commands::table
        .filter(commands::device_id.eq_any(ids.to_vec()).and(commands::kind.eq(kind)))
        .filter(commands::state.eq_any(CommandState::OPEN.to_vec()))
        .filter(commands::expires_at.gt(now))
        .select(commands::device_id)
        .distinct()
        .load(conn)
}

/// Whether a command that has not been delivered yet is waiting for a device.
pub fn is_queued(conn: &mut Conn, device: DeviceId, generation: i64, now: Time) -> QueryResult<bool> {
    let queued = commands::table
        .filter(commands::device_id.eq(device))
        .filter(commands::state.eq(CommandState::Queued))
        .filter(commands::generation.eq(generation))
        .filter(commands::expires_at.gt(now));
    diesel::select(diesel::dsl::exists(queued)).get_result(conn)
}

/// Open commands whose time is over, oldest first.
pub fn overdue(conn: &mut Conn, now: Time, limit: i64) -> QueryResult<Vec<Command>> {
    commands::table
        .filter(commands::state.eq_any(CommandState::OPEN))
        .filter(commands::expires_at.le(now))
        .order((commands::created_at, commands::id))
        .limit(limit)
        .select(Command::as_select())
        .load(conn)
}

/// A device's open commands of generations before `generation`.
pub fn open_before(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<Vec<Command>> {
    commands::table
        .filter(commands::device_id.eq(device))
        .filter(commands::state.eq_any(CommandState::OPEN))
        .filter(commands::generation.lt(generation))
        .order((commands::created_at, commands::id))
        .select(Command::as_select())
        .load(conn)
}

/// How many commands of a kind somebody queued after `since` and up to `until`.
pub fn count_by(conn: &mut Conn, by: &str, kind: CommandKind, since: Time, until: Time) -> QueryResult<i64> {
    commands::table
        .filter(commands::created_by.eq(by).and(commands::kind.eq(kind)))
        .filter(commands::created_at.gt(since).and(commands::created_at.le(until)))
        .count()
        .get_result(conn)
}

/// Adds a command; its device is woken after the commit.
pub fn insert(conn: &mut Conn, command: &Command) -> QueryResult<()> {
    diesel::insert_into(commands::table).values(command).execute(conn)?;
    wanted::note(Wanted::Device(command.device_id));
    Ok(())
}

/// Marks a queued command as delivered; false if it was not queued.
pub fn set_delivered(conn: &mut Conn, id: CommandId, now: Time) -> QueryResult<bool> {
    let which = commands::table.find(id).filter(commands::state.eq(CommandState::Queued));
    let changed = diesel::update(which)
        .set((commands::state.eq(CommandState::Delivered), commands::delivered_at.eq(Some(now))))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Ends a command that is in one of `from`; false if it was in none of them.
pub fn finish(
    conn: &mut Conn,
    id: CommandId,
    from: &[CommandState],
    to: CommandState,
    (result, now): (&str, Time),
) -> QueryResult<bool> {
    let which = commands::table.find(id).filter(commands::state.eq_any(from.to_vec()));
    let changed = diesel::update(which)
        .set((commands::state.eq(to), commands::finished_at.eq(Some(now)), commands::result.eq(Some(result))))
        .execute(conn)?;
    Ok(changed == 1)
}
