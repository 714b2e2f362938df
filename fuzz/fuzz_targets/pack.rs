//! A repository whose index and pack are anything: header, decryption, decompression, folders.
//!
//! The first four bytes say where the index ends. The content is sealed with the
//! repository's key, as a hostile device would.
#![no_main]
use domain::object::{ObjectKind, ObjectName};
use repository::{Access, Fault, Id, MasterKey, Objects, Repository, parse_header};
use secret::sha256;
use libfuzzer_sys::fuzz_target;

struct Hostile {
    index: Vec<u8>,
    pack: Vec<u8>,
}

impl Objects for Hostile {
    fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>, Fault> {
        let bytes = match kind {
            ObjectKind::Config => key().seal([1; 16], b"{\"version\":2}").unwrap(),
            ObjectKind::Index => self.index.clone(),
            ObjectKind::Data => self.pack.clone(),
            _ => return Err(Fault::Missing { kind, name: name.clone() }),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }
    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>, Fault> {
        let bytes = match kind {
            ObjectKind::Index => &self.index,
            ObjectKind::Data => &self.pack,
            _ => return Ok(Vec::new()),
        };
        Ok(vec![(ObjectName::from_hash(&sha256(bytes)), bytes.len() as u64)])
    }
}

fn key() -> MasterKey {
    MasterKey::from_bytes(&[7; 64]).unwrap()
}

fuzz_target!(|data: &[u8]| {
    let _ = parse_header(data);
    let Some((split, rest)) = data.split_first_chunk::<4>() else { return };
    let at = usize::try_from(u32::from_le_bytes(*split)).unwrap().min(rest.len());
    let (json, content) = rest.split_at(at);
    let blob = key().seal([2; 16], content).unwrap();
    let id = Id(sha256(content));
    let entry = |plain: Option<usize>| {
        let kind = if plain.is_some() { 3 } else { 1 };
        let mut entry = vec![kind];
        entry.extend(u32::try_from(blob.len()).unwrap().to_le_bytes());
        entry.extend(plain.map(|it| u32::try_from(it).unwrap().to_le_bytes()).into_iter().flatten());
        entry.extend(id.0);
        entry
    };
    for plain in [None, Some(content.len() * 3)] {
        let header = key().seal([3; 16], &entry(plain)).unwrap();
        let pack = [&blob[..], &header, &u32::try_from(header.len()).unwrap().to_le_bytes()].concat();
        let own = format!(
            "{{\"packs\":[{{\"id\":\"{}\",\"blobs\":[{{\"id\":\"{}\",\"type\":\"tree\",\"offset\":0,\"length\":{}{}}}]}}]}}",
            ObjectName::from_hash(&sha256(&pack)),
            id.name(),
            blob.len(),
            plain.map(|it| format!(",\"uncompressed_length\":{it}")).unwrap_or_default()
        );
        for index in [own.as_bytes(), json] {
            let hostile = Hostile { index: key().seal([4; 16], index).unwrap(), pack: pack.clone() };
            let Ok(mut repository) = Repository::open(hostile, key(), Access::WholePacks { keep: 1 << 20 }) else {
                continue;
            };
            let mut walk = repository.walk(id);
            for _ in 0..1000 {
                match walk.next(&mut repository) {
                    None => break,
                    Some(Ok(entry)) => assert!(!entry.path.split(|it| *it == b'/').any(|it| it == b"..")),
                    Some(Err(_)) => {}
                }
            }
        }
    }
});
