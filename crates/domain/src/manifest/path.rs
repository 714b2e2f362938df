//! How paths are spelled in a manifest, and in which order they come.
use std::cmp::Ordering;

/// Writes a path's bytes as text: UTF-8 stays, everything else and `%` become `%XX`.
pub fn encode_path(path: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "%{byte:02X}");
                }
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes of a path written by [`encode_path`]; none if a `%` is not followed by two hex digits.
pub fn decode_path(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut path = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            path.extend(decoded);
        } else {
            path.push(byte);
        }
    }
    Some(path)
}

/// The order of the entries in a manifest: a folder before what is in it, and the names of each folder by their bytes.
pub fn order(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(weight).cmp(b.iter().map(weight))
}

/// Whether bytes are a path an entry may have: absolute, without an empty name, `.`, `..` or a NUL.
pub fn is_plain(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    rest.split(|it| *it == b'/').all(|name| !matches!(name, b"" | b"." | b"..") && !name.contains(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_survives_as_text() {
        for path in [&b"/plain"[..], "/umläut/%41".as_bytes(), b"/bad\xff\xfebytes", b"/new\nline"] {
            let text = encode_path(path);
            assert!(!text.contains('\n'));
            assert_eq!(decode_path(&text).unwrap(), path);
        }
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it_and_both_before_its_neighbours() {
        let mut paths = [&b"/a-b"[..], b"/a/b", b"/a\xff", b"/a", b"/a/b/c", b"/a\n"];
        paths.sort_unstable_by(|a, b| order(a, b));
        assert_eq!(paths, [&b"/a"[..], b"/a/b", b"/a/b/c", b"/a\n", b"/a-b", b"/a\xff"]);
    }

    #[test]
    fn a_path_that_leaves_its_folder_is_not_plain() {
        for path in [&b""[..], b"a", b"/", b"//a", b"/a/", b"/a/../b", b"/./a", b"/a\0"] {
            assert!(!is_plain(path), "{path:?}");
        }
        assert!(is_plain(b"/a/..b/\xff"));
    }
}
