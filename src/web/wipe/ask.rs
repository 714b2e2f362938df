//! `/devices/{id}/wipe`: what would be lost, what we advise instead, and the form.
use crate::auth::{Can, RequestWipe};
use crate::error::{FieldErrors, Result};
use crate::service::approval::digest;
use crate::service::identity::{self, Twins};
use crate::service::wipe::{self, Ask};
use crate::service::{command, reach};
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::device::Answer;
use crate::web::filter;
use crate::web::flash::see_other;
use crate::web::form::{refusal, with_status};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use crate::web::loss as web_loss;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, get, post};
use askama::Template;
use clock::Clock;
use domain::channel::{Channel, may_order};
use domain::command::CommandKind;
use domain::device::{Ownership, Platform};
use domain::guard::GuardedAct;
use domain::id::DeviceId;
use domain::loss::Loss;
use domain::role::Reach;
use domain::time::{Time, hours};
use domain::wipe::{Advice, Erasure, Facts, Obliteration, WipeAction, WipeReason, WipeState, advice};
use domain::words::counted;
use serde::Deserialize;
use std::time::Duration;

/// What is posted; missing fields are empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WipeForm {
    action: String,
    reason: String,
    ticket: String,
    facts_token: String,
    serial: String,
    consent: String,
    request_key: String,
    password: String,
    obliteration: String,
    keeps_data_plan: String,
    refuses_proximity_setup: String,
    returns_to_service: String,
}

impl WipeForm {
    /// What was chosen of how the device erases itself; what the page did not offer is not among it.
    fn erasure(&self) -> Erasure {
        Erasure {
            obliteration: Obliteration::parse(&self.obliteration),
            keeps_data_plan: self.keeps_data_plan == "yes",
            refuses_proximity_setup: self.refuses_proximity_setup == "yes",
            returns_to_service: self.returns_to_service == "yes",
        }
    }

    fn parse(&self, device: DeviceId) -> Result<Ask, FieldErrors> {
        let mut errors = FieldErrors::new();
        let (action, reason) = (WipeAction::parse(&self.action), WipeReason::parse(&self.reason));
        if action.is_none() {
            errors.add("action", "Choose what to do.");
        }
        if reason.is_none() {
            errors.add("reason", "Choose a reason.");
        }
        let (Some(action), Some(reason)) = (action, reason) else { return Err(errors) };
        Ok(Ask {
            device,
            action,
            reason,
            ticket: self.ticket.trim().to_owned(),
            facts_token: self.facts_token.clone(),
            serial: self.serial.clone(),
            consent: self.consent.clone(),
            request_key: Some(self.request_key.chars().take(80).collect()).filter(|it: &String| !it.is_empty()),
            erasure: self.erasure(),
        })
    }
}

/// What the page needs from the database.
struct Shown {
    device: Device,
    facts: Facts,
    token: String,
    open: Option<WipeRequest>,
    hold: Duration,
    twins: Twins,
    channel: Option<Channel>,
}

fn load(conn: &mut Conn, reach: &Reach, id: DeviceId, now: Time) -> Result<Shown> {
    let device = reach::device(conn, reach, id)?;
    let facts = wipe::facts(conn, &device, now)?;
    let token = digest(&facts)?;
    let open = store::wipe::open_of_device(conn, id)?;
    let twins = identity::twins(conn, reach, &device)?;
    let channel = command::channel(conn, &device)?;
    Ok(Shown { device, facts, token, open, hold: wipe::hold(conn, now)?, twins, channel })
}

#[derive(Template)]
#[template(path = "wipe/new.html")]
struct NewPage {
    layout: Layout,
    device: Device,
    facts: Facts,
    loss: Loss,
    /// The loss in words.
    said: Answer,
    advice: Advice,
    token: String,
    open: Option<WipeRequest>,
    hold: String,
    twins: Twins,
    /// None if it never enrolled.
    channel: Option<Channel>,
    form: WipeForm,
    errors: FieldErrors,
}

impl NewPage {
    fn new(layout: Layout, shown: Shown, form: WipeForm) -> Result<Self> {
        let loss = shown.facts.loss();
        Ok(Self {
            said: web_loss::shown(&loss, &layout),
            loss,
            advice: advice(&shown.facts, shown.facts.known.is_heard()),
            hold: hold(shown.hold),
            twins: shown.twins,
            channel: shown.channel,
            form: WipeForm { request_key: secret::generate("")?, ..form },
            layout,
            device: shown.device,
            facts: shown.facts,
            token: shown.token,
            open: shown.open,
            errors: FieldErrors::new(),
        })
    }

    fn is_personal(&self) -> bool {
        self.facts.ownership == Ownership::Personal
    }

    /// Whether an order of this kind reaches the device.
    fn can(&self, kind: CommandKind) -> bool {
        self.channel.as_ref().is_some_and(|it| may_order(self.device.platform, it, kind).is_ok())
    }

    /// Whether it is erased by its maker's own means, and not by our agent.
    fn erases_itself(&self) -> bool {
        self.channel.as_ref().is_some_and(|it| it.name != Channel::AGENT)
    }

    fn is_mac(&self) -> bool {
        self.device.platform == Platform::Macos
    }

    fn can_be_asked(&self) -> bool {
        self.device.state == domain::device::DeviceState::Enrolled && self.open.is_none()
    }

    fn can_be_stopped(&self, state: &WipeState) -> bool {
        state.is_before_delivery()
    }
}

/// How long the hold is, to the minute: people rely on it to stop a wipe.
fn hold(span: Duration) -> String {
    if span < hours(1) { filter::span(span) } else { counted(span.as_secs() / 60, "minute", "minutes") }
}

#[get("/devices/{id}/wipe")]
pub async fn new(
    by: Can<RequestWipe>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (reach, id, now) = (by.reach().clone(), id.into_inner(), clock.now());
    let shown = store.read(move |conn| load(conn, &reach, id, now)).await?;
    with_status(&NewPage::new(layout, shown, WipeForm::default())?, StatusCode::OK)
}

#[post("/devices/{id}/wipe-requests")]
pub async fn create(
    by: Can<RequestWipe>,
    layout: Layout,
    (store, clock, shared): (Data<Store>, Data<Clock>, Data<Shared>),
    id: Path<DeviceId>,
    form: Form<WipeForm>,
) -> PageResult<HttpResponse> {
    let (form, id, acting, now) = (form.into_inner(), id.into_inner(), by.acting(), clock.now());
    let asked = match form.parse(id) {
        Ok(ask) => {
            match require_password(GuardedAct::RequestWipe, &by, (&store, &clock, &shared), &form.password).await {
                Ok(()) => store.act(move |conn| wipe::request(conn, &acting, &ask, now)).await,
                Err(error) => Err(error),
            }
        }
        Err(errors) => Err(errors.into()),
    };
    let refused = match asked {
        Ok(request) => {
            let said = if request.state == WipeState::Held {
                "Wipe requested. It is held; its page says why."
            } else {
                "Wipe requested. Nothing is sent until somebody else approves."
            };
            return Ok(see_other(format!("/wipe-requests/{}", request.id), Some(said)));
        }
        Err(error) => error,
    };
    let (errors, refusal) = refusal(refused)?;
    let reach = by.reach().clone();
    let shown = store.read(move |conn| load(conn, &reach, id, now)).await?;
    refusal.again(&NewPage { errors, ..NewPage::new(layout, shown, form)? })
}
