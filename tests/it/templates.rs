//! Keeps the templates readable: a line is read at one glance, in an editor and in a review.
use std::fs;
use std::path::{Path, PathBuf};

/// Characters that a line of a template may have.
const WIDTH: usize = 160;

#[test]
fn no_line_of_a_template_is_too_long_to_be_read() {
    let mut faults = Vec::new();
    for file in files_below(Path::new("templates")) {
        let text = fs::read_to_string(&file).expect("a template is UTF-8");
        for (number, line) in text.lines().enumerate() {
            let width = line.chars().count();
            if width > WIDTH {
                faults.push(format!("{}:{}: {width} characters", file.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{} lines over {WIDTH} characters:\n{}", faults.len(), faults.join("\n"));
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("the templates are here") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
