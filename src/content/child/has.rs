//! Which of some paths a restore point has.
//!
//! Each folder on the way is read once, however many of the paths lead through it.
use super::Stop;
use crate::content::message::{End, Seen};
use domain::manifest::decode_path;
use repository::{Id, NodeKind, Objects, Repository, TreeReader, is_safe};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// For each path whether the point has it, in the same order; none where nobody can say, or not within `time`.
pub(super) fn has<O: Objects>(
    repository: &mut Repository<O>,
    point: &Seen,
    paths: &[String],
    time: Duration,
) -> Result<End, Stop> {
    repository.look(point.view)?;
    let top = repository.snapshot(&point.snapshot)?.tree;
    let mut asked = Asked { paths: Vec::new(), answers: vec![None; paths.len()], until: Instant::now() + time };
    let (mut wanted, mut rest) = (Vec::new(), Vec::new());
    for path in paths {
        // What is no path is in no restore point's answer either way.
        let path = decode_path(path).filter(|it| domain::manifest::is_plain(it));
        if path.is_some() {
            wanted.push(asked.paths.len());
        }
        asked.paths.push(path.unwrap_or_default());
    }
    rest.push(Folder { tree: top, start: 1, wanted });
    while let Some(folder) = rest.pop() {
        match repository.tree(&folder.tree) {
            Ok(nodes) if Instant::now() < asked.until => asked.look(nodes, &folder, &mut rest),
            Ok(_late) => break,
            Err(fault) if fault.is_fatal() => return Err(fault.into()),
            Err(_unreadable) => {}
        }
    }
    Ok(End::Has(asked.answers))
}

/// A folder with the numbers of the paths that lead through it; their next names begin at `start`.
struct Folder {
    tree: Id,
    start: usize,
    wanted: Vec<usize>,
}

struct Asked {
    paths: Vec<Vec<u8>>,
    answers: Vec<Option<bool>>,
    until: Instant,
}

impl Asked {
    fn look(&mut self, mut nodes: TreeReader, folder: &Folder, rest: &mut Vec<Folder>) {
        let mut names: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for &number in &folder.wanted {
            names.entry(self.name(number, folder.start).to_vec()).or_default().push(number);
        }
        let mut steps = 0u32;
        while let Some(node) = nodes.next_node() {
            steps = steps.wrapping_add(1);
            let is_late = steps.is_multiple_of(1024) && Instant::now() >= self.until;
            // Nobody knows what else is in it.
            let (Ok(node), false) = (node, is_late) else { return };
            let Some(name) = node.name.filter(|it| is_safe(it)) else { continue };
            let Some(numbers) = names.remove(&name) else { continue };
            let end = folder.start + name.len();
            let (ends, goes_on): (Vec<_>, Vec<_>) =
                numbers.into_iter().partition(|it| self.paths.get(*it).is_none_or(|path| path.len() == end));
            self.answer(&ends, true);
            match node.kind {
                NodeKind::Folder { tree: Some(tree) } if !goes_on.is_empty() => {
                    rest.push(Folder { tree, start: end + 1, wanted: goes_on });
                }
                NodeKind::Folder { .. } | NodeKind::File { .. } | NodeKind::Symlink { .. } | NodeKind::Other(_) => {
                    self.answer(&goes_on, false);
                }
            }
        }
        names.into_values().for_each(|it| self.answer(&it, false));
    }

    fn name(&self, number: usize, start: usize) -> &[u8] {
        let rest = self.paths.get(number).and_then(|it| it.get(start..)).unwrap_or_default();
        rest.split(|it| *it == b'/').next().unwrap_or_default()
    }

    fn answer(&mut self, numbers: &[usize], has: bool) {
        for number in numbers {
            if let Some(answer) = self.answers.get_mut(*number) {
                *answer = Some(has);
            }
        }
    }
}
