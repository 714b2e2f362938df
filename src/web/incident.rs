//! The page behind the red bar: what happened to a store, what stands still, whose device may hold the last copy, and what
//! ends it.
use crate::auth::{Can, ViewDevices};
use crate::service::incident::{self, Incident, LastCopy};
use crate::store::Store;
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::filter;
use crate::web::layout::Layout;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::role::Permission;
use domain::time::Time;

pub const AREA: Area = Area { place: Place::Below("/stores"), ..Area::new(routes, &["incident"]) };

fn routes(config: &mut ServiceConfig) {
    config.service(show);
}

#[derive(Template, WebTemplate)]
#[template(path = "incident/show.html")]
struct IncidentPage {
    layout: Layout,
    incident: Incident,
    /// Those that one button asks to back up; nobody for whoever may not ask.
    to_ask: Vec<LastCopy>,
}

impl IncidentPage {
    /// "Back up these 3 devices now".
    fn ask_all(&self) -> String {
        match self.to_ask.len() {
            1 => "Back up this device now".to_owned(),
            many => format!("Back up these {} now", self.layout.devices(i64::try_from(many).unwrap_or(i64::MAX))),
        }
    }

    /// How many devices are not named.
    fn more(&self) -> i64 {
        let named = i64::try_from(self.incident.last_copies.len()).unwrap_or(i64::MAX);
        self.incident.last_copy_count - named
    }

    /// "for 2 h".
    fn lasts(&self) -> Option<String> {
        let now = self.layout.now;
        self.incident.since().map(|it| format!("for {}", filter::span(now.since(it))))
    }

    /// How much those that can be asked would send again at most.
    fn bytes_to_send(&self) -> i64 {
        self.to_ask.iter().map(|it| it.lost_bytes).sum()
    }

    /// When the newest backup of a device came that the store has.
    fn newest(it: &LastCopy) -> Option<Time> {
        it.device.proof.as_ref().and_then(|it| it.stored_at)
    }

    fn seen(it: &LastCopy) -> Option<Time> {
        it.device.status.as_ref().and_then(|it| it.last_seen_at)
    }
}

#[get("/incident")]
async fn show(by: Can<ViewDevices>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let (reach, zone, now) = (by.reach().clone(), layout.zone.clone(), layout.now);
    let incident = store.read(move |conn| incident::read(conn, &reach, &|at| zone.full(at), now)).await?;
    let may_ask = |it: &&LastCopy| layout.may_in(Permission::RunBackups, it.device.device.team_id);
    let to_ask = incident.to_ask().into_iter().filter(may_ask).cloned().collect();
    Ok(IncidentPage { layout, incident, to_ask })
}
