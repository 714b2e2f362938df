//! A repository whose index and pack are anything: header, decryption, decompression, folders.
//!
//! The first four bytes say where the index ends. The content is sealed with the
//! repository's key, as a hostile device would.
use domain::object::{ObjectKind, ObjectName};
use repository::{Access, Fault, Id, MasterKey, Objects, Repository, parse_header};
use secret::sha256;

pub fn seeds() -> Vec<Vec<u8>> {
    let (indexes, trees) = (super::index::seeds(), super::tree::seeds());
    let seeds = indexes.iter().zip(&trees).map(|(index, tree)| {
        let split = u32::try_from(index.len()).unwrap().to_le_bytes();
        [&split[..], index, tree].concat()
    });
    // The same folder compressed, without an index of its own.
    let packed = trees.iter().map(|it| [&[0; 4][..], &zstd::encode_all(&it[..], 1).unwrap()].concat());
    seeds.chain(packed).collect()
}

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
            ObjectKind::Keys | ObjectKind::Snapshots | ObjectKind::Locks | ObjectKind::Manifests => {
                return Err(Fault::Missing { kind, name: name.clone() });
            }
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(bytes.len());
        Ok(bytes[from..to].to_vec())
    }

    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>, Fault> {
        let bytes = match kind {
            ObjectKind::Index => &self.index,
            ObjectKind::Data => &self.pack,
            ObjectKind::Config
            | ObjectKind::Keys
            | ObjectKind::Snapshots
            | ObjectKind::Locks
            | ObjectKind::Manifests => return Ok(Vec::new()),
        };
        Ok(vec![(ObjectName::from_hash(&sha256(bytes)), bytes.len() as u64)])
    }
}

fn key() -> MasterKey {
    MasterKey::from_bytes(&[7; 64]).unwrap()
}

pub fn check(data: &[u8]) -> bool {
    let _ = parse_header(data);
    let Some((split, rest)) = data.split_first_chunk::<4>() else { return false };
    let at = usize::try_from(u32::from_le_bytes(*split)).unwrap().min(rest.len());
    let (json, content) = rest.split_at(at);
    // What does not unpack is tried all the same, with a length that it does not have.
    let (length, id) = zstd::bulk::decompress(content, 1 << 20)
        .map_or((content.len() * 3, sha256(content)), |it| (it.len(), sha256(&it)));
    // Neither may keep the other from being tried.
    [(None, sha256(content)), (Some(length), id)]
        .map(|(plain, id)| is_walked(json, content, plain, Id(id)))
        .contains(&true)
}

/// Whether the folder `id` with this content is read; `plain` is its length when decompressed, if it is compressed.
fn is_walked(json: &[u8], content: &[u8], plain: Option<usize>, id: Id) -> bool {
    let number = |it: usize| u32::try_from(it).unwrap().to_le_bytes();
    let blob = key().seal([2; 16], content).unwrap();
    let kind = if plain.is_some() { 3 } else { 1 };
    let entry =
        [&[kind][..], &number(blob.len()), &plain.map_or_else(Vec::new, |it| number(it).to_vec()), &id.0].concat();
    let header = key().seal([3; 16], &entry).unwrap();
    let pack = [&blob[..], &header, &number(header.len())].concat();
    let own = format!(
        "{{\"packs\":[{{\"id\":\"{}\",\"blobs\":[{{\"id\":\"{}\",\"type\":\"tree\",\"offset\":0,\"length\":{}{}}}]}}]}}",
        ObjectName::from_hash(&sha256(&pack)),
        id.name(),
        blob.len(),
        plain.map(|it| format!(",\"uncompressed_length\":{it}")).unwrap_or_default()
    );
    let mut is_walked = false;
    for index in [own.as_bytes(), json] {
        let hostile = Hostile { index: key().seal([4; 16], index).unwrap(), pack: pack.clone() };
        let Ok(mut repository) = Repository::open(hostile, key(), Access::WholePacks { keep: 1 << 20 }) else {
            continue;
        };
        let mut walk = repository.walk(id);
        let found: Vec<_> = std::iter::from_fn(|| walk.next(&mut repository)).take(1000).collect();
        for entry in found.iter().flatten() {
            assert!(!entry.path.split(|it| *it == b'/').any(|it| it == b".."));
        }
        is_walked |= found.is_empty() || found.iter().any(Result::is_ok);
    }
    is_walked
}
