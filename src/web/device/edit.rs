//! A device's name, person, team and space, and its removal.
use crate::auth::{Can, EnrollDevices, StopWipe};
use crate::error::{Error, Result};
use crate::service::device::{self, Draft};
use crate::service::reach;
use crate::service::removal::{self, Asked};
use crate::service::setting::QUOTA;
use crate::store::device::Device;
use crate::store::team::Team;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{self, refusal};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::{require_password, require_password_in};
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::fields::FieldErrors;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, TeamId};
use domain::role::Reach;
use domain::shown::Shown;
use domain::space::{Room, Space};
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
    /// The space of its backups; none if it cannot be backed up.
    space: Option<Space>,
    errors: FieldErrors,
}

/// What the database has for the page.
struct Read {
    device: Device,
    teams: Vec<Team>,
    space: Option<Space>,
}

impl Read {
    fn shown(&self) -> Shown {
        let team = self.teams.iter().find(|it| Some(it.id) == self.device.team_id);
        Shown::new([
            ("Name", self.device.name.clone()),
            ("Person", self.device.person.clone()),
            ("Team", team.map_or_else(|| "No team".to_owned(), |it| it.name.clone())),
            ("Space in GB", self.space.map(|it| (it.quota_bytes / QUOTA.unit).to_string()).unwrap_or_default()),
        ])
    }
}

fn read(conn: &mut Conn, reach: &Reach, id: DeviceId) -> Result<Read> {
    let device = reach::device(conn, reach, id)?;
    let repository = store::repository::active_of_device(conn, id)?;
    Ok(Read { device, teams: store::team::all(conn)?, space: repository.map(|it| it.space()) })
}

#[derive(Debug, Clone, Deserialize)]
pub struct DeviceForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    person: String,
    #[serde(default)]
    team: String,
    /// Missing if the page has no such field.
    quota_gb: Option<String>,
    /// The values the form was shown with.
    #[serde(default)]
    version: String,
    #[serde(default)]
    password: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RemoveForm {
    confirm: String,
    password: String,
}

impl DeviceForm {
    fn of(read: &Read) -> Self {
        let Read { device, space, .. } = read;
        Self {
            version: read.shown().version(),
            name: device.name.clone(),
            person: device.person.clone(),
            team: device.team_id.map(|it| it.to_string()).unwrap_or_default(),
            quota_gb: space.map(|it| (it.quota_bytes / QUOTA.unit).to_string()),
            password: String::new(),
        }
    }

    fn parse(&self) -> (Draft, FieldErrors) {
        let mut errors = FieldErrors::new();
        let team_id = parse_team(&self.team, &mut errors);
        let quota = self.quota_gb.as_ref();
        let quota = quota.map(|it| form::number(it, QUOTA.field, QUOTA.least..=QUOTA.most, &mut errors));
        (Draft { name: self.name.clone(), person: self.person.clone(), team_id, quota }, errors)
    }
}

impl EditPage {
    fn new(layout: Layout, read: Read, form: DeviceForm, errors: FieldErrors) -> Self {
        let Read { device, teams, space } = read;
        Self { layout, device, form, confirm: String::new(), teams: team_options(teams), space, errors }
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
        errors.add("team", "Choose a team from the list.");
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
    let read = store.read(move |conn| read(conn, &reach, id)).await?;
    let form = DeviceForm::of(&read);
    Ok(EditPage::new(layout, read, form, FieldErrors::new()))
}

#[post("/devices/{id}")]
pub async fn change(
    by: Can<EnrollDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<DeviceId>, Form<DeviceForm>),
) -> PageResult<HttpResponse> {
    let (acting, reach, now, id, form) =
        (by.acting(), by.reach().clone(), clock.now(), id.into_inner(), form.into_inner());
    let (draft, errors) = form.parse();
    let (reading, writing, version) = (reach.clone(), reach, form.version.clone());
    let asked = match errors.into_result() {
        Ok(()) => signed(&by, (&store, &clock, &shared), (id, &draft), &form.password).await,
        Err(errors) => Err(errors.into()),
    };
    let done = match asked {
        Ok(is_signed) => {
            store
                .act(move |conn| {
                    let old = read(conn, &writing, id)?;
                    old.shown().check(&version).map_err(Error::Conflict)?;
                    // Somebody else changed it between the question and now: then this is a different act.
                    if !is_signed && device::act_of(&old.device, &draft).is_some() {
                        return Err(Error::Conflict(
                            "the device has changed in the meantime; load the page \
                         again"
                                .to_owned(),
                        ));
                    }
                    device::change(conn, &acting, id, &draft, now)
                })
                .await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(space) => Ok(see_other(format!("/devices/{id}"), Some(said(space)))),
        Err(error) => {
            let is_newer = matches!(error, Error::Conflict(_));
            let (errors, refusal) = refusal(error)?;
            let read = store.read(move |conn| read(conn, &reading, id)).await?;
            let version = if is_newer { read.shown().version() } else { form.version.clone() };
            refusal.again(&EditPage::new(layout, read, DeviceForm { version, ..form }, errors))
        }
    }
}

/// Asks for the password if the person or the team changes; returns whether it did.
async fn signed(
    by: &Can<EnrollDevices>,
    (store, clock, shared): (&Store, &Clock, &Shared),
    (id, draft): (DeviceId, &Draft),
    password: &str,
) -> Result<bool> {
    let reach = by.reach().clone();
    let old = store.read(move |conn| reach::device(conn, &reach, id)).await?;
    let Some(act) = device::act_of(&old, draft) else { return Ok(false) };
    require_password_in(CHANGE_PASSWORD, act, by, (store, clock, shared), password).await?;
    Ok(true)
}

/// The field of the password for a change; the one for a removal is `password`.
const CHANGE_PASSWORD: &str = "change-password";

fn said(space: Option<Space>) -> &'static str {
    match space.map(Space::room) {
        Some(Room::None) => "Changed. Its space is already full: backups will be refused until it gets more.",
        Some(Room::Enough | Room::Little) | None => "Changed.",
    }
}

#[post("/devices/{id}/removals/stops")]
pub async fn stop_removal(
    by: Can<StopWipe>,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (acting, now, id) = (by.acting(), clock.now(), id.into_inner());
    store.act(move |conn| removal::stop(conn, &acting, id, now)).await?;
    Ok(see_other(format!("/devices/{id}"), Some("Stopped. The device stays.")))
}

#[post("/devices/{id}/removals")]
pub async fn remove(
    by: Can<EnrollDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<DeviceId>, Form<RemoveForm>),
) -> PageResult<HttpResponse> {
    let (acting, reading, now) = (by.acting(), by.reach().clone(), clock.now());
    let (id, form) = (id.into_inner(), form.into_inner());
    let typed = form.confirm.clone();
    let done = match require_password(GuardedAct::RemoveDevice, &by, (&store, &clock, &shared), &form.password).await {
        Ok(()) => store.act(move |conn| removal::request(conn, &acting, id, &form.confirm, now)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(Asked::Removed) => {
            Ok(see_other("/devices", Some("The device was removed from the lists. Its backups and its history stay.")))
        }
        Ok(Asked::Held(_)) => {
            let said = "You removed another device within the last hour, so this removal is on hold. Anyone \
             can stop it.";
            Ok(see_other(format!("/devices/{id}"), Some(said)))
        }
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            let read = store.read(move |conn| read(conn, &reading, id)).await?;
            let form = DeviceForm::of(&read);
            refusal.again(&EditPage { confirm: typed, ..EditPage::new(layout, read, form, errors) })
        }
    }
}
