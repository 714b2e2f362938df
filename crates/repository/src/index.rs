//! Which pack has a blob, and where in it.
use crate::{Fault, Id, View, limit};
use serde::{Deserialize, Serialize};

/// Whether a blob is a chunk of a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlobKind {
    Data,
    Tree,
}

/// One place where a blob is, in a few bytes: a large device has hundreds of thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub kind: BlobKind,
    /// The first view that has both the pack and the index that says so.
    pub since: View,
    pub id: Id,
    /// A number in [`Index::pack`].
    pub pack: u32,
    pub offset: u32,
    /// The encrypted length.
    pub length: u32,
    /// The decompressed length, if the blob is compressed.
    pub plain: Option<std::num::NonZeroU32>,
}

impl Place {
    /// The length of the content, according to the index.
    pub fn content_length(&self) -> u32 {
        let stored = self.length.saturating_sub(u32::try_from(super::crypto::OVERHEAD).unwrap_or(0));
        self.plain.map_or(stored, std::num::NonZeroU32::get)
    }
}

/// All places of all blobs. A blob may have several, and some may be false.
#[derive(Debug)]
pub struct Index {
    packs: Vec<Id>,
    places: Vec<Place>,
    /// Places of a later view do not exist.
    view: View,
    most: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { packs: Vec::new(), places: Vec::new(), view: View::MAX, most: limit::INDEXED_BLOBS }
    }
}

/// The number of a blob's first place; its other places follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copies(pub(crate) u32);

impl Copies {
    /// Its place among all of the index, from 0.
    pub fn number(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

#[derive(Deserialize)]
struct RawIndex {
    #[serde(default)]
    packs: Option<Vec<RawPack>>,
}

#[derive(Deserialize)]
struct RawPack {
    id: Id,
    #[serde(default)]
    blobs: Option<Vec<RawBlob>>,
}

#[derive(Deserialize)]
struct RawBlob {
    id: Id,
    #[serde(rename = "type")]
    kind: BlobKind,
    offset: u32,
    length: u32,
    #[serde(default)]
    uncompressed_length: Option<u32>,
}

/// Why JSON could not be added to the index.
#[derive(Debug)]
pub enum Refused {
    Json(serde_json::Error),
    Full(Fault),
}

impl Index {
    /// One of at most so many blobs.
    pub(crate) fn up_to(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Adds one index file's JSON.
    ///
    /// # Errors
    /// When it is not one, or there are more blobs than the limit.
    pub fn add(&mut self, json: &[u8]) -> Result<(), Refused> {
        self.add_since(json, &|_pack| 0)
    }

    /// [`Index::add`], with the first view that has each pack and this index.
    ///
    /// # Errors
    /// As [`Index::add`].
    pub fn add_since(&mut self, json: &[u8], since: &dyn Fn(&Id) -> View) -> Result<(), Refused> {
        let raw: RawIndex = serde_json::from_slice(json).map_err(Refused::Json)?;
        for pack in raw.packs.unwrap_or_default() {
            let number = u32::try_from(self.packs.len()).map_err(|_why| full())?;
            self.packs.push(pack.id);
            let blobs = pack.blobs.unwrap_or_default();
            if self.places.len() + blobs.len() > self.most || self.packs.len() > self.most {
                return Err(full());
            }
            let since = since(&pack.id);
            self.places.extend(blobs.into_iter().map(|it| Place {
                kind: it.kind,
                since,
                id: it.id,
                pack: number,
                offset: it.offset,
                length: it.length,
                plain: it.uncompressed_length.and_then(std::num::NonZeroU32::new),
            }));
        }
        Ok(())
    }

    /// Makes what was added findable.
    pub fn seal(&mut self) {
        self.places.sort_unstable_by_key(|it| (it.kind, it.id, it.since, it.pack, it.offset));
        self.places.dedup();
    }

    /// From now on, only what this view has is there.
    pub fn look(&mut self, view: View) {
        self.view = view;
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The places of a blob.
    pub fn find(&self, kind: BlobKind, id: &Id) -> Option<Copies> {
        let at = self.places.partition_point(|it| (it.kind, it.id) < (kind, *id));
        let found = self.places.get(at)?;
        let number = u32::try_from(at).ok()?;
        // The earliest comes first: if the view has none of them, it lacks this one.
        (found.kind == kind && found.id == *id && found.since <= self.view).then_some(Copies(number))
    }

    /// The blob's id.
    pub fn id(&self, copies: Copies) -> Option<Id> {
        self.place(copies.0).map(|it| it.id)
    }

    /// The pack and offset of a blob's first place, for reading in storage order.
    pub fn first(&self, copies: Copies) -> Option<(u32, u32)> {
        self.place(copies.0).map(|it| (it.pack, it.offset))
    }

    /// The packs that have a copy of a blob.
    pub fn packs(&self, copies: Copies) -> impl Iterator<Item = (u32, Id)> + '_ {
        self.places_of(copies).filter_map(|it| Some((it.pack, self.pack(it.pack)?)))
    }

    /// The end of a blob in its pack according to the index, for each copy.
    pub fn ends(&self, copies: Copies) -> impl Iterator<Item = (Id, u64)> + '_ {
        self.places_of(copies).filter_map(|it| Some((self.pack(it.pack)?, u64::from(it.offset) + u64::from(it.length))))
    }

    pub(crate) fn places_of(&self, copies: Copies) -> impl Iterator<Item = &Place> {
        let start = copies.number();
        let all = self.places.get(start..).unwrap_or_default();
        let first = all.first().map(|it| (it.kind, it.id));
        all.iter().take_while(move |it| Some((it.kind, it.id)) == first && it.since <= self.view)
    }

    pub(crate) fn pack(&self, number: u32) -> Option<Id> {
        self.packs.get(usize::try_from(number).ok()?).copied()
    }

    fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(usize::try_from(number).ok()?)
    }
}

fn full() -> Refused {
    Refused::Full(Fault::Limit("the index has more blobs than the limit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id([n; 32])
    }

    fn json(pack: u8, blob: u8) -> String {
        format!(
            r#"{{"supersedes":null,"packs":[{{"id":"{}","blobs":[{{"id":"{}","type":"data","offset":7,"length":40,
            "uncompressed_length":9}}]}}],"packs_to_delete":[]}}"#,
            id(pack).name(),
            id(blob).name()
        )
    }

    #[test]
    fn every_copy_of_a_blob_is_found() {
        let mut index = Index::default();
        for pack in [1, 2] {
            index.add(json(pack, 5).as_bytes()).unwrap();
        }
        index.add(json(1, 6).as_bytes()).unwrap();
        index.seal();

        let copies = index.find(BlobKind::Data, &id(5)).unwrap();
        let packs: Vec<_> = index.packs(copies).map(|it| it.1).collect();
        assert_eq!(packs, [id(1), id(2)]);
        assert_eq!(index.find(BlobKind::Tree, &id(5)), None);
        assert_eq!(index.find(BlobKind::Data, &id(4)), None);
        assert_eq!(index.find(BlobKind::Data, &id(9)), None);
    }

    #[test]
    fn a_view_has_no_place_that_came_after_it() {
        let mut index = Index::default();
        for (pack, since) in [(2, 1), (1, 3), (3, 0)] {
            index.add_since(json(pack, 5).as_bytes(), &|_| since).unwrap();
        }
        index.add_since(json(1, 6).as_bytes(), &|_| 2).unwrap();
        index.seal();

        let mut packs = |view| {
            index.look(view);
            let copies = index.find(BlobKind::Data, &id(5)).unwrap();
            index.packs(copies).map(|it| it.1).collect::<Vec<_>>()
        };
        assert_eq!(packs(0), [id(3)]);
        assert_eq!(packs(1), [id(3), id(2)], "the earliest first");
        assert_eq!(packs(3), [id(3), id(2), id(1)]);
        index.look(1);
        assert_eq!(index.find(BlobKind::Data, &id(6)), None);
        index.look(2);
        assert!(index.find(BlobKind::Data, &id(6)).is_some());
        let bytes = size_of::<Place>();
        assert!(bytes <= 52, "a million blobs of a device are {bytes} MB");
    }

    #[test]
    fn what_is_not_an_index_is_an_error() {
        for text in [
            "",
            "{\"packs\":[{}]}",
            "[",
            "{\"packs\":3}",
            &json(1, 2).replace("\"data\"", "\"other\""),
            &json(1, 2).replace(":40", ":-1"),
            &json(1, 2).replace(":40", ":5000000000"),
        ] {
            assert!(matches!(Index::default().add(text.as_bytes()), Err(Refused::Json(_))), "{text}");
        }
    }
}
