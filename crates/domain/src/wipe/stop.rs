//! What lets no wipe go ahead, whatever was decided.
use crate::ground::Away;
use crate::time::Time;
use crate::words::sentence;

/// One reason why every wipe waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WipeStop {
    /// Nobody can say what would be lost.
    StoreAway(Away),
    /// Everything that erases is frozen, on the server's own machine.
    Frozen,
    /// The console was brought back from its second store: until then.
    Calm(Time),
}

impl WipeStop {
    /// Whether it is only that nobody can say what would be lost.
    pub const fn is_away(&self) -> bool {
        match self {
            Self::StoreAway(_) => true,
            Self::Frozen | Self::Calm(_) => false,
        }
    }

    /// Why, as a sentence; `when` writes a time.
    pub fn sentence(&self, when: &dyn Fn(Time) -> String) -> String {
        match self {
            Self::StoreAway(away) => {
                format!("Nobody can say what would be lost: the backup store cannot be read. {}", sentence(&away.why))
            }
            Self::Frozen => "Everything that erases is frozen, on the server’s own machine.".to_owned(),
            Self::Calm(until) => {
                format!(
                    "This console was brought back from its second store: nothing is erased before {}.",
                    when(*until)
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::AwayCause;

    #[test]
    fn each_stop_says_why_and_only_one_is_a_matter_of_the_store() {
        let since = Time::from_millis(1_795_356_371_000);
        let away = Away { cause: AwayCause::Away, why: "/srv/blobs is not there".to_owned(), since };
        for (stop, is_away, said) in [
            (WipeStop::StoreAway(away), true, "/srv/blobs is not there."),
            (WipeStop::Frozen, false, "frozen"),
            (WipeStop::Calm(since), false, "before 2026-11-"),
        ] {
            let words = stop.sentence(&Time::iso);
            assert!(words.contains(said) && words.ends_with('.'), "{words}");
            assert_eq!(stop.is_away(), is_away);
        }
    }
}
