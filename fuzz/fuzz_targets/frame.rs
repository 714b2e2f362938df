//! What a proof's process may say to its parent, and what it is told.
#![no_main]
use holdfast::proof::frame::{FromChild, FromParent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(said) = FromChild::parse(data) {
        let mut sent = Vec::new();
        said.send(&mut sent).unwrap();
        assert_eq!(FromChild::receive(&mut &sent[..]).unwrap(), said);
    }
    let _ = FromChild::receive(&mut &data[..]);
    if let Some((tag, body)) = data.split_first() {
        let _ = FromParent::parse(*tag, body.to_vec());
    }
});
