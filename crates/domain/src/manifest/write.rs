//! Writing a manifest, entry by entry, in little memory.
use super::{End, Entry, EntryKind, Header, Totals};
use std::io::{self, Write};

/// Writes version 2 to the destination of its stored bytes.
pub struct Writer<W: Write> {
    out: zstd::Encoder<'static, W>,
    totals: Totals,
}

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("totals", &self.totals).finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    /// Begins with the header.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self { out: zstd::Encoder::new(out, 3)?, totals: Totals::default() };
        writer.line(header)?;
        Ok(writer)
    }

    /// Adds an entry; they come in the order of their paths.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.totals.entries += 1;
        if entry.kind == EntryKind::File && entry.sha256.is_some() {
            self.totals.files += 1;
            self.totals.bytes = self.totals.bytes.saturating_add(entry.size);
        }
        self.line(entry)
    }

    /// Ends the manifest; returns its destination and its totals.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        self.line(&End { end: self.totals })?;
        Ok((self.out.finish()?, self.totals))
    }

    fn line(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}
