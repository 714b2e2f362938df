//! Roles as boxes to tick.
use crate::error::Error;
use crate::store::team::Team;
use crate::web::form::{self, Pairs};
use domain::id::TeamId;
use domain::role::{Role, Scope};

/// A role in a scope as a box to tick.
pub struct RoleBox {
    pub id: String,
    /// `operator@organisation`, or `operator@` and a team's id.
    pub value: String,
    pub name: &'static str,
    /// What the role is for; shown once, with the organisation's boxes.
    pub sentence: &'static str,
    pub is_on: bool,
}

/// The boxes of one scope, under its name.
pub type Group = (String, Vec<RoleBox>);

pub fn boxes(teams: &[Team], is_on: impl Fn(Role, Scope) -> bool) -> Vec<Group> {
    let scopes = std::iter::once(("The organisation".to_owned(), Scope::Organisation, "organisation".to_owned()))
        .chain(teams.iter().map(|it| (format!("Team {}", it.name), Scope::Team(it.id), it.id.to_string())));
    scopes
        .map(|(title, scope, word)| {
            let group = Role::ALL
                .iter()
                .filter(|role| scope == Scope::Organisation || role.is_for_teams() || is_on(**role, scope))
                .map(|role| RoleBox {
                    id: format!("{role}-{word}"),
                    value: format!("{role}@{word}"),
                    name: role.name(),
                    sentence: if scope == Scope::Organisation { role.sentence() } else { "" },
                    is_on: is_on(*role, scope),
                })
                .collect();
            (title, group)
        })
        .collect()
}

pub fn read(pairs: &Pairs) -> crate::error::Result<Vec<(Role, Scope)>> {
    form::values(pairs, "roles")
        .map(|text| {
            let (role, scope) = text.split_once('@')?;
            let scope = match scope {
                "organisation" => Scope::Organisation,
                team => Scope::Team(TeamId::parse(team)?),
            };
            Some((Role::parse(role)?, scope))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::invalid("roles", "There is no such role."))
}
