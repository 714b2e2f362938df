//! Which bytes of an object a `Range` header asks for.
use std::ops::Range;

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    Part(Range<u64>),
    PastTheEnd,
}

/// Reads the one range that restic asks for; anything not understood means everything, as in HTTP.
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let text = header.and_then(|it| it.strip_prefix("bytes="));
    let Some((from, to)) = text.and_then(|it| it.split_once('-')) else { return Wanted::All };
    let part = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => from..to.saturating_add(1).min(size),
        (Ok(from), Err(_)) if to.is_empty() => from..size,
        (Err(_), Ok(last)) if from.is_empty() => size.saturating_sub(last)..size,
        _ => return Wanted::All,
    };
    if part.start >= size { Wanted::PastTheEnd } else { Wanted::Part(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_that_restic_asks_for_are_understood() {
        let cases = [
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=3-5", Wanted::Part(3..6)),
            ("bytes=3-500", Wanted::Part(3..10)),
            ("bytes=9-9", Wanted::Part(9..10)),
            ("bytes=-4", Wanted::Part(6..10)),
            ("bytes=10-", Wanted::PastTheEnd),
            ("bytes=18446744073709551615-18446744073709551615", Wanted::PastTheEnd),
            ("bytes=5-3", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=x-", Wanted::All),
        ];
        for (text, expected) in cases {
            assert_eq!(wanted(Some(text), 10), expected, "{text}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
    }
}
