//! Shares of a recovery key as people type them, or as a file of printed ones has them.
use crate::cli::output::{note, say};
use anyhow::{Context, bail};
use secret::recovery::{LENGTH, NEEDED, RecoveryKey, Share, ShareError, WHOLE};
use std::io::{BufRead, IsTerminal};
use zeroize::Zeroizing;

/// Nobody types more than this.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the whole key, as an age file gave it, or three shares from standard input, and puts the key together.
///
/// What it returns opens everything, and is no proof that the shares are still there: for that see [`read_shares`].
///
/// # Errors
/// As [`read_shares`].
pub(in crate::cli) fn read_key() -> anyhow::Result<RecoveryKey> {
    let is_person = std::io::stdin().is_terminal();
    read_from(std::io::stdin().lock(), is_person, Whole::Taken)
}

/// Whether a whole key is as good as three shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Taken,
    Refused,
}

/// Asks for three shares on standard input, and puts the key together.
///
/// At a terminal a share that is not taken is asked for again; otherwise it ends the reading. Lines that begin with `#`
/// are passed over, so that a file of printed shares can be read.
///
/// # Errors
/// With what is wrong, and with which share; the text of a share is in no error.
pub(in crate::cli) fn read_shares() -> anyhow::Result<RecoveryKey> {
    let is_person = std::io::stdin().is_terminal();
    read_from(std::io::stdin().lock(), is_person, Whole::Refused)
}

fn read_from(input: impl BufRead, is_person: bool, whole: Whole) -> anyhow::Result<RecoveryKey> {
    let mut input = input.take(MAX_BYTES);
    let mut shares: Vec<Share> = Vec::new();
    let mut typed = 0;
    while shares.len() < NEEDED {
        if is_person {
            say(&format!("Type share {} of {NEEDED}, in one line or several:", shares.len() + 1));
        }
        let Some(text) = read_one(&mut input)? else { return Err(ShareError::TooFew(shares.len()).into()) };
        if text.trim_start().starts_with(WHOLE) {
            match whole {
                Whole::Taken if shares.is_empty() => return Ok(RecoveryKey::parse_whole(&text)?),
                Whole::Taken => bail!("{}: this is a whole key, which needs no shares", ordinal(typed + 1)),
                Whole::Refused => {
                    bail!("a whole key does not show that three shares are still there: type three shares")
                }
            }
        }
        typed += 1;
        match Share::parse(&text).and_then(|it| it.refuse_beside(&shares).map(|()| it)) {
            Ok(share) => {
                if is_person {
                    say(&format!("This is share {} of the recovery key {}.", share.number(), share.key()));
                }
                shares.push(share);
            }
            Err(error) if is_person => note(&format!("{error}. Once more:")),
            Err(error) => bail!("{}: {error}", ordinal(typed)),
        }
    }
    Ok(RecoveryKey::from_shares(&shares)?)
}

fn ordinal(number: usize) -> String {
    let which = match number {
        1 => "first",
        2 => "second",
        _ => "third",
    };
    format!("the {which} share")
}

/// The lines of one share; none at the end of the input.
fn read_one(input: &mut impl BufRead) -> anyhow::Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    loop {
        let mut line = Zeroizing::new(String::new());
        let is_end = input.read_line(&mut line).context("reading a share")? == 0;
        let is_blank = line.trim().is_empty();
        if !line.starts_with('#') {
            text.push_str(&line);
        }
        let count = text.chars().filter(|it| it.is_alphanumeric()).count();
        match (is_end, is_blank) {
            (true, _) if count == 0 => return Ok(None),
            (true, _) => return Ok(Some(text)),
            (false, true) if count > 0 => return Ok(Some(text)),
            (false, _) if count >= LENGTH => return Ok(Some(text)),
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(key: &RecoveryKey) -> Vec<String> {
        key.shares().unwrap().iter().map(|it| it.text().to_string()).collect()
    }

    fn error(text: &str) -> String {
        read_from(text.as_bytes(), false, Whole::Taken).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn three_shares_are_read_however_they_lie_in_the_file() {
        let key = RecoveryKey::make().unwrap();
        let shares = printed(&key);
        let (a, b, c) = (&shares[4], &shares[0], &shares[2]);
        for text in [
            format!("{a}\n{b}\n{c}\n"),
            format!("# Share 5 of 5\n{a}\n\n# Share 1 of 5\n{b}\n\n\n# Share 3 of 5\n{c}"),
            format!("{}\n{}\n{}", a.replace('\n', " "), b.replace('-', "\n"), c.to_lowercase()),
            shares.join("\n"),
        ] {
            assert_eq!(read_from(text.as_bytes(), false, Whole::Taken).unwrap().public(), key.public(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_share_that_it_is_wrong_with() {
        let (one, other) = (printed(&RecoveryKey::make().unwrap()), printed(&RecoveryKey::make().unwrap()));
        let slip: String = one[1].char_indices().map(|(at, it)| if at == 50 { flipped(it) } else { it }).collect();
        for (text, said) in [
            (String::new(), "only 0 of the 3 shares"),
            ("\n\n# nothing\n".to_owned(), "only 0 of the 3 shares"),
            (format!("{}\n{}", one[0], one[1]), "only 2 of the 3 shares"),
            (format!("{}\n{slip}\n{}", one[0], one[2]), "the second share: this share is mistyped"),
            (format!("{}\n{}\n{}", one[0], one[1], other[2]), "the third share: share 3 is of the key"),
            (format!("{}\n{}", one[0], one[0]), "the second share: share 1 is there twice"),
            (
                format!("{}\n\n{}", &one[0][..60], one[1]),
                "the first share: a share has 64 letters and digits, this has",
            ),
            ("x".repeat(1 << 20), "the first share: a share has 64 letters and digits, this has 65536"),
        ] {
            let error = error(&text);
            assert!(error.contains(said), "{error}");
            assert!(!error.contains(&one[0][10..20]), "no share is in an error: {error}");
        }
    }

    #[test]
    fn a_whole_key_is_read_where_it_opens_something_and_not_where_shares_are_asked_for() {
        let key = RecoveryKey::make().unwrap();
        let text = format!("# Recovery key {}, whole.\n{}\n", key.name(), *key.whole().unwrap());
        let read = |text: &str, whole| read_from(text.as_bytes(), false, whole);
        assert_eq!(read(&text, Whole::Taken).unwrap().public(), key.public());
        assert!(read(&text, Whole::Refused).is_err());
        let share = &printed(&key)[0];
        assert!(read(&format!("{share}\n{text}"), Whole::Taken).is_err());
        for altered in [text.replace("-key-", "-key-0"), text[..text.len() - 3].to_owned() + "\n"] {
            let error = read(&altered, Whole::Taken).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("cut off or altered"), "{error}");
            assert!(!error.contains(&key.whole().unwrap()[40..50]), "nothing of the key is in an error");
        }
    }

    #[test]
    fn a_person_may_type_a_share_again() {
        let key = RecoveryKey::make().unwrap();
        let shares = printed(&key);
        let text = format!("{}\nnot a share\n\n{}\n{}\n{}\n", shares[0], shares[0], shares[1], shares[3]);
        assert_eq!(read_from(text.as_bytes(), true, Whole::Taken).unwrap().public(), key.public());
        assert!(read_from(&b"x\n\n"[..], true, Whole::Taken).is_err(), "until the input ends");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert!(read_from(&b"\xff\xfe\n"[..], false, Whole::Taken).is_err());
        assert!(read_from(&[b'A'; 1 << 20][..], true, Whole::Taken).is_err());
    }

    fn flipped(it: char) -> char {
        if it == 'A' { 'B' } else { 'A' }
    }
}
