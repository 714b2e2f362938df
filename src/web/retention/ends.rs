//! `/devices/{id}/ends`: which restore points of a device some rule would end now. It sets nothing.
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, Result};
use crate::service::{reach, retention};
use crate::store::device::Device;
use crate::store::repository::Repository;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::form::encode;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path, Query};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::id::{DeviceId, RestorePointId};
use domain::key_holder::{KeyHolder, nothing_ends};
use domain::retention::{Brake, Keep};
use domain::time::Time;
use serde::Deserialize;
use std::cmp::Reverse;

/// How many points are on one page.
const AT_ONCE: usize = 200;

#[derive(Template, WebTemplate)]
#[template(path = "retention/ends.html")]
struct EndsPage {
    layout: Layout,
    device: Device,
    keep: Keep,
    /// Newest first, of this page.
    ends: Vec<(RestorePointId, Time)>,
    end_count: usize,
    point_count: usize,
    brakes: Vec<Brake>,
    /// Of how much nothing ends, because the customer keeps the key.
    customers: Option<String>,
    skip: usize,
}

impl EndsPage {
    fn older(&self) -> Option<String> {
        let next = self.skip.saturating_add(self.ends.len());
        (next < self.end_count && !self.ends.is_empty()).then(|| self.page(next))
    }

    fn newer(&self) -> Option<String> {
        (self.skip > 0).then(|| self.page(self.skip.saturating_sub(AT_ONCE)))
    }

    fn page(&self, skip: usize) -> String {
        format!("/devices/{}/ends?rule={}&skip={skip}", self.device.id, encode(&self.keep.text()))
    }
}

/// What the address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    rule: String,
    skip: usize,
}

#[get("/devices/{id}/ends")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    (id, asked): (Path<DeviceId>, Query<Asked>),
) -> PageResult<impl Responder> {
    let (id, reach, now, skip) = (id.into_inner(), by.reach().clone(), layout.now, asked.skip);
    let keep = Keep::read(&asked.rule).map_err(|_not_one| Error::NotFound("rule"))?;
    let read = move |conn: &mut Conn| -> Result<_> {
        let device = reach::device(conn, &reach, id)?;
        let outlook = retention::outlook(conn, &keep, &device, now)?;
        let of_customer = |it: &Repository| it.key_holder == KeyHolder::Customer;
        let customers = store::repository::of_device(conn, device.id)?.iter().filter(|it| of_customer(it)).count();
        Ok((device, outlook, i64::try_from(customers).unwrap_or(i64::MAX)))
    };
    let (device, outlook, customers) = store.read(read).await?;
    let point_count = outlook.iter().map(|it| it.point_count).sum();
    let mut brakes = Vec::new();
    let mut ends = Vec::new();
    for it in outlook.into_iter().filter(|it| !it.ends.is_empty()) {
        brakes.extend(it.brakes);
        ends.extend(it.ends);
    }
    brakes.dedup();
    ends.sort_by_key(|it| Reverse(it.1));
    let (end_count, customers) = (ends.len(), nothing_ends(customers));
    let ends = ends.into_iter().skip(skip).take(AT_ONCE).collect();
    Ok(EndsPage { layout, device, keep, ends, end_count, point_count, brakes, customers, skip })
}
