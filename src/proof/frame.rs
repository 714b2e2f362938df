//! What the two processes say to each other: frames of a length and a body, both bounded.
//!
//! The child reads what a stranger wrote, so its parent trusts nothing in a request. The child trusts its
//! parent.
use domain::id::{DeviceId, RestorePointId};
use domain::object::{ObjectKind, ObjectName};
use domain::restore_test::TestReport;
use repository::View;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The longest body from the child: a report with its names.
pub const MAX_FROM_CHILD: usize = 4 << 20;
/// The longest body from the parent: a list of a million objects.
pub const MAX_FROM_PARENT: usize = 48 << 20;
/// The pipe to the child holds this much, if the system allows it.
pub const PIPE: usize = 1 << 20;
/// A large object comes in pieces of this size: each fits into the pipe as a whole, so that neither side waits
/// for the other while it copies.
pub const PIECE: u64 = 240 * 4096;

/// What is to be tested. The repository's key follows in a separate frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestJob {
    pub device: DeviceId,
    pub point: RestorePointId,
    pub snapshot: ObjectName,
    pub manifest: Option<ObjectName>,
    /// The manifest of the newest proven point.
    pub base_manifest: Option<ObjectName>,
    /// Files the device left out of the comparison, in the manifest's spelling.
    pub excluded: Vec<String>,
    /// What failed in other points, to find out what of it came back in this one.
    #[serde(default)]
    pub failed_before: FailedBefore,
    pub cpu_seconds: u64,
}

/// What failed in other points and was not made good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedBefore {
    /// The keys of files, as in [`Failed`](domain::restore_test::Failed).
    pub keys: Vec<String>,
    /// The manifests of points that failed as a whole.
    pub manifests: Vec<ObjectName>,
}

/// What the child asks for or says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromChild {
    Read {
        kind: ObjectKind,
        name: ObjectName,
        offset: u64,
        len: u64,
    },
    List(ObjectKind),
    /// The same, with the first view that has each.
    ListViews(ObjectKind),
    /// It is still working; sent now and then, so that the parent keeps waiting.
    Alive,
    Done(Box<TestReport>),
}

/// What the parent answers.
#[derive(Debug, PartialEq, Eq)]
pub enum FromParent {
    Bytes(Vec<u8>),
    Missing,
    /// The store cannot be read now.
    Unavailable(String),
    Listed(Vec<(ObjectName, u64)>),
    /// Each with the first view that has it.
    ListedViews(Vec<(ObjectName, u64, View)>),
}

const KINDS: [ObjectKind; 7] = [
    ObjectKind::Config,
    ObjectKind::Keys,
    ObjectKind::Data,
    ObjectKind::Index,
    ObjectKind::Snapshots,
    ObjectKind::Locks,
    ObjectKind::Manifests,
];

fn kind_byte(kind: ObjectKind) -> u8 {
    let at = KINDS.iter().position(|it| *it == kind).unwrap_or(0);
    u8::try_from(at).unwrap_or(0)
}

fn kind_of(byte: u8) -> Option<ObjectKind> {
    KINDS.get(usize::from(byte)).copied()
}

/// Writes one frame.
///
/// # Errors
/// When the other side has gone.
pub fn write(out: &mut dyn Write, parts: &[&[u8]]) -> io::Result<()> {
    let length: usize = parts.iter().map(|it| it.len()).sum();
    let length = u32::try_from(length).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    for part in parts {
        out.write_all(part)?;
    }
    out.flush()
}

/// Reads one frame of at most `most` bytes.
///
/// # Errors
/// When the other side has gone or says more than it may.
pub fn read(input: &mut dyn Read, most: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    body(input, u32::from_le_bytes(length), most, Vec::new())
}

/// Appends a frame's body to `before`.
fn body(input: &mut dyn Read, length: u32, most: usize, mut before: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if length > most {
        return Err(bad("a frame is too long"));
    }
    before.reserve(length);
    if input.take(u64::try_from(length).map_err(io::Error::other)?).read_to_end(&mut before)? != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(before)
}

/// Says that `length` bytes of an object follow.
///
/// # Errors
/// When the child has gone.
pub fn announce(out: &mut dyn Write, length: usize) -> io::Result<()> {
    let [a, b, c, d] = u32::try_from(length + 1).map_err(io::Error::other)?.to_le_bytes();
    out.write_all(&[a, b, c, d, b'B'])
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl FromChild {
    /// Sends this.
    ///
    /// # Errors
    /// When the parent has gone.
    pub fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Read { kind, name, offset, len } => write(
                out,
                &[b"R", &[kind_byte(*kind)], &offset.to_le_bytes(), &len.to_le_bytes(), name.as_str().as_bytes()],
            ),
            Self::List(kind) => write(out, &[b"L", &[kind_byte(*kind)]]),
            Self::ListViews(kind) => write(out, &[b"V", &[kind_byte(*kind)]]),
            Self::Alive => write(out, &[b"A"]),
            Self::Done(report) => write(out, &[b"D", &serde_json::to_vec(report)?]),
        }
    }

    /// Reads one; the bytes may be anything.
    ///
    /// # Errors
    /// When the child has gone or says what it may not.
    pub fn receive(input: &mut dyn Read) -> io::Result<Self> {
        let body = read(input, MAX_FROM_CHILD)?;
        Self::parse(&body).ok_or_else(|| bad("an invalid request"))
    }

    /// Reads a frame's body.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let (tag, rest) = body.split_first()?;
        match tag {
            b'R' => {
                let (kind, rest) = rest.split_first()?;
                let (offset, rest) = rest.split_first_chunk::<8>()?;
                let (len, name) = rest.split_first_chunk::<8>()?;
                let kind = kind_of(*kind)?;
                let name = object_name(kind, std::str::from_utf8(name).ok()?)?;
                Some(Self::Read { kind, name, offset: u64::from_le_bytes(*offset), len: u64::from_le_bytes(*len) })
            }
            b'L' => match rest {
                [kind] => kind_of(*kind).map(Self::List),
                _ => None,
            },
            b'V' => match rest {
                [kind] => kind_of(*kind).map(Self::ListViews),
                _ => None,
            },
            b'A' => rest.is_empty().then_some(Self::Alive),
            b'D' => serde_json::from_slice(rest).ok().map(|report| Self::Done(Box::new(report))),
            _ => None,
        }
    }
}

fn object_name(kind: ObjectKind, text: &str) -> Option<ObjectName> {
    if kind == ObjectKind::Config {
        return (text == "config").then(ObjectName::config);
    }
    ObjectName::parse(text)
}

impl FromParent {
    /// Sends this.
    ///
    /// # Errors
    /// When the child has gone.
    pub fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => {
                announce(out, bytes.len())?;
                out.write_all(bytes)
            }
            Self::Missing => write(out, &[b"M"]),
            Self::Unavailable(why) => write(out, &[b"U", why.as_bytes()]),
            Self::Listed(objects) => {
                let mut body = Vec::with_capacity(objects.len() * 40);
                for (name, size) in objects {
                    // Only config is not named by a hash, and nobody asks for a list of it.
                    body.extend(name.hash().unwrap_or_default());
                    body.extend(size.to_le_bytes());
                }
                write(out, &[b"L", &body])
            }
            Self::ListedViews(objects) => {
                let mut body = Vec::with_capacity(objects.len() * 42);
                for (name, size, since) in objects {
                    body.extend(name.hash().unwrap_or_default());
                    body.extend(size.to_le_bytes());
                    body.extend(since.to_le_bytes());
                }
                write(out, &[b"V", &body])
            }
        }
    }

    /// Reads one; an object's bytes come after those in `before`.
    ///
    /// # Errors
    /// When the parent has gone or does not keep to the protocol.
    pub fn receive(input: &mut dyn Read, before: Vec<u8>) -> io::Result<Self> {
        let mut head = [0; 5];
        input.read_exact(&mut head)?;
        let [a, b, c, d, tag] = head;
        let length = u32::from_le_bytes([a, b, c, d]).checked_sub(1).ok_or_else(|| bad("an empty frame"))?;
        let before = if tag == b'B' { before } else { Vec::new() };
        Self::parse(tag, body(input, length, MAX_FROM_PARENT, before)?).ok_or_else(|| bad("an invalid answer"))
    }

    /// Reads a frame's tag and what follows it.
    pub fn parse(tag: u8, body: Vec<u8>) -> Option<Self> {
        match tag {
            b'B' => Some(Self::Bytes(body)),
            b'M' => body.is_empty().then_some(Self::Missing),
            b'U' => Some(Self::Unavailable(String::from_utf8_lossy(&body).into_owned())),
            b'L' => {
                let (rows, rest) = body.as_chunks::<40>();
                let listed = rows.iter().map(|row| {
                    let (hash, size) = row.split_first_chunk::<32>()?;
                    Some((ObjectName::from_hash(hash), u64::from_le_bytes(size.try_into().ok()?)))
                });
                rest.is_empty().then(|| listed.collect::<Option<_>>()).flatten().map(Self::Listed)
            }
            b'V' => {
                let (rows, rest) = body.as_chunks::<42>();
                let listed = rows.iter().map(|row| {
                    let (hash, row) = row.split_first_chunk::<32>()?;
                    let (size, since) = row.split_first_chunk::<8>()?;
                    let since = View::from_le_bytes(since.try_into().ok()?);
                    Some((ObjectName::from_hash(hash), u64::from_le_bytes(*size), since))
                });
                rest.is_empty().then(|| listed.collect::<Option<_>>()).flatten().map(Self::ListedViews)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> ObjectName {
        ObjectName::from_hash(&[7; 32])
    }

    #[test]
    fn what_is_sent_is_received() {
        for said in [
            FromChild::Read { kind: ObjectKind::Data, name: name(), offset: 5, len: u64::MAX },
            FromChild::Read { kind: ObjectKind::Config, name: ObjectName::config(), offset: 0, len: 1 },
            FromChild::List(ObjectKind::Index),
            FromChild::ListViews(ObjectKind::Data),
            FromChild::Alive,
            FromChild::Done(Box::new(TestReport::unproven("x"))),
        ] {
            let mut bytes = Vec::new();
            said.send(&mut bytes).unwrap();
            assert_eq!(FromChild::receive(&mut &bytes[..]).unwrap(), said);
        }
        for said in [
            FromParent::Bytes(vec![1, 2]),
            FromParent::Missing,
            FromParent::Unavailable("away".to_owned()),
            FromParent::Listed(vec![(name(), 9)]),
            FromParent::ListedViews(vec![(name(), 9, 0), (name(), u64::MAX, 400)]),
        ] {
            let mut bytes = Vec::new();
            said.send(&mut bytes).unwrap();
            assert_eq!(FromParent::receive(&mut &bytes[..], Vec::new()).unwrap(), said);
        }
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        for body in [
            &b""[..],
            b"X",
            b"R",
            b"R\x02short",
            b"L",
            b"L\x09",
            b"L\x01\x01",
            b"V",
            b"V\x09",
            b"A1",
            b"D{}",
            b"R\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0../../etc/passwd",
            b"R\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0config",
        ] {
            assert_eq!(FromChild::parse(body), None, "{body:?}");
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_allocates_nothing() {
        let claim = u32::MAX.to_le_bytes();
        assert_eq!(FromChild::receive(&mut &claim[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let cut = [&100u32.to_le_bytes()[..], b"A"].concat();
        assert_eq!(FromChild::receive(&mut &cut[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
