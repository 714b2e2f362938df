//! `/wipe-requests/{id}`: one request on its way, its approval, its stop, and the record of it.
use super::{Changed, badge, changed};
use crate::error::{Error, FieldErrors, Result};
use crate::service::reach;
use crate::service::wipe::{self, Ask, Decision, Seen};
use crate::store::activity::Activity;
use crate::store::device::Device;
use crate::store::wipe::{Person, WipeRequest};
use crate::store::{self, Conn, Store};
use crate::web::device::Answer;
use crate::web::error::PageResult;
use crate::web::filter;
use crate::web::flash::see_other;
use crate::web::form::{Pairs, refusal, value, with_status};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use crate::web::loss as web_loss;
use crate::web::session::{ApproveWipe, Can, RequestWipe, SignedIn, StopWipe, ViewDevices};
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, get, post};
use anyhow::Context;
use askama::Template;
use clock::Clock;
use domain::device::DeviceState;
use domain::guard::GuardedAct;
use domain::id::WipeRequestId;
use domain::loss::Loss;
use domain::role::{Permission, Reach};
use domain::time::{Time, days};
use domain::wipe::{Facts, WipeAction, WipeReason, WipeReport, WipeState};
use domain::words::counted;
use serde::Deserialize;

/// What the page needs from the database.
struct Shown {
    request: WipeRequest,
    device: Device,
    agreed: Facts,
    current: Facts,
    current_token: String,
    requester: Person,
    approver: Option<Person>,
    requested_today: i64,
    /// Why the reader may not decide; none if they may, or have no part in it.
    refusal: Option<String>,
    may_decide: bool,
    timeline: Vec<Activity>,
    /// How many wipes are released per hour.
    per_hour: i64,
}

#[derive(Template)]
#[template(path = "wipe/show.html")]
struct ShowPage {
    layout: Layout,
    it: Shown,
    /// What was agreed to, and what would be lost now, in words.
    agreed: Answer,
    current: Answer,
    current_loss: Loss,
    changed: Vec<Changed>,
    report: Option<WipeReport>,
    is_mine: bool,
    may_stop: bool,
    errors: FieldErrors,
    typed: Typed,
}

/// What was typed into the page's forms.
#[derive(Default)]
struct Typed {
    /// To request it again.
    serial: String,
    /// Why it is stopped.
    why: String,
}

impl ShowPage {
    fn new(layout: Layout, by: &SignedIn, it: Shown) -> Result<Self> {
        let report = it.request.report.as_deref().map(serde_json::from_str).transpose();
        let is_open = it.request.state.is_before_delivery();
        Ok(Self {
            agreed: web_loss::shown(&it.agreed.loss(), &layout),
            current: web_loss::shown(&it.current.loss(), &layout),
            current_loss: it.current.loss(),
            changed: if is_open { changed(&layout, &it.agreed.differences(&it.current)) } else { Vec::new() },
            report: report.context("reading a wipe's report")?,
            is_mine: it.request.requested_by == by.id,
            may_stop: is_open && covers(by, Permission::StopWipe, &it.device),
            errors: FieldErrors::new(),
            typed: Typed::default(),
            layout,
            it,
        })
    }

    fn class(&self) -> &'static str {
        badge(self.it.request.state).0
    }

    fn icon(&self) -> &'static str {
        badge(self.it.request.state).1
    }

    /// How long the device's report has been overdue, if that is worth mentioning.
    fn silence(&self) -> Option<String> {
        let waited = self.layout.now.since(self.it.request.delivered_at?);
        (waited >= days(1)).then(|| filter::span(waited))
    }

    /// Whether only the keys are erased, and no file.
    fn is_removal(&self) -> bool {
        self.it.request.action == WipeAction::RemoveCompanyData
    }

    /// Whether this person can repeat a request that came to nothing.
    fn may_ask_again(&self) -> bool {
        let device = &self.it.device;
        matches!(self.it.request.state, WipeState::Failed | WipeState::Expired | WipeState::Cancelled)
            && device.state == DeviceState::Enrolled
            && self.layout.may_in(Permission::RequestWipe, device.team_id)
    }

    fn is(&self, state: WipeState) -> bool {
        self.it.request.state == state
    }
}

fn covers(by: &SignedIn, permission: Permission, device: &Device) -> bool {
    by.grants().reach(permission).is_some_and(|it| it.covers(device.team_id))
}

fn load(conn: &mut Conn, by: &SignedIn, view: &Reach, id: WipeRequestId, now: Time) -> Result<Shown> {
    let request = store::wipe::find(conn, id)?.ok_or(Error::NotFound("wipe request"))?;
    let device = reach::device(conn, view, request.device_id)
        .map_err(|error| if matches!(error, Error::NotFound(_)) { Error::NotFound("wipe request") } else { error })?;
    let current = wipe::facts(conn, &device, now)?;
    let requester = store::wipe::person(conn, request.requested_by)?.ok_or(Error::NotFound("user"))?;
    let approver = match request.approved_by.as_deref().and_then(domain::id::UserId::parse) {
        Some(id) => store::wipe::person(conn, id)?,
        None => None,
    };
    let mut shown = Shown {
        agreed: request.agreed()?,
        current_token: wipe::digest(&current)?,
        requested_today: store::wipe::requested_count(conn, request.requested_by, now - days(1))?,
        timeline: store::wipe::timeline(conn, &request)?,
        per_hour: wipe::limits(conn, now)?.per_hour,
        refusal: None,
        may_decide: false,
        request,
        device,
        current,
        requester,
        approver,
    };
    if covers(by, Permission::ApproveWipe, &shown.device) {
        match wipe::may_decide(conn, &by.acting(), &shown.request, now) {
            Ok(()) => shown.may_decide = true,
            Err(Error::Refused(why) | Error::Conflict(why)) => shown.refusal = Some(why),
            Err(other) => return Err(other),
        }
    }
    Ok(shown)
}

async fn page(store: &Store, by: &SignedIn, layout: Layout, id: WipeRequestId) -> Result<ShowPage> {
    let (who, now) = (by.clone(), layout.now);
    let view = by.grants().reach(Permission::ViewDevices).ok_or(Error::Forbidden)?;
    let shown = store.read(move |conn| load(conn, &who, &view, id, now)).await?;
    ShowPage::new(layout, by, shown)
}

#[get("/wipe-requests/{id}")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<WipeRequestId>,
) -> PageResult<HttpResponse> {
    with_status(&page(&store, &by, layout, id.into_inner()).await?, StatusCode::OK)
}

/// What the approver's form carries: what was seen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApprovalForm {
    agreed: String,
    current: String,
    password: String,
}

#[post("/wipe-requests/{id}/approvals")]
pub async fn approve(
    by: Can<ApproveWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    id: Path<WipeRequestId>,
    form: Form<ApprovalForm>,
) -> PageResult<HttpResponse> {
    let (id, acting, form, now) = (id.into_inner(), by.acting(), form.into_inner(), clock.now());
    if let Err(error) = require_password(GuardedAct::ApproveWipe, &by, (&store, &clock, &shared), &form.password).await
    {
        return refused(&store, &by, layout, id, error).await;
    }
    let seen = Seen { agreed: form.agreed, current: form.current };
    let said = match store.act(move |conn| wipe::approve(conn, &acting, id, &seen, now)).await {
        Ok(Decision::Approved(_)) => "Approved. The hold begins; anyone can still stop it.",
        Ok(Decision::ReviewAgain(_)) => {
            "Not approved: the facts have got worse since the request. The requester must look at them again."
        }
        Err(error) => return refused(&store, &by, layout, id, error).await,
    };
    Ok(see_other(format!("/wipe-requests/{id}"), Some(said)))
}

#[post("/wipe-requests/{id}/hold-ends")]
pub async fn end_hold(
    by: Can<ApproveWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    (id, form): (Path<WipeRequestId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (id, acting, now) = (id.into_inner(), by.acting(), clock.now());
    if let Err(error) =
        require_password(GuardedAct::EndWipeHold, &by, (&store, &clock, &shared), value(&form, "password")).await
    {
        return refused(&store, &by, layout, id, error).await;
    }
    let consent = value(&form, "consent").to_owned();
    let damage = value(&form, "damage").to_owned();
    match store.act(move |conn| wipe::lift_accepting(conn, &acting, id, (&consent, &damage), now)).await {
        Ok(_) => Ok(see_other(
            format!("/wipe-requests/{id}"),
            Some(
                "The hold was ended. The wipe is waiting \
         for approval.",
            ),
        )),
        Err(error) => refused(&store, &by, layout, id, error).await,
    }
}

/// What the requester's form carries when they look at the facts again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReviewForm {
    facts_token: String,
    serial: String,
    consent: String,
    password: String,
}

#[post("/wipe-requests/{id}/reviews")]
pub async fn review(
    by: Can<RequestWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    id: Path<WipeRequestId>,
    form: Form<ReviewForm>,
) -> PageResult<HttpResponse> {
    let (id, acting, form, now) = (id.into_inner(), by.acting(), form.into_inner(), clock.now());
    let typed = Typed { serial: form.serial.clone(), ..Typed::default() };
    if let Err(error) = require_password(GuardedAct::ReviewWipe, &by, (&store, &clock, &shared), &form.password).await {
        return refused_as((&store, &by, layout), id, typed, error).await;
    }
    let reviewed = store
        .act(move |conn| {
            let request = store::wipe::find(conn, id)?.ok_or(Error::NotFound("wipe request"))?;
            let ask = Ask {
                device: request.device_id,
                action: request.action,
                // What was given with the request stays.
                reason: WipeReason::LostOrStolen,
                ticket: String::new(),
                facts_token: form.facts_token,
                serial: form.serial,
                consent: form.consent,
                request_key: None,
            };
            wipe::review(conn, &acting, id, &ask, now)
        })
        .await;
    match reviewed {
        Ok(_) => Ok(see_other(
            format!("/wipe-requests/{id}"),
            Some("You agreed to the facts as they are now. Somebody else decides."),
        )),
        Err(error) => refused_as((&store, &by, layout), id, typed, error).await,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct StopForm {
    why: String,
}

#[post("/wipe-requests/{id}/stops")]
pub async fn stop(
    by: Can<StopWipe>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    (id, form): (Path<WipeRequestId>, Form<StopForm>),
) -> PageResult<HttpResponse> {
    let (id, acting, why, now) = (id.into_inner(), by.acting(), form.into_inner().why, clock.now());
    let typed = Typed { why: why.clone(), ..Typed::default() };
    match store.act(move |conn| wipe::stop(conn, &acting, id, &why, now)).await {
        Ok(_) => Ok(see_other(format!("/wipe-requests/{id}"), Some("Stopped. Nothing is sent to the device."))),
        Err(error) => refused_as((&store, &by, layout), id, typed, error).await,
    }
}

#[post("/wipe-requests/stops")]
pub async fn stop_all(by: Can<StopWipe>, (store, clock): (Data<Store>, Data<Clock>)) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    let count = store.act(move |conn| wipe::stop_all(conn, &acting, now)).await?;
    let said = format!("{} stopped.", counted(count, "wipe", "wipes"));
    Ok(see_other("/approvals", Some(&said)))
}

/// The same page with the reason, and the facts as they are now.
async fn refused(
    store: &Store,
    by: &SignedIn,
    layout: Layout,
    id: WipeRequestId,
    error: Error,
) -> PageResult<HttpResponse> {
    refused_as((store, by, layout), id, Typed::default(), error).await
}

/// The same with what was typed.
async fn refused_as(
    (store, by, layout): (&Store, &SignedIn, Layout),
    id: WipeRequestId,
    typed: Typed,
    error: Error,
) -> PageResult<HttpResponse> {
    let (errors, refusal) = refusal(error)?;
    refusal.again(&ShowPage { errors, typed, ..page(store, by, layout, id).await? })
}
