//! A file's content on its way to the disk and back.
use aws_lc_rs::digest;
use rustix::fs::{Advice, SeekFrom as At};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// Gives a file's content.
pub type Content<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

const BUFFER: usize = 1 << 18;
/// Runs of zeros as long as a block of the file system are left out: the file has a hole there.
const BLOCK: usize = 4096;
static ZEROS: [u8; BUFFER] = [0; BUFFER];

/// A file that starts empty, while it is being filled.
pub struct Sink {
    file: File,
    context: digest::Context,
    at: u64,
    /// The system's own error, which the source of the content wraps in another.
    failure: Option<io::Error>,
}

impl Sink {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let start = self.at;
        let at = |from: usize| start + from as u64;
        let (mut from, mut here) = (0, 0);
        while here < bytes.len() {
            let in_block = usize::try_from(at(here) % BLOCK as u64).unwrap_or(0);
            let end = (here + BLOCK - in_block).min(bytes.len());
            let piece = bytes.get(here..end).unwrap_or_default();
            if ZEROS.starts_with(piece) {
                self.file.write_all_at(bytes.get(from..here).unwrap_or_default(), at(from))?;
                from = end;
            }
            here = end;
        }
        self.file.write_all_at(bytes.get(from..).unwrap_or_default(), at(from))?;
        self.at = at(bytes.len());
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.put(bytes) {
            Ok(()) => {
                self.context.update(bytes);
                Ok(bytes.len())
            }
            Err(error) => {
                let said = io::Error::other(error.to_string());
                self.failure = Some(error);
                Err(said)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills an empty file; returns it with the size and hash of what was written.
///
/// # Errors
/// When the content is not available, or the disk refuses.
pub fn fill(file: File, content: Content<'_>) -> io::Result<(File, u64, String)> {
    let mut sink = Sink { file, context: digest::Context::new(&digest::SHA256), at: 0, failure: None };
    let given = content(&mut sink);
    if let Some(error) = sink.failure {
        return Err(error);
    }
    given?;
    // Zeros at the end are a hole too, so the size is set explicitly.
    sink.file.set_len(sink.at)?;
    Ok((sink.file, sink.at, hex::encode(sink.context.finish().as_ref())))
}

/// Flushes a file to disk and reads it back from there: its size and hash.
///
/// # Errors
/// When the disk refuses, or holds something other than what was `sent`.
pub fn settle(file: &File, sent: &str) -> io::Result<u64> {
    file.sync_all()?;
    // So that what is read back comes from the disk. If the system does not do this, only its memory is
    // checked.
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    let (size, sha256) = hash(file)?;
    if sha256 != sent {
        return Err(io::Error::other("what was read back from the disk is not what was written"));
    }
    Ok(size)
}

/// The size and hash of a file's content; its holes are not read.
pub fn hash(file: &File) -> io::Result<(u64, String)> {
    let mut context = digest::Context::new(&digest::SHA256);
    let size = file.metadata()?.len();
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(file, At::Data(at)) {
            Ok(data) => data.clamp(at, size),
            Err(Errno::NXIO) => size,
            // A file system that does not report holes.
            Err(_) => at,
        };
        zeros(&mut context, data - at);
        let end = rustix::fs::seek(file, At::Hole(data)).unwrap_or(size).clamp(data, size);
        let end = if end == data && data < size { size } else { end };
        read(file, &mut context, &mut buffer, (data, end))?;
        at = end;
    }
    Ok((size, hex::encode(context.finish().as_ref())))
}

fn zeros(context: &mut digest::Context, mut count: u64) {
    while count > 0 {
        let part = usize::try_from(count).unwrap_or(BUFFER).min(BUFFER);
        context.update(ZEROS.get(..part).unwrap_or_default());
        count -= part as u64;
    }
}

fn read(file: &File, context: &mut digest::Context, buffer: &mut [u8], (mut at, end): (u64, u64)) -> io::Result<()> {
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        let count = file.read_at(buffer.get_mut(..most).unwrap_or_default(), at)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        context.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn sha(bytes: &[u8]) -> String {
        hex::encode(secret::sha256(bytes))
    }

    #[test]
    fn whatever_the_pieces_the_content_is_the_same_and_zeros_take_no_room() {
        let temp = tempfile::tempdir().unwrap();
        let mut content = vec![0; 3 << 20];
        content.extend(b"an island");
        content.resize(5 << 20, 0);
        content.extend(vec![7; 10_000]);
        content.resize(8 << 20, 0);
        for (number, piece) in [1 << 20, 4096, 4095, 100_003].into_iter().enumerate() {
            let path = temp.path().join(number.to_string());
            let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
            let (file, _, sent) =
                fill(file, &mut |out| content.chunks(piece).try_for_each(|it| out.write_all(it))).unwrap();

            assert_eq!(sent, sha(&content));
            assert_eq!(settle(&file, &sent).unwrap(), content.len() as u64);
            assert_eq!(std::fs::read(&path).unwrap(), content);
            assert!(
                file.metadata().unwrap().blocks() * 512 <= 64 << 10,
                "{} blocks",
                file.metadata().unwrap().blocks()
            );
        }
    }

    #[test]
    fn a_file_of_zeros_and_an_empty_one_have_their_size() {
        for size in [0, 1, 4096, 70_000] {
            let file = tempfile::tempfile().unwrap();
            let (file, _, sent) = fill(file, &mut |out| out.write_all(&vec![0; size])).unwrap();
            assert_eq!(settle(&file, &sent).unwrap(), size as u64);
            assert_eq!(sent, sha(&vec![0; size]));
        }
    }

    #[test]
    fn what_is_on_the_disk_and_not_what_was_sent_is_an_error() {
        let (file, ..) = fill(tempfile::tempfile().unwrap(), &mut |out| out.write_all(b"one")).unwrap();
        assert!(settle(&file, &sha(b"two")).is_err());
    }

    #[test]
    fn the_disks_own_error_is_given_on() {
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let error =
            fill(full, &mut |out| out.write_all(b"x").map_err(|why| io::Error::other(format!("wrapped: {why}"))))
                .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
