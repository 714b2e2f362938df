//! What one share looks like on paper, and what may be wrong with what somebody typed.
//!
//! 64 characters of Crockford's base32 (no I, L, O, U) in 16 groups: the share's number, the format's version, six
//! characters that name the key, the 32 bytes of the share, and 24 bits of a SHA-256 over all of that. Of 16 million
//! slips of the pen the check digits miss one.
use crate::recovery::SHARES;
use crate::seal::PublicKey;
use crate::sha256;
use zeroize::Zeroizing;

/// How many letters and digits a share has.
pub const LENGTH: usize = 64;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const VERSION: u8 = 1;
/// Number, version and name.
const HEAD: usize = 8;
const GROUP: usize = 4;
const GROUPS_IN_ROW: usize = 8;

/// One share of a recovery key. On its own, or with one other, it says nothing about the key.
#[derive(Clone)]
pub struct Share {
    number: u8,
    key: String,
    bytes: Zeroizing<[u8; 32]>,
}

/// Why a typed share, or some shares together, are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    #[error("a share has {LENGTH} letters and digits, this has {0}")]
    Length(usize),
    #[error("`{}` in group {group} is in no share: only 0 to 9 and A to Z without I, L, O and U", .character.escape_default())]
    Character { character: char, group: usize },
    #[error("this share is mistyped: its check digits do not fit. Compare it with the paper group by group")]
    Mistyped,
    #[error("this share is of a form that this program does not know ({0}): it needs a newer one")]
    Version(u8),
    #[error("there is no share {0}: they go from 1 to {SHARES}")]
    Number(u8),
    #[error("share {0} is there twice: different ones are needed")]
    Twice(u8),
    #[error("two different texts say that they are share {0}: they are from two printings, or one was altered")]
    Rival(u8),
    #[error("share {number} is of the key {found}, the others are of the key {expected}")]
    OtherKey { number: u8, found: String, expected: String },
    #[error("only {0} of the 3 shares that are needed: fewer say nothing about the key")]
    TooFew(usize),
    #[error(
        "each share is whole, but together they do not make the key {key}: they are from two printings, or one was \
         altered"
    )]
    Altered { key: String },
}

impl Share {
    /// Reads what somebody typed: small letters, spaces and dashes do not matter, and O is 0, I and L are 1.
    ///
    /// # Errors
    /// When it is not a share, with what is wrong. The error says nothing about the rest of the text.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let digits = digits(text)?;
        let [number, version, rest @ ..] = digits.as_slice() else { return Err(ShareError::Length(digits.len())) };
        let (name, body) = rest.split_at_checked(HEAD - 2).ok_or(ShareError::Length(digits.len()))?;
        let key: String = name.iter().map(|it| letter(*it)).collect();
        let body = bytes(body);
        let (half, check) = body.split_at_checked(32).ok_or(ShareError::Mistyped)?;
        if check != check_digits(*number, *version, &key, half) {
            return Err(ShareError::Mistyped);
        }
        // Only now: in a mistyped share these may be what is mistyped.
        if *version != VERSION {
            return Err(ShareError::Version(*version));
        }
        Self::new(*number, key, half).ok_or(ShareError::Number(*number))
    }

    fn new(number: u8, key: String, half: &[u8]) -> Option<Self> {
        let is_one = (1..=SHARES).contains(&usize::from(number));
        let mut bytes = Zeroizing::new([0; 32]);
        if !is_one || half.len() != bytes.len() {
            return None;
        }
        bytes.copy_from_slice(half);
        Some(Self { number, key, bytes })
    }

    /// Which one it is, from 1.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// The name of the key it is a share of.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is printed: 16 groups of four in two rows.
    pub fn text(&self) -> Zeroizing<String> {
        let check = check_digits(self.number, VERSION, &self.key, self.bytes.as_slice());
        let body = Zeroizing::new([self.bytes.as_slice(), &check].concat());
        let head = [letter(self.number), letter(VERSION)];
        let all: Zeroizing<String> =
            Zeroizing::new(head.into_iter().chain(self.key.chars()).chain(letters(&body)).collect());
        let mut text = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / GROUP));
        for (at, it) in all.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push(if at % (GROUP * GROUPS_IN_ROW) == 0 { '\n' } else { '-' });
            }
            text.push(it);
        }
        text
    }

    /// Refuses it beside others of which it cannot be one more.
    ///
    /// # Errors
    /// When it is of another key, or there already.
    pub fn refuse_beside(&self, others: &[Self]) -> Result<(), ShareError> {
        for other in others {
            if self.key != other.key {
                let (found, expected) = (self.key.clone(), other.key.clone());
                return Err(ShareError::OtherKey { number: self.number, found, expected });
            }
            if self.number == other.number {
                let is_same = *self.bytes == *other.bytes;
                return Err(if is_same { ShareError::Twice(self.number) } else { ShareError::Rival(self.number) });
            }
        }
        Ok(())
    }

    /// As the scheme has it: where the polynomials are looked at, and what they are there.
    pub(super) fn point(&self) -> Vec<u8> {
        [&[self.number], self.bytes.as_slice()].concat()
    }

    pub(super) fn of_point(key: &str, point: &[u8]) -> Option<Self> {
        let (number, bytes) = point.split_first()?;
        Self::new(*number, key.to_owned(), bytes)
    }
}

/// Six characters made from a public key: 30 bits of its SHA-256.
pub(super) fn name(public: &PublicKey) -> String {
    letters(&sha256(public.as_str().as_bytes())).take(HEAD - 2).collect()
}

fn check_digits(number: u8, version: u8, key: &str, bytes: &[u8]) -> [u8; 3] {
    let all = Zeroizing::new([b"holdfast/share/", [number, version].as_slice(), key.as_bytes(), bytes].concat());
    let [a, b, c, ..] = sha256(&all);
    [a, b, c]
}

fn letter(digit: u8) -> char {
    ALPHABET.get(usize::from(digit)).map_or('?', |it| char::from(*it))
}

/// The value of each letter and digit.
fn digits(text: &str) -> Result<Zeroizing<Vec<u8>>, ShareError> {
    let mut digits = Zeroizing::new(Vec::with_capacity(LENGTH));
    let mut count = 0;
    for it in text.chars().filter(|it| !it.is_whitespace() && !is_dash(*it)) {
        let digit = value(it).ok_or(ShareError::Character { character: it, group: count / GROUP + 1 })?;
        if count < LENGTH {
            digits.push(digit);
        }
        count += 1;
    }
    if count == LENGTH { Ok(digits) } else { Err(ShareError::Length(count)) }
}

/// Of a keyboard, or of a text program that puts longer ones for it.
fn is_dash(it: char) -> bool {
    it == '-' || ('\u{2010}'..='\u{2015}').contains(&it)
}

fn value(it: char) -> Option<u8> {
    let it = match it.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        it => it,
    };
    ALPHABET.iter().position(|known| char::from(*known) == it).and_then(|it| u8::try_from(it).ok())
}

/// Five bits a letter, the first letter from the first byte's highest bits.
fn letters(bytes: &[u8]) -> impl Iterator<Item = char> {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |it| it >> (7 - at % 8) & 1);
    (0..bytes.len() * 8 / 5).map(move |at| letter((0..5).fold(0, |sum, it| sum << 1 | bit(at * 5 + it))))
}

fn bytes(digits: &[u8]) -> Zeroizing<Vec<u8>> {
    let bit = |at: usize| digits.get(at / 5).map_or(0, |it| it >> (4 - at % 5) & 1);
    Zeroizing::new((0..digits.len() * 5 / 8).map(|at| (0..8).fold(0, |sum, it| sum << 1 | bit(at * 8 + it))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Share {
        let mut bytes = [0; 32];
        bytes.iter_mut().enumerate().for_each(|(at, it)| *it = u8::try_from(at * 7).unwrap());
        Share::new(2, "7K3Q0M".to_owned(), &bytes).unwrap()
    }

    #[test]
    fn the_printed_form_stays_as_it_is() {
        // Papers in safes bear it: a change here makes them worthless.
        let printed = "217K-3Q0M-003G-W58W-4CN3-2E1Z-8S6N-8PV2\n\
                    D5R7-EZM5-HJ9S-N8D8-NYVB-VH6B-TBCH-AWZP";
        assert_eq!(*share().text(), printed);
        assert_eq!(Share::parse(printed).unwrap().text(), share().text());
    }

    #[test]
    fn what_people_make_of_it_when_typing_is_read() {
        let share = share();
        let text = share.text().to_string();
        for typed in [
            text.clone(),
            text.to_lowercase(),
            text.replace(['-', '\n'], ""),
            text.replace('-', " – "),
            text.replace('0', "o").replace('1', "l"),
            format!("\r\n  {} \t\n", text.replace('0', "O").replace('1', "I")),
        ] {
            let read = Share::parse(&typed).unwrap_or_else(|error| unreachable!("{typed}: {error}"));
            assert_eq!((read.number(), read.key(), read.text()), (2, "7K3Q0M", share.text()), "{typed}");
        }
    }

    #[test]
    fn each_single_slip_is_found() {
        let text = share().text().replace(['-', '\n'], "");
        for at in 0..LENGTH {
            for other in ALPHABET.iter().map(|it| char::from(*it)) {
                let mut typed: Vec<char> = text.chars().collect();
                let right = std::mem::replace(&mut typed[at], other);
                let typed: String = typed.into_iter().collect();
                if other != right {
                    assert_eq!(Share::parse(&typed).err(), Some(ShareError::Mistyped), "{typed}");
                }
            }
            if let Some(next) = text.chars().nth(at + 1).filter(|it| *it != text.chars().nth(at).unwrap()) {
                let mut typed: Vec<char> = text.chars().collect();
                typed.swap(at, at + 1);
                let typed: String = typed.into_iter().collect();
                assert_eq!(Share::parse(&typed).err(), Some(ShareError::Mistyped), "{typed}, {next} first");
            }
        }
    }

    #[test]
    fn what_is_not_a_share_is_refused_with_its_reason() {
        let text = share().text().to_string();
        for (typed, expected) in [
            (String::new(), ShareError::Length(0)),
            ("-- \n".to_owned(), ShareError::Length(0)),
            (text[..text.len() - 1].to_owned(), ShareError::Length(63)),
            (format!("{text}A"), ShareError::Length(65)),
            ("A".repeat(1 << 20), ShareError::Length(1 << 20)),
            (text.replacen('-', "-U", 1), ShareError::Character { character: 'U', group: 2 }),
            (text.replacen('-', "-\u{ff21}", 1), ShareError::Character { character: '\u{ff21}', group: 2 }),
            (format!("\0{text}"), ShareError::Character { character: '\0', group: 1 }),
            ("0".repeat(LENGTH), ShareError::Mistyped),
        ] {
            assert_eq!(Share::parse(&typed).err(), Some(expected), "{typed:.100}");
        }
    }

    #[test]
    fn a_form_of_later_and_a_number_that_is_none_are_named() {
        let with = |number: u8, version: u8| {
            let share = share();
            let check = check_digits(number, version, share.key(), share.bytes.as_slice());
            let head = [letter(number), letter(version)].into_iter().chain(share.key().chars());
            head.chain(letters(&[share.bytes.as_slice(), &check].concat())).collect::<String>()
        };
        assert!(Share::parse(&with(2, 1)).is_ok());
        assert_eq!(Share::parse(&with(2, 2)).err(), Some(ShareError::Version(2)));
        for number in [0, 6, 31] {
            assert_eq!(Share::parse(&with(number, 1)).err(), Some(ShareError::Number(number)));
        }
    }

    #[test]
    fn letters_and_bytes_are_two_spellings_of_the_same() {
        let bytes_before: Vec<u8> = (0..35_u8).map(|it| it.wrapping_mul(37)).collect();
        let spelt: String = letters(&bytes_before).collect();
        assert_eq!(spelt.len(), 56);
        assert_eq!(*bytes(&digits_of(&spelt)), bytes_before);
    }

    fn digits_of(text: &str) -> Vec<u8> {
        text.chars().map(|it| value(it).unwrap()).collect()
    }
}
