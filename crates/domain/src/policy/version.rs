//! Versions of operating systems, compared as numbers.

/// A version as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(Vec<u64>);

impl Version {
    /// Reads numbers and dots only.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>().map(Self)
    }

    /// Finds the version in a name such as `Debian GNU/Linux 12.5 (bookworm)`: the first word that begins with a digit.
    pub(super) fn find(text: &str) -> Option<Self> {
        let word = text.split_whitespace().find(|word| word.starts_with(|it: char| it.is_ascii_digit()))?;
        let numbers: String = word.chars().take_while(|it| it.is_ascii_digit() || *it == '.').collect();
        Self::parse(numbers.trim_end_matches('.'))
    }

    /// Compares part by part; a part that is missing is 0, so `14` is `14.0`.
    pub(super) fn is_at_least(&self, least: &Self) -> bool {
        let part = |version: &Self, at: usize| version.0.get(at).copied().unwrap_or(0);
        let count = self.0.len().max(least.0.len());
        let differs = (0..count).map(|at| (part(self, at), part(least, at))).find(|(is, least)| is != least);
        differs.is_none_or(|(is, least)| is > least)
    }
}
