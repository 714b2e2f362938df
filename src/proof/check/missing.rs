//! What should be in the backup and is not, and what came back of what was missed before.
use super::expected::{Content, key_of};
use super::{Manifest, Patience, Test};
use domain::manifest::{EntryKind, MAX_STORED_BYTES};
use domain::object::ObjectKind;
use repository::{Fault, Objects};

impl<O: Objects + Patience> Test<'_, O> {
    /// Whether everything an earlier test missed came back in this one.
    pub(super) fn check_failed_before(&mut self, content: &Content) -> Result<(), Fault> {
        for name in &self.job.failed_before.manifests {
            match self.repository.stored(ObjectKind::Manifests, name, MAX_STORED_BYTES) {
                Err(fault) if fault.is_fatal() => return Err(fault),
                // Nobody can say what was in it, so nothing is made good.
                Err(_) => {}
                Ok(stored) => {
                    let mut is_whole = true;
                    let read = domain::manifest::each(&stored, |file| {
                        is_whole &= content.is_equal(&key_of(&file.path));
                    });
                    if is_whole && read.is_ok() {
                        self.finding.made_good.manifests.push(name.clone());
                    }
                }
            }
            self.repository.objects().alive();
        }
        Ok(())
    }

    /// Files of the manifest that the backup does not have.
    pub(super) fn check_missing(&mut self, expected: &Manifest) -> Result<(), Fault> {
        if expected.content.all_seen() {
            return Ok(());
        }
        let (finding, excluded) = (&mut *self.finding, &mut self.excluded);
        let again = domain::manifest::each(&expected.stored, |file| {
            let key = key_of(&file.path);
            if expected.content.is_seen(&key) {
                return;
            }
            finding.file_count += 1;
            match excluded.get_mut(&key) {
                Some(met) => {
                    *met = true;
                    finding.not_compared(&file.path, file.size);
                }
                None => finding.missing(file.path),
            }
        });
        again.map(drop).map_err(|error| Fault::Node(error.to_string()))
    }

    /// Folders, links and other entries of the manifest that the backup does not have.
    pub(super) fn check_missing_entries(&mut self, expected: &Manifest) -> Result<(), Fault> {
        let Some(listing) = &expected.listing else { return Ok(()) };
        let (finding, excluded) = (&mut *self.finding, &mut self.excluded);
        let again = domain::manifest::entries(&expected.stored, |entry| {
            if entry.kind == EntryKind::File || !listing.is_missing(&entry) {
                return;
            }
            match excluded.get_mut(&key_of(&entry.path)) {
                Some(met) => {
                    *met = true;
                    finding.entry_not_compared(&entry.path);
                }
                None => {
                    finding.file_count += 1;
                    finding.missing(entry.path);
                }
            }
        });
        again.map(drop).map_err(|error| Fault::Node(error.to_string()))
    }

    /// Files the device could never read: they exist only on the device, and so are unproven as well.
    pub(super) fn count_unmet(&mut self) {
        for path in &self.job.excluded {
            if let Some(met @ false) = self.excluded.get_mut(&key_of(path)) {
                *met = true;
                self.finding.file_count += 1;
                self.finding.not_compared(path, 0);
            }
        }
    }
}
