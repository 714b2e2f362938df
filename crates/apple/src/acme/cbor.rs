//! The object that carries an attestation (`WebAuthn` level 2, 6.5.4), as far as Apple's devices fill it: CBOR (RFC 8949) of
//! known lengths, of which only the certificates are read.

/// How deep what is not read may be nested.
const MAX_DEPTH: usize = 4;
/// How many elements there may be in all.
const MAX_ELEMENTS: usize = 128;
/// How many certificates: Apple sends two.
pub(super) const MAX_CERTIFICATES: usize = 4;

/// Why it is not such an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    #[error("the attestation object is cut off, or followed by more")]
    Length,
    #[error("the attestation object is not CBOR of known lengths")]
    Form,
    #[error("the attestation object is nested too deep, or has too many elements")]
    TooMany,
    #[error("the attestation object is not one of Apple’s")]
    Format,
    #[error("the attestation object has no certificates, more than {MAX_CERTIFICATES}, or the same key twice")]
    Certificates,
}

/// The certificates in an attestation object, in DER, the device's first.
///
/// # Errors
/// When it is none of Apple's.
pub(super) fn certificates(object: &[u8]) -> Result<Vec<&[u8]>, CborError> {
    let mut reader = Reader { rest: object, elements: 0 };
    let (mut format, mut found) = (None, None);
    for _ in 0..reader.length(MAP)? {
        match reader.text()? {
            "fmt" => once(&mut format, reader.text()?)?,
            "attStmt" => once(&mut found, statement(&mut reader)?)?,
            _ => reader.skip(0)?,
        }
    }
    if !reader.rest.is_empty() {
        return Err(CborError::Length);
    }
    if format != Some("apple") {
        return Err(CborError::Format);
    }
    found.ok_or(CborError::Certificates)
}

fn statement<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, CborError> {
    let mut found = None;
    for _ in 0..reader.length(MAP)? {
        match reader.text()? {
            "x5c" => once(&mut found, chain(reader)?)?,
            _ => reader.skip(0)?,
        }
    }
    found.ok_or(CborError::Certificates)
}

fn chain<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, CborError> {
    match reader.length(ARRAY)? {
        len @ 1..=MAX_CERTIFICATES => (0..len).map(|_| reader.string(BYTES)).collect(),
        _ => Err(CborError::Certificates),
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), CborError> {
    if place.replace(value).is_some() { Err(CborError::Certificates) } else { Ok(()) }
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

struct Reader<'a> {
    rest: &'a [u8],
    elements: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], CborError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CborError::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    /// What an element is, and the number that comes with it.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(CborError::TooMany);
        }
        let first = self.take(1)?.first().copied().ok_or(CborError::Length)?;
        let len = match first & 0x1f {
            number @ 0..=23 => return Ok((first >> 5, number.into())),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            // Reserved, or without a length.
            _ => return Err(CborError::Form),
        };
        let number = self.take(len)?.iter().fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
        Ok((first >> 5, number))
    }

    fn length(&mut self, kind: u8) -> Result<usize, CborError> {
        match self.head()? {
            (found, len) if found == kind => usize::try_from(len).map_err(|_too_large| CborError::Length),
            (_, _) => Err(CborError::Form),
        }
    }

    fn string(&mut self, kind: u8) -> Result<&'a [u8], CborError> {
        let len = self.length(kind)?;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, CborError> {
        std::str::from_utf8(self.string(TEXT)?).map_err(|_no_text| CborError::Form)
    }

    /// Leaves one element out, with what is in it.
    fn skip(&mut self, depth: usize) -> Result<(), CborError> {
        if depth == MAX_DEPTH {
            return Err(CborError::TooMany);
        }
        let (kind, number) = self.head()?;
        let inside = match kind {
            BYTES | TEXT => {
                self.take(usize::try_from(number).map_err(|_too_large| CborError::Length)?)?;
                0
            }
            ARRAY => number,
            MAP => number.checked_mul(2).ok_or(CborError::TooMany)?,
            TAG => 1,
            // Numbers, and what stands for itself: there is nothing in them.
            _ => 0,
        };
        // Each counts, so that a long list of nothing ends soon.
        (0..inside).try_for_each(|_| self.skip(depth + 1))
    }
}
