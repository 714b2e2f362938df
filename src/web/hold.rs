//! What is on hold of a device, what of it would end, and what is in the trash.
use crate::auth::{ApproveRemoval, Can, Hold as MayHold, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::service::hold::{self, Draft};
use crate::service::reach;
use crate::service::retention::{self, Outlook};
use crate::store::device::Device;
use crate::store::hold::Hold;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form::{self, Pairs, value};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::{require_password, require_password_in};
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::consent::Proposal;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, HoldId, RestorePointId};
use domain::retention::{Decision, HoldCause, HoldScope, Keep, decide};
use domain::role::{Permission, Reach};
use domain::time::Time;
use std::cmp::Reverse;

pub const AREA: Area = Area {
    place: Place::Below("/devices"),
    pages_with_forms: &["/devices/{id}/holds"],
    forms: &[
        ("/holds/{id}/lifts", "/retention"),
        ("/holds/{id}/approvals", "/retention"),
        ("/holds/{id}/refusals", "/retention"),
    ],
    ..Area::new(routes, &["holds"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(show).service(make).service(ask_lift).service(lift).service(let_stand);
}

/// How many restore points are listed.
const POINTS: i64 = 500;

#[derive(Template, WebTemplate)]
#[template(path = "hold/show.html")]
struct HoldsPage {
    layout: Layout,
    device: Device,
    holds: Vec<Shown>,
    /// Newest first: what becomes of each by the rule in force.
    points: Vec<Listed>,
    outlook: Vec<Outlook>,
    keep: std::result::Result<String, String>,
    /// What was typed for a new hold.
    scope: String,
    reason: String,
    errors: FieldErrors,
}

/// A hold, and what this person may do with it.
struct Shown {
    hold: Hold,
    asked: Option<Asked>,
    /// When the point was received, of a hold on one.
    point_at: Option<Time>,
}

/// A request to lift a hold.
struct Asked {
    by: String,
    seen: String,
    is_own: bool,
}

/// A restore point and what becomes of it.
struct Listed {
    id: RestorePointId,
    received_at: Time,
    is_verified: bool,
    is_proven: bool,
    decision: Decision,
}

impl Listed {
    fn words(&self) -> String {
        match self.decision {
            Decision::Kept(why) => format!("Kept: {}", why.words()),
            Decision::Ends => "Ends".to_owned(),
        }
    }
}

impl HoldsPage {
    fn may_hold(&self) -> bool {
        self.layout.may_in(Permission::Hold, self.device.team_id)
    }

    fn may_approve(&self) -> bool {
        self.layout.may_in(Permission::ApproveRemoval, self.device.team_id)
    }

    fn scopes(&self) -> Vec<(String, String)> {
        let mut scopes = vec![("device".to_owned(), "All of this device".to_owned())];
        if !self.device.person.trim().is_empty() {
            scopes.push(("person".to_owned(), format!("Everything of {}", self.device.person)));
        }
        let points = self.points.iter();
        scopes.extend(points.map(|it| (it.id.to_string(), format!("The restore point of {}", it.received_at.iso()))));
        scopes
    }
}

/// What the database has for the page.
struct Read {
    device: Device,
    holds: Vec<Shown>,
    points: Vec<Listed>,
    outlook: Vec<Outlook>,
    keep: std::result::Result<String, String>,
}

fn read(conn: &mut Conn, (by, reach): (&domain::by::By, &Reach), id: DeviceId, now: Time) -> Result<Read> {
    let device = reach::device(conn, reach, id)?;
    let mut holds = Vec::new();
    for hold in hold::of_device(conn, &device)? {
        let asked = match hold::lift_asked(&hold, now)? {
            Some(proposal) => Some(asked(conn, by, &proposal)?),
            None => None,
        };
        let point_at = match hold.point_id {
            Some(point) => store::restore_point::find(conn, point)?.map(|it| it.received_at),
            None => None,
        };
        holds.push(Shown { hold, asked, point_at });
    }
    let current = retention::current(conn)?;
    let keep = current.clone().unwrap_or(Keep::Everything);
    let outlook = retention::outlook(conn, &keep, &device, now)?;
    let points = listed(conn, &keep, &device, now)?;
    let keep = current.map(|it| it.words()).map_err(|why| why.to_string());
    Ok(Read { device, holds, points, outlook, keep })
}

fn asked(conn: &mut Conn, by: &domain::by::By, it: &Proposal) -> Result<Asked> {
    let name = store::person::find(conn, it.by)?.map_or_else(|| "Somebody".to_owned(), |it| it.name);
    Ok(Asked { by: name, seen: it.digest.clone(), is_own: it.by == by.user })
}

fn listed(conn: &mut Conn, keep: &Keep, device: &Device, now: Time) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    for repository in store::repository::of_device(conn, device.id)? {
        let points = retention::points(conn, device, &repository)?;
        let decided = decide(keep, &points, now);
        found.extend(points.iter().zip(decided).map(|(it, decision)| Listed {
            id: it.id,
            received_at: it.received_at,
            is_verified: it.is_verified,
            is_proven: it.is_proven,
            decision,
        }));
    }
    found.sort_by_key(|it| Reverse(it.received_at));
    found.truncate(usize::try_from(POINTS).unwrap_or(usize::MAX));
    Ok(found)
}

#[get("/devices/{id}/holds")]
async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<impl Responder> {
    page(&by, layout, &store, (id.into_inner(), "", ""), FieldErrors::new()).await
}

async fn page(
    by: &Can<ViewDevices>,
    layout: Layout,
    store: &Store,
    (id, scope, reason): (DeviceId, &str, &str),
    errors: FieldErrors,
) -> PageResult<HoldsPage> {
    let (acting, reach, now) = (by.acting(), by.reach().clone(), layout.now);
    let read = store.read(move |conn| read(conn, (&acting, &reach), id, now)).await?;
    let Read { device, holds, points, outlook, keep } = read;
    let (scope, reason) = (scope.to_owned(), reason.to_owned());
    Ok(HoldsPage { layout, device, holds, points, outlook, keep, scope, reason, errors })
}

/// What is held: "device", "person", or the id of a restore point.
fn parse(text: &str) -> Result<(HoldScope, Option<RestorePointId>)> {
    match text {
        "device" => Ok((HoldScope::Device, None)),
        "person" => Ok((HoldScope::Person, None)),
        point => match RestorePointId::parse(point) {
            Some(point) => Ok((HoldScope::Point, Some(point))),
            None => Err(Error::invalid("scope", "Choose what is held from the list.")),
        },
    }
}

#[post("/devices/{id}/holds")]
async fn make(
    by: Can<MayHold>,
    seeing: Can<ViewDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    let (scope, reason) = (value(&form, "scope").to_owned(), value(&form, "reason").to_owned());
    let asked = require_password(GuardedAct::MakeHold, &by, (&store, &clock, &shared), value(&form, "password"));
    let done = match (parse(&scope), asked.await) {
        (Ok((scope, point)), Ok(())) => {
            let draft = Draft { device: id, scope, point, reason: reason.clone() };
            store.act(move |conn| hold::make(conn, &acting, &draft, now)).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match done {
        Ok(_) => Ok(see_other(format!("/devices/{id}/holds"), Some("On hold. Two people have to lift it."))),
        Err(error) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&page(&seeing, layout, &store, (id, &scope, &reason), errors).await?)
        }
    }
}

/// The page on which a hold is decided: that of its device, or of everything.
async fn place(store: &Store, id: HoldId) -> Result<(Option<DeviceId>, String)> {
    let device = store.read(move |conn| store::hold::find(conn, id)).await?.and_then(|it| it.device_id);
    Ok((device, device.map_or_else(|| "/retention".to_owned(), |it| format!("/devices/{it}/holds"))))
}

#[post("/holds/{id}/lifts")]
async fn ask_lift(
    by: Can<MayHold>,
    seeing: Can<ViewDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<HoldId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now, why) = (id.into_inner(), by.acting(), clock.now(), value(&form, "reason").to_owned());
    let (desk, password) = ((&**store, &**clock, &**shared), value(&form, "password"));
    let done = match require_password_in("lift-password", GuardedAct::LiftHold, &by, desk, password).await {
        Ok(()) => store.act(move |conn| hold::ask_lift(conn, &acting, id, &why, now)).await,
        Err(error) => Err(error),
    };
    answer((&seeing, layout, &store), id, done, "Asked for. The hold stands until a second person agrees.").await
}

#[post("/holds/{id}/approvals")]
async fn lift(
    by: Can<ApproveRemoval>,
    seeing: Can<ViewDevices>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<HoldId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now, seen) = (id.into_inner(), by.acting(), clock.now(), value(&form, "seen").to_owned());
    let (desk, password) = ((&**store, &**clock, &**shared), value(&form, "password"));
    let done = match require_password_in("lift-password", GuardedAct::ApproveHoldLift, &by, desk, password).await {
        Ok(()) => store.act(move |conn| hold::lift(conn, &acting, id, &seen, now)).await,
        Err(error) => Err(error),
    };
    answer((&seeing, layout, &store), id, done, "Lifted. What it held follows the rule again.").await
}

#[post("/holds/{id}/refusals")]
async fn let_stand(
    by: Can<MayHold>,
    seeing: Can<ViewDevices>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<HoldId>,
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    let done = store.act(move |conn| hold::keep(conn, &acting, id, now)).await;
    answer((&seeing, layout, &store), id, done, "The hold stays.").await
}

async fn answer(
    (by, layout, store): (&Can<ViewDevices>, Layout, &Store),
    id: HoldId,
    done: Result<Hold>,
    said: &str,
) -> PageResult<HttpResponse> {
    let (device, to) = place(store, id).await?;
    match (done, device) {
        (Ok(_), _) => Ok(see_other(to, Some(said))),
        (Err(error), None) => Err(error.into()),
        (Err(error), Some(device)) => {
            let (errors, refusal) = form::refusal(error)?;
            refusal.again(&page(by, layout, store, (device, "", ""), errors).await?)
        }
    }
}
