//! Reads what is on the disk, not what the system remembers of it.
//!
//! `O_DIRECT` goes past the page cache (Linux: `open(2)`). Before that the cache is asked to forget the file
//! (`posix_fadvise(2)`), so that whoever reads it next gets what was found here. Where a file system does not read
//! directly, forgetting is all there is. What the disk's own controller remembers nobody can see past.
use crate::blob::piece::{Landing, ends_at_a_block};
use rustix::fs::{Advice, OFlags, fadvise, fcntl_getfl, fcntl_setfl};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// How much is read at once.
const PIECE: usize = 1 << 20;

/// A file that is read from the disk.
#[derive(Debug)]
pub(super) struct Cold {
    file: File,
    is_direct: bool,
}

impl Cold {
    /// Opens it, and has the cache forget it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let direct = OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits().cast_signed()).open(path);
        let (file, is_direct) = match direct {
            // This file system reads nothing directly.
            Err(error) if error.kind() == ErrorKind::InvalidInput => (File::open(path)?, false),
            opened => (opened?, true),
        };
        forget(&file);
        Ok(Self { file, is_direct })
    }

    /// Hands its bytes to `take`, in order, until it breaks off.
    pub(super) fn read(mut self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
        let len = usize::try_from(self.file.metadata()?.len()).unwrap_or(usize::MAX);
        // One byte more than it has, so that a short read shows its end.
        let mut landing = Landing::new(len.saturating_add(1).min(PIECE));
        let mut offset = 0;
        loop {
            let read = match self.file.read_at(landing.room(), offset) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // This disk has larger blocks.
                Err(error) if error.kind() == ErrorKind::InvalidInput && self.is_direct => {
                    self.use_cache()?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if take(landing.bytes(read)).is_break() {
                return Ok(());
            }
            offset += read as u64;
            // The end, most likely; if there is more, it does not begin at a block.
            if self.is_direct && !ends_at_a_block(read) {
                self.use_cache()?;
            }
        }
    }

    fn use_cache(&mut self) -> io::Result<()> {
        fcntl_setfl(&self.file, fcntl_getfl(&self.file)? - OFlags::DIRECT)?;
        self.is_direct = false;
        forget(&self.file);
        Ok(())
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        if !self.is_direct {
            forget(&self.file);
        }
    }
}

/// Asks the cache to forget a file. It is only asked: what somebody has mapped or not yet written stays.
fn forget(file: &File) {
    if let Err(error) = fadvise(file, 0, None, Advice::DontNeed) {
        tracing::debug!(%error, "the system's cache could not be asked to forget a file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::piece;

    fn bytes(len: usize) -> Vec<u8> {
        (0..=250).cycle().take(len).collect()
    }

    fn read(cold: Cold) -> (Vec<u8>, usize) {
        let (mut all, mut pieces) = (Vec::new(), 0);
        cold.read(&mut |piece| {
            all.extend_from_slice(piece);
            pieces += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        (all, pieces)
    }

    #[test]
    fn all_bytes_come_back_whatever_their_number_and_however_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for len in [0, 1, 511, 512, 4095, 4096, 4097, 100_001, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let (path, bytes) = (folder.path().join("object"), bytes(len));
            std::fs::write(&path, &bytes).unwrap();
            File::open(&path).unwrap().sync_all().unwrap();

            let direct = Cold::open(&path).unwrap();
            let mut cached = Cold::open(&path).unwrap();
            if cached.is_direct {
                cached.use_cache().unwrap();
            }

            assert!(read(direct).0 == bytes, "{len} directly");
            assert!(read(cached).0 == bytes, "{len} through the cache");
        }
    }

    #[test]
    fn nothing_more_is_read_once_enough_was_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        std::fs::write(&path, bytes(3 * PIECE)).unwrap();
        let mut seen = 0;

        Cold::open(&path)
            .unwrap()
            .read(&mut |piece| {
                seen += piece.len();
                ControlFlow::Break(())
            })
            .unwrap();

        assert_eq!(seen, PIECE);
    }

    #[test]
    fn a_file_is_read_directly_where_the_disk_lets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        std::fs::write(&path, bytes(piece::SIZE)).unwrap();
        let direct = OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits().cast_signed()).open(&path);

        let cold = Cold::open(&path).unwrap();

        assert_eq!(cold.is_direct, direct.is_ok());
        assert_eq!(read(cold), (bytes(piece::SIZE), 1));
    }
}
