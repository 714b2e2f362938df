//! Memory from which a disk takes bytes without a copy in between.

/// Direct writes begin and end at multiples of this, in memory and in the file. Disks require 512 or 4,096
/// bytes (Linux: `open(2)`, "`O_DIRECT`"); one that requires more is written through the cache.
const BLOCK: usize = 4 << 10;

/// The most a [`Piece`] holds, and the size from which bytes go past the cache.
pub const SIZE: usize = 512 << 10;

/// At most [`SIZE`] bytes, starting at a block.
#[derive(Debug)]
pub struct Piece {
    memory: Vec<u8>,
    start: usize,
    room: usize,
}

impl Piece {
    /// An empty one for `room` bytes, or for [`SIZE`] if that is less.
    pub fn new(room: usize) -> Self {
        let room = room.min(SIZE);
        // A block more than it holds, so that it can begin at one.
        let mut memory: Vec<u8> = Vec::with_capacity(room + BLOCK);
        let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        memory.resize(start, 0);
        Self { memory, start, room }
    }

    /// Takes what fits, and returns the rest.
    pub fn fill<'bytes>(&mut self, bytes: &'bytes [u8]) -> &'bytes [u8] {
        let left = self.room - self.bytes().len();
        let (fits, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        self.memory.extend_from_slice(fits);
        rest
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.bytes().len() == self.room
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    /// Forgets what it holds; the memory stays.
    pub fn clear(&mut self) {
        self.memory.truncate(self.start);
    }
}

/// Memory that a disk can read into directly, beginning at a block.
#[derive(Debug)]
pub struct Landing {
    memory: Vec<u8>,
    start: usize,
}

impl Landing {
    /// Room for `len` bytes, in whole blocks.
    pub fn new(len: usize) -> Self {
        let len = len.max(1).next_multiple_of(BLOCK);
        let mut memory = vec![0; len + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        memory.truncate(start + len);
        Self { memory, start }
    }

    /// All of its room.
    pub fn room(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..).unwrap_or_default()
    }

    /// The first `len` bytes of what was read.
    pub fn bytes(&self, len: usize) -> &[u8] {
        let bytes = self.memory.get(self.start..).unwrap_or_default();
        bytes.get(..len).unwrap_or(bytes)
    }
}

/// Whether a read ended at a block, so that the next one can begin there directly.
pub const fn ends_at_a_block(len: usize) -> bool {
    len.is_multiple_of(BLOCK)
}

/// Whether a disk can take these bytes as they are, and there are enough of them to be worth it.
pub fn is_direct(bytes: &[u8]) -> bool {
    bytes.len() >= SIZE && bytes.len().is_multiple_of(BLOCK) && bytes.as_ptr().align_offset(BLOCK) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_piece_can_go_to_the_disk_as_it_lies() {
        let bytes: Vec<u8> = (0..=250).cycle().take(SIZE + 7).collect();
        let mut piece = Piece::new(usize::MAX);

        for round in 0..2 {
            let rest = piece.fill(&bytes[..SIZE - 1]);
            assert!(rest.is_empty() && !piece.is_full() && !is_direct(piece.bytes()), "{round}");
            let rest = piece.fill(&bytes[SIZE - 1..]);
            assert_eq!((rest, piece.bytes()), (&bytes[SIZE..], &bytes[..SIZE]), "{round}");
            assert!(piece.is_full() && is_direct(piece.bytes()), "{round}");
            piece.clear();
        }

        assert!(!is_direct(&[piece.bytes(), &bytes[1..]].concat()[1..]));
    }

    #[test]
    fn a_disk_can_read_directly_into_all_of_a_landing() {
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, SIZE] {
            let mut landing = Landing::new(len);
            let room = landing.room();
            assert!(room.len() >= len.max(1) && room.len() < len + BLOCK + 1, "{len}: {}", room.len());
            assert!(room.len().is_multiple_of(BLOCK) && room.as_ptr().align_offset(BLOCK) == 0, "{len}");
            room.fill(7);
            assert_eq!(landing.bytes(len), vec![7; len], "{len}");
        }
        assert!(ends_at_a_block(0) && ends_at_a_block(BLOCK) && !ends_at_a_block(BLOCK - 1));
    }

    #[test]
    fn a_small_piece_takes_no_more_than_it_has_room_for() {
        let mut piece = Piece::new(3);
        assert_eq!(piece.fill(b"abcd"), b"d");
        assert_eq!((piece.bytes(), piece.is_full()), (&b"abc"[..], true));
    }
}
