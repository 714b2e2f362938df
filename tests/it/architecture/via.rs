//! How an act came in is written down, and decides nothing.
use crate::architecture::source::production;

/// The lines of a file that decide by a [`domain::activity::Via`].
pub fn decisions(text: &str) -> Vec<String> {
    let names = |line: &str| {
        line.split(|it: char| !it.is_alphanumeric() && it != '_').any(|word| word == "via" || word == "Via")
    };
    let decides = |line: &str| ["==", "!=", "match ", "matches!", " | "].iter().any(|it| line.contains(it));
    let is_arm = |line: &str| line.split_once("=>").is_some_and(|(pattern, _)| names(pattern));
    let text = production(text);
    let lines = text.lines().map(str::trim).filter(|line| names(line) && (decides(line) || is_arm(line)));
    lines.map(str::to_owned).collect()
}
