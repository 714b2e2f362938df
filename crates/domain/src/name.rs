//! Names given by people and devices, and e-mail addresses: what they must not contain.
use crate::fields::FieldErrors;

/// Whether a text stays on its line and reads in the order in which it is stored.
///
/// Names appear in mails, lists, the history and the command line, next to our own words. A line break or a
/// direction mark in a name could make these say something else.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(is_steering)
}

/// A text without what [`is_plain`] refuses: each such character becomes a space.
pub fn plain(text: &str) -> String {
    text.chars().map(|it| if is_steering(it) { ' ' } else { it }).collect()
}

/// Control characters, line breaks of every kind, direction marks and overrides, and other invisible ones that
/// affect how a text is laid out. Joiners stay: names in Persian and Hindi are spelled with them.
fn is_steering(it: char) -> bool {
    it.is_control()
        || matches!(
            it,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// What a person or device is told about a text that is not plain.
pub const NOT_PLAIN: &str = "Remove line breaks, control characters and direction marks.";

/// Adds an error if a name is empty, longer than `most` characters, or not plain.
pub fn check(text: &str, field: &'static str, most: usize, errors: &mut FieldErrors) {
    let length = text.trim().chars().count();
    if length == 0 {
        errors.add(field, "Fill this in.");
    } else if length > most {
        errors.add(field, format!("Use at most {most} characters. This has {length}."));
    } else if !is_plain(text) {
        errors.add(field, NOT_PLAIN);
    }
}

/// Adds an error if a person's name could pass for somebody else: an address that is not theirs, or the server.
pub fn check_person(name: &str, address: &str, errors: &mut FieldErrors) {
    check(name, "name", 100, errors);
    let lower = name.trim().to_lowercase();
    if lower.contains('@') && lower != address.trim().to_lowercase() && self::address(&lower) != self::address(address)
    {
        errors.add("name", "Remove the @: only your own address may be used here.");
    }
    let letters: String = lower.chars().filter(|it| it.is_alphanumeric()).collect();
    if letters == "holdfast" || letters == "system" || letters.starts_with("commandline") {
        errors.add("name", "The server itself uses this name. Choose another.");
    }
}

/// An e-mail address as stored and mailed, in lower case and with the domain in ASCII; none if no mail server
/// would accept it.
///
/// A domain may be typed in any letters. Before the `@` only ASCII is accepted: most servers refuse anything
/// else.
pub fn address(text: &str) -> Option<String> {
    let (local, host) = text.trim().split_once('@')?;
    let is_local =
        (1..=64).contains(&local.len()) && local.split('.').all(|part| !part.is_empty() && part.bytes().all(is_atom));
    let host = idna::domain_to_ascii_strict(host).ok()?;
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_host = !host.is_empty() && !last.bytes().all(|it| it.is_ascii_digit());
    let whole = format!("{}@{host}", local.to_ascii_lowercase());
    (is_local && is_host && whole.len() <= 200).then_some(whole)
}

/// The characters that RFC 5322 allows before the `@` without quotes.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// An address for looking up an account: as stored by [`address`], or as typed if it cannot be valid.
pub fn lookup(text: &str) -> String {
    address(text).unwrap_or_else(|| text.trim().to_lowercase())
}

/// What a person is told about a text that cannot be mailed to.
pub const NO_ADDRESS: &str = "Enter an e-mail address that mail can be sent to, such as ada@example.org.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_character_that_moves_other_text() {
        for name in ["Ada Lovelace", "Müller-Lüdenscheidt", "محمد", "עדה", "नि\u{200d}त", "👩\u{200d}💻 laptop", "a’b"]
        {
            assert!(is_plain(name), "{name}");
        }
        for bad in [
            "a\nb",
            "a\rb",
            "a\tb",
            "a\0b",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\u{202e}b",
            "a\u{202a}b",
            "a\u{2066}b",
            "a\u{2069}b",
            "a\u{200e}b",
            "a\u{200f}b",
            "a\u{61c}b",
            "a\u{feff}b",
            "a\u{1b}[31mb",
        ] {
            assert!(!is_plain(bad), "{bad:?}");
            assert!(is_plain(&plain(bad)) && plain(bad).starts_with('a'), "{bad:?}");
        }
    }

    #[test]
    fn nobody_calls_themselves_what_another_is() {
        let errors = |name: &str| {
            let mut errors = FieldErrors::new();
            check_person(name, "eve@example.org", &mut errors);
            errors
        };
        for good in ["Eve", "eve@example.org", "EVE@example.org", "Command Sergeant"] {
            assert!(errors(good).is_empty(), "{good}");
        }
        for bad in [
            "",
            "  ",
            "ada@example.org",
            "Ada (ada@example.org)",
            "Holdfast",
            " holdfast ",
            "command line (uid 0)",
            "a\u{202e}b",
        ] {
            assert!(errors(bad).of("name").is_some(), "{bad}");
        }
        assert!(errors(&"x".repeat(101)).of("name").is_some());
    }

    #[test]
    fn what_can_be_mailed_is_taken_as_it_is_mailed() {
        for (typed, kept) in [
            ("ada@example.org", "ada@example.org"),
            (" Ada+x@Example.ORG ", "ada+x@example.org"),
            ("ada@localhost", "ada@localhost"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
            ("o'brien@example.org", "o'brien@example.org"),
        ] {
            assert_eq!(address(typed).as_deref(), Some(kept), "{typed}");
            assert_eq!(lookup(typed), kept);
        }
    }

    #[test]
    fn what_can_never_be_mailed_is_not_an_address() {
        let long = [format!("{}@example.org", "a".repeat(65)), format!("a@{}.example", "b".repeat(64))];
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a@b@c",
            "ada lovelace@example.org",
            "Ada <a@b>",
            "a@b\nc",
            "a@b\u{202e}c",
            "ädä@example.org",
            ".ada@example.org",
            "ada.@example.org",
            "a..b@example.org",
            "ada@-example.org",
            "ada@example..org",
            "ada@.org",
            "ada@exa_mple.org",
            "ada@127.0.0.1",
            "\"ada\"@example.org",
            "ada@xn--a",
            "ada@example.org\r\nRCPT TO:<x@y>",
        ]
        .into_iter()
        .chain(long.iter().map(String::as_str))
        {
            assert_eq!(address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_has_as_many_characters_as_fit_and_no_more() {
        for (text, wrong) in
            [("", true), ("  ", true), ("abc", false), (" abc ", false), ("abcd", true), ("a\nb", true)]
        {
            let mut errors = FieldErrors::new();
            check(text, "name", 3, &mut errors);
            assert_eq!(errors.into_result().is_err(), wrong, "{text:?}");
        }
    }
}
