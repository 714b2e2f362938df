//! One device: three answers, and the facts behind them.
use super::answer::{self, Answer, ProofFacts};
use super::detail::{Detail, details, measured};
use super::phone;
use super::strip::{Strip, begins, strip};
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, FieldErrors, Result};
use crate::service;
use crate::service::copy_proof::OfDevice;
use crate::service::identity::Twins;
use crate::service::loss;
use crate::service::reach;
use crate::store::activity::Activity;
use crate::store::agent_enrollment::AgentEnrollment;
use crate::store::backup_attempt::BackupAttempt;
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::device_list::{self, ListedDevice};
use crate::store::device_status::DeviceStatus;
use crate::store::hold::Hold;
use crate::store::removal::Removal;
use crate::store::repository::RepositoryToken;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::filter::span;
use crate::web::form;
use crate::web::layout::Layout;
use crate::web::loss as web_loss;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::backup::{LeftOut, RootAway};
use domain::channel::{Channel, may_order};
use domain::command::{CommandKind, CommandState};
use domain::continuity::Line;
use domain::copy::{CopyFacts, CopyStanding};
use domain::copy_proof::CopyGrade;
use domain::device::{DeviceState, Ownership};
use domain::id::DeviceId;
use domain::key_holder::{CLIENT_NEEDS_KEY_FILE, KeyHolder, KeyedAct};
use domain::loss::{LossFacts, loss as told};
use domain::object::TokenKind;
use domain::policy::Finding;
use domain::proof::{Grade, Level, Retest};
use domain::restore_test::Failures;
use domain::retention::HoldCause;
use domain::role::{Permission, Reach};
use domain::space::{Room, Space};
use domain::time::Time;
use std::time::Duration;

#[derive(Template, WebTemplate)]
#[template(path = "device/show.html")]
struct ShowPage {
    layout: Layout,
    read: Read,
    grade: Grade,
    /// Who can open its backups.
    key_holder: KeyHolder,
    encrypted: Answer,
    proven: Answer,
    wiped: Answer,
    strip: Strip,
    details: Vec<Detail>,
    /// "about 11 min" for a backup and its test; empty where none has been measured.
    estimate: String,
    may: May,
    request_key: String,
    failures: Option<Failures>,
    left_out: LeftOut,
    away: Vec<RootAway>,
    /// What was typed into the form for an own client's token.
    client: ClientTyped,
    errors: FieldErrors,
}

/// What the page needs from the database.
struct Read {
    device: Device,
    listed: ListedDevice,
    status: DeviceStatus,
    /// None if it is not reached through our agent.
    agent: Option<AgentEnrollment>,
    /// How it is reached.
    channel: Option<Channel>,
    /// The facts behind the answers about its loss.
    known: LossFacts,
    points: Vec<RestorePoint>,
    tests: Vec<RestoreTest>,
    upcoming: Vec<Command>,
    past: Vec<Command>,
    /// The wipe that is under way.
    wipe: Option<WipeRequest>,
    /// The removal that is on hold.
    removal: Option<Removal>,
    /// What of it may not be removed.
    holds: Vec<Hold>,
    findings: Vec<Finding>,
    activity: Vec<Activity>,
    failed_test: Option<RestoreTest>,
    /// Restore points that lost their proof to damage.
    to_retest: i64,
    tokens: Vec<RepositoryToken>,
    /// Its last attempt at a backup.
    attempt: Option<BackupAttempt>,
    /// The space of its backups; none if it cannot be backed up.
    space: Option<Space>,
    /// How its backups stand in the second store.
    copy: CopyFacts,
    /// What was restored from the second store alone.
    from_copy: OfDevice,
    /// Other devices with its serial number.
    twins: Twins,
    /// The machines that reported as it, if there may be more than one.
    machines: Vec<Line>,
}

/// What the reader may do with this device: a role in another team does not count.
struct May {
    lock: bool,
    back_up: bool,
    read: bool,
    wipe: bool,
    restore: bool,
    edit: bool,
    see_files: bool,
    see_activity: bool,
}

/// How many restore points are read for the strip: more than one every quarter of an hour.
const STRIP_POINTS: i64 = 3000;
/// How many of them are listed.
const LISTED_POINTS: usize = 10;

/// The ids of the password fields: three forms on the page have one.
pub(super) const ENROLL_PASSWORD: &str = "enroll-password";
pub(super) const CLIENT_PASSWORD: &str = "client-password";
pub(super) const READER_PASSWORD: &str = "reader-password";

/// What was typed into the form for an own client's token.
pub(super) struct ClientTyped {
    pub name: String,
    pub hours: String,
    pub reason: String,
    pub as_of: String,
}

impl Default for ClientTyped {
    fn default() -> Self {
        let hours = (service::repository::READING.as_secs() / 3600).to_string();
        Self { name: String::new(), hours, reason: String::new(), as_of: String::new() }
    }
}

/// The page again, with the reason why one of its forms did nothing.
///
/// # Errors
/// `error` itself if it is about more than the form.
pub(super) async fn again(
    (layout, store, reach): (Layout, &Store, &Reach),
    id: DeviceId,
    client: ClientTyped,
    error: Error,
) -> PageResult<HttpResponse> {
    let (errors, refusal) = form::refusal(error)?;
    let (reach, now) = (reach.clone(), layout.now);
    let read = store.read(move |conn| read(conn, &reach, id, now)).await?;
    refusal.again(&ShowPage { errors, client, ..ShowPage::new(read, layout)? })
}

#[get("/devices/{id}")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    id: Path<DeviceId>,
) -> PageResult<impl Responder> {
    let (id, now, reach) = (id.into_inner(), clock.now(), by.reach().clone());
    let read = store.read(move |conn| read(conn, &reach, id, now)).await?;
    Ok(ShowPage::new(read, layout)?)
}

fn read(conn: &mut Conn, reach: &Reach, id: DeviceId, now: Time) -> Result<Read> {
    let device = reach::device(conn, reach, id)?;
    let listed = device_list::of_ids(conn, &[id])?.pop().ok_or(Error::NotFound("device"))?;
    let status = store::device_status::find(conn, id)?.unwrap_or_else(|| DeviceStatus::new(id));
    let agent = store::agent_enrollment::find(conn, id, device.generation)?;
    let moment = loss::moment(conn, now)?;
    let commands = store::command::of_device(conn, id, 20)?;
    let (upcoming, past) = commands.into_iter().partition(|it| !it.state.is_final());
    let failed = listed.proof.as_ref().and_then(|it| it.failed_test_id);
    let repository = store::repository::active_of_device(conn, id)?;
    let mut tokens = match &repository {
        Some(repository) => store::repository::tokens(conn, repository.id)?,
        None => Vec::new(),
    };
    tokens.retain(|it| it.kind != TokenKind::Agent);
    let holds = service::hold::of_device(conn, &device)?;
    let machines = if status.doubt.stands() { status.continuity()?.lines } else { Vec::new() };
    Ok(Read {
        channel: service::command::channel(conn, &device)?,
        agent,
        twins: service::identity::twins(conn, reach, &device)?,
        machines,
        known: loss::facts(&listed, &moment),
        points: store::restore_point::of_device_since(conn, id, begins(now), STRIP_POINTS)?,
        tests: store::restore_test::of_device(conn, id, 5)?,
        findings: service::policy::findings(conn, &device, now)?,
        activity: store::activity::of_device(conn, id, 10)?,
        failed_test: match failed {
            Some(id) => store::restore_test::find(conn, id)?,
            None => None,
        },
        wipe: store::wipe::open_of_device(conn, id)?,
        removal: store::removal::find(conn, id)?,
        holds,
        to_retest: store::evidence::count_to_retest(conn, id)?,
        attempt: store::backup_attempt::find(conn, id)?,
        space: repository.map(|it| it.space()),
        copy: service::copy::of_device(conn, id, now)?,
        from_copy: service::copy_proof::of_device(conn, id, now)?,
        device,
        listed,
        status,
        upcoming,
        past,
        tokens,
    })
}

impl Read {
    /// Whether an order of this kind can reach the device.
    fn can(&self, kind: CommandKind) -> bool {
        self.channel.as_ref().is_some_and(|it| may_order(self.device.platform, it, kind).is_ok())
    }
}

impl ShowPage {
    fn new(read: Read, layout: Layout) -> Result<Self> {
        let facts = read.status.facts()?;
        let evidence = loss::evidence(&read.listed);
        let newest = read.points.first();
        let proof_facts = ProofFacts {
            evidence,
            proof: read.listed.proof.as_ref(),
            newest,
            findings: &read.findings,
            state: read.device.state,
            can_back_up: read.can(CommandKind::BackUpNow),
            attempt: read.attempt.as_ref(),
        };
        let (left_out, away) = match &read.attempt {
            Some(attempt) => (attempt.left_out()?, attempt.away()?),
            None => (LeftOut::default(), Vec::new()),
        };
        let may = may(&layout, &read);
        let failures = match &read.failed_test {
            Some(test) => Some(test.failures()?),
            None => None,
        };
        Ok(Self {
            grade: evidence.grade(layout.now),
            key_holder: evidence.key_holder,
            encrypted: answer::encrypted(&facts, &read.status, read.device.state, &layout),
            proven: phone::proven(&proof_facts, (read.device.platform, read.device.ownership), &facts, &layout),
            wiped: web_loss::shown(&told(&read.known), &layout),
            strip: strip(&read.points, &layout.zone, read.device.enrolled_at, layout.now),
            details: details(
                &read.device,
                read.agent.as_ref(),
                &read.status.address,
                read.attempt.as_ref(),
                &facts,
                &layout,
            )?,
            estimate: estimate(&read).map(|it| format!(" (about {})", span(it))).unwrap_or_default(),
            request_key: secret::generate("form_")?,
            may,
            failures,
            left_out,
            away,
            client: ClientTyped::default(),
            errors: FieldErrors::new(),
            read,
            layout,
        })
    }

    /// A point's own proof decays, whatever was shown of a newer one.
    fn grade_of(&self, point: &RestorePoint) -> Grade {
        point.grade(self.layout.now, self.layout.ground.away.is_some())
    }

    fn listed_points(&self) -> &[RestorePoint] {
        self.read.points.get(..LISTED_POINTS).unwrap_or(&self.read.points)
    }

    /// How far the second copy is, and whether somebody should look at it.
    fn copied(&self) -> (String, bool) {
        let sentence = self.read.copy.sentence(self.layout.now, &|at| self.layout.zone.full(at));
        (sentence, self.read.copy.standing() == CopyStanding::Unknown)
    }

    /// What the proof from the second copy alone is worth, and in words.
    fn proof_of_copy(&self) -> (CopyGrade, String) {
        let (now, when) = (self.layout.now, |at| self.layout.zone.full(at));
        let proof = self.read.from_copy.proof();
        (proof.grade(now), proof.sentence(now, &when))
    }

    /// Whether this restore point came back from the second copy alone, and that holds.
    fn is_copy_proven(&self, point: &RestorePoint) -> bool {
        self.read.from_copy.point == Some(point.id) && self.proof_of_copy().0.holds()
    }

    /// Whether there is anything to say of its backups: there are some, or there could be.
    fn has_backups(&self) -> bool {
        !self.read.points.is_empty() || self.read.can(CommandKind::BackUpNow) || self.read.channel.is_none()
    }

    fn is_enrolled(&self) -> bool {
        self.read.device.state == DeviceState::Enrolled
    }

    fn is_personal(&self) -> bool {
        self.read.device.ownership == Ownership::Personal
    }

    fn can_cancel(&self, command: &Command) -> bool {
        command.kind.may_cancel(command.state).is_ok()
            && self.layout.may_in(command.kind.permission(), self.read.device.team_id)
    }
}

fn may(layout: &Layout, read: &Read) -> May {
    let may = |permission| layout.may_in(permission, read.device.team_id);
    // What can never reach the device is not offered.
    let order = |kind: CommandKind| may(kind.permission()) && read.can(kind);
    May {
        lock: order(CommandKind::Lock),
        back_up: order(CommandKind::BackUpNow),
        read: may(Permission::ReadContents),
        wipe: order(CommandKind::Wipe) || order(CommandKind::RemoveCompanyData),
        restore: may(Permission::Restore),
        edit: may(Permission::EnrollDevices),
        see_files: may(Permission::ViewFileNames),
        see_activity: may(Permission::ViewActivity),
    }
}

/// How long the last backup and its test took.
fn estimate(read: &Read) -> Option<Duration> {
    let backup =
        read.past.iter().find(|it| it.kind == CommandKind::BackUpNow && it.state == CommandState::Acknowledged)?;
    let test = read.tests.iter().find_map(RestoreTest::duration)?;
    Some(backup.finished_at?.since(backup.delivered_at?) + test)
}
