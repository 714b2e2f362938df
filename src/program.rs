//! The program that machines of the server's platform fetch to become devices: `holdfast-agent` where it lies beside
//! this program, otherwise this program itself, which has the device's side too.
//!
//! Size, hash and bytes come from one descriptor: what was installed over the file since is not what runs here.
use aws_lc_rs::digest;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

/// The device's own program.
const AGENT: &str = "holdfast-agent";
/// How much one read takes.
const PIECE: u64 = 256 << 10;

/// A program with the device's side.
#[derive(Debug)]
pub struct Program {
    file: File,
    size: u64,
    sha256: String,
}

impl Program {
    /// The one that devices get. The first call reads the whole file, so it blocks.
    ///
    /// # Errors
    /// When the file cannot be read: a program may be executable but not readable.
    pub fn offered() -> io::Result<&'static Self> {
        static OFFERED: OnceLock<Program> = OnceLock::new();
        if let Some(offered) = OFFERED.get() {
            return Ok(offered);
        }
        let beside = std::env::current_exe()?.with_file_name(AGENT);
        let offered = match Self::at(&beside) {
            Ok(agent) => agent,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::of(File::open("/proc/self/exe")?)?,
            Err(error) => return Err(error),
        };
        Ok(OFFERED.get_or_init(|| offered))
    }

    fn at(agent: &Path) -> io::Result<Self> {
        Self::of(File::open(agent)?)
    }

    fn of(file: File) -> io::Result<Self> {
        let mut program = Self { size: file.metadata()?.len(), file, sha256: String::new() };
        let mut hash = digest::Context::new(&digest::SHA256);
        let mut at = 0;
        while at < program.size {
            let piece = program.read(at)?;
            hash.update(&piece);
            at += piece.len() as u64;
        }
        program.sha256 = hex::encode(hash.finish());
        Ok(program)
    }

    /// Where it runs, such as `linux-x86_64`.
    pub fn platform() -> String {
        format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its SHA-256 in lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The bytes from `at` on: a piece of at most 256 KiB, empty at the end. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read, or has become shorter.
    pub fn read(&self, at: u64) -> io::Result<Vec<u8>> {
        let length = self.size.saturating_sub(at).min(PIECE);
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut piece, at)?;
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_hash_and_pieces_are_of_the_same_bytes() {
        let bytes: Vec<u8> = (0..PIECE * 2 + 17).map(|it| it.to_le_bytes()[0]).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(AGENT);
        assert_eq!(Program::at(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, &bytes).unwrap();

        let program = Program::at(&path).unwrap();
        let mut read = Vec::new();
        while let Ok(piece) = program.read(read.len() as u64) {
            if piece.is_empty() {
                break;
            }
            read.extend(piece);
        }

        assert_eq!(program.size(), bytes.len() as u64);
        assert_eq!(program.sha256(), hex::encode(digest::digest(&digest::SHA256, &bytes)));
        assert!(read == bytes);
    }
}
