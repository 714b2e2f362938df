//! `/wipe-requests/{id}`: one request on its way, and the record of it.
use super::{Changed, badge, changed};
use crate::auth::{Can, SignedIn, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::service::{approval, command, reach, wipe};
use crate::store::activity::Activity;
use crate::store::device::Device;
use crate::store::person::Person;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::device::Answer;
use crate::web::filter;
use crate::web::form::{refusal, verdict, with_status};
use crate::web::layout::Layout;
use crate::web::loss as web_loss;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use anyhow::Context;
use askama::Template;
use domain::channel::Channel;
use domain::device::DeviceState;
use domain::id::WipeRequestId;
use domain::loss::Loss;
use domain::role::{Permission, Reach};
use domain::time::{Time, days};
use domain::wipe::{Erasure, Facts, WipeAction, WipeReport, WipeState};

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
    /// What was chosen of how the device erases itself.
    erasure: Erasure,
    /// Whether it does so by its maker's own means: then it signs no report.
    erases_itself: bool,
}

#[derive(Template)]
#[template(path = "wipe/show.html")]
struct ShowPage {
    layout: Layout,
    shown: Shown,
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
pub(super) struct Typed {
    /// To request it again.
    pub serial: String,
    /// Why it is stopped.
    pub why: String,
}

impl ShowPage {
    fn new(layout: Layout, by: &SignedIn, shown: Shown) -> Result<Self> {
        let report = shown.request.report.as_deref().map(serde_json::from_str).transpose();
        let is_open = shown.request.state.is_before_delivery();
        Ok(Self {
            agreed: web_loss::shown(&shown.agreed.loss(), &layout),
            current: web_loss::shown(&shown.current.loss(), &layout),
            current_loss: shown.current.loss(),
            changed: if is_open { changed(&layout, &shown.agreed.differences(&shown.current)) } else { Vec::new() },
            report: report.context("reading a wipe's report")?,
            is_mine: shown.request.requested_by == by.id,
            may_stop: is_open && covers(by, Permission::StopWipe, &shown.device),
            errors: FieldErrors::new(),
            typed: Typed::default(),
            layout,
            shown,
        })
    }

    fn class(&self) -> &'static str {
        badge(self.shown.request.state).0
    }

    fn icon(&self) -> &'static str {
        badge(self.shown.request.state).1
    }

    /// How long the device's report has been overdue, if that is worth mentioning.
    fn silence(&self) -> Option<String> {
        let waited = self.layout.now.since(self.shown.request.delivered_at?);
        (waited >= days(1)).then(|| filter::span(waited))
    }

    /// Whether only the keys are erased, and no file.
    fn is_removal(&self) -> bool {
        self.shown.request.action == WipeAction::RemoveCompanyData
    }

    /// Whether this person can repeat a request that came to nothing.
    fn may_ask_again(&self) -> bool {
        let device = &self.shown.device;
        matches!(self.shown.request.state, WipeState::Failed | WipeState::Expired | WipeState::Cancelled)
            && device.state == DeviceState::Enrolled
            && self.layout.may_in(Permission::RequestWipe, device.team_id)
    }

    fn is(&self, state: WipeState) -> bool {
        self.shown.request.state == state
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
    let requester = store::person::find(conn, request.requested_by)?.ok_or(Error::NotFound("user"))?;
    let approver = request.approved_by.map(|id| store::person::find(conn, id)).transpose()?.flatten();
    let mut shown = Shown {
        agreed: request.agreed()?,
        current_token: approval::digest(&current)?,
        requested_today: store::wipe::requested_count(conn, request.requested_by, now - days(1))?,
        timeline: store::wipe::timeline(conn, &request)?,
        per_hour: wipe::limits(conn, now)?.per_hour,
        erasure: request.erasure()?,
        erases_itself: command::channel(conn, &device)?.is_some_and(|it| it.name != Channel::AGENT),
        refusal: None,
        may_decide: false,
        request,
        device,
        current,
        requester,
        approver,
    };
    if covers(by, Permission::ApproveWipe, &shown.device) {
        match verdict(wipe::may_decide(conn, &by.acting(), &shown.request, now))? {
            Ok(()) => shown.may_decide = true,
            Err(why) => shown.refusal = Some(why),
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

/// The same page with the reason, and the facts as they are now.
pub(super) async fn refused(
    store: &Store,
    by: &SignedIn,
    layout: Layout,
    id: WipeRequestId,
    error: Error,
) -> PageResult<HttpResponse> {
    refused_as((store, by, layout), id, Typed::default(), error).await
}

/// The same with what was typed.
pub(super) async fn refused_as(
    (store, by, layout): (&Store, &SignedIn, Layout),
    id: WipeRequestId,
    typed: Typed,
    error: Error,
) -> PageResult<HttpResponse> {
    let (errors, refusal) = refusal(error)?;
    refusal.again(&ShowPage { errors, typed, ..page(store, by, layout, id).await? })
}
