//! Lists of files as a device may send them: as stored, and their text.
#![no_main]
use domain::manifest::{Manifest, Writer, decode_path, encode_path, entries};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let packed = zstd::encode_all(data, 1).unwrap();
    for stored in [data, &packed] {
        let whole = Manifest::decode(stored);
        assert_eq!(Manifest::check(stored).is_ok(), whole.is_ok());
        if let Ok(manifest) = whole {
            // What was read is written and read again as it was, in the version that it had.
            let mut had = Vec::new();
            let header = entries(stored, |it| had.push(it)).unwrap();
            let again = if header.version == 1 {
                manifest.encode().unwrap()
            } else {
                let mut writer = Writer::new(Vec::new(), &header).unwrap();
                had.iter().for_each(|it| writer.entry(it).unwrap());
                writer.finish().unwrap().0
            };
            let mut again_had = Vec::new();
            assert_eq!(entries(&again, |it| again_had.push(it)), Ok(header));
            assert_eq!(again_had, had);
        }
    }
    assert_eq!(decode_path(&encode_path(data)).as_deref(), Some(data));
});
