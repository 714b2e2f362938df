//! The list of devices.
use super::query::ListQuery;
use crate::clock::Clock;
use crate::domain::device::{DeviceState, Encryption, Ownership, Platform};
use crate::domain::id::DeviceId;
use crate::domain::loss::Part;
use crate::domain::proof::{Evidence, Grade, part_in_words};
use crate::domain::role::Permission;
use crate::domain::time::Time;
use crate::service::compliance::{self, Tally};
use crate::service::loss::{self, Moment};
use crate::store::device_list::{self, Counts, ListedDevice, Sort, View};
use crate::store::team::Team;
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::filter::span;
use crate::web::layout::Layout;
use crate::web::session::{Can, ViewDevices};
use actix_web::web::{Data, Query};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use std::collections::HashMap;
use std::time::Duration;

#[derive(Template, WebTemplate)]
#[template(path = "device/list.html")]
struct ListPage {
    layout: Layout,
    query: ListQuery,
    counts: Counts,
    total: i64,
    rows: Vec<Row>,
    /// How many policies each device of the page meets, fails, or cannot be held against.
    tallies: HashMap<DeviceId, Tally>,
    pills: Vec<Pill>,
    columns: Vec<Column>,
    choices: Vec<Choice>,
    previous: String,
    next: String,
    may_run: Option<i64>,
    may_lock: Option<i64>,
    /// Says to the server that the form is the one that was shown.
    request_key: String,
}

impl ListPage {
    /// How many devices a bulk act on all would mean: a role in one team reaches fewer than the list may show.
    fn all_that_match(&self) -> String {
        let allowed = [(self.may_run, "to back up or prove"), (self.may_lock, "to lock")];
        let mut allowed = allowed.into_iter().filter_map(|(count, what)| Some((count?, what)));
        if allowed.clone().all(|(count, _)| count == self.total) {
            return format!("all {} that match", self.layout.count(self.total));
        }
        let first = allowed.next().into_iter().chain(allowed);
        let parts: Vec<_> = first.map(|(count, what)| format!("{} {what}", self.layout.count(count))).collect();
        format!("all that match and that your roles reach: {}", parts.join(", "))
    }

    fn tally(&self, id: &DeviceId) -> Option<Tally> {
        self.tallies.get(id).copied()
    }

    fn summary(&self) -> String {
        let (shown, layout) = (self.rows.len(), &self.layout);
        format!("{} of {} · as of {}", layout.count(shown), layout.count(self.total), layout.as_of())
    }
}

/// One device of the page.
pub(in crate::web) struct Row {
    pub listed: ListedDevice,
    pub evidence: Evidence,
    pub grade: Grade,
    pub encryption: Encryption,
    pub is_unknown: bool,
    /// What a wipe now would lose, in few words.
    pub if_wiped: String,
}

impl Row {
    pub(in crate::web) fn new(listed: ListedDevice, moment: &Moment, layout: &Layout) -> Self {
        let (evidence, loss) = (loss::evidence(&listed), loss::of(&listed, moment));
        Self {
            evidence,
            grade: evidence.grade(layout.now),
            encryption: listed.status.as_ref().map_or(Encryption::Unknown, |it| it.encryption),
            is_unknown: loss.part() == Some(Part::CannotSay),
            if_wiped: loss.short(&|at| layout.zone.short(at)),
            listed,
        }
    }

    /// When the newest data was received that is proven.
    pub(in crate::web) fn proven_as_of(&self) -> Option<Time> {
        self.evidence.proven.map(|it| it.point_at)
    }

    /// How much is proven where only a part is.
    pub(in crate::web) fn part(&self) -> Option<String> {
        self.listed
            .proof
            .as_ref()
            .filter(|_| self.grade == Grade::Partial)
            .map(|it| part_in_words(it.partial_matched_count, it.partial_file_count))
    }

    fn last_seen(&self) -> Option<Time> {
        self.listed.status.as_ref().and_then(|it| it.last_seen_at)
    }
}

struct Pill {
    name: String,
    href: String,
    is_current: bool,
}

struct Column {
    name: &'static str,
    href: String,
    /// As `aria-sort` says it.
    sort: &'static str,
}

/// A filter with a list of values.
struct Choice {
    label: &'static str,
    name: &'static str,
    options: Vec<(String, String)>,
    chosen: String,
}

#[get("/devices")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<ListQuery>,
) -> PageResult<impl Responder> {
    let (query, now, reach) = (query.into_inner(), clock.now(), by.reach().clone());
    let (asked, grants) = (query.clone(), layout.grants.clone());
    let (silence, order, counts, total, allowed, page, tallies, teams, moment) = store
        .read(move |conn| {
            let (base, silence) = loss::all_devices(conn, now)?;
            let listed = asked.parse(&reach, &base)?;
            let counts = device_list::counts(conn, &base, &reach, now)?;
            let moment = loss::moment(conn, now)?;
            let total = match counts.total(&listed.filter) {
                Some(known) => known,
                None => device_list::count(conn, &listed.filter, &reach, now)?,
            };
            let mut allowed = |permission| match grants.reach(permission) {
                None => Ok(None),
                Some(same) if same == reach => Ok(Some(total)),
                Some(other) => device_list::count(conn, &listed.filter, &other, now).map(Some),
            };
            let allowed = (allowed(Permission::RunBackups)?, allowed(Permission::LockDevices)?);
            let page = device_list::page(conn, &listed, now)?;
            let ids: Vec<_> = page.devices.iter().map(|it| it.device.id).collect();
            let tallies = compliance::of_devices(conn, &ids, now)?;
            let order = (listed.sort, listed.is_descending);
            let teams = store::team::all(conn)?;
            Ok::<_, crate::error::Error>((silence, order, counts, total, allowed, page, tallies, teams, moment))
        })
        .await?;
    let cursor = |name: &str, at: Option<&device_list::Cursor>| {
        at.map(|it| format!("/devices?{}", query.with(&[(name, &it.encode())]))).unwrap_or_default()
    };
    Ok(ListPage {
        counts,
        total,
        may_run: allowed.0,
        may_lock: allowed.1,
        previous: cursor("before", page.before.as_ref()),
        next: cursor("after", page.after.as_ref()),
        tallies,
        rows: page.devices.into_iter().map(|it| Row::new(it, &moment, &layout)).collect(),
        pills: pills(&query, &counts, silence, &layout),
        columns: columns(&query, order),
        choices: choices(&query, &teams),
        request_key: crate::secret::generate("form_")?,
        query,
        layout,
    })
}

fn pills(query: &ListQuery, counts: &Counts, silence: Duration, layout: &Layout) -> Vec<Pill> {
    let current = View::parse(&query.view).unwrap_or_default();
    let mut views: Vec<View> = View::PILLS.to_vec();
    if !views.contains(&current) {
        views.push(current);
    }
    let name = |view: View| {
        let name = if view == View::Silent { format!("Silent {}", span(silence)) } else { view.name().to_owned() };
        match counts.of(view) {
            Some(count) if view != View::All => format!("{name} {}", layout.count(count)),
            _ => name,
        }
    };
    let href = |view: View| {
        let word = if view == View::All { "" } else { view.as_str() };
        format!("/devices?{}", query.with(&[("view", word)]))
    };
    views.into_iter().map(|it| Pill { name: name(it), href: href(it), is_current: it == current }).collect()
}

fn columns(query: &ListQuery, (sort, is_descending): (Sort, bool)) -> Vec<Column> {
    let column = |name, by: Option<Sort>| {
        let Some(by) = by else { return Column { name, href: String::new(), sort: "" } };
        let is_current = by == sort || (by == Sort::ProvenAt && sort == Sort::Worst);
        // Worst first is the order of the list; the heading turns from it to the age of the proof and back.
        let next = match (by, sort, is_descending) {
            (Sort::ProvenAt, Sort::Worst, _) => ("proven_at", ""),
            (Sort::ProvenAt, Sort::ProvenAt, true) => ("", ""),
            _ if by == sort && !is_descending => (by.as_str(), "desc"),
            _ => (by.as_str(), ""),
        };
        Column {
            name,
            href: format!("/devices?{}", query.with(&[("sort", next.0), ("dir", next.1)])),
            sort: match (is_current, is_descending) {
                (false, _) => "",
                (true, false) => "ascending",
                (true, true) => "descending",
            },
        }
    };
    vec![
        column("Device", Some(Sort::Name)),
        column("Person", None),
        column("Encrypted", None),
        column("Proven as of", Some(Sort::ProvenAt)),
        column("Newest backup", Some(Sort::NewestBackup)),
        column("If wiped now", None),
        column("Policies failing", None),
        column("Checked in", Some(Sort::LastSeen)),
    ]
}

fn choices(query: &ListQuery, teams: &[Team]) -> Vec<Choice> {
    let with_any = |any: &str, values: Vec<(String, String)>| {
        let mut options = vec![(String::new(), any.to_owned())];
        options.extend(values);
        options
    };
    let pair = |value: &str, name: &str| (value.to_owned(), name.to_owned());
    let choice = |label, name, options, chosen: &str| Choice { label, name, options, chosen: chosen.to_owned() };
    vec![
        choice(
            "Team",
            "team",
            with_any("Any team", teams.iter().map(|it| (it.id.to_string(), it.name.clone())).collect()),
            &query.team,
        ),
        choice(
            "Platform",
            "platform",
            with_any("Any platform", Platform::ALL.iter().map(|it| pair(it.as_str(), it.name())).collect()),
            &query.platform,
        ),
        choice(
            "Proof",
            "grade",
            with_any("Any proof", Grade::ALL.iter().map(|it| pair(it.as_str(), it.name())).collect()),
            &query.grade,
        ),
        choice(
            "Encryption",
            "encryption",
            with_any("Any", vec![pair("on", "Encrypted"), pair("off", "Not encrypted"), pair("unknown", "Unknown")]),
            &query.encryption,
        ),
        choice(
            "Ownership",
            "ownership",
            with_any("Any", Ownership::ALL.iter().map(|it| pair(it.as_str(), it.name())).collect()),
            &query.ownership,
        ),
        choice(
            "State",
            "state",
            with_any(
                "Enrolled; for a search, any",
                DeviceState::ALL
                    .iter()
                    .filter(|it| **it != DeviceState::Enrolled)
                    .map(|it| pair(it.as_str(), it.name()))
                    .collect(),
            ),
            if query.state == DeviceState::Enrolled.as_str() { "" } else { &query.state },
        ),
    ]
}
