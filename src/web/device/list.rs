//! The list of devices.
use super::choice::{Chip, Choice, chips, choices};
use super::column::{self, Column, Heading, headings};
use crate::auth::{Can, ViewDevices};
use crate::error::Result;
use crate::query::device::DeviceQuery;
use crate::service::compliance::{self, Tally};
use crate::service::loss::{self, Moment};
use crate::store::device_list::{self, Counts, ListedDevice, View};
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::filter::span;
use crate::web::layout::Layout;
use actix_web::web::{Data, Query};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::fact::EncryptionNow;
use domain::id::DeviceId;
use domain::loss::Part;
use domain::proof::{Evidence, Grade, part_in_words};
use domain::role::Permission;
use domain::time::Time;
use std::collections::HashMap;
use std::time::Duration;

#[derive(Template, WebTemplate)]
#[template(path = "device/list.html")]
struct ListPage {
    layout: Layout,
    query: DeviceQuery,
    counts: Counts,
    total: i64,
    rows: Vec<Row>,
    /// How many policies each device on the page meets, fails, or cannot be checked against.
    tallies: HashMap<DeviceId, Tally>,
    pills: Vec<Pill>,
    headings: Vec<Heading>,
    /// The columns that are shown.
    columns: Vec<Column>,
    choices: Vec<Choice>,
    chips: Vec<Chip>,
    /// How many devices come before the page.
    position: i64,
    /// Whether there are devices that were not checked against the policy.
    is_partial: bool,
    previous: String,
    next: String,
    may_run: Option<i64>,
    may_lock: Option<i64>,
    /// Tells the server that the form is the one that was shown.
    request_key: String,
}

impl ListPage {
    /// How many devices a bulk act on all would affect: a role in one team reaches fewer than the list may
    /// show.
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

    fn shows(&self, column: &Column) -> bool {
        self.columns.contains(column)
    }

    /// "101 to 150 of 2,000".
    fn summary(&self) -> String {
        let (layout, shown) = (&self.layout, i64::try_from(self.rows.len()).unwrap_or_default());
        let (first, last) = (layout.count(self.position + 1), layout.count(self.position + shown));
        format!(
            "{first} to {last} of {} · as of {}",
            layout.count(self.total.max(self.position + shown)),
            layout.as_of()
        )
    }
}

/// One device of the page.
pub(in crate::web) struct Row {
    pub listed: ListedDevice,
    pub evidence: Evidence,
    pub grade: Grade,
    pub encryption: EncryptionNow,
    pub is_unknown: bool,
    /// What a wipe would lose now, in a few words.
    pub if_wiped: String,
}

impl Row {
    pub(in crate::web) fn new(listed: ListedDevice, moment: &Moment, layout: &Layout) -> Self {
        let (evidence, loss) = (loss::evidence(&listed), loss::of(&listed, moment));
        Self {
            evidence,
            grade: evidence.grade(layout.now),
            encryption: listed.encryption_now(layout.now),
            is_unknown: loss.part() == Some(Part::CannotSay),
            if_wiped: loss.short(&|at| layout.zone.short(at)),
            listed,
        }
    }

    /// When the newest proven data was received.
    pub(in crate::web) fn proven_as_of(&self) -> Option<Time> {
        self.evidence.proven.map(|it| it.point_at)
    }

    /// How much is proven, if only a part is.
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

/// What the page needs from the database.
struct Read {
    silence: Duration,
    listed: device_list::Query,
    counts: Counts,
    total: i64,
    may_run: Option<i64>,
    may_lock: Option<i64>,
    page: device_list::Page,
    position: i64,
    tallies: HashMap<DeviceId, Tally>,
    choices: Vec<Choice>,
    columns: Vec<Column>,
    moment: Moment,
}

fn read(conn: &mut Conn, by: &Can<ViewDevices>, query: &DeviceQuery, now: Time) -> Result<Read> {
    let (reach, grants) = (by.reach(), by.grants());
    let (base, silence) = loss::all_devices(conn, now)?;
    let listed = query.parse(conn, reach, now)?;
    let counts = device_list::counts(conn, &base, reach, now)?;
    let total = match counts.total(&listed.filter) {
        Some(known) => known,
        None => device_list::count(conn, &listed.filter, reach, now)?,
    };
    // A search also shows wiped and removed devices, which accept no commands.
    let taking = listed.filter.clone().taking_commands();
    let mut allowed = |permission| match (grants.reach(permission), &taking) {
        (None, _) => Ok(None),
        (Some(_), None) => Ok(Some(0)),
        (Some(same), Some(all)) if same == *reach && *all == listed.filter => Ok(Some(total)),
        (Some(other), Some(all)) => device_list::count(conn, all, &other, now).map(Some),
    };
    let (may_run, may_lock) = (allowed(Permission::RunBackups)?, allowed(Permission::LockDevices)?);
    let page = device_list::page(conn, &listed, now)?;
    let ids: Vec<_> = page.devices.iter().map(|it| it.device.id).collect();
    Ok(Read {
        silence,
        position: device_list::position(conn, &listed, &page, now)?,
        tallies: compliance::of_devices(conn, &ids, now)?,
        choices: choices(query, &store::team::all(conn)?, &compliance::within(conn, reach)?),
        columns: column::shown(conn, by)?,
        moment: loss::moment(conn, now)?,
        listed,
        counts,
        total,
        may_run,
        may_lock,
        page,
    })
}

#[get("/devices")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    query: Query<DeviceQuery>,
) -> PageResult<impl Responder> {
    let (query, now) = (query.into_inner(), clock.now());
    let asked = query.clone();
    let read = store.read(move |conn| read(conn, &by, &asked, now)).await?;
    let cursor = |name: &str, at: Option<&device_list::Cursor>| {
        at.map(|it| format!("/devices?{}", query.with(&[(name, &it.encode())]))).unwrap_or_default()
    };
    Ok(ListPage {
        counts: read.counts,
        total: read.total,
        may_run: read.may_run,
        may_lock: read.may_lock,
        previous: cursor("before", read.page.before.as_ref()),
        next: cursor("after", read.page.after.as_ref()),
        tallies: read.tallies,
        rows: read.page.devices.into_iter().map(|it| Row::new(it, &read.moment, &layout)).collect(),
        pills: pills(&query, &read.counts, read.silence, &layout),
        headings: headings(&query, (read.listed.sort, read.listed.is_descending), &read.columns),
        columns: read.columns,
        chips: chips(&query, &read.choices),
        choices: read.choices,
        position: read.position,
        is_partial: read.listed.filter.among.iter().any(|it| it.is_partial),
        request_key: secret::generate("form_")?,
        query,
        layout,
    })
}

fn pills(query: &DeviceQuery, counts: &Counts, silence: Duration, layout: &Layout) -> Vec<Pill> {
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
