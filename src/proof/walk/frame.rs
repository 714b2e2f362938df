//! What the child of a prune says to its parent, besides asking for objects.
use crate::proof::frame::{self, FromChild};
use domain::object::{ObjectKind, ObjectName};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// The longest body: a new index, which is no longer than the door takes one, or the names of the most packs that go at
/// once.
pub const MAX_FROM_CHILD: usize = 65 << 20;
const _: () = assert!(ObjectKind::Index.max_bytes() == 64 << 20 && MOST_PACKS * 32 < MAX_FROM_CHILD);

/// The most packs that one prune moves; the rest waits for the next. Each is a row in one transaction.
pub const MOST_PACKS: usize = 20_000;

/// What is to be walked. The repository's key follows in a separate frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneJob {
    /// Of every point that is kept.
    pub snapshots: Vec<ObjectName>,
    /// Packs that may go if no kept point needs them; if there are none, the points are only walked.
    pub may_go: Vec<ObjectName>,
    pub cpu_seconds: u64,
}

/// What the child asks for or says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromPruner {
    Asks(FromChild),
    /// The packs that nothing needs, of those that may go; before any index.
    Unneeded(Vec<ObjectName>),
    /// An index that named one of them, and the object that takes its place: none if it named nothing else.
    Index(ObjectName, Vec<u8>),
    /// All was said. A text says why nothing may go: a kept point cannot be walked.
    Ends(Option<String>),
}

impl FromPruner {
    /// Sends this.
    ///
    /// # Errors
    /// When the parent has gone.
    pub fn send(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Asks(asked) => asked.send(out),
            Self::Unneeded(names) => {
                let hashes: Vec<u8> = names.iter().flat_map(|it| it.hash().unwrap_or_default()).collect();
                frame::write(out, &[b"U", &hashes])
            }
            Self::Index(old, new) => frame::write(out, &[b"I", &old.hash().unwrap_or_default(), new]),
            Self::Ends(None) => frame::write(out, &[b"E"]),
            Self::Ends(Some(why)) => frame::write(out, &[b"F", why.as_bytes()]),
        }
    }

    /// Reads one; the bytes may be anything.
    ///
    /// # Errors
    /// When the child has gone or says what it may not.
    pub fn receive(input: &mut dyn Read) -> io::Result<Self> {
        let body = frame::read(input, MAX_FROM_CHILD)?;
        Self::parse(&body).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an invalid request"))
    }

    /// Reads a frame's body.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let (tag, rest) = body.split_first()?;
        match tag {
            b'U' => {
                let (hashes, left) = rest.as_chunks::<32>();
                let fits = left.is_empty() && hashes.len() <= MOST_PACKS;
                fits.then(|| Self::Unneeded(hashes.iter().map(ObjectName::from_hash).collect()))
            }
            b'I' => {
                let (old, new) = rest.split_first_chunk::<32>()?;
                Some(Self::Index(ObjectName::from_hash(old), new.to_vec()))
            }
            b'E' => rest.is_empty().then_some(Self::Ends(None)),
            b'F' => Some(Self::Ends(Some(said(rest)))),
            // A restore test's report is not one of a prune's.
            _ => FromChild::parse(body).filter(|it| !matches!(it, FromChild::Done(_))).map(Self::Asks),
        }
    }
}

/// A stranger's bytes decide what it says: cut short, on one line.
fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|it| !it.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::restore_test::TestReport;

    fn name(n: u8) -> ObjectName {
        ObjectName::from_hash(&[n; 32])
    }

    #[test]
    fn what_is_sent_is_received() {
        for said in [
            FromPruner::Asks(FromChild::List(ObjectKind::Index)),
            FromPruner::Asks(FromChild::Alive),
            FromPruner::Unneeded(vec![name(1), name(2)]),
            FromPruner::Unneeded(Vec::new()),
            FromPruner::Index(name(3), vec![1, 2]),
            FromPruner::Index(name(3), Vec::new()),
            FromPruner::Ends(None),
            FromPruner::Ends(Some("a fault".to_owned())),
        ] {
            let mut bytes = Vec::new();
            said.send(&mut bytes).unwrap();
            assert_eq!(FromPruner::receive(&mut &bytes[..]).unwrap(), said);
        }
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        let report = {
            let mut bytes = Vec::new();
            FromChild::Done(Box::new(TestReport::unproven("x"))).send(&mut bytes).unwrap();
            bytes.split_off(4)
        };
        let many = [&b"U"[..], &vec![0; 32 * (MOST_PACKS + 1)]].concat();
        for body in [&b""[..], b"X", b"U1", b"I", b"Ishort", b"E1", &report, &many] {
            assert_eq!(FromPruner::parse(body), None);
        }
        let FromPruner::Ends(Some(why)) =
            FromPruner::parse(&[b"F", &vec![b'\n'; 10][..], &vec![b'a'; 999]].concat()).unwrap()
        else {
            panic!("it is an end")
        };
        assert_eq!(why.len(), 300);
    }
}
