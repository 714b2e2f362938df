//! What every page needs around its content.
use crate::auth;
use crate::error::Result;
use crate::problem::HttpError;
use crate::service;
use crate::store::{self, Conn, Store};
use crate::web::area::Areas;
use crate::web::asset;
use crate::web::csrf;
use crate::web::filter::{self, Moment, Plain};
use crate::web::flash::{self, Flash};
use crate::web::look::Look;
use crate::web::nonce::Nonce;
use crate::web::visitor::Visitor;
use crate::zone::Zone;
use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use clock::Clock;
use domain::ground::Ground;
use domain::id::{TeamId, UserId};
use domain::proof::is_ahead;
use domain::role::{Grants, Permission};
use domain::time::Time;
use domain::wipe::BEFORE_DELIVERY;
use domain::words;
use std::future::Future;
use std::pin::Pin;

/// The person the page is for.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: UserId,
    pub name: String,
    /// "Owner", or "Operator, Approver".
    pub roles: String,
}

/// What every page needs around its content; an extractor, kept as `layout` in each page's struct.
#[derive(Debug, Clone)]
pub struct Layout {
    pub person: Option<Person>,
    pub grants: Grants,
    /// The address of this page without its query.
    pub path: String,
    /// Wipe requests waiting for an approver; none for people who cannot approve.
    pub approvals_waiting: Option<i64>,
    /// How many of them are restores to other devices.
    pub restores_waiting: i64,
    /// Of these, requests to let something end: to lift a hold, or to keep less.
    pub removals_waiting: i64,
    /// Wipes under way that this person may stop.
    pub stoppable_wipes: i64,
    has_failed_test: bool,
    pub is_demo: bool,
    /// What the navigation is made from.
    pub areas: Areas,
    /// What the last form did, or why it did nothing.
    pub flash: Option<Flash>,
    /// Whether the password was entered so long ago that a form asks for it again.
    pub asks_password: bool,
    pub look: Look,
    pub csrf: String,
    pub nonce: String,
    pub now: Time,
    pub zone: Zone,
    pub damage: Option<Damage>,
    /// Since when everything that erases, removes, restores or loosens is frozen.
    pub frozen_since: Option<Time>,
    /// Whether the backup store can be read and accepts backups.
    pub ground: Ground,
    /// What is the matter with the second store, in a few words each.
    pub second_store: Vec<&'static str>,
    /// The database's disk accepts no writes.
    pub is_read_only: bool,
}

/// Stored objects that are missing or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    pub object_count: i64,
    pub device_count: i64,
}

#[derive(Default)]
struct Frame {
    approvals_waiting: Option<i64>,
    restores_waiting: i64,
    removals_waiting: i64,
    stoppable_wipes: i64,
    has_failed_test: bool,
    is_demo: bool,
    damage: Option<Damage>,
    frozen_since: Option<Time>,
    ground: Ground,
    second_store: Vec<&'static str>,
}

impl Layout {
    /// Reads what the frame of a page shows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(request: &HttpRequest) -> Result<Self> {
        let mut layout = Self::bare(request);
        if let Some(store) = request.app_data::<Data<Store>>() {
            layout.is_read_only = layout.person.is_some() && store.is_read_only();
            let (grants, person) = (layout.grants.clone(), layout.person.as_ref().map(|it| it.id));
            let now = layout.now;
            let frame = store.read(move |conn| read_frame(conn, &grants, person, now)).await?;
            layout.approvals_waiting = frame.approvals_waiting;
            layout.restores_waiting = frame.restores_waiting;
            layout.removals_waiting = frame.removals_waiting;
            layout.second_store = frame.second_store;
            layout.stoppable_wipes = frame.stoppable_wipes;
            layout.has_failed_test = frame.has_failed_test;
            layout.is_demo = frame.is_demo;
            layout.damage = frame.damage;
            layout.frozen_since = frame.frozen_since;
            layout.ground = frame.ground;
        }
        Ok(layout)
    }

    /// The frame without anything that needs the database.
    pub fn bare(request: &HttpRequest) -> Self {
        let now = request.app_data::<Data<Clock>>().map_or(Time::from_millis(0), |it| it.now());
        let who = auth::identity(request);
        let zone = Zone::new(who.as_ref().map_or("UTC", |it| &it.user.time_zone), now);
        let csrf = match &who {
            Some(_) => csrf::of_session(request).unwrap_or_default(),
            None => flash::visit(request).map(|it| csrf::token(&it)).unwrap_or_default(),
        };
        Self {
            person: who.as_ref().map(|it| Person {
                id: it.user.id,
                name: it.user.name.clone(),
                roles: role_names(&it.grants),
            }),
            grants: who.as_ref().map(|it| it.grants.clone()).unwrap_or_default(),
            path: request.path().to_owned(),
            approvals_waiting: None,
            restores_waiting: 0,
            removals_waiting: 0,
            stoppable_wipes: 0,
            has_failed_test: false,
            is_demo: false,
            areas: Areas::in_use(request.app_data()),
            flash: flash::read(request),
            asks_password: who.as_ref().is_some_and(|it| !it.is_fresh(now)),
            look: Visitor::of(request).look,
            csrf,
            nonce: request.extensions().get::<Nonce>().map(|it| it.0.clone()).unwrap_or_default(),
            now,
            zone,
            damage: None,
            frozen_since: None,
            ground: Ground::default(),
            second_store: Vec::new(),
            is_read_only: false,
        }
    }

    /// Whether the person holds a permission somewhere, so that a control is worth showing.
    pub fn may(&self, permission: Permission) -> bool {
        self.grants.reach(permission).is_some()
    }

    /// Whether the person holds a permission for devices of a team.
    pub fn may_in(&self, permission: Permission, team: Option<TeamId>) -> bool {
        self.grants.reach(permission).is_some_and(|it| it.covers(team))
    }

    /// "18 Nov 03:10" in the reader's zone, as `<time>`.
    pub fn date(&self, at: impl Plain<Time>) -> Moment {
        filter::date(at.plain(), &self.zone)
    }

    /// "18 Nov 03:10, 4 d", as `<time>`.
    pub fn when(&self, at: impl Plain<Time>) -> Moment {
        filter::when(at.plain(), &self.zone)
    }

    /// "4 d".
    pub fn ago(&self, at: impl Plain<Time>) -> String {
        filter::ago(at.plain(), self.now)
    }

    /// "4 d ago".
    pub fn since(&self, at: impl Plain<Time>) -> String {
        filter::since(at.plain(), self.now)
    }

    /// Whether a time lies ahead of the server's clock: it comes from a clock that was wrong.
    pub fn is_ahead(&self, at: impl Plain<Time>) -> bool {
        is_ahead(at.plain(), self.now)
    }

    /// "403 MB".
    pub fn bytes(&self, count: impl Plain<i64>) -> String {
        filter::bytes(count.plain())
    }

    /// "1,283".
    pub fn count(&self, number: impl Plain<i64>) -> String {
        filter::count(number.plain())
    }

    /// "1 file", "1,283 files".
    pub fn files(&self, number: impl Plain<i64>) -> String {
        words::files(number.plain())
    }

    /// "1 device", "1,283 devices".
    pub fn devices(&self, number: impl Plain<i64>) -> String {
        words::counted(number.plain(), "device", "devices")
    }

    /// "14:06:11", when this page was made.
    pub fn as_of(&self) -> String {
        self.zone.clock(self.now)
    }

    /// What a printed page says about its times, some of which stand in sentences without a year.
    pub fn printed(&self) -> String {
        let (zone, now) = (&self.zone, self.now);
        format!("{}. Times are in {}; dates without a year are in {}.", zone.full(now), zone.name(), zone.year(now))
    }

    /// How many restores to other devices wait for this reader's approval.
    pub const fn restores_to_approve(&self) -> i64 {
        self.restores_waiting
    }

    /// How many requests to let something end wait for this reader's approval.
    pub const fn removals_to_approve(&self) -> i64 {
        self.removals_waiting
    }

    /// How many wipe requests wait for this reader's approval.
    pub fn wipes_to_approve(&self) -> i64 {
        self.approvals_waiting.unwrap_or(0) - self.restores_waiting - self.removals_waiting
    }

    /// The icon of the browser's tab: red while something needs a person now.
    pub fn favicon(&self) -> String {
        let stands = self.ground == Ground::default() && self.second_store.is_empty();
        let alarmed =
            self.damage.is_some() || !stands || self.has_failed_test || self.approvals_waiting.is_some_and(|it| it > 0);
        asset::url(if alarmed { "favicon-alarm.svg" } else { "favicon.svg" })
    }
}

impl FromRequest for Layout {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self, HttpError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Ok(Self::load(&request).await?) })
    }
}

fn read_frame(conn: &mut Conn, grants: &Grants, person: Option<UserId>, now: Time) -> Result<Frame> {
    let mut frame = Frame { is_demo: service::installation::is_demo(conn)?, ..Frame::default() };
    let Some(person) = person else { return Ok(frame) };
    frame.frozen_since = service::freeze::standing(conn)?;
    frame.ground = store::ground::find(conn)?;
    frame.second_store = service::incident::second_store_headlines(conn, now)?;
    if let Some(reach) = grants.reach(Permission::ApproveWipe) {
        frame.approvals_waiting = Some(store::attention::approvals_waiting(conn, &reach, person)?);
    }
    if let Some(reach) = grants.reach(Permission::ApproveRestore) {
        frame.restores_waiting = store::attention::restores_waiting(conn, &reach, person)?;
        frame.approvals_waiting = Some(frame.approvals_waiting.unwrap_or(0) + frame.restores_waiting);
    }
    if let Some(reach) = grants.reach(Permission::ApproveRemoval) {
        frame.removals_waiting = store::attention::removals_waiting(conn, &reach, person, now)?;
        frame.approvals_waiting = Some(frame.approvals_waiting.unwrap_or(0) + frame.removals_waiting);
    }
    if let Some(reach) = grants.reach(Permission::StopWipe) {
        frame.stoppable_wipes = store::wipe::count(conn, &BEFORE_DELIVERY, &reach)?;
    }
    if let Some(reach) = grants.reach(Permission::ViewDevices) {
        frame.has_failed_test = store::attention::has_failed_test(conn, &reach)?;
    }
    let (object_count, device_count) = store::attention::damage(conn)?;
    frame.damage = (object_count > 0).then_some(Damage { object_count, device_count });
    Ok(frame)
}

/// "Owner", or "Operator, Approver"; each once, whatever teams it is held in.
pub fn role_names(grants: &Grants) -> String {
    let mut names: Vec<&str> = grants.iter().map(|(role, _)| role.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
