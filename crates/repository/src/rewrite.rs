//! An index file written once more without some packs.
//!
//! Each index keeps its own successor: merged into one, what came late would become part of every earlier view.
use crate::index::BlobKind;
use crate::{Fault, Id, limit};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::HashSet;

/// What became of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// It names none of the packs.
    Same,
    /// It named nothing else.
    Empty,
    /// Its new JSON.
    New(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
struct Whole {
    #[serde(default)]
    packs: Option<Vec<Pack>>,
}

#[derive(Serialize, Deserialize)]
struct Pack {
    #[serde(serialize_with = "hex")]
    id: Id,
    #[serde(default)]
    blobs: Option<Vec<Blob>>,
}

#[derive(Serialize, Deserialize)]
struct Blob {
    #[serde(serialize_with = "hex")]
    id: Id,
    #[serde(rename = "type")]
    kind: BlobKind,
    offset: u32,
    length: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncompressed_length: Option<u32>,
}

fn hex<S: Serializer>(id: &Id, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.name().as_str())
}

/// Writes an index's JSON without the packs in `gone`.
///
/// # Errors
/// When it is not one, or has more blobs than the limit.
pub fn without_packs(json: &[u8], gone: &HashSet<Id>) -> Result<Rewritten, Fault> {
    let unreadable = |error: serde_json::Error| Fault::Node(format!("an index cannot be read: {error}"));
    let whole: Whole = serde_json::from_slice(json).map_err(unreadable)?;
    let packs = whole.packs.unwrap_or_default();
    if packs.iter().map(|it| it.blobs.as_ref().map_or(0, Vec::len)).sum::<usize>() > limit::INDEXED_BLOBS {
        return Err(Fault::Limit("the index has more blobs than the limit"));
    }
    let count = packs.len();
    let kept: Vec<Pack> = packs.into_iter().filter(|it| !gone.contains(&it.id)).collect();
    if kept.len() == count {
        return Ok(Rewritten::Same);
    }
    if kept.is_empty() {
        return Ok(Rewritten::Empty);
    }
    serde_json::to_vec(&Whole { packs: Some(kept) }).map(Rewritten::New).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Index;

    fn id(n: u8) -> Id {
        Id([n; 32])
    }

    fn json() -> String {
        let pack = |pack: u8, more: &str| {
            format!(
                r#"{{"id":"{}","blobs":[{{"id":"{}","type":"tree","offset":7,"length":40{more}}}]}}"#,
                id(pack).name(),
                id(pack + 100).name()
            )
        };
        format!(r#"{{"supersedes":[],"packs":[{},{}]}}"#, pack(1, ""), pack(2, r#","uncompressed_length":9"#))
    }

    #[test]
    fn what_is_left_is_as_it_was() {
        let gone = |ids: &[u8]| ids.iter().map(|it| id(*it)).collect::<HashSet<_>>();
        assert_eq!(without_packs(json().as_bytes(), &gone(&[3])), Ok(Rewritten::Same));
        assert_eq!(without_packs(json().as_bytes(), &gone(&[1, 2])), Ok(Rewritten::Empty));
        let Ok(Rewritten::New(new)) = without_packs(json().as_bytes(), &gone(&[1])) else { panic!("it is new") };
        let text = String::from_utf8(new.clone()).unwrap();
        assert!(text.contains(r#""uncompressed_length":9"#) && !text.contains(id(1).name().as_str()), "{text}");
        let mut index = Index::default();
        index.add(&new).unwrap();
        index.seal();
        assert!(index.find(BlobKind::Tree, &id(102)).is_some() && index.find(BlobKind::Tree, &id(101)).is_none());
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        for text in ["", "[", "{\"packs\":[{}]}", "{\"packs\":3}"] {
            assert!(without_packs(text.as_bytes(), &HashSet::new()).is_err(), "{text}");
        }
        assert_eq!(without_packs(b"{}", &HashSet::new()), Ok(Rewritten::Same));
    }
}
