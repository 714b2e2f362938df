//! A bucket's answers in XML, as leaves with their places: bounded, because whoever answers may be anybody.
//!
//! There are no entities but the five of XML itself, and no document type: what would grow is refused.
use quick_xml::Reader;
use quick_xml::events::Event;

/// How much of an answer is read, as bytes: a page of 1,000 versions has less than 1 MiB.
pub(super) const MOST: usize = 8 << 20;

/// How deep elements may lie in each other: the deepest answer that is read has five.
const DEPTH: usize = 12;

/// How long a text may be, as bytes: a key has at most 1,024, each of which may be written as six.
const TEXT: usize = 8 << 10;

/// Why an answer is not one that a bucket gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bucket’s answer is not what it should be: {0}")]
pub struct XmlFault(pub(super) &'static str);

const NO_XML: XmlFault = XmlFault("it is not XML");

/// What happens in an answer.
pub(super) enum Part<'a> {
    /// An element begins; how many are around it.
    Begins(&'a str, usize),
    /// It ends, and this text was in it.
    Ends(&'a str, usize, &'a str),
}

/// Hands each element to `take` as it begins and ends, without its name space.
///
/// # Errors
/// When it is no XML, is too deep or too long, or declares something.
pub(super) fn read(answer: &[u8], take: &mut dyn FnMut(Part<'_>) -> Result<(), XmlFault>) -> Result<(), XmlFault> {
    if answer.len() > MOST {
        return Err(XmlFault("it is too long"));
    }
    let mut reader = Reader::from_str(std::str::from_utf8(answer).map_err(|_unread| NO_XML)?);
    reader.config_mut().expand_empty_elements = true;
    let (mut around, mut text) = (Vec::new(), String::new());
    loop {
        match reader.read_event().map_err(|_unread| NO_XML)? {
            Event::Start(it) => {
                if around.len() == DEPTH {
                    return Err(XmlFault("its elements lie too deep in each other"));
                }
                let name = std::str::from_utf8(it.local_name().into_inner()).map_err(|_unread| NO_XML)?.to_owned();
                take(Part::Begins(&name, around.len()))?;
                around.push(name);
                text.clear();
            }
            Event::End(_) => {
                let name = around.pop().ok_or(NO_XML)?;
                take(Part::Ends(&name, around.len(), &text))?;
                text.clear();
            }
            Event::Text(it) => text.push_str(&it.decode().map_err(|_unread| NO_XML)?),
            Event::CData(it) => text.push_str(&it.decode().map_err(|_unread| NO_XML)?),
            Event::GeneralRef(it) => {
                let name = it.decode().map_err(|_unread| NO_XML)?;
                text.push(character(&name).ok_or(XmlFault("it has entities of its own"))?);
            }
            Event::DocType(_) => return Err(XmlFault("it declares a document type")),
            Event::Empty(_) => return Err(NO_XML),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return if around.is_empty() { Ok(()) } else { Err(XmlFault("it ends too early")) },
        }
        if text.len() > TEXT {
            return Err(XmlFault("a text in it is too long"));
        }
    }
}

/// The character that a reference stands for: one of XML's own five, or a number.
fn character(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix("#x") {
            Some(digits) => number(digits, 16),
            None => number(name.strip_prefix('#')?, 10),
        },
    }
}

/// The text of the first element of this name, wherever it lies; none without one.
///
/// # Errors
/// As [`read`].
pub(super) fn first(answer: &[u8], wanted: &str) -> Result<Option<String>, XmlFault> {
    let mut found = None;
    read(answer, &mut |part| {
        if let Part::Ends(name, _, text) = part
            && name == wanted
            && found.is_none()
        {
            found = Some(text.trim().to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_whatever_their_name_space_and_how_they_are_written() {
        let answer =
            br#"<?xml version="1.0"?><!-- x --><a:A xmlns:a="u"><Key>x&amp;&#65;&#x42;<![CDATA[<c>]]></Key><E/></a:A>"#;
        assert_eq!(first(answer, "Key"), Ok(Some("x&AB<c>".to_owned())));
        assert_eq!(first(answer, "E"), Ok(Some(String::new())));
        assert_eq!(first(answer, "Other"), Ok(None));
    }

    #[test]
    fn what_would_grow_or_never_end_is_refused() {
        let bomb = br#"<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>"#;
        assert_eq!(first(bomb, "a"), Err(XmlFault("it declares a document type")));
        assert_eq!(first(b"<a>&c;</a>", "a"), Err(XmlFault("it has entities of its own")));
        let deep = "<a>".repeat(1_000_000);
        assert_eq!(first(deep.as_bytes(), "a"), Err(XmlFault("its elements lie too deep in each other")));
        let long = format!("<a>{}</a>", "x".repeat(TEXT + 1));
        assert_eq!(first(long.as_bytes(), "a"), Err(XmlFault("a text in it is too long")));
        let longer = vec![b' '; MOST + 1];
        assert_eq!(first(&longer, "a"), Err(XmlFault("it is too long")));
        let many = format!("<a>{}</a>", "&#65;".repeat(TEXT + 1));
        assert_eq!(first(many.as_bytes(), "a"), Err(XmlFault("a text in it is too long")));
        for cut in [&b"<a><b>"[..], b"<a></b>", b"</a>", b"<a", b"\xff", b"<a>&#x110000;</a>", b"<a>&#;</a>"] {
            assert!(first(cut, "a").is_err(), "{}", String::from_utf8_lossy(cut));
        }
        assert_eq!(first(b"", "a"), Ok(None));
    }
}
