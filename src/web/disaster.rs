//! "If we lost…": what one event would leave of each device's backups, and the next step of each.
use crate::auth::{Can, ViewDevices};
use crate::error::Result;
use crate::query::disaster::{self, DisasterQuery};
use crate::service::disaster::Known;
use crate::store::device_list::{self, ListedDevice};
use crate::store::{Conn, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::filter::span;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::disaster::{Event, Fate, Outcome, Tally, Where};
use domain::role::Reach;
use domain::time::Time;
use std::collections::HashMap;

pub const AREA: Area = Area { place: Place::Below("/"), ..Area::new(routes, &["if-lost"]) };

fn routes(config: &mut ServiceConfig) {
    config.service(show);
}

/// How many devices the page names; the list of devices has all.
const MOST: usize = 200;

#[derive(Template, WebTemplate)]
#[template(path = "disaster/show.html")]
struct DisasterPage {
    layout: Layout,
    /// Every event that can happen here, for the others' links.
    events: Vec<(Event, String)>,
    event: Event,
    name: String,
    /// What the numbers mean for this event, if they do not speak for themselves.
    note: Option<&'static str>,
    fate: Option<Fate>,
    tally: Tally,
    rows: Vec<(ListedDevice, Outcome)>,
    more: i64,
}

impl DisasterPage {
    /// Class, icon and how many of a fate.
    fn tile(&self, fate: &Fate) -> (&'static str, &'static str, i64) {
        let (class, icon) = look(*fate);
        (class, icon, self.tally.of(*fate))
    }

    /// "Median 3 d, worst 19 d".
    fn recent(&self) -> Option<String> {
        recent(&self.tally)
    }

    fn is(&self, fate: &Fate) -> bool {
        self.fate == Some(*fate)
    }

    fn lost(&self, outcome: &Outcome) -> String {
        match (outcome.fate, outcome.recent) {
            (Fate::LosesAll, _) => "Everything".to_owned(),
            (Fate::LosesRecent, Some(recent)) => format!("The last {}", span(recent)),
            (Fate::LosesRecent, None) => "Recent work".to_owned(),
            (Fate::CannotSay, _) => "Cannot say".to_owned(),
            (Fate::ComesBack, _) => "Nothing".to_owned(),
        }
    }

    /// The next step, and where it is done.
    fn step(&self, row: &ListedDevice, outcome: &Outcome) -> Option<(&'static str, String)> {
        let (words, place) = outcome.reason.step()?;
        let href = match place {
            Where::Device => format!("/devices/{}", row.device.id),
            Where::Stores => "/stores".to_owned(),
            Where::Keys => "/settings#recovery".to_owned(),
        };
        Some((words, href))
    }
}

/// The class and icon of a fate.
pub(super) const fn look(fate: Fate) -> (&'static str, &'static str) {
    match fate {
        Fate::LosesAll => ("lost", "circle-x"),
        Fate::LosesRecent => ("dated", "clock"),
        Fate::CannotSay => ("", "circle-help"),
        Fate::ComesBack => ("proven", "shield-check"),
    }
}

/// "Median 3 d, worst 19 d"; none if no recent work would be lost.
pub(super) fn recent(tally: &Tally) -> Option<String> {
    tally.recent().map(|(median, worst)| format!("Median {}, worst {}", span(median), span(worst)))
}

#[get("/if-lost/{event}")]
async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    event: Path<String>,
    query: Query<DisasterQuery>,
) -> PageResult<impl Responder> {
    let (event, fate) = (disaster::event(&event)?, query.fate()?);
    let (reach, now) = (by.reach().clone(), layout.now);
    let read = store.read(move |conn| read(conn, (event, fate), &reach, now)).await?;
    let Read { known, tally, rows, all } = read;
    let events = Event::all(&known.means).into_iter().map(|it| (it, it.name(&known.means))).collect();
    let more = i64::try_from(all - rows.len()).unwrap_or(i64::MAX);
    let (name, note) = (event.name(&known.means), event.note(&known.means));
    Ok(DisasterPage { layout, events, event, name, note, fate, tally, rows, more })
}

struct Read {
    known: Known,
    tally: Tally,
    rows: Vec<(ListedDevice, Outcome)>,
    all: usize,
}

fn read(conn: &mut Conn, (event, fate): (Event, Option<Fate>), reach: &Reach, now: Time) -> Result<Read> {
    let known = Known::read(conn, reach, now)?;
    let list = known.list(event, fate);
    let first = list.get(..MOST).unwrap_or(&list);
    let ids: Vec<_> = first.iter().map(|it| it.0).collect();
    let outcomes: HashMap<_, _> = first.iter().copied().collect();
    let listed = device_list::of_ids(conn, &ids)?;
    let rows = listed.into_iter().filter_map(|it| Some((outcomes.get(&it.device.id).copied()?, it)));
    let rows = rows.map(|(outcome, it)| (it, outcome)).collect();
    Ok(Read { tally: known.tally(event), known, rows, all: list.len() })
}
