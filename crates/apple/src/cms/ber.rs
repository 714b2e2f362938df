//! CMS as clients write it, made DER. Apple's own library, and everybody who streams, leaves lengths open and cuts octet
//! strings in pieces.
use super::CmsError;
use der::{Decode, Encode};
use std::borrow::Cow;

/// A message of more bytes is refused unread.
pub const MAX_LEN: usize = 1024 * 1024;
/// A message of more elements is refused. Eight certificates have a thousand.
const MAX_ELEMENTS: usize = 8192;
/// Certificates inside a message are nested ten deep.
const MAX_DEPTH: usize = 24;

const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;
const PIECES: u8 = OCTET_STRING | CONSTRUCTED;

/// What stands before an element's content.
struct Header {
    tag: u8,
    /// How many bytes tag and length take.
    size: usize,
    /// None where the content goes on until two zero bytes.
    len: Option<usize>,
}

/// One whole element, with all lengths known and no octet string in pieces. What is so already is not copied.
///
/// # Errors
/// When it is too large, nested too deep, cut off, or followed by more.
pub fn definite(input: &[u8]) -> Result<Cow<'_, [u8]>, CmsError> {
    if input.len() > MAX_LEN {
        return Err(CmsError::TooLarge);
    }
    let (tag, rest) = Walk::default().skip(input, 0)?;
    match (tag, rest) {
        (Skipped::Definite, []) => return Ok(Cow::Borrowed(input)),
        (Skipped::Definite, _) => return Err(CmsError::Malformed),
        (Skipped::ToRewrite, _) => {}
    }
    let mut output = Vec::with_capacity(input.len());
    let rest = Walk::default().rewrite(input, 0, &mut output)?;
    if rest.is_empty() { Ok(Cow::Owned(output)) } else { Err(CmsError::Malformed) }
}

/// Whether an element can stay as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Skipped {
    Definite,
    ToRewrite,
}

/// Counts the elements of a message.
#[derive(Default)]
struct Walk {
    elements: usize,
}

impl Walk {
    /// Passes over the first element, and what is in it, until something has to be rewritten.
    fn skip<'a>(&mut self, input: &'a [u8], depth: usize) -> Result<(Skipped, &'a [u8]), CmsError> {
        let header = self.header(input, depth)?;
        let Some(len) = header.len.filter(|_| header.tag != PIECES) else { return Ok((Skipped::ToRewrite, input)) };
        let (mut content, rest) = split(input, &header, len)?;
        while header.tag & CONSTRUCTED != 0 && !content.is_empty() {
            let (skipped, after) = self.skip(content, depth + 1)?;
            if skipped == Skipped::ToRewrite {
                return Ok((skipped, after));
            }
            content = after;
        }
        Ok((Skipped::Definite, rest))
    }

    /// Writes the first element, and gives what follows it.
    fn rewrite<'a>(&mut self, input: &'a [u8], depth: usize, output: &mut Vec<u8>) -> Result<&'a [u8], CmsError> {
        let header = self.header(input, depth)?;
        if header.tag & CONSTRUCTED == 0 {
            let (content, rest) = split(input, &header, header.len.ok_or(CmsError::Malformed)?)?;
            put(header.tag, content, output)?;
            return Ok(rest);
        }
        let mut inside = Vec::new();
        let rest = if let Some(len) = header.len {
            let (mut content, rest) = split(input, &header, len)?;
            while !content.is_empty() {
                content = self.rewrite(content, depth + 1, &mut inside)?;
            }
            rest
        } else {
            let mut content = input.get(header.size..).ok_or(CmsError::Malformed)?;
            loop {
                if let Some(rest) = content.strip_prefix(&[0, 0]) {
                    break rest;
                }
                content = self.rewrite(content, depth + 1, &mut inside)?;
            }
        };
        if header.tag == PIECES {
            put(OCTET_STRING, &joined(&inside)?, output)?;
        } else {
            put(header.tag, &inside, output)?;
        }
        Ok(rest)
    }

    fn header(&mut self, input: &[u8], depth: usize) -> Result<Header, CmsError> {
        self.elements += 1;
        if depth > MAX_DEPTH {
            return Err(CmsError::TooDeep);
        }
        if self.elements > MAX_ELEMENTS {
            return Err(CmsError::TooMany);
        }
        header(input)
    }
}

/// The content of octet strings in a row, as one.
///
/// # Errors
/// When there is anything else.
pub fn joined(pieces: &[u8]) -> Result<Vec<u8>, CmsError> {
    let mut whole = Vec::with_capacity(pieces.len());
    let mut rest = pieces;
    while !rest.is_empty() {
        let header = header(rest)?;
        let (content, after) = split(rest, &header, header.len.ok_or(CmsError::Malformed)?)?;
        if header.tag != OCTET_STRING {
            return Err(CmsError::Malformed);
        }
        whole.extend_from_slice(content);
        rest = after;
    }
    Ok(whole)
}

fn split<'a>(input: &'a [u8], header: &Header, len: usize) -> Result<(&'a [u8], &'a [u8]), CmsError> {
    input.get(header.size..).and_then(|rest| rest.split_at_checked(len)).ok_or(CmsError::Malformed)
}

fn header(input: &[u8]) -> Result<Header, CmsError> {
    let (&tag, rest) = input.split_first().ok_or(CmsError::Malformed)?;
    let (&first, rest) = rest.split_first().ok_or(CmsError::Malformed)?;
    // A tag of several bytes is in nothing we read.
    if tag & 0x1f == 0x1f {
        return Err(CmsError::Malformed);
    }
    match first {
        ..0x80 => Ok(Header { tag, size: 2, len: Some(usize::from(first)) }),
        0x80 if tag & CONSTRUCTED != 0 => Ok(Header { tag, size: 2, len: None }),
        0x81..=0x84 => {
            let bytes = rest.get(..usize::from(first & 0x7f)).ok_or(CmsError::Malformed)?;
            let len = bytes.iter().fold(0_usize, |len, byte| (len << 8) | usize::from(*byte));
            Ok(Header { tag, size: 2 + bytes.len(), len: Some(len) })
        }
        _ => Err(CmsError::Malformed),
    }
}

fn put(tag: u8, content: &[u8], output: &mut Vec<u8>) -> Result<(), CmsError> {
    let tag = der::Tag::from_der(&[tag]).map_err(|_malformed| CmsError::Malformed)?;
    let header = der::Header::new(tag, der::Length::try_from(content.len())?);
    output.extend_from_slice(&header.to_der()?);
    output.extend_from_slice(content);
    Ok(())
}
