//! Bytes whose meaning is read later, because what is signed must not be written anew.
use der::asn1::BitStringRef;
use der::{Decode, Encode, Length, Reader, Sequence, Writer};
use spki::AlgorithmIdentifierRef;

/// Any one element, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for Raw<'a> {
    type Error = der::Error;

    fn decode<R: Reader<'a>>(reader: &mut R) -> der::Result<Self> {
        reader.tlv_bytes().map(Self)
    }
}

impl Encode for Raw<'_> {
    fn encoded_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// The form of certificates and of requests for them: a body, and its signature.
#[derive(Sequence)]
pub(crate) struct SignedBody<'a> {
    pub body: Raw<'a>,
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: BitStringRef<'a>,
}
