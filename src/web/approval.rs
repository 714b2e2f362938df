//! `/approvals`: waiting restores to other devices, and waiting wipes: those for the reader to decide and those
//! for others.
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::service::{loss, wipe};
use crate::store::restore::Listed;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::form::{verdict, with_status};
use crate::web::layout::Layout;
use crate::web::wipe::{Row, rows};
use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, get};
use askama::Template;
use clock::Clock;
use domain::id::DeviceId;
use domain::loss::Loss;
use domain::restore::RestoreState;
use domain::role::Permission;
use domain::wipe::{BEFORE_DELIVERY, WipeAction};
use std::collections::HashMap;

/// How many are shown.
const SHOWN: i64 = 500;

pub const AREA: Area = Area { place: Place::Below("/commands"), ..Area::new(routes, &["approvals"]) };

fn routes(config: &mut ServiceConfig) {
    config.service(list);
}

#[derive(Template)]
#[template(path = "approval/list.html")]
struct ListPage {
    layout: Layout,
    mine: Vec<Row>,
    others: Vec<Row>,
    /// What each device would lose now.
    losses: HashMap<DeviceId, Loss>,
    /// Restores to other devices that are waiting for a second person.
    restores: Vec<Listed>,
    /// Whether the reader can approve at all.
    approves: bool,
}

impl ListPage {
    /// What would be lost now, in a few words.
    fn lost(&self, row: &Row) -> String {
        let say = |at| self.layout.zone.short(at);
        match (row.listed.request.action, self.losses.get(&row.listed.request.device_id)) {
            (WipeAction::Wipe, Some(loss)) => loss.short(&say),
            (WipeAction::Wipe | WipeAction::RemoveCompanyData, _) => row.lost(&self.layout),
        }
    }

    /// How many of the others wait for a decision that is not this reader's.
    fn undecided(&self) -> usize {
        let reader = self.layout.person.as_ref().map(|it| it.id);
        let waits = |it: &&Row| waits_for_decision(it) && Some(it.listed.request.requested_by) != reader;
        self.others.iter().filter(waits).count()
    }
}

fn waits_for_decision(row: &Row) -> bool {
    use domain::wipe::WipeState as S;
    matches!(row.listed.request.state, S::Requested | S::Held)
}

#[get("/approvals")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
) -> PageResult<HttpResponse> {
    let approves = by.grants().reach(Permission::ApproveWipe).is_some();
    let (who, view, now) = (by.clone(), by.reach().clone(), clock.now());
    let (mine, others, losses, restores) = store
        .read(move |conn| {
            let restores = store::restore::list(conn, &[RestoreState::Requested], &view, SHOWN)?;
            let listed = store::wipe::list(conn, &BEFORE_DELIVERY, &view, None, SHOWN)?;
            let (acting, decides_on) = (who.acting(), who.grants().reach(Permission::ApproveWipe));
            let (mut mine, mut others) = (Vec::new(), Vec::new());
            for row in rows(conn, listed)? {
                let decides = match &decides_on {
                    Some(reach) if waits_for_decision(&row) && reach.covers(row.listed.team_id) => {
                        verdict(wipe::may_decide(conn, &acting, &row.listed.request, now))?.is_ok()
                    }
                    _ => false,
                };
                if decides { mine.push(row) } else { others.push(row) }
            }
            let ids: Vec<_> = mine.iter().map(|it: &Row| it.listed.request.device_id).collect();
            let moment = loss::moment(conn, now)?;
            let listed = store::device_list::of_ids(conn, &ids)?;
            let losses = listed.iter().map(|it| (it.device.id, loss::of(it, &moment))).collect();
            Ok::<_, Error>((mine, others, losses, restores))
        })
        .await?;
    with_status(&ListPage { layout, mine, others, losses, restores, approves }, StatusCode::OK)
}
