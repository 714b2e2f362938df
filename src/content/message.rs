//! What the two processes say to each other besides asking for objects.
//!
//! The child reads what a stranger wrote, so its parent trusts nothing it says: every frame is bounded, and each text
//! is shown as text only.
use crate::proof::frame::{self, FromChild};
use domain::object::ObjectName;
use repository::View;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// How many entries of a folder come at once.
pub const PAGE: usize = 200;

/// What is to be read. The repository's key follows in a separate frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub task: Task,
    pub cpu_seconds: u64,
}

/// What is to be done. Paths are in the manifest's spelling; an empty one is the top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// One page of a folder's entries whose names contain `filter`, from the entry number `from` of those on; or what
    /// is known of a file.
    List { snapshot: ObjectName, path: String, filter: String, from: u64 },
    /// The bytes of a file, or a folder as a tar archive. With `leaves_out`, what is damaged is left out and named in
    /// it; otherwise the first damage ends it.
    Take { snapshot: ObjectName, path: String, leaves_out: bool },
    /// In which of these points, newest first, a name with `text` in it is; as many of them as the bounds allow. With
    /// `from`, as [`Hits::goes_on`] said it, only the rest of the first.
    Find { points: Vec<Seen>, text: String, from: String, bounds: Bounds },
    /// Which of these paths a point has.
    Has { point: Seen, paths: Vec<String>, seconds: u64 },
    /// What two snapshots differ in: one page from the difference number `from` on, and the counts of all.
    Compare { old: Seen, new: Seen, from: u64, seconds: u64 },
}

/// What a search may take before it tells what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub millis: u64,
    /// How many folders are known at once.
    pub folders: usize,
}

/// A snapshot, and the view that it is looked at in: that of its own receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub snapshot: ObjectName,
    pub view: View,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The name in the manifest's spelling, or as far as it can be shown.
    pub name: String,
    pub kind: RowKind,
    /// Seconds since 1970, by the device.
    pub modified: Option<i64>,
    /// Unix permission bits.
    pub mode: u32,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowKind {
    /// `is_whole`: each of its chunks is in the index and in a pack that the server has. Their bytes were not read.
    File {
        size: u64,
        is_whole: bool,
    },
    /// `is_there`: the folder's own list is in the index.
    Folder {
        is_there: bool,
    },
    Symlink {
        target: String,
    },
    /// A device, a socket, a pipe or something newer.
    Special {
        what: String,
    },
    /// It cannot be restored: why.
    Unusable {
        why: String,
    },
}

/// One page of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub rows: Vec<Row>,
    pub has_more: bool,
    /// How many match in all; none if there are too many to count for one page.
    pub count: Option<u64>,
    /// Why the folder's list breaks off before its end.
    pub broken: Option<String>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    Folder(Listed),
    /// A file or anything else that is no folder.
    Single(Row),
}

/// What is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last name of the path, in the manifest's spelling; empty for the top.
    pub name: String,
    /// None for an archive.
    pub size: Option<u64>,
}

/// How much was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub files: u64,
    pub bytes: u64,
    /// Damaged entries that the archive does not hold.
    pub left_out: u64,
    /// Devices, sockets and pipes, which no archive here holds.
    pub special: u64,
}

/// A path that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// In the manifest's spelling.
    pub path: String,
    /// It is too long to be told as a whole.
    pub is_cut: bool,
    pub is_folder: bool,
    /// In the newest snapshot that has it.
    pub size: u64,
    /// How many different contents it had.
    pub versions: u32,
    /// Where it is without a gap, newest first.
    pub spans: Vec<Span>,
}

/// From which snapshot to which, by their numbers in the job: 0 is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub newest: usize,
    pub oldest: usize,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hits {
    /// By path.
    pub rows: Vec<Hit>,
    /// How many snapshots were searched.
    pub searched: usize,
    /// There are more paths than are told.
    pub has_more: bool,
    /// Folders whose list is damaged or missing: nobody knows what was in them.
    pub unreadable_folders: u64,
    pub unreadable_points: u64,
    /// Snapshots, by their numbers, that could not be read to the end: a name that was not met there may be there.
    pub unsure: Vec<usize>,
    /// The first point was searched only up to here.
    pub goes_on: Option<GoesOn>,
}

/// How far a search came within a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoesOn {
    /// For the next search: how many entries of each folder on the way were read, such as "3.17.2005".
    pub from: String,
    /// The folder it came to, in the manifest's spelling.
    pub path: String,
}

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    Added,
    Removed,
    /// Its content, target or kind; rights and times do not count.
    Changed,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In the manifest's spelling.
    pub path: String,
    pub what: Difference,
    pub is_folder: bool,
    pub old_size: Option<u64>,
    pub new_size: Option<u64>,
}

/// How many files, and their bytes: of changed files, those of the newer point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub files: u64,
    pub bytes: u64,
}

/// What two snapshots differ in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub rows: Vec<Change>,
    pub has_more: bool,
    pub added: Counts,
    pub removed: Counts,
    pub changed: Counts,
    /// Folders that are damaged, missing or not in order on one side: what is in them was not compared.
    pub unreadable: u64,
    /// False if the time was over first: then there are at least as many.
    pub is_whole: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Found(Found),
    Taken(Taken),
    Hits(Hits),
    /// For each path whether it is there; none where nobody can say.
    Has(Vec<Option<bool>>),
    Changes(Changes),
    /// There is nothing at the path.
    NotThere,
    /// It is there, but is no file and no folder.
    NotAFile,
    /// Its bytes are missing or damaged in the store: which, and how.
    Damaged {
        path: String,
        why: String,
    },
    /// Larger than any limit allows.
    Limit(String),
    /// The store cannot be read now.
    Away(String),
}

/// What the child says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// It asks for an object, or is still working.
    Asked(FromChild),
    Head(Head),
    Part(Vec<u8>),
    End(Box<End>),
}

impl Said {
    /// Reads one; the bytes may be anything.
    ///
    /// # Errors
    /// When the child has gone or says what it may not.
    pub fn receive(input: &mut dyn Read) -> io::Result<Self> {
        let body = frame::read(input, frame::MAX_FROM_CHILD)?;
        Self::parse(body).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an invalid message"))
    }

    /// Reads a frame's body.
    pub fn parse(mut body: Vec<u8>) -> Option<Self> {
        let (tag, rest) = body.split_first()?;
        match tag {
            b'H' => serde_json::from_slice(rest).ok().map(Self::Head),
            b'E' => serde_json::from_slice(rest).ok().map(|it| Self::End(Box::new(it))),
            b'P' => {
                body.remove(0);
                Some(Self::Part(body))
            }
            // A restore test's report has no place here.
            b'D' => None,
            _ => FromChild::parse(&body).map(Self::Asked),
        }
    }
}

/// Says what is about to be sent.
///
/// # Errors
/// When the parent has gone.
pub fn head(out: &mut dyn Write, head: &Head) -> io::Result<()> {
    frame::write(out, &[b"H", &serde_json::to_vec(head)?])
}

/// Sends a piece.
///
/// # Errors
/// When the parent has gone.
pub fn part(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    frame::write(out, &[b"P", bytes])
}

/// Says how the job ended.
///
/// # Errors
/// When the parent has gone.
pub fn end(out: &mut dyn Write, end: &End) -> io::Result<()> {
    frame::write(out, &[b"E", &serde_json::to_vec(end)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let sent = Head { name: "a%0Ab".to_owned(), size: Some(7) };
        let mut bytes = Vec::new();
        head(&mut bytes, &sent).unwrap();
        part(&mut bytes, b"").unwrap();
        part(&mut bytes, b"PHE").unwrap();
        end(&mut bytes, &End::Away("x".to_owned())).unwrap();
        FromChild::Alive.send(&mut bytes).unwrap();
        let mut input = &bytes[..];
        let mut next = || Said::receive(&mut input).unwrap();
        assert_eq!(next(), Said::Head(sent));
        assert_eq!(next(), Said::Part(Vec::new()));
        assert_eq!(next(), Said::Part(b"PHE".to_vec()));
        assert_eq!(next(), Said::End(Box::new(End::Away("x".to_owned()))));
        assert_eq!(next(), Said::Asked(FromChild::Alive));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for body in [&b""[..], b"X", b"H", b"H{}", b"E", b"E{\"Found\":1}", b"D{}", b"A1"] {
            assert_eq!(Said::parse(body.to_vec()), None, "{body:?}");
        }
    }
}
