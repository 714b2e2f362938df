//! Searching in text, the same on both databases.
use diesel::sql_types::Text;

#[diesel::declare_sql_function]
extern "SQL" {
    /// In lower case; SQLite knows the case only of ASCII letters.
    fn lower(text: Text) -> Text;
}

/// A pattern for `lower(column).like(…).escape('!')` that finds `text` anywhere.
pub fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.trim().to_ascii_lowercase().chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// A pattern for `column.like(…).escape('!')` that finds what begins with `text`.
pub fn starts_with(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
