//! Rights, times and attributes of what comes back, where they cannot be given.
use super::{folder, kinds, know, mode, node, put, writer};
use domain::restore::Conflict;
use domain::shortfall::ShortfallKind;
use repository::Node;
use std::fs;
use std::os::unix::fs::MetadataExt;

#[test]
fn a_time_that_cannot_be_stored_is_reported_and_the_file_comes_back() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let at = |seconds| Node { modified: Some((seconds, 999_999_999)), ..node(0o600) };
    for (name, seconds) in [("fraction", -1), ("old", -2_000_000_000), ("new", 15_000_000_000)] {
        put(&mut writer, name, &at(seconds), name).unwrap();
        let meta = fs::metadata(root.join(name)).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (seconds, 999_999_999));
    }
    assert_eq!(kinds(&mut writer), []);
    put(&mut writer, "beyond", &at(253_000_000_000), "x").unwrap();
    let held = fs::metadata(root.join("beyond")).unwrap().mtime() == 253_000_000_000;
    assert_eq!(kinds(&mut writer), if held { vec![] } else { vec![ShortfallKind::Time] });
    assert_eq!(fs::read(root.join("beyond")).unwrap(), b"x");
}

#[test]
fn without_a_known_owner_there_are_no_rights_that_depend_on_it() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    put(&mut writer, "x", &Node { uid: None, gid: Some(u32::MAX), ..node(0o6754) }, "x").unwrap();
    assert_eq!(kinds(&mut writer), [ShortfallKind::Owner, ShortfallKind::Rights]);
    assert_eq!(mode(&root.join("x")), 0o744);
}

#[test]
fn attributes_come_back_and_a_list_that_cannot_be_set_widens_nothing() {
    let (_temp, root) = folder();
    let mut writer = writer(&root, Conflict::KeepBoth);
    let named = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let with = |attributes| Node { attributes, ..node(0o4660) };
    put(&mut writer, "own", &with(vec![named("user.a", b"1"), named("user.empty", b"")]), "x").unwrap();
    assert_eq!(kinds(&mut writer), []);
    let mut value = [0; 9];
    assert_eq!(rustix::fs::getxattr(root.join("own"), "user.a", &mut value[..]), Ok(1));
    assert_eq!(rustix::fs::getxattr(root.join("own"), "user.empty", &mut value[..]), Ok(0));

    for (name, attribute, told) in [
        (
            "no list",
            named("system.posix_acl_access", b"\x02\0\0\0bad"),
            vec![ShortfallKind::AccessList, ShortfallKind::Rights],
        ),
        ("no such", named("nonsense", b"x"), vec![ShortfallKind::Attribute]),
        ("huge", named("user.huge", &[7; 70_000]), vec![ShortfallKind::Attribute]),
        ("nul", named("user.\0", b""), vec![ShortfallKind::Attribute]),
    ] {
        put(&mut writer, name, &with(vec![attribute]), "x").unwrap();
        assert_eq!(kinds(&mut writer), told, "{name}");
        assert_eq!(mode(&root.join(name)) & 0o066, if name == "no list" { 0 } else { 0o060 }, "{name}");
    }
}

#[test]
fn what_a_folder_passes_on_to_its_entries_is_not_added_to_what_comes_back() {
    let (_temp, root) = folder();
    let list = |rights: u8| {
        [
            &[2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, rights, 0, 99, 0, 0, 0][..],
            &[4, 0, 0, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat()
    };
    let given = rustix::fs::setxattr(&root, "system.posix_acl_default", &list(7), rustix::fs::XattrFlags::empty());
    if given.is_err() {
        // This file system does not store access lists.
        return;
    }
    let mut writer = writer(&root, Conflict::KeepBoth);
    know(&mut writer, "folder", &node(0o750));
    put(&mut writer, "folder/x", &node(0o640), "x").unwrap();
    let listed = Node { attributes: vec![(b"system.posix_acl_access".to_vec(), list(4))], ..node(0o670) };
    put(&mut writer, "listed", &listed, "x").unwrap();
    kinds(&mut writer);

    let mut value = [0; 200];
    for path in ["folder", "folder/x"] {
        assert!(rustix::fs::getxattr(root.join(path), "system.posix_acl_access", &mut value[..]).is_err(), "{path}");
    }
    let had = rustix::fs::getxattr(root.join("listed"), "system.posix_acl_access", &mut value[..]).unwrap();
    assert_eq!(value[..had], list(4)[..]);
}
