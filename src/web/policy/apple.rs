//! `/policies/apple`: what is set on Apple devices, for all and for each team, and how far it is.
use crate::auth::{Can, ViewPolicies};
use crate::error::{Error, Result};
use crate::service::apple::settings::{MOST, OnDevice, Tally, tallies, walk};
use crate::store::apple::settings::{ALL, AppleSettings, Managed};
use crate::store::team::Team;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::apple_settings::{SettingKind, Standing};
use domain::id::TeamId;
use domain::role::{Permission, Reach};
use domain::time::Time;

/// What is set for all devices, or for a team.
struct Scope {
    scope: String,
    name: String,
    sentences: Vec<String>,
    changed_at: Option<Time>,
    may_edit: bool,
}

#[derive(Template, WebTemplate)]
#[template(path = "policy/apple.html")]
struct ListPage {
    layout: Layout,
    scopes: Vec<Scope>,
    /// Teams that could have settings of their own, by scope and name.
    others: Vec<(String, String)>,
    tallies: Vec<(SettingKind, Tally)>,
    is_partial: bool,
}

#[get("/policies/apple")]
pub async fn list(by: Can<ViewPolicies>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let reach = by.reach().clone();
    let (rows, teams, (counted, is_partial)) = store
        .read(move |conn| {
            let teams: Vec<_> = store::team::all(conn)?.into_iter().filter(|it| reach.covers(Some(it.id))).collect();
            Ok::<_, Error>((store::apple::settings::all(conn)?, teams, tallies(conn, &reach)?))
        })
        .await?;
    let may_edit = |team| layout.may_in(Permission::EditPolicies, team);
    let mut scopes = vec![scope(rows.iter().find(|it| it.team_id.is_none()), None, may_edit(None))?];
    let mut others = Vec::new();
    for team in &teams {
        match rows.iter().find(|it| it.team_id == Some(team.id)) {
            Some(row) => scopes.push(scope(Some(row), Some(team), may_edit(Some(team.id)))?),
            None if may_edit(Some(team.id)) => others.push((team.id.to_string(), team.name.clone())),
            None => {}
        }
    }
    let tallies = SettingKind::ALL.iter().filter_map(|it| Some((*it, *counted.get(it)?))).collect();
    Ok(ListPage { layout, scopes, others, tallies, is_partial })
}

fn scope(row: Option<&AppleSettings>, team: Option<&Team>, may_edit: bool) -> Result<Scope> {
    Ok(Scope {
        scope: team.map_or_else(|| ALL.to_owned(), |it| it.id.to_string()),
        name: team.map_or("All devices", |it| it.name.as_str()).to_owned(),
        sentences: row.map(AppleSettings::settings).transpose()?.unwrap_or_default().sentences(),
        changed_at: row.map(|it| it.changed_at),
        may_edit,
    })
}

/// The team of a scope; none if it is no scope.
pub(super) fn team(scope: &str) -> Result<Option<TeamId>> {
    match scope {
        ALL => Ok(None),
        _ => TeamId::parse(scope).map(Some).ok_or(Error::NotFound("settings for Apple devices")),
    }
}

/// How many devices are listed.
const FIRST: usize = 500;

#[derive(Template, WebTemplate)]
#[template(path = "policy/apple_devices.html")]
struct DevicesPage {
    layout: Layout,
    kind: SettingKind,
    /// Those that failed come first.
    devices: Vec<(Managed, OnDevice)>,
    is_cut: bool,
}

impl DevicesPage {
    fn how_far(&self, it: &OnDevice) -> String {
        it.standing.sentence(&|at| self.layout.zone.full(at))
    }
}

#[get("/policies/apple/devices/{kind}")]
pub async fn on_devices(
    by: Can<ViewPolicies>,
    layout: Layout,
    store: Data<Store>,
    kind: Path<String>,
) -> PageResult<impl Responder> {
    let kind = SettingKind::parse(&kind).ok_or(Error::NotFound("setting for Apple devices"))?;
    let reach = by.reach().clone();
    let (devices, is_cut) = store.read(move |conn| listed(conn, &reach, kind)).await?;
    Ok(DevicesPage { layout, kind, devices, is_cut })
}

fn listed(conn: &mut Conn, reach: &Reach, kind: SettingKind) -> Result<(Vec<(Managed, OnDevice)>, bool)> {
    let mut found = Vec::new();
    let is_partial = walk(conn, reach, &mut |device, settings| {
        found.extend(settings.into_iter().filter(|it| it.setting.kind() == kind).map(|it| (device.clone(), it)));
    })?;
    found.sort_by_key(|(device, it)| (order(&it.standing), device.name.clone()));
    let is_cut = is_partial || found.len() > FIRST;
    found.truncate(FIRST);
    Ok((found, is_cut))
}

const fn order(standing: &Standing) -> u8 {
    match standing {
        Standing::Failed(_) => 0,
        Standing::Waits => 1,
        Standing::LeftOut => 2,
        Standing::InForce { .. } => 3,
    }
}
