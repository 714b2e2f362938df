//! Teams.
use crate::domain::activity::{Action, Actor};
use crate::domain::id::TeamId;
use crate::domain::time::Time;
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::user::team_object;
use crate::store::team::Team;
use crate::store::{self, Conn};

/// Adds a team.
///
/// # Errors
/// `Invalid` where the name is taken.
pub fn add(conn: &mut Conn, by: &Actor, name: &str, now: Time) -> Result<Team> {
    if store::team::find_by_name(conn, name)?.is_some() {
        return Err(Error::invalid("name", "There is a team of this name."));
    }
    let team = Team { id: TeamId::generate(now), name: name.to_owned(), created_at: now };
    store::team::insert(conn, &team)?;
    activity::record(conn, by, &Act::done(Action::TeamAdded, team_object(&team)), now)?;
    Ok(team)
}
