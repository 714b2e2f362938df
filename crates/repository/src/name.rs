//! Node names, which restic writes as the inside of a Go string literal.

/// The bytes of a name written by Go's `strconv.Quote`; none if an escape is not one of its own.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.extend_from_slice(before.as_bytes());
        let kind = after.chars().next()?;
        let after = after.get(kind.len_utf8()..)?;
        rest = match kind {
            'a' => plain(&mut name, 0x07, after),
            'b' => plain(&mut name, 0x08, after),
            'f' => plain(&mut name, 0x0c, after),
            'n' => plain(&mut name, b'\n', after),
            'r' => plain(&mut name, b'\r', after),
            't' => plain(&mut name, b'\t', after),
            'v' => plain(&mut name, 0x0b, after),
            '\\' | '"' | '\'' | '`' => plain(&mut name, u8::try_from(kind).ok()?, after),
            'x' => {
                let (digits, after) = after.split_at_checked(2)?;
                name.push(u8::try_from(number(digits, 16)?).ok()?);
                after
            }
            '0'..='7' => {
                let (digits, after) = after.split_at_checked(2)?;
                let value = kind.to_digit(8)? * 64 + number(digits, 8)?;
                name.push(u8::try_from(value).ok()?);
                after
            }
            'u' => unicode(&mut name, after, 4)?,
            'U' => unicode(&mut name, after, 8)?,
            _ => return None,
        };
    }
    name.extend_from_slice(rest.as_bytes());
    Some(name)
}

fn plain<'a>(name: &mut Vec<u8>, byte: u8, after: &'a str) -> &'a str {
    name.push(byte);
    after
}

fn unicode<'a>(name: &mut Vec<u8>, text: &'a str, count: usize) -> Option<&'a str> {
    let (digits, after) = text.split_at_checked(count)?;
    let c = char::from_u32(number(digits, 16)?)?;
    name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(after)
}

/// `from_str_radix` alone would take a sign.
fn number(digits: &str, radix: u32) -> Option<u32> {
    digits.chars().all(|it| it.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?
}

/// A name that may become part of a path: no empty name, no `.` or `..`, no `/` and no NUL.
pub fn is_safe(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && name.len() <= super::limit::NAME
        && !name.iter().any(|it| matches!(it, b'/' | 0))
}

/// Writes a name as `strconv.Quote` would, without the quotes; for tests that make repositories.
pub fn encode(name: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                c if c.is_control() => {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "\\u{:04x}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        for (text, name) in [
            ("plain", &b"plain"[..]),
            (r"a\\b", b"a\\b"),
            (r"\a\b\f\n\r\t\v", b"\x07\x08\x0c\n\r\t\x0b"),
            (r#"\"\'\`"#, b"\"'`"),
            (r"\xff\xfe", b"\xff\xfe"),
            (r"\101\377", b"A\xff"),
            (r"\u00e4\U0001f600", "ä😀".as_bytes()),
            ("grün\\n", "grün\n".as_bytes()),
        ] {
            assert_eq!(unescape(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn bad_escapes_are_not_a_name() {
        for text in
            [r"\", r"\x", r"\x4", r"\xzz", r"\q", r"\u12", r"\ud800", r"\U00110000", r"\8", r"\777", r"\x+1", "\\xé"]
        {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    #[test]
    fn any_name_survives() {
        for name in [&b"plain"[..], b"\xff\xfe", b"a\\b\"c", "ä\n\u{7f}".as_bytes()] {
            assert_eq!(unescape(&encode(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_safe() {
        for name in [&b""[..], b".", b"..", b"/", b"../../x", b"/abs", b"a/b", b"a\0b", &[b'x'; 5000]] {
            assert!(!is_safe(name));
        }
        assert!(is_safe(b"..."));
        assert!(is_safe(b"\xff"));
    }
}
