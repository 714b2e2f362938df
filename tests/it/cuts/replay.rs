//! What a power cut could have left on the disk.
use crate::support::disk::{Asked, Record, SECTOR};
use crate::support::fleet::Random;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What becomes of a write that no finished flush followed: the disk's cache may have held it, or not.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Lost,
    Kept,
    /// Each write as a whole may be lost or kept, whatever came before or after it.
    Writes,
    /// Each sector of each write by itself: writes are torn.
    Sectors,
}

/// When the power fails, and what that does.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// How many writes and flushes the disk had been asked for.
    pub position: usize,
    pub fate: Fate,
    pub seed: u64,
    /// How many of the last flushes the disk only claims to have done; none for an honest disk.
    pub false_flushes: usize,
}

/// The images of one record, for cuts in their order.
pub struct Replay<'a> {
    record: &'a Record,
    bytes: Vec<u8>,
    /// How much of the record is in `bytes`.
    durable: usize,
}

impl<'a> Replay<'a> {
    pub fn new(record: &'a Record) -> Self {
        Self { record, bytes: record.before.clone(), durable: 0 }
    }

    /// Writes the disk after a cut, which must not come before the last one.
    pub fn write(&mut self, cut: &Cut, image: &Path) {
        let asked = &self.record.asked[..cut.position];
        let flushes = asked.iter().enumerate().filter(|(_, it)| matches!(it, Asked::Flush)).map(|(at, _)| at);
        let flushed = flushes.rev().nth(cut.false_flushes).unwrap_or(0).max(self.durable);
        for it in &asked[self.durable..flushed] {
            keep(&mut self.bytes, it, |_| true);
        }
        self.durable = flushed;
        let (mut bytes, mut random) = (self.bytes.clone(), Random::new(cut.seed));
        for it in &asked[flushed..] {
            match cut.fate {
                Fate::Lost => {}
                Fate::Kept => keep(&mut bytes, it, |_| true),
                Fate::Writes if random.below(2) == 0 => keep(&mut bytes, it, |_| true),
                Fate::Writes => {}
                Fate::Sectors => keep(&mut bytes, it, |_| random.below(2) == 0),
            }
        }
        write(&bytes, image);
    }
}

/// Puts the chosen sectors of a write where they belong.
fn keep(disk: &mut [u8], asked: &Asked, mut chosen: impl FnMut(usize) -> bool) {
    let Asked::Write { at, bytes } = asked else { return };
    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
        if chosen(number) {
            let from = at + number * SECTOR;
            disk[from..from + sector.len()].copy_from_slice(sector);
        }
    }
}

/// A new file with the bytes; what is empty stays a hole.
fn write(bytes: &[u8], image: &Path) {
    const PIECE: usize = 64 << 10;
    static EMPTY: [u8; PIECE] = [0; PIECE];
    let file = File::create(image).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        if *piece != EMPTY[..piece.len()] {
            file.write_all_at(piece, (number * PIECE) as u64).unwrap();
        }
    }
}

#[test]
fn what_was_flushed_is_on_every_image_and_the_rest_is_torn_at_sectors() {
    let write = |at, byte, len| Asked::Write { at, bytes: vec![byte; len].into() };
    let record = Record {
        before: vec![0; 8 * SECTOR],
        asked: vec![write(0, 1, SECTOR), Asked::Flush, write(0, 2, SECTOR), write(SECTOR, 3, 4 * SECTOR)],
    };
    let image = tempfile::NamedTempFile::new().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..64 {
        let cut = Cut { position: 4, fate: Fate::Sectors, seed: number, false_flushes: 0 };
        Replay::new(&record).write(&cut, image.path());
        let bytes = std::fs::read(image.path()).unwrap();
        assert!(bytes.chunks(SECTOR).all(|it| it.iter().all(|byte| *byte == it[0])), "a sector is whole");
        let sectors: Vec<u8> = bytes.chunks(SECTOR).map(|it| it[0]).collect();
        assert!([1, 2].contains(&sectors[0]), "the flushed write, or the one over it");
        seen.insert(sectors);
    }
    assert!(seen.len() > 20, "{} of 32", seen.len());

    let cut = |position, fate, false_flushes| Cut { position, fate, seed: 0, false_flushes };
    for (cut, first) in
        [(cut(2, Fate::Lost, 0), 1), (cut(1, Fate::Lost, 0), 0), (cut(1, Fate::Kept, 0), 1), (cut(2, Fate::Lost, 1), 0)]
    {
        Replay::new(&record).write(&cut, image.path());
        assert_eq!(std::fs::read(image.path()).unwrap()[0], first, "{cut:?}");
    }
}
