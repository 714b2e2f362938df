//! A device's name, person and team; and its removal.
use crate::clock::Clock;
use crate::domain::fields::FieldErrors;
use crate::domain::id::{DeviceId, TeamId};
use crate::error::Error;
use crate::service::device::{self, Draft};
use crate::store::device::Device;
use crate::store::team::Team;
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::form::again;
use crate::web::hashing::Shared;
use crate::web::layout::{Layout, see_other};
use crate::web::login::require_password;
use crate::web::session::{Can, EnrollDevices};
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use serde::Deserialize;

#[derive(Template, WebTemplate)]
#[template(path = "device/edit.html")]
struct EditPage {
    layout: Layout,
    device: Device,
    form: DeviceForm,
    /// What was typed to remove it.
    confirm: String,
    teams: Vec<(String, String)>,
    errors: FieldErrors,
}

#[derive(Debug, Clone, Deserialize)]
pub struct DeviceForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    team: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RemoveForm {
    confirm: String,
    password: String,
}

impl DeviceForm {
    fn of(device: &Device) -> Self {
        Self {
            name: device.name.clone(),
            person: device.person.clone(),
            team: device.team_id.map(|it| it.to_string()).unwrap_or_default(),
        }
    }
}

impl EditPage {
    fn new(layout: Layout, device: Device, teams: Vec<Team>, form: DeviceForm, errors: FieldErrors) -> Self {
        Self { layout, device, form, confirm: String::new(), teams: team_options(teams), errors }
    }
}

/// The teams of a form, with "No team" first.
pub(in crate::web) fn team_options(teams: Vec<Team>) -> Vec<(String, String)> {
    let mut options = vec![(String::new(), "No team".to_owned())];
    options.extend(teams.into_iter().map(|it| (it.id.to_string(), it.name)));
    options
}

/// The team of a form; none for the empty choice.
pub(in crate::web) fn parse_team(text: &str, errors: &mut FieldErrors) -> Option<TeamId> {
    let team = TeamId::parse(text);
    if team.is_none() && !text.is_empty() {
        errors.add("team", "Choose a team of the list.");
    }
    team
}

#[get("/devices/{id}/edit")]
pub async fn edit(
    by: Can<EnrollDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<impl Responder> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, teams) =
        store.read(move |conn| Ok::<_, Error>((super::within(conn, &reach, id)?, store::team::all(conn)?))).await?;
    let form = DeviceForm::of(&device);
    Ok(EditPage::new(layout, device, teams, form, FieldErrors::new()))
}

#[post("/devices/{id}")]
pub async fn change(
    by: Can<EnrollDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    (id, form): (Path<DeviceId>, Form<DeviceForm>),
) -> PageResult<HttpResponse> {
    let (actor, reach, now, id, form) =
        (by.actor(), by.reach().clone(), clock.now(), id.into_inner(), form.into_inner());
    let mut errors = FieldErrors::new();
    let team_id = parse_team(&form.team, &mut errors);
    if !reach.covers(team_id) {
        errors.add("team", "Your roles do not reach this team.");
    }
    let draft = Draft { name: form.name.clone(), person: form.person.clone(), team_id };
    let (reading, writing) = (reach.clone(), reach);
    let done = if errors.is_empty() {
        store
            .act(move |conn| {
                super::within(conn, &writing, id)?;
                device::change(conn, &actor, id, &draft, now)
            })
            .await
    } else {
        Err(errors.into())
    };
    match done {
        Ok(_) => Ok(see_other(format!("/devices/{id}"), Some("Changed."))),
        Err(Error::Invalid(errors)) => {
            let (device, teams) = store
                .read(move |conn| Ok::<_, Error>((super::within(conn, &reading, id)?, store::team::all(conn)?)))
                .await?;
            again(&EditPage::new(layout, device, teams, form, errors))
        }
        Err(error) => Err(error.into()),
    }
}

#[post("/devices/{id}/removals")]
pub async fn remove(
    by: Can<EnrollDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<DeviceId>, Form<RemoveForm>),
) -> PageResult<HttpResponse> {
    let (actor, reach, now, id, form) =
        (by.actor(), by.reach().clone(), clock.now(), id.into_inner(), form.into_inner());
    let (reading, typed) = (reach.clone(), form.confirm.clone());
    let done = match require_password(&by, (&store, &clock, &shared), &form.password).await {
        Ok(()) => {
            store
                .act(move |conn| {
                    super::within(conn, &reach, id)?;
                    device::remove(conn, &actor, id, &form.confirm, now)
                })
                .await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => {
            Ok(see_other("/devices", Some("The device was removed from the lists. Its backups and its history stay.")))
        }
        Err(Error::Invalid(errors)) => {
            let (device, teams) = store
                .read(move |conn| Ok::<_, Error>((super::within(conn, &reading, id)?, store::team::all(conn)?)))
                .await?;
            let form = DeviceForm::of(&device);
            again(&EditPage { confirm: typed, ..EditPage::new(layout, device, teams, form, errors) })
        }
        Err(error) => Err(error.into()),
    }
}
