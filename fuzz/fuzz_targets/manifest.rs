//! Lists of files as a device may send them: as stored, and their text.
#![no_main]
use holdfast::domain::manifest::{Manifest, decode_path, encode_path};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let packed = zstd::encode_all(data, 1).unwrap();
    for stored in [data, &packed] {
        let whole = Manifest::decode(stored);
        assert_eq!(Manifest::check(stored).is_ok(), whole.is_ok());
        if let Ok(manifest) = whole {
            assert_eq!(Manifest::decode(&manifest.encode().unwrap()), Ok(manifest));
        }
    }
    assert_eq!(decode_path(&encode_path(data)).as_deref(), Some(data));
});
