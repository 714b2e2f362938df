//! The form of an XML property list, looked at before any value is made.
use super::{MAX_DEPTH, MAX_VALUES, PlistFault};
use quick_xml::Reader;
use quick_xml::events::Event;

/// What one element may carry besides its name: a property list has a version, and nothing else.
const MAX_TAG_BYTES: usize = 256;
/// Entities that need no document type.
const ENTITIES: [&str; 5] = ["lt", "gt", "amp", "apos", "quot"];

/// Refuses what is no single property list, brings a document type of its own, or is larger than any device's.
pub(super) fn check(bytes: &[u8]) -> Result<(), PlistFault> {
    let mut reader = Reader::from_reader(bytes);
    let (mut depth, mut values, mut roots) = (0_usize, 0_usize, 0_usize);
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer).map_err(|error| PlistFault::Syntax(error.to_string()))?;
        match event {
            Event::Start(tag) | Event::Empty(tag) if tag.len() > MAX_TAG_BYTES => {
                return Err(syntax("an element with too much beside its name"));
            }
            Event::Start(_) => {
                roots += usize::from(depth == 0);
                depth += 1;
                values += 1;
            }
            Event::Empty(_) => {
                roots += usize::from(depth == 0);
                values += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::DocType(said) if said.contains('[') => return Err(PlistFault::OwnDocumentType),
            Event::GeneralRef(name) if !is_known(name.as_ref()) => return Err(PlistFault::OwnDocumentType),
            Event::Eof => break,
            Event::DocType(_)
            | Event::GeneralRef(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_) => {}
        }
        // The root is `plist`.
        if depth > MAX_DEPTH + 1 {
            return Err(PlistFault::TooDeep);
        }
        if values > MAX_VALUES {
            return Err(PlistFault::TooMany);
        }
        if roots > 1 {
            return Err(syntax("more than one root"));
        }
        buffer.clear();
    }
    if depth > 0 { Err(syntax("it ends early")) } else { Ok(()) }
}

fn is_known(entity: &str) -> bool {
    ENTITIES.contains(&entity) || entity.starts_with('#')
}

fn syntax(why: &str) -> PlistFault {
    PlistFault::Syntax(why.to_owned())
}
