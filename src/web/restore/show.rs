//! `/restores` and `/restores/{id}`: what was ordered, how far it is, and what the comparison found.
use super::{badge, undo_badge};
use crate::auth::{Can, Restore, SignedIn, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::query::filter;
use crate::service::{approval, reach, restore};
use crate::store::device::Device;
use crate::store::restore::{Listed, Restore as Row, RestoreFindings};
use crate::store::restore_point::RestorePoint;
use crate::store::restore_undo::{self, RestoreUndo};
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{refusal, verdict, with_status};
use crate::web::layout::Layout;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use askama::Template;
use clock::Clock;
use domain::crossing::Crossing;
use domain::id::RestoreId;
use domain::restore::{RestoreState, Selection, UndoReport, UndoState};
use domain::role::{Permission, Reach};
use domain::time::Time;
use serde::Deserialize;

/// How many are shown; older ones are in Activity.
const SHOWN: i64 = 200;

#[derive(Template)]
#[template(path = "restore/list.html")]
struct ListPage {
    layout: Layout,
    state: String,
    rows: Vec<Listed>,
    is_full: bool,
}

impl ListPage {
    fn class(&self, restore: &Row) -> &'static str {
        badge(restore).0
    }

    fn icon(&self, restore: &Row) -> &'static str {
        badge(restore).1
    }
}

/// What follows `?`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    state: String,
}

/// The filter's values with their names.
const STATES: [(&str, &str); 5] = [
    ("", "All"),
    ("requested", "Waiting for approval"),
    ("open", "Under way"),
    ("compared", "Compared"),
    ("failed", "Failed"),
];

fn states(word: &str) -> Option<Vec<RestoreState>> {
    match word {
        "open" => Some(RestoreState::ALL.iter().copied().filter(|it| !it.is_final()).collect()),
        one => Some(vec![RestoreState::parse(one)?]),
    }
}

#[get("/restores")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    query: Query<ListQuery>,
) -> PageResult<HttpResponse> {
    let (state, reach) = (query.into_inner().state, by.reach().clone());
    let mut errors = FieldErrors::new();
    let states = filter(&state, "state", states, &mut errors).unwrap_or_else(|| RestoreState::ALL.to_vec());
    errors.into_result()?;
    let rows = store.read(move |conn| store::restore::list(conn, &states, &reach, SHOWN)).await?;
    let is_full = i64::try_from(rows.len()).unwrap_or(SHOWN) >= SHOWN;
    with_status(&ListPage { layout, state, rows, is_full }, StatusCode::OK)
}

struct Shown {
    restore: Row,
    device: Device,
    target: Device,
    point: RestorePoint,
    requester: String,
    approver: String,
    outcome: RestoreFindings,
    chosen: Selection,
    /// What the second person agrees to, and its digest; none for a device that gets its own data back.
    agreed: Option<(Crossing, String)>,
    /// What has changed since it was requested.
    changes: Vec<&'static str>,
    /// The last undo of it, with what the device says, and who ordered it.
    undo: Option<(RestoreUndo, UndoReport, String)>,
    /// Until when it can be undone, or why not.
    undoable: std::result::Result<Time, String>,
}

#[derive(Template)]
#[template(path = "restore/show.html")]
struct ShowPage {
    layout: Layout,
    shown: Shown,
    may_cancel: bool,
    /// Whether the reader's roles let them undo it.
    may_undo: bool,
    /// File names only for those who may see them.
    may_see_names: bool,
    /// Whether the reader can decide, or why not, if they approve restores at all.
    decides: std::result::Result<(), String>,
    errors: FieldErrors,
}

impl ShowPage {
    fn class(&self) -> &'static str {
        badge(&self.shown.restore).0
    }

    fn icon(&self) -> &'static str {
        badge(&self.shown.restore).1
    }

    fn is_proven(&self) -> bool {
        restore::is_proven(&self.shown.point)
    }

    /// What an undo did, by the device's word.
    fn undone(&self, said: &UndoReport) -> String {
        domain::words::sentence(&said.sentence())
    }

    fn undo_badge(&self, undo: &RestoreUndo) -> (&'static str, &'static str) {
        undo_badge(undo.state)
    }

    fn took(&self) -> String {
        match (self.shown.restore.started_at, self.shown.restore.finished_at) {
            (Some(start), Some(end)) => crate::web::filter::took(end.since(start)),
            _ => String::new(),
        }
    }

    /// Each kind of file that did not come back as it was: its heading, how many, and their names.
    fn groups(&self) -> Vec<(&'static str, usize, &[String])> {
        let it = &self.shown.outcome;
        let [differing, missing, kept, not_compared] = it.counts;
        let all = [
            ("Came back different from the manifest", differing, it.differing.as_slice()),
            ("Did not come back", missing, it.missing.as_slice()),
            ("Were already there and stayed as they were", kept, it.kept.as_slice()),
            ("Replaced what was there before", it.replaced_count, it.replaced.as_slice()),
            (
                "Changed during the backup, so there is nothing to compare them with",
                not_compared,
                it.not_compared.as_slice(),
            ),
        ];
        all.into_iter().filter(|(_, count, _)| *count > 0).collect()
    }
}

fn load(conn: &mut Conn, reach: &Reach, id: RestoreId, now: Time) -> Result<Shown> {
    let none = || Error::NotFound("restore");
    let restore = store::restore::find(conn, id)?.ok_or_else(none)?;
    // Out of reach counts as not there; a failing database does not.
    let hidden = |error| if matches!(error, Error::NotFound(_)) { none() } else { error };
    let device = reach::device(conn, reach, restore.device_id).map_err(hidden)?;
    let target = reach::device(conn, reach, restore.target_device_id).map_err(hidden)?;
    let point = store::restore_point::find(conn, restore.restore_point_id)?.ok_or(Error::NotFound("restore point"))?;
    let undo = restore_undo::find(conn, id)?;
    let undone_by = undo.as_ref().map(|it| it.requested_by);
    let people: Vec<_> = [Some(restore.requested_by), restore.approved_by, undone_by].into_iter().flatten().collect();
    let mut names = store::person::names(conn, &people)?;
    let approver = restore.approved_by.and_then(|it| names.get(&it).cloned()).unwrap_or_default();
    let undo = match undo {
        Some(it) => Some((it.clone(), it.said()?, names.get(&it.requested_by).cloned().unwrap_or_default())),
        None => None,
    };
    let undoable = restore::undoable(conn, &restore, now)?;
    let requester = names.remove(&restore.requested_by).unwrap_or_default();
    let agreed = match restore.crossing()? {
        Some(it) => Some((it.clone(), approval::digest(&it)?)),
        None => None,
    };
    let changes = match &agreed {
        Some((it, _)) if restore.state == RestoreState::Requested => it.changes(&restore::current(conn, &restore)?),
        _ => Vec::new(),
    };
    let (outcome, chosen) = (restore.outcome()?, restore.chosen()?);
    Ok(Shown { outcome, chosen, restore, device, target, point, requester, approver, agreed, changes, undo, undoable })
}

/// Whether somebody can decide on a waiting restore, or why not.
fn decides(conn: &mut Conn, by: &SignedIn, shown: &Shown, now: Time) -> Result<std::result::Result<(), String>> {
    if shown.restore.state != RestoreState::Requested || by.grants().reach(Permission::ApproveRestore).is_none() {
        return Ok(Err(String::new()));
    }
    verdict(restore::may_decide(conn, &by.acting(), &shown.restore, now))
}

async fn page(
    (by, layout, store): (&SignedIn, Layout, &Store),
    reach: Reach,
    id: RestoreId,
    errors: FieldErrors,
) -> Result<ShowPage> {
    let (who, now) = (by.clone(), layout.now);
    let (shown, decides) = store
        .read(move |conn| {
            let shown = load(conn, &reach, id, now)?;
            let decides = decides(conn, &who, &shown, now)?;
            Ok::<_, Error>((shown, decides))
        })
        .await?;
    let covers = |permission, team| by.grants().reach(permission).is_some_and(|reach: Reach| reach.covers(team));
    Ok(ShowPage {
        may_cancel: !shown.restore.state.is_final() && covers(Permission::Restore, shown.device.team_id),
        may_undo: covers(Permission::Restore, shown.device.team_id)
            && covers(Permission::Restore, shown.target.team_id),
        may_see_names: covers(Permission::ViewFileNames, shown.device.team_id),
        decides,
        errors,
        layout,
        shown,
    })
}

/// The page again, with the reason why one of its forms did nothing.
///
/// # Errors
/// `error` itself if it is about more than the form.
pub(super) async fn show_again(
    (by, reach): (&SignedIn, Reach),
    (layout, store): (Layout, &Store),
    id: RestoreId,
    error: Error,
) -> PageResult<HttpResponse> {
    let (errors, refusal) = refusal(error)?;
    refusal.again(&page((by, layout, store), reach, id, errors).await?)
}

#[get("/restores/{id}")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<RestoreId>,
) -> PageResult<HttpResponse> {
    let page = page((&by, layout, &store), by.reach().clone(), id.into_inner(), FieldErrors::new()).await?;
    with_status(&page, StatusCode::OK)
}

#[post("/restores/{id}/cancellations")]
pub async fn cancel(
    by: Can<Restore>,
    (store, clock): (Data<Store>, Data<Clock>),
    id: Path<RestoreId>,
) -> PageResult<HttpResponse> {
    let (acting, id, now) = (by.acting(), id.into_inner(), clock.now());
    store.act(move |conn| restore::cancel(conn, &acting, id, now)).await?;
    Ok(see_other(
        format!("/restores/{id}"),
        Some("Cancelled. What was written on the device stays until it is undone."),
    ))
}
