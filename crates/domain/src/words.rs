//! Numbers and sentences as people read them, the same on pages, in mails, in the history and on the command
//! line.

/// "1,283".
pub fn number(count: impl TryInto<i64>) -> String {
    let count = count.try_into().unwrap_or(i64::MAX);
    let digits = count.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if count < 0 { format!("−{out}") } else { out }
}

/// "1 file", "1,283 files".
pub fn counted(count: impl TryInto<i64>, one: &str, many: &str) -> String {
    let count = count.try_into().unwrap_or(i64::MAX);
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// "1 file", "1,283 files".
pub fn files(count: impl TryInto<i64>) -> String {
    counted(count, "file", "files")
}

/// "403 MB": at most three digits, in powers of 1000.
pub fn bytes(count: impl TryInto<i64>) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let count = count.try_into().unwrap_or(i64::MAX);
    let mut tenths = i128::from(count) * 10;
    let mut unit = 0;
    while tenths.abs() >= 9995 && unit + 1 < UNITS.len() {
        tenths = (tenths + 500) / 1000;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("PB");
    if unit == 0 || tenths.abs() >= 100 {
        format!("{} {name}", (tenths + if unit == 0 { 0 } else { 5 }) / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths.abs() % 10)
    }
}

/// "4 hours", "90 minutes", "1 day": the largest unit that divides it evenly.
pub fn span(time: std::time::Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match minutes {
        _ if minutes > 0 && minutes.is_multiple_of(24 * 60) => counted(minutes / (24 * 60), "day", "days"),
        _ if minutes > 0 && minutes.is_multiple_of(60) => counted(minutes / 60, "hour", "hours"),
        _ => counted(minutes, "minute", "minutes"),
    }
}

/// With a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

/// Whether people would take two names for the same one.
pub fn is_same_name(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// With a capital letter and a full stop: turns a rule's text for a log line into a sentence for a page.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?', ':', '…']) { "" } else { "." };
    format!("{}{stop}", capital(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (count, text) in
            [(0, "0"), (999, "999"), (1_283, "1,283"), (1_000_000, "1,000,000"), (-4_000_i64, "−4,000")]
        {
            assert_eq!(number(count), text);
        }
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 1_283].map(files), ["0 files", "1 file", "1,283 files"]);
    }

    #[test]
    fn sizes_have_three_digits_at_most() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (403_000_000, "403 MB"),
            (999_950, "1.0 MB"),
            (38_200_000_000_i64, "38 GB"),
            (i64::MAX, "9223 PB"),
        ] {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn a_sentence_begins_and_ends_as_one() {
        for (text, expected) in [
            ("this device has no backup; make one", "This device has no backup; make one."),
            ("Done.", "Done."),
            ("é", "É."),
            ("", ""),
        ] {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn a_span_is_in_the_largest_unit_that_divides_it() {
        for (minutes, text) in [
            (0, "0 minutes"),
            (1, "1 minute"),
            (59, "59 minutes"),
            (60, "1 hour"),
            (90, "90 minutes"),
            (240, "4 hours"),
            (1_440, "1 day"),
            (1_500, "25 hours"),
            (1_470, "1,470 minutes"),
            (2_880, "2 days"),
        ] {
            assert_eq!(span(std::time::Duration::from_secs(minutes * 60)), text);
        }
        assert_eq!(span(std::time::Duration::from_secs(1)), "1 minute", "no less than it is");
    }

    #[test]
    fn people_take_names_for_the_same_whatever_their_case() {
        assert!(is_same_name(" Ada Lovelace", "ada lovelace ") && is_same_name("", " "));
        assert!(!is_same_name("Ada", "Bob"));
    }
}
