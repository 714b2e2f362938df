//! Takes the database as it is at one moment: what of it has changed since it was last kept, in pieces on a file that
//! nobody else sees.
use super::piece::Packer;
use crate::error::Result;
use crate::store::console_copy::Counts;
use crate::store::{self, Store};
use anyhow::{Context, anyhow};
use secret::cipher::Cipher;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// What is known of the pages that were kept last: the hash of each.
pub type Known = Vec<[u8; 32]>;

/// What was taken.
pub struct Image {
    pub page_size: u32,
    pub length: u64,
    pub counts: Option<Counts>,
    /// The hashes of all pages.
    pub known: Known,
    pieces: Vec<u64>,
    /// The pieces one after the other. It has no name, so that nothing stays of it.
    spool: File,
}

impl Image {
    /// Takes the pages of the SQLite database that are not as `known` says.
    ///
    /// They are written to a file before anything is sent: a read that lasted as long as a slow network would keep the
    /// database from reusing its log.
    ///
    /// # Errors
    /// When the database cannot be read, or the disk below `dir` is full.
    pub fn of_database(store: &Store, dir: &Path, known: &Known, cipher: &Cipher) -> Result<Self> {
        let mut spool = Spool::new(dir)?;
        let counts = store.read_blocking(|conn| {
            store::console_copy::pages(conn, |number, page| spool.take(number, page, known, cipher))
        })?;
        Ok(Self { counts: Some(counts), ..spool.done(cipher)? })
    }

    /// Takes a file as it is.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or the disk below `dir` is full.
    pub fn of_file(mut file: impl Read, dir: &Path, cipher: &Cipher) -> Result<Self> {
        const PAGE: usize = 65_536;
        let (mut spool, mut length, mut number) = (Spool::new(dir)?, 0, 0);
        loop {
            let mut page = Vec::with_capacity(PAGE);
            let read = (&mut file).take(PAGE as u64).read_to_end(&mut page).context("reading the file")?;
            if read == 0 {
                break;
            }
            (length, number) = (length + read as u64, number + 1);
            page.resize(PAGE, 0);
            spool.take(number, &page, &Known::new(), cipher)?;
        }
        if length == 0 {
            return Err(anyhow!("the file is empty").into());
        }
        Ok(Self { length, ..spool.done(cipher)? })
    }

    /// The pieces, in order.
    pub fn pieces(&mut self) -> impl Iterator<Item = Result<Vec<u8>>> {
        let Self { spool, pieces, .. } = self;
        let mut from = 0;
        pieces.iter().map(move |size| {
            spool.seek(SeekFrom::Start(from)).context("reading what was taken")?;
            from += size;
            let mut piece = Vec::new();
            spool.take(*size).read_to_end(&mut piece).context("reading what was taken")?;
            Ok(piece)
        })
    }

    /// How many bytes its pieces have.
    pub fn size(&self) -> u64 {
        self.pieces.iter().sum()
    }
}

struct Spool {
    file: File,
    packer: Option<Packer>,
    page_size: u32,
    known: Known,
    pieces: Vec<u64>,
}

impl Spool {
    fn new(dir: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).with_context(|| format!("making a file below {}", dir.display()))?;
        Ok(Self { file, packer: None, page_size: 0, known: Known::new(), pieces: Vec::new() })
    }

    fn take(&mut self, number: u32, page: &[u8], before: &Known, cipher: &Cipher) -> anyhow::Result<()> {
        if number as usize != self.known.len() + 1 {
            return Err(anyhow!("page {number} comes after {}", self.known.len()));
        }
        let hash = secret::sha256(page);
        let is_new = before.get(self.known.len()) != Some(&hash);
        self.known.push(hash);
        self.page_size = u32::try_from(page.len()).context("a page is too large")?;
        if is_new && self.packer.get_or_insert_with(|| Packer::new(self.page_size)).add(number, page)? {
            self.flush(cipher)?;
        }
        Ok(())
    }

    fn flush(&mut self, cipher: &Cipher) -> anyhow::Result<()> {
        if let Some(piece) = self.packer.as_mut().map(|it| it.pack(cipher)).transpose()?.flatten() {
            self.file.write_all(&piece).context("writing what was taken")?;
            self.pieces.push(piece.len() as u64);
        }
        Ok(())
    }

    fn done(mut self, cipher: &Cipher) -> Result<Image> {
        self.flush(cipher)?;
        let length = self.known.len() as u64 * u64::from(self.page_size);
        let Self { file, page_size, known, pieces, .. } = self;
        Ok(Image { page_size, length, counts: None, known, pieces, spool: file })
    }
}
