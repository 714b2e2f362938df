//! Some pages on their way: packed, compressed and encrypted.
use crate::error::Result;
use anyhow::{Context, anyhow, ensure};
use secret::cipher::Cipher;
use std::io::Read;

/// How many bytes of pages are in one piece, before it is compressed.
pub const PIECE: usize = 8 << 20;

/// The largest page that SQLite has.
pub const MAX_PAGE: u32 = 65_536;

const CONTEXT: &[u8] = b"holdfast/console-copy/piece/1";

/// Fast: what is kept each minute is small, and the whole is kept once a day.
const LEVEL: i32 = 1;

/// Pages that are collected until there are enough for a piece: each as its number in 4 bytes, the lowest first, and its
/// bytes.
#[derive(Debug)]
pub struct Packer {
    page_size: u32,
    plain: Vec<u8>,
}

impl Packer {
    /// For pages of `page_size` bytes.
    pub fn new(page_size: u32) -> Self {
        Self { page_size, plain: Vec::new() }
    }

    /// Adds a page; true if there are enough for a piece.
    ///
    /// # Errors
    /// When it has another size.
    pub fn add(&mut self, number: u32, page: &[u8]) -> anyhow::Result<bool> {
        ensure!(page.len() == self.page_size as usize, "a page has {} bytes, not {}", page.len(), self.page_size);
        self.plain.extend(number.to_le_bytes());
        self.plain.extend(page);
        Ok(self.plain.len() >= PIECE)
    }

    /// The piece; none if no page was added.
    ///
    /// # Errors
    /// When it cannot be encrypted.
    pub fn pack(&mut self, cipher: &Cipher) -> anyhow::Result<Option<Vec<u8>>> {
        if self.plain.is_empty() {
            return Ok(None);
        }
        let packed = zstd::bulk::compress(&self.plain, LEVEL).context("compressing pages")?;
        self.plain.clear();
        Ok(Some(cipher.seal(CONTEXT, &packed)?))
    }
}

/// Gives `take` each page of a piece.
///
/// # Errors
/// When it was not made with `cipher`, is larger than a piece can be, or `take` returns an error.
pub fn unpack(
    cipher: &Cipher,
    page_size: u32,
    sealed: &[u8],
    mut take: impl FnMut(u32, &[u8]) -> Result<()>,
) -> Result<()> {
    let packed = cipher.open(CONTEXT, sealed)?;
    let most = PIECE + MAX_PAGE as usize + 4;
    let mut plain = Vec::new();
    let reader = zstd::stream::read::Decoder::new(packed.as_slice()).context("decompressing pages")?;
    reader.take(most as u64 + 1).read_to_end(&mut plain).context("decompressing pages")?;
    if plain.len() > most || page_size == 0 || !plain.len().is_multiple_of(page_size as usize + 4) {
        return Err(anyhow!("a piece has {} bytes, which are no pages", plain.len()).into());
    }
    for one in plain.chunks_exact(page_size as usize + 4) {
        let (number, page) = one.split_first_chunk::<4>().ok_or_else(|| anyhow!("a page has no number"))?;
        take(u32::from_le_bytes(*number), page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(cipher: &Cipher, size: u32, sealed: &[u8]) -> Result<Vec<(u32, Vec<u8>)>> {
        let mut found = Vec::new();
        unpack(cipher, size, sealed, |number, page| {
            found.push((number, page.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn pages_come_back_as_they_went() {
        let cipher = Cipher::generate().unwrap();
        let mut packer = Packer::new(512);
        assert!(packer.pack(&cipher).unwrap().is_none());
        packer.add(1, &[1; 512]).unwrap();
        packer.add(70_000, &[2; 512]).unwrap();
        assert!(packer.add(3, &[2; 511]).is_err());

        let sealed = packer.pack(&cipher).unwrap().unwrap();

        assert_eq!(pages(&cipher, 512, &sealed).unwrap(), [(1, vec![1; 512]), (70_000, vec![2; 512])]);
        assert!(packer.pack(&cipher).unwrap().is_none(), "each page goes once");
        assert!(pages(&cipher, 1024, &sealed).is_err(), "pages of another size");
        assert!(pages(&cipher, 0, &sealed).is_err());
        assert!(pages(&Cipher::generate().unwrap(), 512, &sealed).is_err());
    }

    #[test]
    fn what_unpacks_to_more_than_a_piece_is_refused() {
        let cipher = Cipher::generate().unwrap();
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        let sealed = cipher.seal(CONTEXT, &bomb).unwrap();
        assert!(pages(&cipher, 512, &sealed).unwrap_err().to_string().contains("which are no pages"));
    }
}
