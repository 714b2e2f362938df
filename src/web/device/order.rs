//! `/devices/{id}/orders`: what can be asked of a device by its maker's own means, why the rest cannot, and a form for each.
use crate::auth::{Can, Grant, LockDevices, ReadContents, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::service::command::{self, Ask};
use crate::service::reach;
use crate::store::device::Device;
use crate::store::{Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{refusal, with_status};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, get, post};
use askama::Template;
use clock::Clock;
use domain::channel::{Channel, OrderRefusal, may_order};
use domain::command::{CommandKind, Order};
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::note::Note;
use domain::role::Reach;
use serde::Deserialize;

/// What is posted; missing fields are empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OrderForm {
    message: String,
    phone_number: String,
    footnote: String,
    reason: String,
    request_key: String,
    password: String,
}

impl OrderForm {
    fn note(&self) -> Note {
        let (message, phone_number) = (self.message.clone(), self.phone_number.clone());
        Note { message, phone_number, footnote: self.footnote.clone() }.trimmed()
    }

    /// None if it is nothing that is asked for here.
    fn order(&self, kind: CommandKind) -> Option<Order> {
        match kind {
            CommandKind::Lock => Some(Order::Lock { note: self.note() }),
            CommandKind::LostModeOn => Some(Order::LostModeOn { note: self.note() }),
            CommandKind::LostModeOff => Some(Order::LostModeOff),
            CommandKind::PlaySound => Some(Order::PlaySound),
            CommandKind::Locate => Some(Order::Locate),
            CommandKind::ClearPasscode => Some(Order::ClearPasscode),
            CommandKind::Restart => Some(Order::Restart),
            CommandKind::ShutDown => Some(Order::ShutDown),
            CommandKind::RotateRecoveryKey => Some(Order::RotateRecoveryKey),
            CommandKind::SetRecoveryLock => Some(Order::SetRecoveryLock),
            CommandKind::FetchBypassCode => Some(Order::FetchBypassCode),
            CommandKind::BackUpNow
            | CommandKind::Wipe
            | CommandKind::RemoveCompanyData
            | CommandKind::Restore
            | CommandKind::UndoRestore => None,
        }
    }
}

/// What can be asked for here, in the order in which it is shown.
const OFFERED: [CommandKind; 11] = [
    CommandKind::Lock,
    CommandKind::LostModeOn,
    CommandKind::Locate,
    CommandKind::PlaySound,
    CommandKind::LostModeOff,
    CommandKind::ClearPasscode,
    CommandKind::Restart,
    CommandKind::ShutDown,
    CommandKind::RotateRecoveryKey,
    CommandKind::SetRecoveryLock,
    CommandKind::FetchBypassCode,
];

/// One command, and why it cannot be asked for; none if it can.
struct Offer {
    kind: CommandKind,
    sentence: &'static str,
    refusal: Option<String>,
}

impl Offer {
    /// Where its form is, and is posted to.
    fn address(&self, device: &Device) -> String {
        let (id, kind) = (device.id, self.kind);
        if kind == CommandKind::ClearPasscode {
            format!("/devices/{id}/passcode-clearings")
        } else {
            format!("/devices/{id}/orders/{kind}")
        }
    }
}

#[derive(Template)]
#[template(path = "device/orders.html")]
struct OrdersPage {
    layout: Layout,
    device: Device,
    offers: Vec<Offer>,
}

#[derive(Template)]
#[template(path = "device/order.html")]
struct OrderPage {
    layout: Layout,
    device: Device,
    offer: Offer,
    form: OrderForm,
    errors: FieldErrors,
}

impl OrderPage {
    fn new(
        layout: Layout,
        (device, channel): (Device, Option<Channel>),
        kind: CommandKind,
        form: OrderForm,
    ) -> Result<Self> {
        let offer = offer(&layout, &device, channel.as_ref(), kind).ok_or(Error::NotFound("command"))?;
        let form = OrderForm { request_key: secret::generate("")?, password: String::new(), ..form };
        Ok(Self { layout, device, offer, form, errors: FieldErrors::new() })
    }

    /// Whether the device shows a note with it.
    fn has_note(&self) -> bool {
        matches!(self.offer.kind, CommandKind::LostModeOn | CommandKind::Lock)
    }

    fn asks_reason(&self) -> bool {
        self.offer.kind.guarded().is_some_and(|it| it.guard().reason)
    }

    fn is_guarded(&self) -> bool {
        self.offer.kind.guarded().is_some_and(|it| it.guard().fresh)
    }
}

/// None if no device of this kind could ever do it.
fn offer(layout: &Layout, device: &Device, channel: Option<&Channel>, kind: CommandKind) -> Option<Offer> {
    let sentence = if kind == CommandKind::Lock { device.platform.lock_sentence() } else { kind.sentence() };
    // Our own agent has a button for what it does.
    if !OFFERED.contains(&kind) || channel.is_none_or(|it| it.name == Channel::AGENT) {
        return None;
    }
    let refusal = match channel {
        _ if device.state != DeviceState::Enrolled => Some("it is not enrolled".to_owned()),
        None => Some("it never enrolled".to_owned()),
        Some(channel) => match may_order(device.platform, channel, kind) {
            // No device of its kind ever does it.
            Err(OrderRefusal::Platform { .. }) => return None,
            Err(OrderRefusal::Device { why, .. }) => Some(why),
            Err(why @ OrderRefusal::Channel { .. }) => Some(why.to_string()),
            Ok(()) if !layout.may_in(kind.permission(), device.team_id) => {
                Some("your roles do not let you ask for it".to_owned())
            }
            Ok(()) => None,
        },
    };
    Some(Offer { kind, sentence, refusal })
}

fn load(conn: &mut Conn, reach: &Reach, id: DeviceId) -> Result<(Device, Option<Channel>)> {
    let device = reach::device(conn, reach, id)?;
    let channel = command::channel(conn, &device)?;
    Ok((device, channel))
}

#[get("/devices/{id}/orders")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, channel) = store.read(move |conn| load(conn, &reach, id)).await?;
    let offers = OFFERED.iter().filter_map(|kind| offer(&layout, &device, channel.as_ref(), *kind)).collect();
    with_status(&OrdersPage { layout, device, offers }, StatusCode::OK)
}

/// A kind as an address names it. Whoever clears a passcode needs another permission, so that has an address of its own.
fn kind(text: &str) -> Result<CommandKind> {
    CommandKind::parse(text).filter(|it| *it != CommandKind::ClearPasscode).ok_or(Error::NotFound("command"))
}

#[get("/devices/{id}/orders/{kind}")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    path: Path<(DeviceId, String)>,
) -> PageResult<HttpResponse> {
    page((&by, layout, &store), (path.0, kind(&path.1)?)).await
}

async fn page<P: Grant>(
    (by, layout, store): (&Can<P>, Layout, &Store),
    (id, kind): (DeviceId, CommandKind),
) -> PageResult<HttpResponse> {
    let reach = by.reach().clone();
    let loaded = store.read(move |conn| load(conn, &reach, id)).await?;
    with_status(&OrderPage::new(layout, loaded, kind, OrderForm::default())?, StatusCode::OK)
}

/// What an order is asked with.
type Desk = (Data<Store>, Data<Clock>, Data<Shared>);

#[post("/devices/{id}/orders/{kind}")]
pub async fn ask(
    by: Can<LockDevices>,
    layout: Layout,
    desk: Desk,
    (path, form): (Path<(DeviceId, String)>, Form<OrderForm>),
) -> PageResult<HttpResponse> {
    let (id, kind) = (path.0, kind(&path.1)?);
    queue((&by, layout, &desk), (id, kind), form.into_inner()).await
}

#[get("/devices/{id}/passcode-clearings")]
pub async fn show_passcode(
    by: Can<ReadContents>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    page((&by, layout, &store), (id.into_inner(), CommandKind::ClearPasscode)).await
}

#[post("/devices/{id}/passcode-clearings")]
pub async fn clear_passcode(
    by: Can<ReadContents>,
    layout: Layout,
    desk: Desk,
    (id, form): (Path<DeviceId>, Form<OrderForm>),
) -> PageResult<HttpResponse> {
    queue((&by, layout, &desk), (id.into_inner(), CommandKind::ClearPasscode), form.into_inner()).await
}

async fn queue<P: Grant>(
    (by, layout, (store, clock, shared)): (&Can<P>, Layout, &Desk),
    (id, kind): (DeviceId, CommandKind),
    form: OrderForm,
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    let order = form.order(kind).ok_or(Error::NotFound("command"))?;
    let allowed = match kind.guarded() {
        Some(act) => require_password(act, by, (store, clock, shared), &form.password).await,
        None => Ok(()),
    };
    let asked = match allowed {
        Ok(()) => {
            let key: String = form.request_key.chars().take(80).collect();
            let key = Some(format!("{key}/{kind}")).filter(|_| !key.is_empty());
            let reason = form.reason.clone();
            let work = move |conn: &mut Conn| {
                let asked = Ask { order: &order, request_key: key.as_deref() };
                command::queue_guarded(conn, &acting, id, (asked, &reason), now)
            };
            store.act(work).await
        }
        Err(error) => Err(error),
    };
    let Err(error) = asked else {
        return Ok(see_other(format!("/devices/{id}"), Some(&format!("{} queued.", kind.name()))));
    };
    let (errors, refusal) = refusal(error)?;
    let reach = by.reach().clone();
    let loaded = store.read(move |conn| load(conn, &reach, id)).await?;
    refusal.again(&OrderPage { errors, ..OrderPage::new(layout, loaded, kind, form)? })
}
