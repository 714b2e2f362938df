//! Index files as a device may write them.
use super::{ONE, TWO};
use repository::{BlobKind, Id, Index, Rewritten, without_packs};
use serde_json::json;
use std::collections::HashSet;

pub fn seeds() -> Vec<Vec<u8>> {
    let blobs = [
        json!({"id": ONE, "type": "tree", "offset": 0, "length": 300, "uncompressed_length": 900}),
        json!({"id": TWO, "type": "data", "offset": 300, "length": 40}),
    ];
    super::json([json!({"packs": [{"id": TWO, "blobs": blobs}]}), json!({"supersedes": [ONE], "packs": []})])
}

pub fn check(json: &[u8]) -> bool {
    let mut index = Index::default();
    let is_read = index.add(json).is_ok();
    index.seal();
    let ids = [Id([0; 32]), Id([0xab; 32]), Id([0xcd; 32])];
    for (kind, id) in [BlobKind::Data, BlobKind::Tree].into_iter().flat_map(|kind| ids.map(|id| (kind, id))) {
        if let Some(copies) = index.find(kind, &id) {
            assert_eq!(index.id(copies), Some(id));
            assert!(index.first(copies).is_some() && index.packs(copies).count() > 0);
        }
    }
    // Without a pack, what is left is an index, and does not name it.
    let gone = HashSet::from([Id([0xcd; 32])]);
    if let Ok(Rewritten::New(json)) = without_packs(json, &gone) {
        assert!(is_read && Index::default().add(&json).is_ok());
        assert_eq!(without_packs(&json, &gone), Ok(Rewritten::Same));
    }
    is_read
}
