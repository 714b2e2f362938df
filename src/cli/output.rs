//! What the server's command line writes besides what the agent's does: tables.
pub(super) use agent::cli::output::{log_to_stderr, plain, print, print_json, say, try_print};

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

/// Says something beside the output, so that a script reading it is not disturbed.
pub(super) fn note(text: &str) {
    say(&format!("holdfast: {text}"));
}
