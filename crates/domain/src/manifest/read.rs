//! Reading a manifest line by line: the bytes come from a device and may be anything.
use super::{
    END, End, Entry, EntryKind, Fault, Header, MAX_BYTES, MAX_EXPANSION, MAX_LINE, MAX_PATH, ManifestFile, ROOM,
    Totals, decode_path, is_plain, order,
};
use serde::Deserialize;
use std::cmp::Ordering;
use std::io::{BufRead, BufReader, Read};

/// Reads the files of either version, in little memory; a fault may come after some files.
pub fn each(stored: &[u8], mut take: impl FnMut(ManifestFile)) -> Result<Header, Fault> {
    entries(stored, |entry| {
        if let Some(file) = entry.into_file() {
            take(file);
        }
    })
}

/// Reads all entries of either version, in little memory; a fault may come after some entries.
pub fn entries(stored: &[u8], take: impl FnMut(Entry)) -> Result<Header, Fault> {
    up_to(stored, most(stored.len()), take)
}

/// How many bytes this many stored bytes may expand to: a few kilobytes must not keep anybody busy with a
/// gigabyte.
const fn most(stored: usize) -> usize {
    let expanded = ROOM.saturating_add(stored.saturating_mul(MAX_EXPANSION));
    if expanded < MAX_BYTES { expanded } else { MAX_BYTES }
}

fn up_to(stored: &[u8], most: usize, take: impl FnMut(Entry)) -> Result<Header, Fault> {
    let decoder = zstd::Decoder::with_buffer(stored).map_err(|_why| Fault::NotZstd)?;
    let text = BufReader::new(decoder.take(most as u64 + 1));
    let mut lines = Lines { text, number: 0, length: 0, most, line: vec![] };
    if !lines.next()? {
        return Err(Fault::Line(1, "it is empty".to_owned()));
    }
    let header: Header = lines.read()?;
    match header.version {
        1 => old(&mut lines, header, take),
        2 => new(&mut lines, header, take),
        other => Err(Fault::Version(other)),
    }
}

fn old<R: BufRead>(lines: &mut Lines<R>, header: Header, mut take: impl FnMut(Entry)) -> Result<Header, Fault> {
    let mut had = 0;
    let mut last = String::new();
    while lines.next()? {
        let file: ManifestFile = lines.read()?;
        if had > 0 && last >= file.path {
            return Err(Fault::Order(lines.number));
        }
        had += 1;
        last.clone_from(&file.path);
        take(file.into());
    }
    if had == header.file_count { Ok(header) } else { Err(Fault::Count { said: header.file_count, had }) }
}

fn new<R: BufRead>(lines: &mut Lines<R>, mut header: Header, mut take: impl FnMut(Entry)) -> Result<Header, Fault> {
    let mut had = Totals::default();
    let mut last = Vec::new();
    while lines.next()? {
        if lines.text().starts_with(END) {
            let said = lines.read::<End>()?.end;
            return match (said == had, lines.next()?) {
                (true, false) => {
                    header.file_count = had.files;
                    Ok(header)
                }
                (_, true) => Err(Fault::Line(lines.number, "it follows the end".to_owned())),
                (false, false) => Err(Fault::Count { said: said.entries, had: had.entries }),
            };
        }
        let entry: Entry = lines.read()?;
        let path = sound(&entry).map_err(|why| Fault::Line(lines.number, why.to_owned()))?;
        if had.entries > 0 && order(&last, &path) != Ordering::Less {
            return Err(Fault::Order(lines.number));
        }
        last = path;
        had.entries += 1;
        if entry.kind == EntryKind::File && entry.sha256.is_some() {
            had.files += 1;
            had.bytes = had.bytes.saturating_add(entry.size);
        }
        take(entry);
    }
    Err(Fault::CutOff)
}

/// The path of an entry as bytes, if the entry has only what its kind may have.
fn sound(entry: &Entry) -> Result<Vec<u8>, &'static str> {
    let path = decode_path(&entry.path).filter(|it| is_plain(it)).ok_or("its path is not absolute and plain")?;
    if path.len() > MAX_PATH {
        return Err("its path is too long");
    }
    let is_file = entry.kind == EntryKind::File;
    if !is_file && (entry.size > 0 || entry.sha256.is_some()) {
        return Err("only a file has a size and a hash");
    }
    if entry.sha256.as_deref().is_some_and(|it| !is_hash(it)) {
        return Err("its hash is not 64 lower-case hex digits");
    }
    if is_file && entry.sha256.is_none() && entry.left_out.is_none() {
        return Err("a file has a hash or the reason why it was left out");
    }
    if (entry.kind == EntryKind::Symlink) != entry.target.is_some() && entry.left_out.is_none() {
        return Err("a symbolic link, and nothing else, has a target");
    }
    if entry.target.as_deref().is_some_and(|it| decode_path(it).is_none()) {
        return Err("its target is not readable");
    }
    let meta = entry.meta.as_ref();
    if meta.is_some_and(|it| it.mode > 0o7777 || it.mtime.1 > 999_999_999) {
        return Err("its mode or time is not one that a file can have");
    }
    if meta.and_then(|it| it.attributes.as_deref()).is_some_and(|it| !is_hash(it)) {
        return Err("the digest of its attributes is not 64 lower-case hex digits");
    }
    Ok(path)
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

struct Lines<R> {
    text: R,
    number: u64,
    length: usize,
    most: usize,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Goes to the next line; false at the end.
    fn next(&mut self) -> Result<bool, Fault> {
        self.line.clear();
        let had =
            (&mut self.text).take(MAX_LINE + 1).read_until(b'\n', &mut self.line).map_err(|_why| Fault::NotZstd)?;
        self.length += had;
        if self.length > self.most {
            return Err(Fault::TooLarge);
        }
        if had == 0 {
            return Ok(false);
        }
        self.number += 1;
        if had as u64 > MAX_LINE {
            return Err(Fault::Line(self.number, "it is too long".to_owned()));
        }
        // Nobody writes empty lines, and a gigabyte of them would be read for nothing.
        if self.text().is_empty() {
            return Err(Fault::Line(self.number, "it is empty".to_owned()));
        }
        Ok(true)
    }

    fn text(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }

    fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        serde_json::from_slice(self.text()).map_err(|error| Fault::Line(self.number, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, Meta, Writer};

    fn header() -> Header {
        let roots = vec!["/a".to_owned()];
        Header { version: 2, device_id: "d".to_owned(), roots, away: vec!["/b".to_owned()], made_at: 1, file_count: 0 }
    }

    fn file(path: &str) -> Entry {
        ManifestFile { path: path.to_owned(), size: 3, sha256: "0".repeat(64) }.into()
    }

    fn write(entries: &[Entry]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        for entry in entries {
            writer.entry(entry).unwrap();
        }
        writer.finish().unwrap().0
    }

    fn read(stored: &[u8]) -> Result<Vec<Entry>, Fault> {
        let mut had = Vec::new();
        entries(stored, |it| had.push(it)).map(|_| had)
    }

    fn all() -> Vec<Entry> {
        let meta = Meta {
            mode: 0o7755,
            uid: 0,
            gid: u32::MAX,
            mtime: (i64::MIN, 999_999_999),
            attributes: Some("a".repeat(64)),
            sparse: true,
        };
        let folder = Entry { meta: Some(meta.clone()), ..Entry::bare("/a".to_owned(), EntryKind::Folder) };
        let link = Entry { target: Some("../%FF".to_owned()), ..Entry::bare("/a/l".to_owned(), EntryKind::Symlink) };
        let closed = Entry { left_out: Some("denied".to_owned()), ..Entry::bare("/a/n".to_owned(), EntryKind::File) };
        let pipe = Entry::bare("/a/p".to_owned(), EntryKind::Pipe);
        vec![folder, Entry { link_group: Some(1), ..file("/a/f") }, link, closed, pipe, file("/a-b")]
    }

    #[test]
    fn every_kind_of_entry_is_read_back() {
        let stored = write(&all());

        assert_eq!(read(&stored).unwrap(), all());
        assert_eq!(Manifest::check(&stored).unwrap(), Header { file_count: 2, ..header() });
        let files: Vec<_> = Manifest::decode(&stored).unwrap().files.into_iter().map(|it| it.path).collect();
        assert_eq!(files, ["/a/f", "/a-b"], "the files, as version 1 would list them");
    }

    #[test]
    fn a_manifest_that_was_cut_off_or_continued_is_refused() {
        let text = zstd::decode_all(&write(&all())[..]).unwrap();
        let end = text.windows(END.len()).position(|it| it == END).unwrap();
        let pack = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        assert_eq!(read(&pack(&text[..end])), Err(Fault::CutOff));
        assert!(matches!(read(&pack(&text[..end + 12])), Err(Fault::Line(8, _))));
        let more = [&text[..], b"{\"path\":\"/z\",\"type\":\"folder\"}\n"].concat();
        assert_eq!(read(&pack(&more)), Err(Fault::Line(9, "it follows the end".to_owned())));
        let lying = String::from_utf8(text.clone()).unwrap().replace("\"entries\":6", "\"entries\":7");
        assert_eq!(read(&pack(lying.as_bytes())), Err(Fault::Count { said: 7, had: 6 }));
        assert!(matches!(
            read(&pack(b"{\"version\":3,\"device_id\":\"\",\"roots\":[],\"made_at\":0}")),
            Err(Fault::Version(3))
        ));
    }

    #[test]
    fn a_manifest_that_grows_without_end_is_not_read_to_it() {
        let stored = write(&all());
        let length = zstd::decode_all(&stored[..]).unwrap().len();
        assert!(up_to(&stored, length, drop).is_ok());
        assert_eq!(up_to(&stored, length - 1, drop), Err(Fault::TooLarge));
        let bomb = zstd::encode_all(std::io::repeat(b'x').take(MAX_LINE + 2), 1).unwrap();
        assert_eq!(read(&bomb), Err(Fault::Line(1, "it is too long".to_owned())));
        let empty = zstd::encode_all(&b"\n\n"[..], 1).unwrap();
        assert_eq!(read(&empty), Err(Fault::Line(1, "it is empty".to_owned())));
    }

    #[test]
    fn a_few_bytes_unfold_to_no_gigabyte() {
        let padding = "x".repeat(200 << 10);
        let folders = (0..400).map(|n| format!("{{\"path\":\"/{n:04}\",\"type\":\"folder\",\"x\":\"{padding}\"}}\n"));
        let text = format!("{}\n{}", serde_json::to_string(&header()).unwrap(), folders.collect::<String>());
        let bomb = zstd::encode_all(text.as_bytes(), 1).unwrap();
        assert!(most(bomb.len()) < text.len(), "{} bytes are no bomb", bomb.len());

        assert_eq!(read(&bomb), Err(Fault::TooLarge));
        assert_eq!((most(0), most(usize::MAX)), (ROOM, MAX_BYTES));
    }

    #[test]
    fn many_names_below_the_longest_path_are_not_a_bomb() {
        let folder = "d".repeat(4000);
        let files: Vec<_> = (0..1_000).map(|n| file(&format!("/{folder}/{n:06}"))).collect();
        let stored = write(&files);
        let length = zstd::decode_all(&stored[..]).unwrap().len();
        assert!(length / stored.len() > 500, "{length} in {}", stored.len());

        assert!(length < most(stored.len()) - ROOM, "however many there are");
        assert_eq!(entries(&stored, drop).unwrap().file_count, 1_000);
    }

    #[test]
    fn hostile_entries_are_refused_with_the_reason() {
        let bare = |path: &str| Entry::bare(path.to_owned(), EntryKind::Folder);
        let meta = Meta { mode: 0, uid: 0, gid: 0, mtime: (0, 0), attributes: None, sparse: false };
        for (entry, why) in [
            (bare("/a/../b"), "plain"),
            (bare("relative"), "plain"),
            (bare("/%0"), "plain"),
            (bare(&format!("/{}", "x".repeat(MAX_PATH))), "too long"),
            (Entry { size: 1, ..bare("/a") }, "only a file"),
            (Entry { sha256: Some("0".repeat(64)), ..bare("/a") }, "only a file"),
            (Entry { sha256: Some("A".repeat(64)), ..file("/a") }, "lower-case"),
            (Entry { sha256: None, ..file("/a") }, "a hash or the reason"),
            (Entry { target: Some("x".to_owned()), ..bare("/a") }, "target"),
            (Entry::bare("/a".to_owned(), EntryKind::Symlink), "target"),
            (Entry { target: Some("%".to_owned()), ..Entry::bare("/a".to_owned(), EntryKind::Symlink) }, "target"),
            (Entry { meta: Some(Meta { mode: 0o10000, ..meta.clone() }), ..bare("/a") }, "mode or time"),
            (Entry { meta: Some(Meta { mtime: (0, 1_000_000_000), ..meta.clone() }), ..bare("/a") }, "mode or time"),
            (Entry { meta: Some(Meta { attributes: Some(String::new()), ..meta }), ..bare("/a") }, "digest"),
        ] {
            let Err(Fault::Line(2, said)) = read(&write(std::slice::from_ref(&entry))) else { panic!("{entry:?}") };
            assert!(said.contains(why), "{said}");
        }
        for (first, second) in [("/a", "/a"), ("/b", "/a"), ("/a-b", "/a/b"), ("/%41", "/A")] {
            assert_eq!(read(&write(&[bare(first), bare(second)])), Err(Fault::Order(3)), "{first} {second}");
        }
    }
}
