//! What a search found, and what became of each path: the one answer that pages and the API show.
use super::message::{Hit, Hits, Span};
use super::trouble::Trouble;
use crate::service::content::Searched;
use crate::store::device::Device;
use crate::store::restore_point::RestorePoint;
use domain::time::Time;
use std::collections::HashMap;

/// What one search found in some of a device's restore points.
#[derive(Debug)]
pub struct Findings {
    pub device: Device,
    /// Newest first; hits name them by their place.
    pub points: Vec<RestorePoint>,
    pub hits: Hits,
    /// Why nothing could be found.
    pub trouble: Option<Trouble>,
    /// How many points there are besides, older ones.
    older: i64,
    skip: i64,
    newer: Option<Newer>,
}

/// The last point of the search before this one.
#[derive(Debug)]
struct Newer {
    received_at: Time,
    /// Whether it has a path; a path that nobody could look for is not in here.
    has: HashMap<String, bool>,
}

/// What became of a path after the newest point that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the newest point of all.
    Still,
    /// A newer point, which was searched before, has it too: when that was received.
    Newer(Time),
    /// When it was last there, and when no more.
    Gone(Time, Time),
    /// No newer point could be read to its end.
    Unknown,
}

/// Where the next search begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    pub skip: i64,
    /// Within the first point after those; empty for its beginning.
    pub from: String,
}

impl Findings {
    /// Before anything was found.
    pub(super) fn of(searched: Searched, skip: i64) -> Self {
        let newer = searched.newer.map(|(point, _)| Newer { received_at: point.received_at, has: HashMap::new() });
        Self {
            device: searched.device,
            points: searched.points,
            hits: Hits::default(),
            trouble: None,
            older: searched.older,
            skip: skip.max(0),
            newer,
        }
    }

    /// The paths of which only a newer point says what became of them.
    pub(super) fn open_ended(&self) -> Vec<String> {
        let open = self.hits.rows.iter().filter(|it| !it.is_cut && self.after(it).is_none());
        open.map(|it| it.path.clone()).collect()
    }

    /// Takes what that point says of them.
    pub(super) fn told(&mut self, paths: Vec<String>, answers: Vec<Option<bool>>) {
        if let Some(newer) = &mut self.newer {
            newer.has.extend(paths.into_iter().zip(answers).filter_map(|(path, has)| Some((path, has?))));
        }
    }

    /// The nearest newer point here that was read to its end.
    fn after(&self, hit: &Hit) -> Option<Time> {
        let first = hit.spans.first()?.newest;
        let sure = (0..first).rev().find(|it| !self.hits.unsure.contains(it))?;
        self.points.get(sure).map(|it| it.received_at)
    }

    /// The newest point that has it.
    pub fn newest(&self, hit: &Hit) -> Option<&RestorePoint> {
        self.points.get(hit.spans.first()?.newest)
    }

    /// What became of it: "gone between 12 and 14 Nov" only where a newer point was read to its end and lacks it.
    pub fn fate(&self, hit: &Hit) -> Fate {
        let Some(last) = self.newest(hit).map(|it| it.received_at) else { return Fate::Unknown };
        if let Some(after) = self.after(hit) {
            return Fate::Gone(last, after);
        }
        let is_first = hit.spans.first().is_some_and(|it| it.newest == 0);
        match &self.newer {
            None if is_first => Fate::Still,
            None => Fate::Unknown,
            Some(newer) => match newer.has.get(&hit.path) {
                Some(true) => Fate::Newer(newer.received_at),
                Some(false) => Fate::Gone(last, newer.received_at),
                None => Fate::Unknown,
            },
        }
    }

    /// When the oldest and the newest point of a span were received.
    pub fn span(&self, span: &Span) -> Option<(&RestorePoint, &RestorePoint)> {
        Some((self.points.get(span.oldest)?, self.points.get(span.newest)?))
    }

    /// How many points were not searched, or not to their end.
    pub fn rest(&self) -> i64 {
        let left = self.points.len().saturating_sub(self.hits.searched);
        self.older + i64::try_from(left).unwrap_or(0)
    }

    /// Where the next search begins; none at the end.
    pub fn next(&self) -> Option<Next> {
        if let Some(it) = &self.hits.goes_on {
            let begun = self.points.first()?.id;
            return Some(Next { skip: self.skip, from: format!("{begun}.{}", it.from) });
        }
        let done = match &self.trouble {
            None => i64::try_from(self.hits.searched).unwrap_or(0),
            // Whatever is in the newest, the older ones can be searched.
            Some(Trouble::Limit(_) | Trouble::Damaged { .. } | Trouble::NotThere | Trouble::NotAFile) => 1,
            Some(Trouble::Away(_) | Trouble::Stopped | Trouble::Lost) => 0,
        };
        let is_more = done > 0 && self.older + i64::try_from(self.points.len()).unwrap_or(0) > done;
        is_more.then(|| Next { skip: self.skip + done, from: String::new() })
    }
}
