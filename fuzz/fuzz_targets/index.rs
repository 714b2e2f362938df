//! Index files as a device may write them.
#![no_main]
use repository::{BlobKind, Id, Index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let mut index = Index::default();
    let _ = index.add(json);
    index.seal();
    for kind in [BlobKind::Data, BlobKind::Tree] {
        if let Some(copies) = index.find(kind, &Id([0; 32])) {
            assert!(index.packs(copies).count() > 0);
        }
    }
});
