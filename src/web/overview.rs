//! The first page: what would be lost, and what needs a person.
use crate::auth::{Can, ViewDevices};
use crate::error::Result;
use crate::service;
use crate::service::apple::push_certificate::Given;
use crate::service::disaster::Known;
use crate::service::host::KeyCopy;
use crate::service::loss::{self, Moment};
use crate::service::verification::Verifiers;
use crate::store::device_list::{self, Counts, Filter, From, Query, Sort, View};
use crate::store::restore_test_list::{self, Listed};
use crate::store::setting::COPY;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Link, Place};
use crate::web::device::Row;
use crate::web::disaster::{look, recent};
use crate::web::filter::span;
use crate::web::layout::Layout;
use crate::zone::Zone;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::consent::SETTLED;
use domain::console_copy::{ConsoleCopy, ConsoleStanding};
use domain::copy_proof::CopyProofs;
use domain::disaster::{Event, Fate, Tally};
use domain::ground::{Alarm, Room};
use domain::object::Location;
use domain::proof::Grade;
use domain::push_certificate::PushStanding;
use domain::recovery_key::Recoverability;
use domain::retention::held_words;
use domain::role::{Permission, Reach};
use domain::time::{Time, days};
use domain::verification::Standing;
use std::time::Duration;

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/",
        icon: "layout-dashboard",
        label: "Overview",
        needs: Some(Permission::ViewDevices),
    }),
    ..Area::new(routes, &[""])
};

fn routes(config: &mut ServiceConfig) {
    config.service(show);
}

#[derive(Template, WebTemplate)]
#[template(path = "overview/show.html")]
struct OverviewPage {
    layout: Layout,
    /// Of the console's own state; none for whoever does not manage it.
    own: Option<Own>,
    counts: Counts,
    silence: String,
    /// How many devices have a tenth or less of their backup space left.
    nearly_full: i64,
    rooms: Vec<Room>,
    bars: Vec<(&'static str, i64, String, &'static str)>,
    worst: Vec<Row>,
    failed: Vec<Listed>,
    /// Files of wiped devices that no backup holds intact, and how many devices they come from.
    lost: (i64, i64),
    /// How many devices may have more than one machine reporting as them.
    in_doubt: i64,
    asks_for_backups: bool,
    is_key_copy_old: bool,
    /// What is to be done so that the backups can be opened with shares.
    recovery: Option<&'static str>,
    /// What one event would leave, counted: the event, its name, and the counts.
    disasters: Vec<(Event, String, Tally)>,
    /// What is to be said of the proof from the second copy; none if nothing has to be done.
    from_copy: Option<String>,
    /// What is to be said of the push certificate for Apple devices; none if nothing has to be done.
    push_certificate: Option<String>,
    /// What is wrong with stores, or stands still, and where.
    worries: Vec<(&'static str, String)>,
    steps: Vec<Step>,
}

impl OverviewPage {
    /// Class, icon and how many of a fate.
    fn fated(&self, tally: &Tally, fate: &Fate) -> (&'static str, &'static str, i64) {
        let (class, icon) = look(*fate);
        (class, icon, tally.of(*fate))
    }

    /// "Median 3 d, worst 19 d".
    fn recent(&self, tally: &Tally) -> Option<String> {
        recent(tally)
    }
}

/// What would become of the console itself.
struct Own {
    class: &'static str,
    said: String,
}

impl Own {
    fn of(state: &ConsoleCopy, layout: &Layout, now: Time) -> Self {
        let class = match state.standing(now) {
            ConsoleStanding::Proven if !state.is_wrong(now) => "t-proven",
            ConsoleStanding::NotSetUp | ConsoleStanding::Failed => "t-lost",
            ConsoleStanding::OutOfDate | ConsoleStanding::Proven | ConsoleStanding::Kept => "t-dated",
            ConsoleStanding::Never => "",
        };
        Self { class, said: state.sentence(now, &|at| layout.when(at).to_string()) }
    }
}

/// A step of the first days.
struct Step {
    is_done: bool,
    text: &'static str,
    href: &'static str,
}

struct Read {
    own: ConsoleCopy,
    counts: Counts,
    moment: Moment,
    silence: Duration,
    nearly_full: i64,
    rooms: Vec<Room>,
    ages: Vec<i64>,
    worst: Vec<device_list::ListedDevice>,
    failed: Vec<Listed>,
    lost: (i64, i64),
    asks_for_backups: bool,
    in_doubt: i64,
    has_second_approver: bool,
    has_backup: bool,
    /// Also where it no longer holds, or cannot be read now.
    has_proof: bool,
    has_two_settled: bool,
    disasters: Vec<(Event, String, Tally)>,
    key_copy: Option<KeyCopy>,
    recovery: Recoverability,
    /// None without a second copy.
    from_copy: Option<CopyProofs>,
    has_sent_mail: bool,
    /// Of how many devices a rule keeps something, since a backup looks as if it had lost something.
    anomalies: i64,
    /// Whether there is a second store that counts as one.
    has_second: bool,
    copy_worry: Option<String>,
    /// None if no Apple devices are served.
    push_certificate: Option<PushStanding>,
    /// The stores in which damage is looked for, and how that stands.
    read_back: Vec<(Location, Standing)>,
}

/// How many devices are listed in "Who would lose what".
const WORST: usize = 10;

#[get("/")]
async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    (store, verifiers, given): (Data<Store>, Data<Verifiers>, Data<Given>),
    clock: Data<Clock>,
) -> PageResult<impl Responder> {
    let (reach, now) = (by.reach().clone(), clock.now());
    let zone = layout.zone.clone();
    let read = store.read(move |conn| read(conn, (&verifiers, &given, &zone), &reach, now)).await?;
    let steps = steps(&read, &layout);
    let worries = worries(&read);
    let bars = bars(&read, &layout);
    let worst = read.worst.into_iter().map(|it| Row::new(it, &read.moment, &layout));
    let own = layout.may(Permission::ManageSettings).then(|| Own::of(&read.own, &layout, now));
    Ok(OverviewPage {
        own,
        counts: read.counts,
        silence: span(read.silence),
        nearly_full: read.nearly_full,
        worst: worst.collect(),
        rooms: read.rooms,
        failed: read.failed,
        lost: read.lost,
        in_doubt: read.in_doubt,
        asks_for_backups: read.asks_for_backups,
        is_key_copy_old: layout.may(Permission::ManageSettings) && read.key_copy.is_some_and(|it| it.is_old),
        disasters: read.disasters,
        from_copy: read
            .from_copy
            .filter(|it| layout.may(Permission::ManageSettings) && it.is_due())
            .map(|it| it.sentence(now, &|at| layout.zone.full(at))),
        push_certificate: read
            .push_certificate
            .filter(|it| layout.may(Permission::ManageSettings) && it.is_due())
            .map(|it| it.sentence(&|at| layout.zone.full(at))),
        recovery: read.recovery.advice().filter(|_| layout.may(Permission::ManageSettings)),
        bars,
        worries,
        steps,
        layout,
    })
}

fn read(
    conn: &mut Conn,
    (verifiers, given, zone): (&Verifiers, &Given, &Zone),
    reach: &Reach,
    now: Time,
) -> Result<Read> {
    let (all, silence) = loss::all_devices(conn, now)?;
    let counts = device_list::counts(conn, &all, reach, now)?;
    let nearly_full = device_list::count(conn, &Filter { view: View::NearlyFull, ..all.clone() }, reach, now)?;
    let in_doubt = device_list::count(conn, &Filter { view: View::InDoubt, ..all.clone() }, reach, now)?;
    let cuts = [now - days(1), now - days(3), now - days(7), Time::from_millis(0)];
    let query = Query {
        filter: Filter { view: View::NotRestorable, ..all },
        reach: reach.clone(),
        sort: Sort::Worst,
        is_descending: false,
        from: From::Start,
        limit: WORST,
    };
    let page = device_list::page(conn, &query, now)?;
    Ok(Read {
        own: service::console_copy::console_copy(conn, now)?,
        counts,
        moment: loss::moment(conn, now)?,
        silence,
        nearly_full,
        rooms: service::ground::rooms(conn)?,
        ages: device_list::ages(conn, reach, &cuts, now)?,
        has_backup: page.devices.iter().any(|it| it.proof.as_ref().is_some_and(|it| it.stored_at.is_some()))
            || counts.lose_all < counts.all,
        has_proof: store::restore_point::has_proven(conn)?,
        worst: page.devices,
        failed: restore_test_list::standing_failures(conn, reach, 5)?,
        lost: store::attention::lost(conn, reach)?,
        asks_for_backups: service::policy::asks_for_backups(conn)?,
        in_doubt,
        has_second_approver: approver_count(conn)? > 1,
        key_copy: service::host::proof_key_copy(conn, now)?,
        recovery: service::recovery_key::recoverability(conn, now)?,
        from_copy: from_copy(conn, reach, now)?,
        disasters: disasters(conn, reach, now)?,
        has_sent_mail: service::mail::has_worked(conn)?,
        anomalies: store::hold::unusual_count(conn, reach)?,
        has_second: COPY.find(conn)?.is_some_and(|it| it.counts()),
        push_certificate: service::apple::push_certificate::standing(conn, given, now)?,
        copy_worry: service::copy::worry(conn, &|at| zone.full(at), now)?,
        read_back: service::verification::standings(conn, verifiers, now)?,
        has_two_settled: store::user::settled_count(conn, now - SETTLED)? > 1,
    })
}

fn disasters(conn: &mut Conn, reach: &Reach, now: Time) -> Result<Vec<(Event, String, Tally)>> {
    let known = Known::read(conn, reach, now)?;
    Ok(known.tallies().into_iter().map(|(event, tally)| (event, event.name(&known.means), tally)).collect())
}

/// What is proven from the second copy; none where there is none.
fn from_copy(conn: &mut Conn, reach: &Reach, now: Time) -> Result<Option<CopyProofs>> {
    let counts = service::copy_proof::store_now(conn, now)?.store.is_some_and(|it| it.counts());
    Ok(if counts { Some(service::copy_proof::all(conn, reach, now)?) } else { None })
}

/// How many people can approve wipes, including those invited to: nobody decides on their own request.
fn approver_count(conn: &mut Conn) -> Result<usize> {
    let mut approvers: Vec<_> = store::user::all_grants(conn)?
        .into_iter()
        .filter(|(_, role, _)| role.allows(Permission::ApproveWipe))
        .map(|(user, _, _)| user)
        .collect();
    approvers.dedup();
    Ok(approvers.len())
}

/// Devices by the age of the newest data that is proven: class, height of 40, how many, and which.
fn bars(read: &Read, layout: &Layout) -> Vec<(&'static str, i64, String, &'static str)> {
    let counts = &read.counts;
    let mut parts: Vec<(&'static str, &'static str, i64)> = Vec::new();
    for (name, count) in ["under 1 d", "1–3 d", "3–7 d", "older"].into_iter().zip(&read.ages) {
        parts.push(("c-proven", name, *count));
    }
    parts.push(("c-dated", "in part", counts.partial));
    parts.push(("c-dated", "out of date", counts.out_of_date));
    parts.push(("c-lost", "never, failed", counts.never_proven + counts.failed));
    parts.push(("c-unk", "unknown", counts.unknown));
    let most = parts.iter().map(|it| it.2).max().unwrap_or(0).max(1);
    let height = |count: i64| if count == 0 { 0 } else { (count * 40 / most).max(2) };
    parts.iter().map(|it| (it.0, height(it.2), layout.count(it.2), it.1)).collect()
}

/// What is wrong with the stores or with what is in them.
fn worries(read: &Read) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if read.anomalies > 0 {
        found.push(("/retention#holds", held_words(read.anomalies)));
    }
    found.extend(read.copy_worry.iter().map(|said| ("/stores#store-copy", said.clone())));
    // That the second one is away was said.
    let is_said = |it: &(Location, Standing)| *it == (Location::Copy, Standing::Away);
    let wrong = read.read_back.iter().filter(|it| it.1.is_wrong() && !is_said(it));
    found
        .extend(wrong.map(|(location, standing)| ("/stores", format!("{}: {}", location.name(), standing.sentence()))));
    found
}

fn steps(read: &Read, layout: &Layout) -> Vec<Step> {
    let step = |is_done, text, href| Step { is_done, text, href };
    let steps = vec![
        step(true, "Make the owner’s account", "/account"),
        step(
            read.key_copy.is_some(),
            "Keep a copy of the proof key, which opens every backup, on another disk, and check it there: \
             holdfast admin proof-key verify COPY",
            "/settings",
        ),
        step(read.has_sent_mail, "Set a mail server, and send yourself a test mail", "/settings"),
        step(read.counts.all > 0, "Enroll one device: this server provides the agent and the command", "/enrollment"),
        step(read.asks_for_backups, "Write a policy that asks for backups", "/policies/new"),
        step(read.has_backup, "Back the device up", "/devices"),
        step(read.has_proof, "See its restore test pass", "/restore-tests"),
        step(read.has_second, "Give it a second store in another place: holdfast serve --copy", "/stores"),
        step(
            read.recovery.was_confirmed(),
            "Make a recovery key, print its five shares, and type three back",
            "/settings#recovery",
        ),
        step(read.has_second_approver, "Invite someone who approves wipes", "/users"),
        step(
            read.has_two_settled,
            "On the server’s own machine, name both founders: holdfast admin founder add ADDRESS. Until then their word \
             on wipes counts only after 72 hours",
            "/users",
        ),
    ];
    let is_new = layout.may(Permission::ManageSettings) && steps.iter().any(|it| !it.is_done);
    if is_new { steps } else { Vec::new() }
}
