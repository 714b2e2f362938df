//! Where pages ask to look inside.
use super::download::{self, Flow};
use super::findings::Findings;
use super::message::{Bounds, Changes, End, Found, Job, Seen, Task};
use super::parent::{self, Work};
use super::room::{LOOKING, Place, Room, TAKING};
use super::tools::{Tools, view_of};
use super::trouble::{Outcome, Trouble};
use crate::error::Result;
use crate::proof::runner::{Runner, Watcher};
use crate::service;
use crate::service::content::{Compared, Opened, Search, Wanted};
use crate::store::Store;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use anyhow::Context;
use domain::by::By;
use domain::id::RestorePointId;
use domain::time::Time;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The processor time for one page.
const LOOK_SECONDS: u64 = 30;
/// How long a comparison goes on before it tells what it has.
const COMPARE_SECONDS: u64 = 20;
/// The same of a search. A million folders are known in less than 200 MiB.
const SEARCH: Bounds = Bounds { millis: 20_000, folders: 1_000_000 };
/// How long it may take to find out what the point before has of what was found.
const HAS_SECONDS: u64 = 10;
/// The longest time for one page: somebody waits for it.
const LOOK_LONGEST: Duration = Duration::from_secs(60);
/// How much longer somebody waits for the process to be gone.
const SPARE: Duration = Duration::from_secs(5);
/// Where pages ask to look inside. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub tools: Tools,
    /// What one search may take.
    pub search: Bounds,
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
        Self { tools, search: SEARCH, looking: Room::new(LOOKING), taking: Room::new(TAKING) }
    }

    /// One page of a folder, or what is known of a file.
    ///
    /// # Errors
    /// As [`service::content::open`]; `Busy` if too many look inside already.
    pub async fn list(&self, by: &By, wanted: Wanted, filter: String, from: u64) -> Result<Look> {
        let place = Arc::new(self.looking.enter(by.user)?);
        self.tools.keys()?;
        let opened = self.open(by, wanted).await?;
        let task =
            Task::List { snapshot: opened.point.snapshot_name.clone(), path: opened.read.path.clone(), filter, from };
        let end = self.look(&place, (opened.repository.clone(), vec![opened.point.as_of]), task).await?;
        let found = end.and_then(|end| if let End::Found(found) = end { Ok(found) } else { Err(end.into()) });
        Ok(Look { opened, found })
    }

    /// In which of a device's restore points a name is, and what became of it.
    ///
    /// # Errors
    /// As [`service::content::search`]; `Busy` if too many look inside already.
    pub async fn find(&self, by: &By, search: Search) -> Result<Findings> {
        let place = Arc::new(self.looking.enter(by.user)?);
        self.tools.keys()?;
        let (acting, now, skip) = (by.clone(), self.tools.clock.now(), search.skip);
        let text = search.text.clone();
        let searched = self.tools.store.act(move |conn| service::content::search(conn, &acting, &search, now)).await?;
        let (repository, newer, from) = (searched.repository.clone(), searched.newer.clone(), searched.from.clone());
        let mut findings = Findings::of(searched, skip);
        let Some(repository) = repository else { return Ok(findings) };
        let views = views(&findings.points);
        let points = findings.points.iter().map(|it| seen(&views, it)).collect();
        let task = Task::Find { points, text, from, bounds: self.search };
        match self.look(&place, (repository, views), task).await? {
            Ok(End::Hits(hits)) => findings.hits = hits,
            Ok(end) => findings.trouble = Some(end.into()),
            Err(trouble) => findings.trouble = Some(trouble),
        }
        let paths = findings.open_ended();
        if let (Some((point, repository)), false) = (newer, paths.is_empty()) {
            let task = Task::Has { point: seen(&[point.as_of], &point), paths: paths.clone(), seconds: HAS_SECONDS };
            let end = self.look(&place, (repository, vec![point.as_of]), task).await;
            // What cannot be read there, or not opened, is not known: what was found is.
            findings.told(paths, if let Ok(Ok(End::Has(answers))) = end { answers } else { Vec::new() });
        }
        Ok(findings)
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
        let place = Arc::new(self.looking.enter(by.user)?);
        self.tools.keys()?;
        let (acting, now) = (by.clone(), self.tools.clock.now());
        let compared = self.tools.store.act(move |conn| service::content::compare(conn, &acting, points, now)).await?;
        let views = views([&compared.old, &compared.new]);
        let (old, new) = (seen(&views, &compared.old), seen(&views, &compared.new));
        let task = Task::Compare { old, new, from, seconds: COMPARE_SECONDS };
        let end = self.look(&place, (compared.repository.clone(), views), task).await?;
        Ok((compared, end.and_then(|end| if let End::Changes(it) = end { Ok(it) } else { Err(end.into()) })))
    }

    /// Runs one process to its end, on a thread where it may block.
    async fn look(
        &self,
        place: &Arc<Place>,
        (repository, views): (Repository, Vec<Time>),
        task: Task,
    ) -> Result<Outcome<End>> {
        let (tools, place) = (self.tools.clone(), Arc::clone(place));
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
