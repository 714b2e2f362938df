//! What exists before the first device joins: people, teams, policies, settings.
use super::people::{Account, People};
use super::scenario::{Device, Scenario, Team};
use crate::app::App;
use crate::error::Result as Done;
use crate::service::enrollment::{TokenDraft, make_token};
use crate::service::policy::{self, Draft};
use crate::service::setting::{CHECK_IN, HOLD, Number, PROOF_VALIDITY, WIPES_PER_HOUR};
use crate::service::{installation, setting, team};
use crate::store::{self, Conn};
use anyhow::{Context, Result, anyhow};
use domain::activity::Actor;
use domain::by::By;
use domain::device::Ownership;
use domain::id::TeamId;
use domain::policy::Requirement;
use domain::time::{Time, hours, minutes};
use std::collections::BTreeMap;
use std::time::Duration;

/// What an owner could set for the demo on the settings page, in the units of its form.
const NUMBERS: [(Number, i64); 4] = [
    (HOLD, 1),
    // Somebody tries it out.
    (WIPES_PER_HOUR, 40),
    (PROOF_VALIDITY, 1),
    // Somebody is watching.
    (CHECK_IN, 15),
];

/// How long without a check-in makes a device silent; a demo does not have days.
const SILENT: Duration = minutes(3);

/// What was made.
pub struct World {
    pub accounts: Vec<Account>,
    pub operator: By,
    pub approver: By,
    teams: BTreeMap<String, (TeamId, bool)>,
}

impl World {
    /// Makes accounts, teams, policies and settings.
    ///
    /// # Errors
    /// When the database is not empty or refuses.
    pub fn build(app: &App, scenario: &Scenario) -> Result<Self> {
        let people = People::prepare()?;
        let (now, told) = (app.clock.now(), scenario.team.clone());
        app.store
            .act_blocking(move |conn| -> Done<Self> {
                let (people, accounts) = people.add(conn, now)?;
                let [owner, operator, approver, ..] = people.as_slice() else {
                    return Err(anyhow!("the demo has an owner, an operator and an approver").into());
                };
                settings(conn, &owner.actor, now)?;
                add_policy(conn, owner, "Every device", None, every_device(), now)?;
                let mut teams = BTreeMap::new();
                for team in told {
                    let made = add_team(conn, owner, &team, now)?;
                    teams.insert(team.name, (made, team.backup_every_minutes.is_some()));
                }
                Ok(Self { accounts, operator: operator.clone(), approver: approver.clone(), teams })
            })
            .context("making the demo's accounts, teams and policies")
    }

    /// Whether a policy asks the devices of a team for backups.
    pub fn backs_up(&self, team: &str) -> bool {
        self.teams.get(team).is_some_and(|(_, backs_up)| *backs_up)
    }

    /// A one-time enrolment token for a device, made by the operator.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn token_for(&self, app: &App, device: &Device) -> Result<String> {
        self.token(app, (&device.name, &device.team), device.ownership)
    }

    /// The same for a device of this name and team.
    ///
    /// # Errors
    /// When there is no such team, or the database refuses.
    pub fn token(&self, app: &App, (name, team): (&str, &str), ownership: Ownership) -> Result<String> {
        let (team, _) = self.teams.get(team).with_context(|| format!("no team {team}"))?;
        let draft = TokenDraft {
            name: name.to_owned(),
            team_id: Some(*team),
            ownership,
            use_limit: 1,
            valid_for: hours(1),
            device_id: None,
        };
        let (by, now) = (self.operator.clone(), app.clock.now());
        let (_, token) = app.store.act_blocking(move |conn| make_token(conn, &by, &draft, now))?;
        Ok(token)
    }
}

fn settings(conn: &mut Conn, owner: &Actor, now: Time) -> Done<()> {
    setting::begin_with(conn, owner, &NUMBERS, now)?;
    store::setting::SILENT.set(conn, &SILENT, now)?;
    installation::become_demo(conn, now)
}

fn add_team(conn: &mut Conn, owner: &By, told: &Team, now: Time) -> Done<TeamId> {
    let team = team::add(conn, owner, &told.name, now)?;
    if let Some(minutes) = told.backup_every_minutes {
        let requirements = vec![
            Requirement::BackupEvery { minutes },
            Requirement::ProvenRestorePoint { within_minutes: minutes.max(30) * 2 },
        ];
        add_policy(conn, owner, &format!("Backups of {}", told.name), Some(team.id), requirements, now)?;
    }
    Ok(team.id)
}

fn every_device() -> Vec<Requirement> {
    vec![Requirement::StorageEncrypted, Requirement::PasscodeSet, Requirement::CheckInWithin { minutes: 3 }]
}

fn add_policy(
    conn: &mut Conn,
    by: &By,
    name: &str,
    team_id: Option<TeamId>,
    requirements: Vec<Requirement>,
    now: Time,
) -> Done<()> {
    policy::add(conn, by, &Draft { name: name.to_owned(), team_id, requirements }, now).map(drop)
}
