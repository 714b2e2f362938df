//! A folder's JSON, node by node: a folder of a million names is never in memory as a whole.
use crate::crypto::wide;
use crate::{Id, Node, Problem, limit};
use aws_lc_rs::digest::{Context, SHA256};
use std::io::{self, BufRead, BufReader, Cursor, Read};

type Packed = BufReader<zstd::Decoder<'static, Cursor<Vec<u8>>>>;

/// A folder's nodes, read one after the other.
pub struct TreeReader {
    source: Source,
    place: Place,
    node: Vec<u8>,
    /// Bytes that are kept for it.
    held: usize,
}

impl std::fmt::Debug for TreeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TreeReader").field("held", &self.held).finish_non_exhaustive()
    }
}

enum Source {
    Plain(Cursor<Vec<u8>>),
    Packed(Box<Packed>),
}

/// Where in the JSON the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Nodes { first: bool },
    End,
}

/// What a decoder keeps besides the packed bytes, with the window of the levels in use.
const DECODER: usize = 4 << 20;

impl TreeReader {
    /// Over JSON as it is.
    pub fn plain(json: Vec<u8>) -> Self {
        let held = json.len();
        Self { source: Source::Plain(Cursor::new(json)), place: Place::Start, node: Vec::new(), held }
    }

    /// Over JSON that is compressed.
    pub(crate) fn packed(packed: Vec<u8>) -> Result<Self, Problem> {
        let held = packed.len().saturating_add(DECODER);
        let decoder = zstd::Decoder::with_buffer(Cursor::new(packed)).map_err(|_why| Problem::Zstd)?;
        let source = Source::Packed(Box::new(BufReader::new(decoder)));
        Ok(Self { source, place: Place::Start, node: Vec::new(), held })
    }

    /// How many bytes are kept for it.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// The next node; none at the end. After a fault there is nothing more.
    ///
    /// # Errors
    /// When what follows is not a folder's JSON; nodes before it may be good.
    pub fn next_node(&mut self) -> Option<Result<Node, String>> {
        let step = match &mut self.source {
            Source::Plain(text) => step(text, self.place, &mut self.node),
            Source::Packed(text) => step(text, self.place, &mut self.node),
        };
        match step {
            Ok(Some(place)) => {
                self.place = place;
                let node = Node::parse(&self.node).map_err(|it| it.to_string());
                if node.is_err() {
                    self.place = Place::End;
                }
                Some(node)
            }
            Ok(None) => {
                self.place = Place::End;
                None
            }
            Err(error) => {
                self.place = Place::End;
                Some(Err(error.to_string()))
            }
        }
    }
}

/// Whether packed bytes give `size` bytes with the hash `id`, without keeping them.
pub(crate) fn check(packed: &[u8], size: u64, id: &Id) -> Result<(), Problem> {
    let mut decoder = zstd::Decoder::with_buffer(packed).map_err(|_why| Problem::Zstd)?.take(size.saturating_add(1));
    let (mut hash, mut had, mut buffer) = (Context::new(&SHA256), 0u64, vec![0; 1 << 16]);
    loop {
        let count = decoder.read(&mut buffer).map_err(|_why| Problem::Zstd)?;
        if count == 0 {
            break;
        }
        had += wide(count);
        hash.update(buffer.get(..count).unwrap_or_default());
    }
    if had != size {
        return Err(Problem::Size { said: size, had });
    }
    if hash.finish().as_ref() == id.0 { Ok(()) } else { Err(Problem::Content) }
}

/// Reads up to the end of the next node into `node`; none when there is none left.
fn step(text: &mut impl BufRead, place: Place, node: &mut Vec<u8>) -> io::Result<Option<Place>> {
    let first = match place {
        Place::End => return Ok(None),
        Place::Nodes { first } => first,
        Place::Start => {
            if !find_nodes(text)? {
                return Ok(None);
            }
            true
        }
    };
    let mut next = skip_space(text)?;
    if next == b']' {
        return finish(text).map(|()| None);
    }
    if !first {
        if next != b',' {
            return Err(bad("a comma is missing between two entries"));
        }
        next = skip_space(text)?;
    }
    if next != b'{' {
        return Err(bad("an entry is not an object"));
    }
    node.clear();
    node.push(b'{');
    rest_of_value(text, &mut |byte| {
        node.push(byte);
        node.len() <= limit::NODE
    })?;
    Ok(Some(Place::Nodes { first: false }))
}

/// Goes to the first byte of the list of nodes; false if there is no list.
fn find_nodes(text: &mut impl BufRead) -> io::Result<bool> {
    if skip_space(text)? != b'{' {
        return Err(bad("it is not an object"));
    }
    let mut first = true;
    loop {
        let mut next = skip_space(text)?;
        if next == b'}' && first {
            return end(text).map(|()| false);
        }
        if !first {
            match next {
                b'}' => return end(text).map(|()| false),
                b',' => next = skip_space(text)?,
                _ => return Err(bad("a comma is missing between two fields")),
            }
        }
        first = false;
        if key(text, next)? == b"nodes" {
            match skip_space(text)? {
                b'[' => return Ok(true),
                // Go writes a list without entries as `null`.
                b'n' => {
                    for expected in *b"ull" {
                        if byte(text)? != expected {
                            return Err(bad("the list of entries is not a list"));
                        }
                    }
                }
                _ => return Err(bad("the list of entries is not a list")),
            }
        } else {
            skip_value(text)?;
        }
    }
}

/// What may come after the list of nodes.
fn finish(text: &mut impl BufRead) -> io::Result<()> {
    loop {
        match skip_space(text)? {
            b'}' => return end(text),
            b',' => {
                let first = skip_space(text)?;
                if key(text, first)? == b"nodes" {
                    return Err(bad("there are two lists of entries"));
                }
                skip_value(text)?;
            }
            _ => return Err(bad("something follows the list of entries")),
        }
    }
}

fn end(text: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = text.fill_buf()?;
        if available.is_empty() {
            return Ok(());
        }
        if !available.iter().all(u8::is_ascii_whitespace) {
            return Err(bad("something follows the end"));
        }
        let length = available.len();
        text.consume(length);
    }
}

/// A field's name, up to the colon after it; only the start of a long one.
fn key(text: &mut impl BufRead, quote: u8) -> io::Result<Vec<u8>> {
    if quote != b'"' {
        return Err(bad("a field has no name"));
    }
    let mut name = Vec::new();
    loop {
        match byte(text)? {
            b'"' => break,
            // Another reader could take an escaped name for the list of entries, and find other entries in the
            // folder.
            b'\\' => return Err(bad("a field's name is escaped")),
            other if name.len() < 16 => name.push(other),
            _ => {}
        }
    }
    if skip_space(text)? == b':' { Ok(name) } else { Err(bad("a field has no value")) }
}

/// Goes over a value of any kind.
fn skip_value(text: &mut impl BufRead) -> io::Result<()> {
    match skip_space(text)? {
        b'{' | b'[' => rest_of_value(text, &mut |_| true),
        b'"' => string(text, &mut |_| true),
        // A number or a word: up to what ends it, which stays unread.
        _ => loop {
            let available = text.fill_buf()?;
            let Some(next) = available.first() else { return Err(bad("it was cut off")) };
            if matches!(next, b',' | b'}' | b']') || next.is_ascii_whitespace() {
                return Ok(());
            }
            text.consume(1);
        },
    }
}

/// The rest of an object or a list whose first byte was read.
fn rest_of_value(text: &mut impl BufRead, take: &mut dyn FnMut(u8) -> bool) -> io::Result<()> {
    let mut depth = 1u32;
    while depth > 0 {
        let next = byte(text)?;
        if !take(next) {
            return Err(bad("an entry is longer than the limit"));
        }
        match next {
            b'{' | b'[' => depth = depth.checked_add(1).ok_or_else(|| bad("it is nested too deep"))?,
            b'}' | b']' => depth -= 1,
            b'"' => string(text, take)?,
            _ => {}
        }
    }
    Ok(())
}

/// The rest of a text whose quote was read.
fn string(text: &mut impl BufRead, take: &mut dyn FnMut(u8) -> bool) -> io::Result<()> {
    let mut escaped = false;
    loop {
        let next = byte(text)?;
        if !take(next) {
            return Err(bad("an entry is longer than the limit"));
        }
        match next {
            b'"' if !escaped => return Ok(()),
            other => escaped = other == b'\\' && !escaped,
        }
    }
}

fn skip_space(text: &mut impl BufRead) -> io::Result<u8> {
    loop {
        let next = byte(text)?;
        if !matches!(next, b' ' | b'\t' | b'\r' | b'\n') {
            return Ok(next);
        }
    }
}

fn byte(text: &mut impl BufRead) -> io::Result<u8> {
    let next = text.fill_buf()?.first().copied().ok_or_else(|| bad("it was cut off"))?;
    text.consume(1);
    Ok(next)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;

    fn nodes(json: &[u8]) -> Result<Vec<Node>, String> {
        let mut reader = TreeReader::plain(json.to_vec());
        std::iter::from_fn(|| reader.next_node()).collect()
    }

    #[test]
    fn a_folder_is_read_as_it_is_when_read_whole() {
        for json in [
            r#"{"nodes":[]}"#,
            r#"{}"#,
            r#" { "nodes" : null } "#,
            r#"{"nodes":[{"name":"a","type":"file","x":{"y":["]}","\\\""]}} , {"name":"\\","type":"dir"}],"more":[1,{"a":"}"}]}"#,
            r#"{"version":1,"text":"\"nodes\":[","nodes":[{"name":"a","type":"fifo"}]}"#,
        ] {
            assert_eq!(nodes(json.as_bytes()).unwrap(), Tree::parse(json.as_bytes()).unwrap().nodes, "{json}");
        }
    }

    #[test]
    fn a_large_folder_is_read_from_its_packed_bytes() {
        let node = |n: u32| format!(r#"{{"name":"file {n}","type":"file","mode":420,"content":[]}}"#);
        let json = format!(r#"{{"nodes":[{}]}}"#, (0..50_000).map(node).collect::<Vec<_>>().join(","));
        let packed = zstd::encode_all(json.as_bytes(), 3).unwrap();
        let id = Id(secret::sha256(json.as_bytes()));
        let size = wide(json.len());
        assert_eq!(check(&packed, size, &id), Ok(()));
        assert_eq!(check(&packed, size - 1, &id), Err(Problem::Size { said: size - 1, had: size }));
        assert_eq!(check(&packed, size, &Id([0; 32])), Err(Problem::Content));
        assert_eq!(check(b"?", size, &id), Err(Problem::Zstd));

        let mut reader = TreeReader::packed(packed).unwrap();
        let names = std::iter::from_fn(|| reader.next_node()).map(|it| it.unwrap().spelled);
        assert!(names.eq((0..50_000).map(|it| format!("file {it}"))));
    }

    #[test]
    fn what_is_not_a_folder_ends_with_the_reason() {
        for json in [
            "",
            "[]",
            "{",
            r#"{"nodes":5}"#,
            r#"{"nodes":nul}"#,
            r#"{"nodes":[{"name":"x"}]}"#,
            r#"{"nodes":[3]}"#,
            r#"{"nodes":[{"name":"x","type":"fifo"}"#,
            r#"{"nodes":[{"name":"x","type":"fifo"}]"#,
            r#"{"n\u006fdes":[]}"#,
            r#"{"nodes":[]}x"#,
            r#"{"nodes":[],"nodes":[]}"#,
            r#"{"nodes":[] "x":1}"#,
            r#"{x:1}"#,
            r#"{"x" 1}"#,
            r#"{"nodes":[{"name":"a","type":"fifo"} {"name":"b","type":"fifo"}]}"#,
        ] {
            assert!(nodes(json.as_bytes()).is_err(), "{json}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(1_000_000));
        assert!(nodes(deep.as_bytes()).is_err());
        let cut = r#"{"nodes":[{"name":"a","type":"fifo"},{"name""#;
        let mut reader = TreeReader::plain(cut.as_bytes().to_vec());
        assert!(reader.next_node().unwrap().is_ok(), "what came before is read");
        assert!(reader.next_node().unwrap().is_err());
        assert!(reader.next_node().is_none());
    }
}
