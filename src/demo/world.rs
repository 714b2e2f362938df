//! What stands before the first device joins: people, teams, policies, settings.
use super::scenario::{Device, Scenario};
use crate::app::App;
use crate::domain::activity::{Actor, ActorKind, Via};
use crate::domain::id::TeamId;
use crate::domain::policy::Requirement;
use crate::domain::time::{Time, hours};
use crate::error::Result as Done;
use crate::service::enrollment::{TokenDraft, make_token};
use crate::service::policy::{self, Draft};
use crate::store::{self, Conn};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// Settings of the demo, as an owner sets them: minutes instead of days.
const SETTINGS: [(&str, &str); 6] = [
    ("demo", "true"),
    ("check_in.seconds", "15"),
    ("wipe.hold_seconds", "60"),
    ("wipe.max_per_hour", "20"),
    ("proof.validity_seconds", "1800"),
    ("proof.verified_validity_seconds", "3600"),
];

/// A person who can sign in to the demo.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    pub role: &'static str,
    pub email: &'static str,
    pub password: String,
}

/// What was made.
pub struct World {
    pub accounts: Vec<Account>,
    pub operator: Actor,
    teams: BTreeMap<String, (TeamId, bool)>,
}

impl World {
    /// Makes accounts, teams, policies and settings.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn build(app: &App, scenario: &Scenario) -> Result<Self> {
        let now = app.clock.now();
        let (accounts, operator) = super::hack::accounts(app, now)?;
        let mut teams = BTreeMap::new();
        let told = scenario.team.clone();
        let actor = demo();
        let public_url = app.config.public_url.clone();
        let made = app.store.act_blocking(move |conn| -> Done<Vec<(String, (TeamId, bool))>> {
            for (name, value) in SETTINGS {
                store::setting::set(conn, name, value, now)?;
            }
            store::setting::set(conn, "public_url", &public_url, now)?;
            add_policy(conn, &actor, "Every device", None, every_device(), now)?;
            let mut made = Vec::new();
            for team in told {
                let id = super::hack::team(conn, &team.name, now)?;
                if let Some(minutes) = team.backup_every_minutes {
                    let requirements = vec![
                        Requirement::BackupEvery { minutes },
                        Requirement::ProvenRestorePoint { within_minutes: minutes.max(30) * 2 },
                    ];
                    add_policy(conn, &actor, &format!("Backups of {}", team.name), Some(id), requirements, now)?;
                }
                made.push((team.name, (id, team.backup_every_minutes.is_some())));
            }
            Ok(made)
        })?;
        teams.extend(made);
        Ok(Self { accounts, operator, teams })
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
        let (team, _) = self.teams.get(&device.team).with_context(|| format!("no team {}", device.team))?;
        let draft = TokenDraft {
            name: device.name.clone(),
            team_id: Some(*team),
            ownership: device.ownership,
            use_limit: 1,
            valid_for: hours(1),
            device_id: None,
        };
        let (actor, now) = (self.operator.clone(), app.clock.now());
        let (_, token) = app.store.act_blocking(move |conn| make_token(conn, &actor, &draft, now))?;
        Ok(token)
    }
}

fn demo() -> Actor {
    Actor { kind: ActorKind::System, id: None, name: "Demo".to_owned(), via: Via::CommandLine, address: String::new() }
}

fn every_device() -> Vec<Requirement> {
    vec![Requirement::StorageEncrypted, Requirement::PasscodeSet, Requirement::CheckInWithin { minutes: 3 }]
}

fn add_policy(
    conn: &mut Conn,
    actor: &Actor,
    name: &str,
    team_id: Option<TeamId>,
    requirements: Vec<Requirement>,
    now: Time,
) -> Done<()> {
    policy::add(conn, actor, &Draft { name: name.to_owned(), team_id, requirements }, now).map(drop)
}
