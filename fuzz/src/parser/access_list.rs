//! Access lists as a backup may hold them: what is done to one takes rights away and never adds any.
use domain::access_list::AccessList;

pub fn seeds() -> Vec<Vec<u8>> {
    const NOBODY: u32 = u32::MAX;
    let list = |entries: &[(u16, u16, u32)]| {
        let entries = entries
            .iter()
            .flat_map(|(tag, rights, id)| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat());
        2_u32.to_le_bytes().into_iter().chain(entries).collect()
    };
    vec![
        list(&[(1, 6, NOBODY), (4, 4, NOBODY), (32, 0, NOBODY)]),
        list(&[(1, 6, NOBODY), (2, 4, 1000), (4, 4, NOBODY), (8, 5, 50), (16, 6, NOBODY), (32, 0, NOBODY)]),
    ]
}

pub fn check(value: &[u8]) -> bool {
    let Some(list) = AccessList::parse(value) else { return false };
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
    true
}
