//! The form of a binary property list. In it one value may stand in many places, so that few bytes could become many;
//! no device writes such a thing, and it is refused before any value is made.
//!
//! Source: `CFBinaryPList.c` of Apple's Core Foundation.
use super::{MAX_BYTES, MAX_DEPTH, MAX_VALUES, PlistFault};

/// What it begins with.
pub(super) const MAGIC: &[u8] = b"bplist00";
const TRAILER: usize = 32;
/// How much may become of the bytes, if shared texts are counted wherever they stand.
const MAX_MADE: usize = 4 * MAX_BYTES;

/// Where the objects are.
struct Table<'a> {
    bytes: &'a [u8],
    offset_size: usize,
    ref_size: usize,
    count: usize,
    root: usize,
    offsets_at: usize,
}

/// Refuses lists in which a dictionary or list stands twice, or that lie too deep.
pub(super) fn check(bytes: &[u8]) -> Result<(), PlistFault> {
    let table = Table::read(bytes).ok_or_else(broken)?;
    if table.count > MAX_VALUES {
        return Err(PlistFault::TooMany);
    }
    let mut seen = vec![false; table.count];
    let (mut open, mut made) = (vec![(table.root, 0_usize)], 0_usize);
    while let Some((number, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(PlistFault::TooDeep);
        }
        let (size, children) = table.object(number).ok_or_else(broken)?;
        made = made.saturating_add(size);
        if made > MAX_MADE || open.len() + children.len() > 2 * MAX_VALUES {
            return Err(PlistFault::TooMany);
        }
        if let Some(children) = Some(children).filter(|it| !it.is_empty()) {
            let seen = seen.get_mut(number).ok_or_else(broken)?;
            if std::mem::replace(seen, true) {
                return Err(PlistFault::Syntax("a value that stands twice".to_owned()));
            }
            open.extend(children.into_iter().map(|it| (it, depth + 1)));
        }
    }
    Ok(())
}

impl<'a> Table<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let trailer = bytes.get(bytes.len().checked_sub(TRAILER)?..)?;
        let (offset_size, ref_size) = (usize::from(*trailer.get(6)?), usize::from(*trailer.get(7)?));
        let table = Self {
            bytes: bytes.get(..bytes.len() - TRAILER)?,
            offset_size,
            ref_size,
            count: number(trailer.get(8..16)?)?,
            root: number(trailer.get(16..24)?)?,
            offsets_at: number(trailer.get(24..32)?)?,
        };
        let is_sized = |it: usize| (1..=8).contains(&it);
        let end = table.count.checked_mul(offset_size)?.checked_add(table.offsets_at)?;
        (is_sized(offset_size) && is_sized(ref_size) && end <= table.bytes.len()).then_some(table)
    }

    /// How many bytes an object has, and the numbers of what lies in it.
    fn object(&self, number_: usize) -> Option<(usize, Vec<usize>)> {
        if number_ >= self.count {
            return None;
        }
        let at = self.offsets_at + number_ * self.offset_size;
        let at = number(self.bytes.get(at..at + self.offset_size)?)?;
        let token = *self.bytes.get(at)?;
        let (count, begins) = match token & 0x0f {
            0x0f if token >= 0x40 => {
                let size = 1_usize << (*self.bytes.get(at + 1)? & 0x03);
                (number(self.bytes.get(at + 2..at + 2 + size)?)?, at + 2 + size)
            }
            few => (usize::from(few), at + 1),
        };
        let refs = match token >> 4 {
            0xa | 0xc => count,
            0xd => count.checked_mul(2)?,
            // Each character is two bytes there.
            0x6 => return Some((count.checked_mul(2)?, Vec::new())),
            _ => return Some((count.max(8), Vec::new())),
        };
        let end = refs.checked_mul(self.ref_size)?.checked_add(begins)?;
        let children = self.bytes.get(begins..end)?.chunks_exact(self.ref_size).map(number).collect::<Option<_>>()?;
        Some((8, children))
    }
}

/// A whole number, the most significant byte first.
fn number(bytes: &[u8]) -> Option<usize> {
    let number = bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    usize::try_from(number).ok()
}

fn broken() -> PlistFault {
    PlistFault::Syntax("a binary one that points outside itself".to_owned())
}
