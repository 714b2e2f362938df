//! Names and addresses that strangers type.
use domain::name::{address, is_plain, lookup, plain};

pub fn seeds() -> Vec<Vec<u8>> {
    super::bytes(["Grace Hopper", "grace@example.org", "ada@bücher.example", "محمد"])
}

pub fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    assert!(is_plain(&plain(text)));
    if let Some(kept) = address(text) {
        assert!(kept.is_ascii() && is_plain(&kept) && !kept.contains(' '));
        assert_eq!(address(&kept).as_deref(), Some(kept.as_str()), "what is kept is kept as it is");
        assert_eq!(lookup(text), kept, "who is found is who was kept");
    }
    is_plain(text)
}
