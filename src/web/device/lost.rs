//! `/devices/{id}/lost`: a lost device, from the first command to the replacement that has its data.
use super::answer::Answer;
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::service::lost::{self, Place};
use crate::service::reach;
use crate::store::device::Device;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::layout::Layout;
use crate::web::loss as web_loss;
use actix_web::web::{Data, Path};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::command::CommandKind;
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::loss::loss as told;
use domain::lost::{Standing, Step};
use domain::role::Permission;

#[derive(Template, WebTemplate)]
#[template(path = "device/lost.html")]
struct LostPage {
    layout: Layout,
    device: Device,
    steps: Vec<(Step, Standing, String)>,
    /// What a wipe would destroy, in words.
    wiped: Answer,
    location: Option<Place>,
    /// The newest wipe request; none if there never was one.
    wipe: Option<String>,
}

impl LostPage {
    /// Green is only what this server compared itself: the rest is the device's word.
    fn tone(step: &Step, standing: &Standing) -> &'static str {
        match standing {
            Standing::Done if *step == Step::Compare => "proven",
            Standing::Done => "",
            Standing::Failed => "lost",
            Standing::Waiting => "dated",
            Standing::Open | Standing::Absent => "",
        }
    }

    fn icon(standing: &Standing) -> &'static str {
        match standing {
            Standing::Done => "circle-check",
            Standing::Failed => "circle-x",
            Standing::Waiting => "hourglass",
            Standing::Open => "circle-dashed",
            Standing::Absent => "ban",
        }
    }

    fn is_enrolled(&self) -> bool {
        self.device.state == DeviceState::Enrolled
    }

    fn may(&self, permission: Permission) -> bool {
        self.layout.may_in(permission, self.device.team_id)
    }

    /// Where it is is shown to those who may ask it.
    fn may_see_location(&self) -> bool {
        self.may(CommandKind::Locate.permission())
    }
}

#[get("/devices/{id}/lost")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<DeviceId>,
) -> PageResult<impl Responder> {
    let (reach, id, now) = (by.reach().clone(), id.into_inner(), clock.now());
    let (device, known, location, facts, wipe) = store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            let (known, facts, location) = lost::known(conn, &device, now)?;
            let wipe = store::lost::newest_wipe(conn, id)?.map(|it| it.id.to_string());
            Ok::<_, Error>((device, known, location, facts, wipe))
        })
        .await?;
    let steps = known.steps(&|at| layout.since(at));
    let wiped = web_loss::shown(&told(&facts), &layout);
    Ok(LostPage { steps, wiped, layout, device, location, wipe })
}
