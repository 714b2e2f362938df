//! Where each path was met.
use super::{Below, Folders, Version};
use crate::content::child::short;
use crate::content::message::{GoesOn, Hit, Hits, Span};
use domain::manifest::encode_path;
use repository::{Fault, limit};
use std::collections::BTreeMap;
use std::time::Instant;

/// How many paths are told.
const PATHS: usize = 300;
/// How often a path may come and go; older times are not told.
const SPANS: usize = 50;

/// Where each path was met.
#[derive(Default)]
pub(super) struct Seen {
    paths: BTreeMap<Vec<u8>, Path>,
    pub has_more: bool,
    pub searched: usize,
    pub unreadable_points: u64,
    /// Points that could not be read to their end: what is not met there does not end a span.
    pub unsure: Vec<usize>,
    /// Where the first point goes on, if it was not searched to its end.
    pub goes_on: Option<GoesOn>,
}

struct Path {
    newest: Version,
    last: Version,
    versions: u32,
    spans: Vec<Span>,
}

impl Seen {
    /// Goes through the summaries of one point, from these folders on; false if the time is over.
    pub fn take<'a>(
        &mut self,
        (folders, until): (&'a Folders, Instant),
        mut rest: Vec<(Vec<u8>, &'a Below)>,
        at: usize,
    ) -> Result<bool, Fault> {
        let mut steps = 0u32;
        while let Some((path, below)) = rest.pop() {
            for (name, version) in &below.hits {
                // In the first one, everything from here on would be left out.
                if at == 0 && self.paths.len() >= PATHS {
                    self.has_more = true;
                    return Ok(true);
                }
                steps = steps.wrapping_add(1);
                if steps.is_multiple_of(1024) && Instant::now() >= until {
                    return Ok(false);
                }
                self.meet([&path[..], b"/", name].concat(), version, at);
            }
            for (name, id) in &below.folders {
                let path = [&path[..], b"/", name].concat();
                if path.len() > limit::PATH {
                    return Err(Fault::Limit("a path is longer than the limit"));
                }
                rest.extend(folders.below(id).map(|it| (path, it)));
            }
        }
        Ok(true)
    }

    fn meet(&mut self, path: Vec<u8>, version: &Version, at: usize) {
        if let Some(known) = self.paths.get_mut(&path) {
            let is_sure = |it: usize| self.unsure.binary_search(&it).is_err();
            let is_full = known.spans.len() >= SPANS;
            match known.spans.last_mut() {
                Some(span) if !(span.oldest + 1..at).any(is_sure) => span.oldest = at,
                Some(_) | None if !is_full => known.spans.push(Span { newest: at, oldest: at }),
                Some(_) | None => {}
            }
            if known.last != *version {
                known.versions = known.versions.saturating_add(1);
                known.last = version.clone();
            }
            return;
        }
        if self.paths.len() >= PATHS {
            self.has_more = true;
            return;
        }
        let spans = vec![Span { newest: at, oldest: at }];
        self.paths.insert(path, Path { newest: version.clone(), last: version.clone(), versions: 1, spans });
    }

    pub fn hits(self, unreadable_folders: u64, has_more: bool) -> Hits {
        // The first one is told as far as it was searched.
        let searched = self.searched.max(usize::from(self.goes_on.is_some()));
        // A point that was only begun is not among those that are told.
        let told = |mut spans: Vec<Span>| {
            spans.retain(|it| it.newest < searched);
            spans
        };
        let rows = self.paths.into_iter().filter_map(|(path, it)| {
            let spans = told(it.spans);
            let (path, is_cut) = short_path(&path);
            let (is_folder, size, versions) = (it.newest.is_folder, it.newest.size, it.versions);
            (!spans.is_empty()).then_some(Hit { path, is_cut, is_folder, size, versions, spans })
        });
        Hits {
            rows: rows.collect(),
            searched: self.searched,
            has_more: self.has_more || has_more,
            unreadable_folders,
            unreadable_points: self.unreadable_points,
            unsure: self.unsure,
            goes_on: self.goes_on,
        }
    }
}

/// A path in the manifest's spelling, and whether it is cut, because no page has room for it.
pub(super) fn short_path(path: &[u8]) -> (String, bool) {
    let text = encode_path(path);
    if text.len() <= 4096 { (text, false) } else { (short(&text), true) }
}
