//! What came back different although all content came back: reported by kind and count, not as a failure.
use crate::text::text_enum;
use crate::words::counted;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

text_enum! {
    /// How an entry came back different.
    ShortfallKind {
        Pipe = "pipe", Socket = "socket", Device = "device", Unknown = "unknown",
        Owner = "owner", Rights = "rights", Wider = "wider", Time = "time",
        Attribute = "attribute", AccessList = "access_list", Capability = "capability",
        HardLink = "hard_link", Existing = "existing", Executable = "executable",
        /// A kind this server does not know.
        Other = "other",
    }
}

/// One kind, and how many entries it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    #[serde(deserialize_with = "any_kind")]
    pub kind: ShortfallKind,
    pub count: u64,
    /// The first of them, in the manifest's spelling; at most [`Shortfall::NAMED`].
    #[serde(default)]
    pub paths: Vec<String>,
}

impl Shortfall {
    /// How many paths of each kind are named.
    pub const NAMED: usize = 20;
    /// A result has each kind once.
    pub const KINDS: usize = ShortfallKind::ALL.len();

    /// What is said about it.
    pub fn sentence(&self) -> String {
        format!("{}.", self.said())
    }

    fn said(&self) -> String {
        let entries = |rest: &str| format!("{} {rest}", counted(self.count, "entry", "entries"));
        let made = |one: &str, many: &str| {
            let was = if self.count == 1 { "was" } else { "were" };
            format!("{} {was} not made", counted(self.count, one, many))
        };
        match self.kind {
            ShortfallKind::Pipe => made("pipe", "pipes"),
            ShortfallKind::Socket => {
                format!("{}; the program that listens on it creates it again", made("socket", "sockets"))
            }
            ShortfallKind::Device => {
                format!("{}; whoever can open one reaches the hardware", made("device node", "device nodes"))
            }
            ShortfallKind::Unknown => made("entry of an unknown kind", "entries of an unknown kind"),
            ShortfallKind::Owner => entries(
                "came back with a different owner or group, because the agent may not set \
             it",
            ),
            ShortfallKind::Rights => entries("came back with fewer rights, so that nobody can do more than before"),
            ShortfallKind::Wider => {
                entries("came back with more rights, because the file system here does not keep them")
            }
            ShortfallKind::Time => {
                entries("came back with a different time, because the file system here cannot store theirs")
            }
            ShortfallKind::Attribute => entries("came back without some of their extended attributes"),
            ShortfallKind::AccessList => entries("came back without their access list"),
            ShortfallKind::Capability => entries("came back without their capabilities"),
            ShortfallKind::HardLink => entries("came back as separate files, although they were hard links"),
            ShortfallKind::Existing => entries("were already there and kept their rights"),
            ShortfallKind::Executable => {
                entries("from another device came back without execute and other special rights")
            }
            ShortfallKind::Other => entries("came back different from the backup"),
        }
    }
}

fn any_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ShortfallKind, D::Error> {
    let word = Cow::<'de, str>::deserialize(deserializer)?;
    Ok(ShortfallKind::parse(&word).unwrap_or(ShortfallKind::Other))
}

/// Counts one more entry.
pub fn note(list: &mut Vec<Shortfall>, kind: ShortfallKind, path: &str) {
    add(list, Shortfall { kind, count: 1, paths: vec![path.to_owned()] });
}

/// Adds what was counted elsewhere.
pub fn add(list: &mut Vec<Shortfall>, more: Shortfall) {
    match list.iter_mut().find(|it| it.kind == more.kind) {
        Some(had) => {
            had.count = had.count.saturating_add(more.count);
            let room = Shortfall::NAMED.saturating_sub(had.paths.len());
            had.paths.extend(more.paths.into_iter().take(room));
        }
        None => list.push(more),
    }
}

/// What a device reported, bounded: each kind once, in the order of declaration, with a few paths.
pub fn bounded(told: &[Shortfall]) -> Vec<Shortfall> {
    let mut list = Vec::new();
    for kind in ShortfallKind::ALL {
        for it in told.iter().filter(|it| it.kind == *kind && it.count > 0) {
            let paths = it.paths.iter().take(Shortfall::NAMED).cloned().collect();
            add(&mut list, Shortfall { paths, ..*it });
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_once_and_names_the_first_paths() {
        let mut list = Vec::new();
        for number in 0..100 {
            note(&mut list, ShortfallKind::Pipe, &format!("/p/{number}"));
        }
        note(&mut list, ShortfallKind::Socket, "/s");
        let [pipes, socket] = &list[..] else { panic!("{list:?}") };
        assert_eq!((pipes.count, pipes.paths.len(), pipes.sentence().as_str()), (100, 20, "100 pipes were not made."));
        assert_eq!(socket.sentence(), "1 socket was not made; the program that listens on it creates it again.");
    }

    #[test]
    fn a_kind_of_a_newer_agent_is_other_and_what_is_told_is_bounded() {
        let told: Shortfall = serde_json::from_str(r#"{"kind":"quota","count":3}"#).unwrap();
        assert_eq!((told.kind, told.count), (ShortfallKind::Other, 3));
        let many = vec![Shortfall { paths: vec!["/x".repeat(9); 999], ..told }; 1000];
        let bounded = bounded(&many);
        assert_eq!((bounded.len(), bounded[0].count, bounded[0].paths.len()), (1, 3000, 20));
    }

    #[test]
    fn every_kind_has_a_sentence_in_both_numbers() {
        for kind in ShortfallKind::ALL {
            for count in [1, 2] {
                let text = Shortfall { kind: *kind, count, paths: vec![] }.sentence();
                assert!(text.starts_with(&count.to_string()) && text.ends_with('.'), "{text}");
            }
        }
    }

    #[test]
    fn what_did_not_happen_is_not_told() {
        let told = |count| Shortfall { kind: ShortfallKind::Pipe, count, paths: vec!["/p".to_owned()] };
        assert_eq!(bounded(&[told(0)]), []);
        assert_eq!(bounded(&[told(0), told(1)]), [told(1)]);
    }
}
