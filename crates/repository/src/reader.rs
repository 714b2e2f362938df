//! A repository, open for reading.
use crate::crypto::{OVERHEAD, Unpacker, wide};
use crate::fault::json;
use crate::index::{Place, Refused};
use crate::pack::{Pack, PackCache};
use crate::{
    BlobKind, Copies, Fault, Id, Index, MasterKey, Objects, Problem, Result, Snapshot, TreeReader, View, Walk, limit,
    stream,
};
use aws_lc_rs::digest::{SHA256, digest};
use domain::object::{ObjectKind, ObjectName};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::io::Write;

/// How packs are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whole, hashed, and kept up to this many bytes: for reading everything.
    WholePacks { keep: usize },
    /// Only the requested parts: for a few files of a large repository.
    Ranges,
}

/// A repository, open for reading.
pub struct Repository<O> {
    objects: O,
    key: MasterKey,
    access: Access,
    index: Index,
    /// Of each pack, with the first view that has it.
    sizes: HashMap<Id, (u64, View)>,
    view: View,
    /// From this view on there are more blobs than the limit.
    full_since: Option<View>,
    packs: PackCache,
    unpacker: Unpacker,
    /// Decrypted and not yet decompressed.
    scratch: Vec<u8>,
    seen: Seen,
    /// Of the repository's format: 1, or 2 with compression.
    version: u64,
}

/// What was noticed while reading, besides what was asked for.
#[derive(Debug, Default)]
pub struct Seen {
    /// Objects whose stored bytes are wrong or gone, even if another copy helped out.
    pub faults: Vec<Fault>,
    /// Packs whose bytes match their name.
    pub verified: HashSet<Id>,
    /// Packs whose bytes do not, but from which something was read because nothing else has it.
    pub relied_on: HashSet<Id>,
    /// Bytes that came from the store.
    pub bytes_read: u64,
}

#[derive(Deserialize)]
struct Config {
    version: u64,
}

impl<O: Objects> Repository<O> {
    /// Opens a repository: reads its config and all of its index.
    ///
    /// A damaged index file is noted in [`Repository::seen`]; the others are used.
    ///
    /// # Errors
    /// When the config is not readable with this key, or the store is away.
    pub fn open(objects: O, key: MasterKey, access: Access) -> Result<Self> {
        Self::open_up_to(objects, key, access, limit::INDEXED_BLOBS)
    }

    fn open_up_to(objects: O, key: MasterKey, access: Access, most: usize) -> Result<Self> {
        let keep = match access {
            Access::WholePacks { keep } => keep,
            Access::Ranges => 0,
        };
        let unpacker = Unpacker::new().map_err(|_why| Fault::Limit("no memory for decompression"))?;
        let mut repository = Self {
            objects,
            key,
            access,
            index: Index::up_to(most),
            sizes: HashMap::new(),
            view: View::MAX,
            full_since: None,
            packs: PackCache::new(keep),
            unpacker,
            scratch: Vec::new(),
            seen: Seen::default(),
            version: 2,
        };
        repository.check_config()?;
        repository.load_index()?;
        Ok(repository)
    }

    fn check_config(&mut self) -> Result<()> {
        let name = ObjectName::config();
        let plain = self.file(ObjectKind::Config, &name, limit::SMALL)?;
        let config: Config =
            serde_json::from_slice(&plain).map_err(|error| Fault::object(ObjectKind::Config, &name, json(&error)))?;
        if matches!(config.version, 1 | 2) {
            self.version = config.version;
            Ok(())
        } else {
            Err(Fault::object(ObjectKind::Config, &name, Problem::Version(config.version)))
        }
    }

    fn load_index(&mut self) -> Result<()> {
        for (name, size, since) in self.objects.list_views(ObjectKind::Data)? {
            if let Some(hash) = name.hash() {
                self.sizes.insert(Id(hash), (size, since));
            }
        }
        let mut indexes = self.objects.list_views(ObjectKind::Index)?;
        indexes.sort_by_key(|it| it.2);
        for (name, _, since) in indexes {
            match self.add_index(&name, since) {
                // Whatever fills it takes nothing from an earlier view.
                Err(Fault::Limit(_)) if since > 0 => {
                    self.full_since = Some(since);
                    break;
                }
                Err(fault) if fault.is_fatal() => return Err(fault),
                Err(fault) => self.seen.faults.push(fault),
                Ok(()) => {}
            }
        }
        self.index.seal();
        Ok(())
    }

    /// From now on, only what this view has is there.
    ///
    /// # Errors
    /// When it has more than the limit.
    pub fn look(&mut self, view: View) -> Result<()> {
        if self.full_since.is_some_and(|it| it <= view) {
            return Err(Fault::Limit("the index has more blobs than the limit"));
        }
        self.view = view;
        self.index.look(view);
        Ok(())
    }

    fn add_index(&mut self, name: &ObjectName, since: View) -> Result<()> {
        let plain = self.file(ObjectKind::Index, name, limit::INDEX)?;
        let sizes = &self.sizes;
        let first = |pack: &Id| sizes.get(pack).map_or(since, |it| since.max(it.1));
        self.index.add_since(&plain, &first).map_err(|refused| match refused {
            Refused::Json(error) => Fault::object(ObjectKind::Index, name, json(&error)),
            Refused::Full(fault) => fault,
        })
    }

    /// An index file's JSON.
    ///
    /// # Errors
    /// When it is missing, damaged or not readable.
    pub fn index_json(&mut self, name: &ObjectName) -> Result<Vec<u8>> {
        self.file(ObjectKind::Index, name, limit::INDEX)
    }

    /// JSON as an object of this repository that is not a pack: encrypted under a nonce that was never used before.
    ///
    /// # Errors
    /// When it cannot be compressed or encrypted.
    pub fn seal_json(&self, nonce: [u8; 16], json: &[u8]) -> Result<Vec<u8>> {
        let bad = |problem| Fault::Node(format!("JSON cannot be sealed: {problem}"));
        if self.version == 1 {
            return self.key.seal(nonce, json).map_err(bad);
        }
        let packed = zstd::bulk::compress(json, 0).map_err(|_why| bad(Problem::Zstd))?;
        self.key.seal(nonce, &[&[2], &packed[..]].concat()).map_err(bad)
    }

    /// A snapshot by its name.
    ///
    /// # Errors
    /// When it is missing, damaged or not readable.
    pub fn snapshot(&mut self, name: &ObjectName) -> Result<Snapshot> {
        let plain = self.file(ObjectKind::Snapshots, name, limit::SMALL)?;
        Snapshot::parse(&plain).map_err(|error| Fault::object(ObjectKind::Snapshots, name, json(&error)))
    }

    /// Goes through a folder and everything below it; see [`Walk::next`].
    pub fn walk(&self, tree: Id) -> Walk {
        self.walk_below(Vec::new(), tree)
    }

    /// The same for a folder that is not the top: `path` is its own, and each entry's begins with it.
    pub fn walk_below(&self, path: Vec<u8>, tree: Id) -> Walk {
        Walk::new(path, tree)
    }

    /// A folder, to be read node by node.
    ///
    /// # Errors
    /// When no copy of it is good.
    pub fn tree(&mut self, id: &Id) -> Result<TreeReader> {
        self.tree_since(id).map(|it| it.0)
    }

    /// [`Repository::tree`], with the first view in which it can be read like this.
    ///
    /// # Errors
    /// As [`Repository::tree`].
    pub fn tree_since(&mut self, id: &Id) -> Result<(TreeReader, View)> {
        let copies = self.index.find(BlobKind::Tree, id).ok_or(Fault::NotIndexed(*id))?;
        let is_large = self.index.places_of(copies).any(|it| it.content_length() > limit::WHOLE_TREE);
        if !is_large {
            let (mut plain, mut since) = (Vec::new(), 0);
            self.best(copies, &mut |it, place| {
                since = place.since;
                it.blob_at(place, &mut plain)
            })?;
            return Ok((TreeReader::plain(plain), since));
        }
        let mut reader = None;
        self.best(copies, &mut |it, place| {
            reader = Some((it.large_tree(place)?, place.since));
            Ok(())
        })?;
        reader.ok_or(Fault::Limit("a folder without a place"))
    }

    /// A folder that is checked, and later read, without being decompressed as a whole.
    fn large_tree(&mut self, place: &Place) -> Result<TreeReader> {
        self.open_at(place)?;
        let sealed = std::mem::take(&mut self.scratch);
        let pack = self.index.pack(place.pack).ok_or(Fault::Limit("a blob without a pack"))?;
        let bad = |problem| Fault::Blob { id: place.id, pack, problem };
        match place.plain {
            Some(size) => {
                stream::check(&sealed, size.get().into(), &place.id).map_err(bad)?;
                TreeReader::packed(sealed).map_err(bad)
            }
            None if digest(&SHA256, &sealed).as_ref() == place.id.0 => Ok(TreeReader::plain(sealed)),
            None => Err(bad(Problem::Content)),
        }
    }

    /// Writes a file's content, chunk by chunk, and returns its length.
    ///
    /// # Errors
    /// When a chunk has no good copy, or `out` refuses; then `out` holds a part.
    pub fn copy(&mut self, content: &[Id], out: &mut dyn Write) -> Result<u64> {
        let mut length = 0;
        let mut plain = Vec::new();
        let mut last = None;
        for id in content {
            // A long run of one byte is the same chunk over and over: it has already been checked.
            if last == Some(id) {
                out.write_all(&plain).map_err(|error| Fault::Write(error.to_string()))?;
                length += wide(plain.len());
                continue;
            }
            last = Some(id);
            let copies = self.index.find(BlobKind::Data, id).ok_or(Fault::NotIndexed(*id))?;
            self.blob(copies, &mut plain)?;
            out.write_all(&plain).map_err(|error| Fault::Write(error.to_string()))?;
            length += wide(plain.len());
        }
        Ok(length)
    }

    /// The content of a blob, checked against its id, from the first good copy; one in a damaged pack comes last.
    ///
    /// # Errors
    /// The fault of the last copy.
    pub fn blob(&mut self, copies: Copies, plain: &mut Vec<u8>) -> Result<()> {
        self.best(copies, &mut |it, place| it.blob_at(place, plain))
    }

    /// Reads the first good copy; one in a damaged pack comes last.
    fn best(&mut self, copies: Copies, read: &mut dyn FnMut(&mut Self, &Place) -> Result<()>) -> Result<()> {
        let places: Vec<Place> = self.index.places_of(copies).copied().collect();
        let mut last = Fault::Limit("a blob without a place");
        let mut poor = None;
        for place in places {
            match read(self, &place) {
                Ok(()) if self.is_damaged(&place) => poor = Some(place),
                Ok(()) => return Ok(()),
                Err(fault) if fault.is_fatal() => return Err(fault),
                Err(fault) => last = fault,
            }
        }
        let Some(place) = poor else { return Err(last) };
        self.seen.relied_on.extend(self.index.pack(place.pack));
        // Once more: another copy was tried into the same memory since.
        read(self, &place)
    }

    /// Whether a completely read pack does not match its name.
    fn is_damaged(&self, place: &Place) -> bool {
        matches!(self.access, Access::WholePacks { .. })
            && self.index.pack(place.pack).is_some_and(|id| !self.seen.verified.contains(&id))
    }

    fn blob_at(&mut self, place: &Place, plain: &mut Vec<u8>) -> Result<()> {
        self.open_at(place)?;
        let pack = self.index.pack(place.pack).ok_or(Fault::Limit("a blob without a pack"))?;
        let bad = |problem| Fault::Blob { id: place.id, pack, problem };
        match place.plain {
            Some(size) => {
                let size = usize::try_from(size.get()).map_err(|_why| bad(Problem::Zstd))?;
                self.unpacker.unpack(&self.scratch, size, plain).map_err(bad)?;
            }
            None => std::mem::swap(&mut self.scratch, plain),
        }
        if digest(&SHA256, plain).as_ref() == place.id.0 { Ok(()) } else { Err(bad(Problem::Content)) }
    }

    /// Decrypts a blob, as it was packed, into `scratch`.
    fn open_at(&mut self, place: &Place) -> Result<()> {
        let pack = self.index.pack(place.pack).ok_or(Fault::Limit("a blob without a pack"))?;
        let bad = |problem| Fault::Blob { id: place.id, pack, problem };
        check_length(place).map_err(bad)?;
        let opened = match self.access {
            Access::WholePacks { .. } => {
                self.load(place.pack, pack)?;
                let sealed = self.packs.last().ok_or(Fault::Limit("no room for a pack"))?.blob(place).map_err(bad)?;
                self.key.open(sealed, &mut self.scratch)
            }
            Access::Ranges => {
                let sealed =
                    self.objects.read(ObjectKind::Data, &pack.name(), place.offset.into(), place.length.into())?;
                self.seen.bytes_read += wide(sealed.len());
                self.key.open(&sealed, &mut self.scratch)
            }
        };
        opened.map_err(bad)
    }

    /// Reads a whole pack, once while it is kept, and checks it against its name.
    fn load(&mut self, number: u32, id: Id) -> Result<()> {
        if self.packs.touch(number) {
            return Ok(());
        }
        let name = id.name();
        let Some(size) = self.pack_size(&id) else {
            // In the index but not in the ledger: nothing that was stored is lost.
            return Err(Fault::Blob { id, pack: id, problem: Problem::NoPack });
        };
        if size > limit::PACK {
            return Err(Fault::object(ObjectKind::Data, &name, Problem::TooLarge(limit::PACK)));
        }
        // One byte more than there should be reveals a pack that has grown.
        let memory = self.packs.make_room(usize::try_from(size + 1).unwrap_or(usize::MAX));
        let bytes = match self.objects.read_into(memory, ObjectKind::Data, &name, 0, size + 1) {
            Ok(bytes) => bytes,
            Err(fault) => {
                if fault.damaged().is_some() {
                    self.note(&fault);
                }
                return Err(fault);
            }
        };
        let had = wide(bytes.len());
        self.seen.bytes_read += had;
        if had != size {
            self.note(&Fault::object(ObjectKind::Data, &name, Problem::Size { said: size, had }));
        } else if digest(&SHA256, &bytes).as_ref() == id.0 {
            self.seen.verified.insert(id);
        } else {
            self.note(&Fault::object(ObjectKind::Data, &name, Problem::Hash));
        }
        let (pack, outcome) = Pack::open(number, bytes, &self.key);
        if let Err(problem) = outcome {
            self.note(&Fault::object(ObjectKind::Data, &name, problem));
        }
        self.packs.keep(pack);
        Ok(())
    }

    fn note(&mut self, fault: &Fault) {
        if self.seen.faults.len() < 10_000 && !self.seen.faults.contains(fault) {
            self.seen.faults.push(fault.clone());
        }
    }

    /// An object that is not a pack: read as a whole, checked against its name, decrypted, decompressed.
    fn file(&mut self, kind: ObjectKind, name: &ObjectName, most: usize) -> Result<Vec<u8>> {
        let stored = self.stored(kind, name, most)?;
        self.key.open_file(&stored, most).map_err(|problem| Fault::object(kind, name, problem))
    }

    /// An object's stored bytes, checked against its name.
    ///
    /// # Errors
    /// When it is missing, damaged or larger than `most`.
    pub fn stored(&mut self, kind: ObjectKind, name: &ObjectName, most: usize) -> Result<Vec<u8>> {
        let stored = self.objects.read(kind, name, 0, wide(most).saturating_add(1))?;
        self.seen.bytes_read += wide(stored.len());
        if stored.len() > most {
            return Err(Fault::object(kind, name, Problem::TooLarge(wide(most))));
        }
        let right = name.hash().is_none_or(|hash| digest(&SHA256, &stored).as_ref() == hash);
        if right { Ok(stored) } else { Err(Fault::object(kind, name, Problem::Hash)) }
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The size of a pack according to the ledger.
    pub fn pack_size(&self, pack: &Id) -> Option<u64> {
        self.sizes.get(pack).filter(|it| it.1 <= self.view).map(|it| it.0)
    }

    /// What was noticed so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Where the objects come from.
    pub fn objects(&mut self) -> &mut O {
        &mut self.objects
    }
}

/// Refuses what the index says before anything is allocated for it.
fn check_length(place: &Place) -> Result<(), Problem> {
    let most = match place.kind {
        BlobKind::Data => limit::DATA_BLOB,
        BlobKind::Tree => limit::TREE_BLOB,
    };
    let said = usize::try_from(place.content_length().max(place.length)).unwrap_or(usize::MAX);
    if said > most + OVERHEAD { Err(Problem::TooLarge(wide(most))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{key, seal};
    use secret::sha256;

    /// Objects in memory, each with the first view that has it.
    struct Held(Vec<(ObjectKind, ObjectName, Vec<u8>, View)>);

    impl Held {
        fn add(&mut self, kind: ObjectKind, plain: &str, since: View) -> ObjectName {
            let sealed = seal(&key(), plain.as_bytes());
            let hash = ObjectName::from_hash(&sha256(&sealed));
            let name = if kind == ObjectKind::Config { ObjectName::config() } else { hash };
            self.0.push((kind, name.clone(), sealed, since));
            name
        }
    }

    impl Objects for Held {
        fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>> {
            let found = self.0.iter().find(|it| it.0 == kind && it.1 == *name);
            let bytes = &found.ok_or_else(|| Fault::Missing { kind, name: name.clone() })?.2;
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            Ok(bytes.iter().skip(usize::try_from(offset).unwrap()).take(len).copied().collect())
        }

        fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>> {
            Ok(self.list_views(kind)?.into_iter().map(|(name, size, _)| (name, size)).collect())
        }

        fn list_views(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64, View)>> {
            let of_kind = self.0.iter().filter(|it| it.0 == kind);
            Ok(of_kind.map(|it| (it.1.clone(), wide(it.2.len()), it.3)).collect())
        }
    }

    #[test]
    fn an_index_that_fills_the_limit_takes_nothing_from_an_earlier_view() {
        const TREE: &str = "{\"nodes\":[]}";
        let mut held = Held(Vec::new());
        held.add(ObjectKind::Config, "{\"version\":1}", 0);
        let pack = held.add(ObjectKind::Data, TREE, 0);
        let length = TREE.len() + OVERHEAD;
        let place = |id: &Id, offset: usize| {
            format!("{{\"id\":\"{}\",\"type\":\"tree\",\"offset\":{offset},\"length\":{length}}}", id.name())
        };
        let index = |blobs: &[String]| format!("{{\"packs\":[{{\"id\":\"{pack}\",\"blobs\":[{}]}}]}}", blobs.join(","));
        let tree = Id(sha256(TREE.as_bytes()));
        // What came later is listed first, and by itself has more than the limit.
        held.add(ObjectKind::Index, &index(&[1, 2, 3, 4].map(|at| place(&tree, at))), 1);
        held.add(ObjectKind::Index, &index(&[place(&tree, 0)]), 0);

        let mut repository = Repository::open_up_to(held, key(), Access::Ranges, 3).unwrap();

        repository.look(0).unwrap();
        assert_eq!(repository.tree_since(&tree).map(|it| it.1), Ok(0));
        assert!(matches!(repository.look(1), Err(Fault::Limit(_))));
        repository.look(0).unwrap();
        assert!(repository.tree(&tree).is_ok());
    }
}
