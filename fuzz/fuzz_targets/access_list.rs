//! Access lists as a backup may hold them: what is done to one takes rights away and never adds any.
#![no_main]
use domain::access_list::AccessList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let Some(list) = AccessList::parse(value) else { return };
    assert_eq!(list.encode(), value);
    let mode = list.mode_without();
    assert!(mode <= 0o777);
    for (owner, group, taken) in [(true, false, 0), (false, true, 0), (true, true, 0), (false, false, 1)] {
        let mut narrowed = list.clone();
        narrowed.narrow(owner, group);
        narrowed.take(taken);
        assert_eq!(narrowed.mode_without() & !mode, 0);
        assert_eq!(AccessList::parse(&narrowed.encode()), Some(narrowed));
    }
});
