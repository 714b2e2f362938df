//! What the command line writes: a table, a text or JSON for whatever reads it, and a line for the person
//! beside it.
use serde::Serialize;
use std::io::Write;

/// Columns as wide as their longest cell.
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self(vec![head.iter().map(|it| (*it).to_owned()).collect()])
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.iter().map(|it| plain(it)).collect());
    }

    pub fn text(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|at| self.0.iter().filter_map(|row| row.get(at)).map(|it| it.chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.0 {
            let line: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Without control characters: a device's name must not write on the terminal.
pub(super) fn plain(text: &str) -> String {
    domain::name::plain(text)
}

/// Prints, and tolerates a reader that has seen enough (`| head`).
pub(super) fn print(text: &str) {
    // A closed pipe is not our failure.
    let _ = try_print(text);
}

/// Prints, and says whether anybody still reads.
pub(super) fn try_print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints as JSON.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"));
    Ok(())
}

/// Says something beside the output, so that a script reading it is not disturbed.
pub(super) fn note(text: &str) {
    say(&format!("holdfast: {text}"));
}

/// Writes a line beside the output.
pub(super) fn say(line: &str) {
    // Nobody listens: then nobody needs to know.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
