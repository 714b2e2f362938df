//! Where pages ask to look inside.
use super::download::{self, Flow};
use super::message::{Changes, End, Found, Hits, Job, Seen, Task};
use super::parent::{self, Work};
use super::room::{LOOKING, Place, Room, TAKING};
use super::tools::{Tools, view_of};
use super::trouble::{Outcome, Trouble};
use crate::error::Result;
use crate::proof::runner::{Runner, Watcher};
use crate::service;
use crate::service::content::{Compared, Opened, Search, Searched, Wanted};
use crate::store::Store;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use anyhow::Context;
use domain::by::By;
use domain::id::RestorePointId;
use domain::time::Time;
use std::collections::BTreeSet;
use std::time::Duration;

/// The processor time for one page.
const LOOK_SECONDS: u64 = 30;
/// How long a search or a comparison goes on before it tells what it has.
const SEARCH_SECONDS: u64 = 20;
/// The longest time for one page: somebody waits for it.
const LOOK_LONGEST: Duration = Duration::from_secs(60);
/// How much longer somebody waits for the process to be gone.
const SPARE: Duration = Duration::from_secs(5);
/// Where pages ask to look inside. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub tools: Tools,
    looking: Room,
    taking: Room,
}

/// What was asked, and what came of it.
pub struct Look {
    pub opened: Opened,
    pub found: Outcome<Found>,
}

impl Desk {
    /// With its places.
    pub fn new(tools: Tools) -> Self {
        Self { tools, looking: Room::new(LOOKING), taking: Room::new(TAKING) }
    }

    /// One page of a folder, or what is known of a file.
    ///
    /// # Errors
    /// As [`service::content::open`]; `Busy` if too many look inside already.
    pub async fn list(&self, by: &By, wanted: Wanted, filter: String, from: u64) -> Result<Look> {
        let place = self.looking.enter(by.user)?;
        self.tools.keys()?;
        let opened = self.open(by, wanted).await?;
        let task =
            Task::List { snapshot: opened.point.snapshot_name.clone(), path: opened.read.path.clone(), filter, from };
        let end = self.look(place, (opened.repository.clone(), vec![opened.point.as_of]), task).await?;
        let found = end.and_then(|end| if let End::Found(found) = end { Ok(found) } else { Err(end.into()) });
        Ok(Look { opened, found })
    }

    /// In which of a device's restore points a name is.
    ///
    /// # Errors
    /// As [`service::content::search`]; `Busy` if too many look inside already.
    pub async fn find(&self, by: &By, search: Search) -> Result<(Searched, Outcome<Hits>)> {
        let place = self.looking.enter(by.user)?;
        self.tools.keys()?;
        let (acting, now, text) = (by.clone(), self.tools.clock.now(), search.text.clone());
        let searched = self.tools.store.act(move |conn| service::content::search(conn, &acting, &search, now)).await?;
        let Some(repository) = searched.repository.clone() else { return Ok((searched, Ok(Hits::default()))) };
        let views = views(&searched.points);
        let snapshots = searched.points.iter().map(|it| seen(&views, it)).collect();
        let task = Task::Find { snapshots, text, seconds: SEARCH_SECONDS };
        let end = self.look(place, (repository, views), task).await?;
        Ok((searched, end.and_then(|end| if let End::Hits(hits) = end { Ok(hits) } else { Err(end.into()) })))
    }

    /// What two restore points differ in, one page from the difference number `from` on.
    ///
    /// # Errors
    /// As [`service::content::compare`]; `Busy` if too many look inside already.
    pub async fn compare(
        &self,
        by: &By,
        points: (RestorePointId, RestorePointId),
        from: u64,
    ) -> Result<(Compared, Outcome<Changes>)> {
        let place = self.looking.enter(by.user)?;
        self.tools.keys()?;
        let (acting, now) = (by.clone(), self.tools.clock.now());
        let compared = self.tools.store.act(move |conn| service::content::compare(conn, &acting, points, now)).await?;
        let views = views([&compared.old, &compared.new]);
        let (old, new) = (seen(&views, &compared.old), seen(&views, &compared.new));
        let task = Task::Compare { old, new, from, seconds: SEARCH_SECONDS };
        let end = self.look(place, (compared.repository.clone(), views), task).await?;
        Ok((compared, end.and_then(|end| if let End::Changes(it) = end { Ok(it) } else { Err(end.into()) })))
    }

    /// Runs one process to its end, on a thread where it may block.
    async fn look(
        &self,
        place: Place,
        (repository, views): (Repository, Vec<Time>),
        task: Task,
    ) -> Result<Outcome<End>> {
        let tools = self.tools.clone();
        let look = move || {
            let _place = place;
            let (served, key) = tools.prepare(&repository, &views)?;
            let runner = Runner { silence: LOOK_LONGEST, longest: LOOK_LONGEST, ..tools.runner.clone() };
            let job = Job { task, cpu_seconds: LOOK_SECONDS };
            let watcher = Stops(&tools.store);
            let work = Work { served: &served, key: &key, job: &job, watcher: &watcher };
            Ok(parent::run(&runner, &work, &mut |_| true).0.map_err(Trouble::from))
        };
        // A disk that answers nothing keeps its place, but nobody waits for it.
        match tokio::time::timeout(LOOK_LONGEST + SPARE, actix_web::web::block(look)).await {
            Ok(ended) => ended.context("looking inside a restore point")?,
            Err(_late) => Ok(Err(Trouble::late())),
        }
    }

    /// Begins a download; the inner error is why there is nothing to send.
    ///
    /// # Errors
    /// As [`service::content::open`]; `Busy` if too much is downloaded already.
    pub async fn take(&self, by: &By, wanted: Wanted, leaves_out: bool) -> Result<Outcome<Flow>> {
        let place = self.taking.enter(by.user)?;
        self.tools.keys()?;
        let opened = self.open(by, wanted).await?;
        download::begin(self.tools.clone(), (by, &opened), leaves_out, place).await
    }

    async fn open(&self, by: &By, wanted: Wanted) -> Result<Opened> {
        let (by, now) = (by.clone(), self.tools.clock.now());
        self.tools.store.act(move |conn| service::content::open(conn, &by, &wanted, now)).await
    }
}

/// When each of these points was received, earliest first.
fn views<'a>(points: impl IntoIterator<Item = &'a RestorePoint>) -> Vec<Time> {
    points.into_iter().map(|it| it.as_of).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A point, to be looked at as of its receipt.
fn seen(views: &[Time], point: &RestorePoint) -> Seen {
    Seen { snapshot: point.snapshot_name.clone(), view: view_of(views, point.as_of) }
}

/// Stops with the server.
struct Stops<'a>(&'a Store);

impl Watcher for Stops<'_> {
    fn stop(&self) -> bool {
        self.0.wake().is_stopping()
    }
}
