//! What came back, compared with the manifest.
use super::Conflict;
use super::selection::Selection;
use crate::manifest::ManifestFile;
use std::collections::{BTreeMap, BTreeSet};

/// What came back, compared with the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Files that were to be restored and can be compared.
    pub file_count: i64,
    pub matched_count: i64,
    /// Read back on the device with another hash or size.
    pub differing: Vec<String>,
    /// Neither restored nor kept.
    pub missing: Vec<String>,
    /// Left as they were because something was already there and `skip` was chosen.
    pub kept: Vec<String>,
    /// Changed while they were backed up, so the manifest does not say what they were.
    pub not_compared: Vec<String>,
}

impl Comparison {
    /// Whether everything that was to be restored is there as it was. The device's word that something is
    /// already there is not a comparison: without one matching file, nothing is shown.
    pub fn is_good(&self) -> bool {
        self.differing.is_empty() && self.missing.is_empty() && self.matched_count > 0
    }
}

/// Compares what a device read back with what the manifest says of the chosen files. What it `kept` counts as
/// kept only if that was asked for; otherwise each file comes back beside what was there.
pub fn compare(
    manifest: &[ManifestFile],
    selection: &Selection,
    excluded: &[String],
    restored: &[ManifestFile],
    (conflict, kept): (Conflict, &[String]),
) -> Comparison {
    let found: BTreeMap<_, _> = restored.iter().map(|it| (it.path.as_str(), it)).collect();
    let kept: BTreeSet<_> = kept.iter().map(String::as_str).collect();
    let excluded: BTreeSet<_> = excluded.iter().map(String::as_str).collect();
    let chosen = selection.chosen();
    let mut result = Comparison::default();
    for file in manifest.iter().filter(|it| chosen.covers(&it.path)) {
        if excluded.contains(file.path.as_str()) {
            result.not_compared.push(file.path.clone());
            continue;
        }
        result.file_count += 1;
        match found.get(file.path.as_str()) {
            Some(it) if it.sha256 == file.sha256 && it.size == file.size => result.matched_count += 1,
            Some(_) => result.differing.push(file.path.clone()),
            None if conflict == Conflict::Merge && kept.contains(file.path.as_str()) => {
                result.kept.push(file.path.clone())
            }
            None => result.missing.push(file.path.clone()),
        }
    }
    result
}
