//! `/approvals`: all that waits for a second person. Wipes, those for the reader to decide and those for others; restores
//! to other devices; and what would let something end.
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, Result};
use crate::service::{hold, loss, wipe};
use crate::store::restore::Listed;
use crate::store::{self, Conn, Store};
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
use domain::id::{DeviceId, UserId};
use domain::loss::Loss;
use domain::restore::RestoreState;
use domain::role::{Permission, Reach};
use domain::time::Time;
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
    /// What would let something end and waits for a second person: what, why, who asked and where it is decided.
    removals: Vec<Removal>,
    /// Whether the reader can approve at all.
    approves: bool,
}

/// A request to lift a hold, or to keep less.
struct Removal {
    what: String,
    reason: String,
    requester: String,
    requested_at: Time,
    href: String,
}

/// Those that wait within `reach`, of whoever may read them.
fn removals(conn: &mut Conn, reach: &Reach, now: Time) -> Result<Vec<Removal>> {
    let mut found = Vec::new();
    for (hold, device) in hold::lifts_waiting(conn, reach, SHOWN, now)? {
        let (Some(by), Some(at)) = (hold.lift_asked_by, hold.lift_asked_at) else { continue };
        let of = match (&hold.person, &device) {
            (Some(person), _) => person.clone(),
            (None, device) => device.as_ref().map(|it| it.name.clone()).unwrap_or_default(),
        };
        let href = device.map_or_else(|| "/retention#holds".to_owned(), |it| format!("/devices/{}/holds", it.id));
        let (what, reason) = (format!("Lift the hold on {of}"), hold.lift_reason.unwrap_or_default());
        found.push(Removal { what, reason, requester: person(conn, by)?, requested_at: at, href });
    }
    if *reach == Reach::All {
        for it in store::retention::requested(conn)?.into_iter().filter(|it| it.expires_at > now) {
            let (what, href) = ("Keep less of every device".to_owned(), "/retention".to_owned());
            let requester = person(conn, it.requested_by)?;
            found.push(Removal { what, reason: it.reason, requester, requested_at: it.requested_at, href });
        }
    }
    Ok(found)
}

fn person(conn: &mut Conn, id: UserId) -> Result<String> {
    Ok(store::person::find(conn, id)?.map_or_else(|| "somebody".to_owned(), |it| it.name))
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
    let (mine, others, losses, restores, removals) = store
        .read(move |conn| {
            let removals = removals(conn, &view, now)?;
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
            Ok::<_, Error>((mine, others, losses, restores, removals))
        })
        .await?;
    with_status(&ListPage { layout, mine, others, losses, restores, removals, approves }, StatusCode::OK)
}
