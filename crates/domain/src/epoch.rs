//! Which life of the server a device is talking to.
//!
//! Each restore of the server's database begins a new *epoch*. What that database orders may be days old: a wipe
//! that was withdrawn since, a device that was replaced. A device that meets an epoch it does not know therefore
//! does nothing that erases or overwrites until people on the server have looked and confirmed it. (Sidekick,
//! 2009: servers that had lost their data emptied the devices that still had it.)
use serde::{Deserialize, Serialize};

/// What the server says of its epoch at each check-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Random; empty until the database was restored for the first time.
    pub id: String,
    /// Whether people on the server have looked at it since it began.
    pub confirmed: bool,
}

impl Default for Epoch {
    /// Of a server that was never restored.
    fn default() -> Self {
        Self { id: String::new(), confirmed: true }
    }
}

/// What a device knows of its server's epochs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownEpoch {
    /// The one it acts on; none before it has heard of any.
    #[serde(default)]
    pub known: Option<String>,
    /// Another one, which nobody has confirmed.
    #[serde(default)]
    pub unknown: Option<String>,
}

impl KnownEpoch {
    /// Takes what an answer says; a server that says nothing changes nothing.
    #[must_use]
    pub fn hears(self, said: Option<&Epoch>) -> Self {
        let Some(Epoch { id, confirmed }) = said else { return self };
        let is_ours = self.known.as_ref().is_none_or(|known| known == id);
        if is_ours || *confirmed {
            Self { known: Some(id.clone()), unknown: None }
        } else {
            Self { unknown: Some(id.clone()), ..self }
        }
    }

    /// Whether the server was brought back from a copy since this device last heard of it: then it may not have what the
    /// device told it last.
    pub fn is_news(&self, said: &Epoch) -> bool {
        let known = self.unknown.as_ref().or(self.known.as_ref());
        known.map_or("", String::as_str) != said.id
    }

    /// Whether nothing may be erased or overwritten here.
    pub const fn is_read_only(&self) -> bool {
        self.unknown.is_some()
    }
}

/// Why a device refuses an order then: for its person and the console.
pub const READ_ONLY: &str = "the server was restored from an older copy, and what it orders may be out of date: \
     nothing is erased or restored here until `holdfast admin unfreeze` was run on the server";

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, confirmed: bool) -> Option<Epoch> {
        Some(Epoch { id: id.to_owned(), confirmed })
    }

    fn after(said: &[Option<Epoch>]) -> KnownEpoch {
        said.iter().fold(KnownEpoch::default(), |known, it| known.hears(it.as_ref()))
    }

    #[test]
    fn an_unknown_epoch_counts_only_once_it_is_confirmed() {
        let read_only = [
            vec![said("", true), said("b", false)],
            vec![said("a", true), said("b", false), None],
            vec![said("a", true), said("b", false), said("c", false)],
            // The older copy of a copy.
            vec![said("a", true), said("b", true), said("a", false)],
        ];
        for said in read_only {
            assert!(after(&said).is_read_only(), "{said:?}");
        }
        let fine = [
            vec![],
            vec![None],
            // Who joins a server takes it as it is.
            vec![said("b", false)],
            vec![said("a", true), said("b", false), said("b", true)],
            vec![said("a", true), said("b", false), said("a", true)],
            vec![said("a", true), None],
        ];
        for said in fine {
            assert!(!after(&said).is_read_only(), "{said:?}");
        }
        let known = after(&[said("a", true), said("b", true)]).known;
        assert_eq!(known.as_deref(), Some("b"));
    }

    #[test]
    fn a_server_that_was_brought_back_is_told_once_what_it_was_told_last() {
        let is_news = |said_before: &[Option<Epoch>], id: &str| after(said_before).is_news(&said(id, false).unwrap());
        assert!(!is_news(&[], "") && !is_news(&[said("", true)], ""));
        assert!(is_news(&[], "b") && is_news(&[said("", true)], "b"));
        assert!(!is_news(&[said("", true), said("b", false)], "b"), "once");
        assert!(!is_news(&[said("", true), said("b", false), said("b", true)], "b"));
    }
}
