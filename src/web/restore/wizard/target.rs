//! The third step: to which device.
use super::what::what_page;
use super::{chosen_point, step};
use crate::auth::{Can, Restore};
use crate::blob::BlobStore;
use crate::error::{Error, FieldErrors};
use crate::store::device::Device;
use crate::store::restore::Target;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::form::{Pairs, value};
use crate::web::layout::Layout;
use crate::web::restore::Choice;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, post};
use askama::Template;
use domain::device::{DeviceState, Encryption};
use domain::id::DeviceId;
use domain::restore::Conflict;

/// How many devices are offered as targets.
const TARGETS: i64 = 50;

#[derive(Template)]
#[template(path = "restore/where.html")]
struct WherePage {
    layout: Layout,
    device: Device,
    point: RestorePoint,
    choice: Choice,
    search: String,
    targets: Vec<Target>,
    errors: FieldErrors,
}

/// What a target reports about its disk.
fn encryption(target: &Target) -> &'static str {
    match target.encryption {
        Some(Encryption::On) => "encrypted",
        Some(Encryption::Off) => "not encrypted",
        Some(Encryption::Unknown) | None => "encryption unknown",
    }
}

impl WherePage {
    /// "Grace, company, encrypted, seen 4 d ago": what distinguishes a target from one that somebody just made.
    fn described(&self, it: &Target) -> String {
        let person = if it.person.trim().is_empty() { "no person" } else { &it.person };
        let seen = match it.last_seen_at {
            Some(at) if it.heard_until.is_none_or(|until| until <= self.layout.now) => {
                format!("silent, last seen {}", self.layout.since(at))
            }
            Some(at) => format!("last seen {}", self.layout.since(at)),
            None => "never seen".to_owned(),
        };
        let (ownership, enrolled) = (it.ownership.name().to_lowercase(), self.layout.since(it.enrolled_at));
        format!("{person}, {ownership}, {}, {seen}, enrolled {enrolled}", encryption(it))
    }

    fn can_be_itself(&self) -> bool {
        self.device.state == DeviceState::Enrolled
    }

    fn is_target(&self, id: &DeviceId) -> bool {
        self.choice.target == id.as_str()
    }
}

#[post("/devices/{id}/restore/where")]
pub async fn choose_target(
    by: Can<Restore>,
    layout: Layout,
    (store, blobs): (Data<Store>, Data<dyn BlobStore>),
    (id, form): (Path<DeviceId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let id = id.into_inner();
    match Choice::of(&form).selection() {
        Ok(_) => where_page(&by, layout, &store, id, &form, FieldErrors::new()).await,
        Err(Error::Invalid(errors)) => what_page(&by, layout, (&store, blobs), id, &form, errors).await,
        Err(other) => Err(other.into()),
    }
}

pub(super) async fn where_page(
    by: &Can<Restore>,
    layout: Layout,
    store: &Store,
    id: DeviceId,
    pairs: &Pairs,
    errors: FieldErrors,
) -> PageResult<HttpResponse> {
    let (mut choice, search) = (Choice::of(pairs), value(pairs, "devices").trim().to_owned());
    let (device, point) = chosen_point(store, by.reach().clone(), id, &choice).await?;
    let (reach, looked) = (by.reach().clone(), search.clone());
    let targets = store.read(move |conn| store::restore::targets(conn, &reach, &looked, TARGETS)).await?;
    let targets: Vec<_> = targets.into_iter().filter(|it| it.id != device.id).collect();
    if choice.target.is_empty() && device.state == DeviceState::Enrolled {
        choice.target = device.id.to_string();
    }
    let page = WherePage { layout, device, point, choice, search, targets, errors };
    step(&page, &page.errors)
}
