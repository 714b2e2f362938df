//! What files hold: whether it is stored, comes back, and is what the device had.
use super::expected::{Content, key_of};
use super::files::{File, Files};
use super::{Patience, Test};
use repository::{Fault, Objects};

impl<O: Objects + Patience> Test<'_, O> {
    /// Whether every chunk is within a pack in the ledger.
    pub(super) fn check_stored(&mut self, files: &Files) {
        for copies in files.chunks() {
            let index = self.repository.index();
            let mut places = index.ends(copies).peekable();
            let first = places.peek().map(|it| it.0);
            let is_there = places.any(|(pack, end)| self.repository.pack_size(&pack).is_some_and(|size| end <= size));
            if let (false, Some(pack)) = (is_there, first) {
                self.finding.not_stored(&pack);
            }
        }
    }

    pub(super) fn check_file(
        &mut self,
        files: &Files,
        file: &File,
        mut expected: Option<&mut Content>,
    ) -> Result<(), Fault> {
        let path = files.path(file);
        let key = key_of(path);
        let content = files.content(file);
        let is_excluded = self.meet(&key, expected.as_deref_mut());
        let wanted = expected.and_then(|it| it.find(&key));
        self.finding.file_count += 1;
        let (size, hash) = match self.hash(content) {
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(fault) => {
                self.finding.read_failed(path.to_owned(), &fault);
                return Ok(());
            }
            Ok(it) => it,
        };
        self.finding.byte_count += size;
        // One that changed during the backup may have another size than its folder says.
        if size != file.size && !is_excluded {
            let reason = format!("has {size} bytes where its folder says {}", file.size);
            self.finding.entry_failed(path, &Fault::Node(reason));
            return Ok(());
        }
        match wanted {
            None => self.finding.not_compared(path, size),
            Some(_) if is_excluded => self.finding.not_compared(path, size),
            Some(wanted) if wanted.size != size => {
                self.finding.differs(path.to_owned(), format!("has {size} bytes instead of {}", wanted.size));
            }
            Some(wanted) if wanted.sha256 != hash => {
                self.finding.differs(path.to_owned(), "has different content from what the device had".to_owned());
            }
            Some(wanted) => {
                wanted.is_equal = true;
                self.finding.matched(size);
                if self.failed_before.contains(&key) {
                    self.finding.made_good.proven.push(hex::encode(key));
                }
            }
        }
        if !self.finding.has_manifest && self.failed_before.contains(&key) {
            self.finding.made_good.read.push(hex::encode(key));
        }
        Ok(())
    }

    /// Notes that a file is in the backup, whatever comes of it: one that is there but bad is not missing as well.
    /// Returns whether the device left it out of the comparison.
    pub(super) fn meet(&mut self, key: &[u8; 16], expected: Option<&mut Content>) -> bool {
        if let Some(wanted) = expected.and_then(|it| it.find(key)) {
            wanted.seen = true;
        }
        self.excluded.get_mut(key).map(|met| *met = true).is_some()
    }

    /// The length and SHA-256 of a file's content, from the stored bytes.
    fn hash(&mut self, content: &[repository::Copies]) -> Result<(u64, [u8; 32]), Fault> {
        if let [only] = content {
            // The hash of a file of one chunk is the chunk's id, which `blob` has checked.
            let length = self.chunk(*only, true)?;
            let id = self.repository.index().id(*only).ok_or(Fault::Limit("a chunk without an id"))?;
            return Ok((length, id.0));
        }
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let mut size = 0;
        for copies in content {
            size += self.chunk(*copies, false)?;
            hash.update(&self.plain);
            self.repository.objects().alive();
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(hash.finish().as_ref());
        Ok((size, sha256))
    }

    /// Reads a chunk into `plain` and returns its length; one known to be good does not have to be read again
    /// if only its hash matters.
    fn chunk(&mut self, copies: repository::Copies, only_hash: bool) -> Result<u64, Fault> {
        let at = copies.number();
        if let (true, Some(Some(length))) = (only_hash, self.known.get(at)) {
            return Ok(u64::from(length.get()));
        }
        self.repository.blob(copies, &mut self.plain)?;
        let length = u32::try_from(self.plain.len()).unwrap_or(u32::MAX);
        if let Some(known) = self.known.get_mut(at) {
            *known = std::num::NonZeroU32::new(length);
        }
        Ok(u64::from(length))
    }
}
