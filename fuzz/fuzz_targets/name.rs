//! Names and addresses that strangers type.
#![no_main]
use domain::name::{address, is_plain, plain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    assert!(is_plain(&plain(text)));
    if let Some(kept) = address(text) {
        assert!(kept.is_ascii() && is_plain(&kept) && !kept.contains(' '));
        assert_eq!(address(&kept).as_deref(), Some(kept.as_str()), "what is kept is kept as it is");
    }
});
