//! Teams.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::reach;
use crate::service::user::team_object;
use crate::store::team::Team;
use crate::store::{self, Conn};
use domain::activity::Action;
use domain::by::By;
use domain::id::TeamId;
use domain::name;
use domain::role::Permission;
use domain::time::Time;
use domain::words::is_same_name;

/// Adds a team.
///
/// # Errors
/// `Invalid` if the name is not valid, or is taken, ignoring case; `Forbidden` for somebody who does not manage people.
pub fn add(conn: &mut Conn, by: &By, wanted: &str, now: Time) -> Result<Team> {
    let actor = reach::organisation(by.into(), Permission::ManageUsers)?;
    let mut errors = FieldErrors::new();
    name::check(wanted, "name", 60, &mut errors);
    errors.into_result()?;
    // Not in SQL: SQLite folds case only for ASCII letters.
    if store::team::all(conn)?.iter().any(|it| is_same_name(&it.name, wanted)) {
        return Err(taken());
    }
    let team = Team { id: TeamId::generate(now), name: wanted.trim().to_owned(), created_at: now };
    store::team::insert(conn, &team).map_err(|error| Error::or_taken(error, taken()))?;
    activity::record(conn, actor, &Act::done(Action::TeamAdded, team_object(&team)), now)?;
    Ok(team)
}

fn taken() -> Error {
    Error::invalid("name", "There already is a team with this name.")
}
