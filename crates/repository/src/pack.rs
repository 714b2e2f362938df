//! Packs: their header, and the few that are kept in memory.
use crate::crypto::{OVERHEAD, wide};
use crate::index::Place;
use crate::{BlobKind, Id, MasterKey, Problem};

/// One blob according to a pack's own header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderEntry {
    pub kind: BlobKind,
    pub id: Id,
    pub offset: u32,
    pub length: u32,
    pub plain: Option<u32>,
}

/// Bytes of the header's length at the end of a pack.
const LENGTH: usize = 4;
const PLAIN_ENTRY: usize = 37;
const PACKED_ENTRY: usize = 41;

/// Reads the decrypted header of a pack; blobs follow one another from the start.
pub fn parse_header(mut header: &[u8]) -> Option<Vec<HeaderEntry>> {
    let mut entries = Vec::with_capacity(header.len() / PLAIN_ENTRY);
    let mut offset = 0u32;
    while let Some((kind, _)) = header.split_first() {
        let (blob, packed) = match kind {
            0 => (BlobKind::Data, false),
            1 => (BlobKind::Tree, false),
            2 => (BlobKind::Data, true),
            3 => (BlobKind::Tree, true),
            _ => return None,
        };
        let (entry, rest) = header.split_at_checked(if packed { PACKED_ENTRY } else { PLAIN_ENTRY })?;
        let length = number(entry.get(1..5)?)?;
        let (plain, id) =
            if packed { (Some(number(entry.get(5..9)?)?), entry.get(9..)?) } else { (None, entry.get(5..)?) };
        entries.push(HeaderEntry { kind: blob, id: Id(id.try_into().ok()?), offset, length, plain });
        offset = offset.checked_add(length)?;
        header = rest;
    }
    Some(entries)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// A pack that was read as a whole.
#[derive(Debug)]
pub(crate) struct Pack {
    pub number: u32,
    bytes: Vec<u8>,
    /// None if the header is not readable: then only the index says where blobs are.
    header: Option<Vec<HeaderEntry>>,
}

impl Pack {
    /// Takes a pack's bytes and reads its header.
    pub fn open(number: u32, bytes: Vec<u8>, key: &MasterKey) -> (Self, Result<(), Problem>) {
        let (header, outcome) = match read_header(&bytes, key) {
            Ok(header) => (Some(header), Ok(())),
            Err(problem) => (None, Err(problem)),
        };
        (Self { number, bytes, header }, outcome)
    }

    /// The encrypted bytes of a blob, if the header agrees with the index about it.
    pub fn blob(&self, place: &Place) -> Result<&[u8], Problem> {
        if let Some(header) = &self.header {
            let at = header.binary_search_by_key(&place.offset, |it| it.offset);
            let entry = at.ok().and_then(|at| header.get(at)).ok_or(Problem::NotInHeader)?;
            let plain = place.plain.map(std::num::NonZeroU32::get);
            let agrees = entry.kind == place.kind
                && entry.id == place.id
                && entry.length == place.length
                && entry.plain.filter(|it| *it != 0) == plain;
            if !agrees {
                return Err(Problem::NotInHeader);
            }
        }
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(place.length).unwrap_or(usize::MAX));
        self.bytes.get(start..end).ok_or(Problem::Size {
            said: u64::from(place.offset) + u64::from(place.length),
            had: wide(self.bytes.len()),
        })
    }
}

fn read_header(bytes: &[u8], key: &MasterKey) -> Result<Vec<HeaderEntry>, Problem> {
    let body = bytes.len().checked_sub(LENGTH).ok_or(Problem::Header)?;
    let (rest, length) = bytes.split_at_checked(body).ok_or(Problem::Header)?;
    let length = number(length).and_then(|it| usize::try_from(it).ok()).ok_or(Problem::Header)?;
    let start = rest.len().checked_sub(length).filter(|_| length >= OVERHEAD).ok_or(Problem::Header)?;
    let mut header = Vec::new();
    key.open(rest.get(start..).ok_or(Problem::Header)?, &mut header)?;
    let entries = parse_header(&header).ok_or(Problem::Header)?;
    let blobs_end = entries.last().map_or(0, |it| u64::from(it.offset) + u64::from(it.length));
    // Empty entries would share an offset, and the search by offset needs them apart.
    let apart = entries.iter().all(|it| it.length > 0);
    if blobs_end == wide(start) && apart { Ok(entries) } else { Err(Problem::Header) }
}

/// The most recently used packs, up to a budget of bytes.
#[derive(Debug)]
pub(crate) struct PackCache {
    /// The most recently used one is at the end.
    packs: Vec<Pack>,
    budget: usize,
}

impl PackCache {
    pub fn new(budget: usize) -> Self {
        Self { packs: Vec::new(), budget }
    }

    /// Whether a pack is there; then it counts as used.
    pub fn touch(&mut self, number: u32) -> bool {
        let Some(at) = self.packs.iter().position(|it| it.number == number) else { return false };
        let pack = self.packs.remove(at);
        self.packs.push(pack);
        true
    }

    /// The pack used last.
    pub fn last(&self) -> Option<&Pack> {
        self.packs.last()
    }

    /// Makes room for a pack of `size` bytes about to be read, in the memory of an evicted one if there is one:
    /// the system does not have to clear reused memory.
    pub fn make_room(&mut self, size: usize) -> Vec<u8> {
        let mut memory = Vec::new();
        while !self.packs.is_empty() && self.held().saturating_add(size) > self.budget {
            memory = self.packs.remove(0).bytes;
        }
        memory.clear();
        memory.reserve_exact(size);
        memory
    }

    /// Keeps a pack as the one used last.
    pub fn keep(&mut self, pack: Pack) {
        self.packs.push(pack);
    }

    fn held(&self) -> usize {
        self.packs.iter().map(|it| it.bytes.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{key, seal};

    fn entry(kind: u8, length: u32, id: u8) -> Vec<u8> {
        [&[kind][..], &length.to_le_bytes(), &[id; 32]].concat()
    }

    #[test]
    fn blobs_lie_one_after_the_other() {
        let mut header = entry(0, 50, 1);
        header.extend([&[3][..], &60u32.to_le_bytes(), &99u32.to_le_bytes(), &[2; 32]].concat());

        let entries = parse_header(&header).unwrap();

        assert_eq!(entries[1].offset, 50);
        assert_eq!((entries[1].kind, entries[1].plain), (BlobKind::Tree, Some(99)));
    }

    #[test]
    fn hostile_headers_are_refused() {
        for header in
            [entry(9, 1, 1), entry(0, 1, 1)[..20].to_vec(), [entry(0, u32::MAX, 1), entry(0, u32::MAX, 2)].concat()]
        {
            assert_eq!(parse_header(&header), None);
        }
        let key = key();
        for bytes in [vec![], vec![0; 3], vec![255; 40], vec![0; 40]] {
            assert!(read_header(&bytes, &key).is_err());
        }
        let lying = seal(&key, &entry(0, 1000, 1));
        let length = u32::try_from(lying.len()).unwrap().to_le_bytes();
        assert_eq!(read_header(&[&lying[..], &length].concat(), &key), Err(Problem::Header), "blobs past the end");
    }
}
