//! Lists of files as a device may send them: as stored, and their text.
use super::{ID, NOW, ONE};
use domain::manifest::{Manifest, Writer, decode_path, encode_path, entries};
use serde_json::json;

pub fn seeds() -> Vec<Vec<u8>> {
    let meta = json!({"mode": 0o644, "uid": 1000, "gid": 1000, "mtime": [NOW, 5], "attributes": ONE});
    let header = |version: u32, files: u64| {
        json!({"version": version, "device_id": ID, "roots": ["/home"], "away": ["/mnt"], "made_at": NOW * 1000,
            "file_count": files})
    };
    let new = [
        header(2, 0),
        json!({"path": "/home", "type": "folder", "meta": meta}),
        json!({"path": "/home/a", "type": "file", "size": 3, "sha256": ONE, "link_group": 1, "meta": meta}),
        json!({"path": "/home/l%FF", "type": "symlink", "target": "../a"}),
        json!({"path": "/home/x", "type": "file", "left_out": "not readable"}),
        json!({"end": {"entries": 4, "files": 1, "bytes": 3}}),
    ];
    let old = [header(1, 1), json!({"path": "/home/a", "size": 3, "sha256": ONE})];
    let texts = [&new[..], &old].map(|it| it.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes());
    texts.iter().map(|it| zstd::encode_all(&it[..], 1).unwrap()).chain(texts.clone()).collect()
}

pub fn check(data: &[u8]) -> bool {
    let packed = zstd::encode_all(data, 1).unwrap();
    assert_eq!(decode_path(&encode_path(data)).as_deref(), Some(data));
    // Neither may keep the other from being tried.
    [data, &packed].map(is_read).contains(&true)
}

fn is_read(stored: &[u8]) -> bool {
    let whole = Manifest::decode(stored);
    assert_eq!(Manifest::check(stored).is_ok(), whole.is_ok());
    let Ok(manifest) = whole else { return false };
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
    true
}
