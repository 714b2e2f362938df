//! The first step: which restore point.
use crate::auth::{Can, Restore};
use crate::error::Error;
use crate::service::{reach, restore};
use crate::store::device::Device;
use crate::store::evidence::Shown;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::form::with_status;
use crate::web::layout::Layout;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use askama::Template;
use domain::id::DeviceId;
use domain::key_holder::CAPPED;
use std::cmp::Reverse;

/// How many restore points are offered, plus as many proven ones among older points.
const POINTS: i64 = 60;
/// A restore point as a choice.
struct Offered {
    point: RestorePoint,
    is_proven: bool,
}

#[derive(Template)]
#[template(path = "restore/point.html")]
struct PointPage {
    layout: Layout,
    device: Device,
    points: Vec<Offered>,
    /// Whether somebody here can open them.
    can_prove: bool,
}

#[get("/devices/{id}/restore")]
pub async fn choose_point(
    by: Can<Restore>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<HttpResponse> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, points, can_prove) = store
        .read(move |conn| {
            let device = reach::device(conn, &reach, id)?;
            let mut points = store::evidence::points(conn, id, Shown::Proven, POINTS)?;
            let newest = store::evidence::points(conn, id, Shown::Anything, POINTS)?;
            points.extend(newest.into_iter().filter(|it| it.proven_at.is_none()));
            Ok::<_, Error>((device, points, store::repository::key_holder_of(conn, id)?.can_prove()))
        })
        .await?;
    let mut points: Vec<_> =
        points.into_iter().map(|it| Offered { is_proven: restore::is_proven(&it), point: it }).collect();
    // Proven ones first; each group stays newest first.
    points.sort_by_key(|it| (!it.is_proven, Reverse(it.point.sequence)));
    with_status(&PointPage { layout, device, points, can_prove }, StatusCode::OK)
}
