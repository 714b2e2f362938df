//! `Range` headers: whatever they say, only bytes of the object are sent.
use holdfast::protocol::restic::range::{Wanted, wanted};

/// The first eight bytes are the object's size.
pub fn seeds() -> Vec<Vec<u8>> {
    ["bytes=0-", "bytes=3-5", "bytes=-4", "bytes=10-"]
        .map(|it| [&10_u64.to_le_bytes()[..], it.as_bytes()].concat())
        .to_vec()
}

pub fn check(bytes: &[u8]) -> bool {
    let Some((size, text)) = bytes.split_first_chunk::<8>() else { return false };
    let (size, Ok(text)) = (u64::from_le_bytes(*size), std::str::from_utf8(text)) else { return false };
    match wanted(Some(text), size) {
        Wanted::All => return false,
        Wanted::Part(part) => assert!(part.start < part.end && part.end <= size, "{part:?} of {size}"),
        Wanted::PastTheEnd => assert!(text.starts_with("bytes="), "{text}"),
    }
    true
}
