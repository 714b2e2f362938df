//! The files of a snapshot in little memory.
use repository::{BlobKind, Copies, Fault, Id, Index};

/// One file; its path and chunks are in the tables.
#[derive(Debug, Clone, Copy)]
pub struct File {
    path: (u32, u32),
    content: (u32, u32),
    pub size: u64,
    /// Pack and offset of the first chunk.
    first: (u32, u32),
}

/// All files.
#[derive(Debug, Default)]
pub struct Files {
    paths: String,
    contents: Vec<Copies>,
    files: Vec<File>,
}

impl Files {
    /// Adds a file.
    ///
    /// # Errors
    /// When a chunk is in no index, or the limits are exceeded.
    pub fn add(&mut self, path: &str, size: u64, content: &[Id], index: &Index) -> Result<(), Fault> {
        let full = |_| Fault::Limit("the backup has more files than the limit");
        let start = u32::try_from(self.paths.len()).map_err(full)?;
        let from = u32::try_from(self.contents.len()).map_err(full)?;
        for id in content {
            match index.find(BlobKind::Data, id) {
                Some(copies) => self.contents.push(copies),
                None => {
                    self.contents.truncate(usize::try_from(from).map_err(full)?);
                    return Err(Fault::NotIndexed(*id));
                }
            }
        }
        let first = self.contents.get(usize::try_from(from).map_err(full)?).and_then(|it| index.first(*it));
        self.paths.push_str(path);
        let end = u32::try_from(self.paths.len()).map_err(full)?;
        let to = u32::try_from(self.contents.len()).map_err(full)?;
        self.files.push(File { path: (start, end), content: (from, to), size, first: first.unwrap_or_default() });
        Ok(())
    }

    /// The files in the order in which their first chunks are stored, so that each pack is read once.
    pub fn in_stored_order(&self) -> impl Iterator<Item = &File> {
        let mut order: Vec<&File> = self.files.iter().collect();
        order.sort_unstable_by_key(|it| (it.first, it.path));
        order.into_iter()
    }

    /// A file's path in the manifest's spelling.
    pub fn path(&self, file: &File) -> &str {
        let (start, end) = file.path;
        self.paths.get(index(start)..index(end)).unwrap_or_default()
    }

    /// A file's chunks.
    pub fn content(&self, file: &File) -> &[Copies] {
        let (from, to) = file.content;
        self.contents.get(index(from)..index(to)).unwrap_or_default()
    }

    /// All chunks of all files.
    pub fn chunks(&self) -> impl Iterator<Item = Copies> {
        self.contents.iter().copied()
    }
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
