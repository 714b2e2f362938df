//! The structures of RFC 5652 as far as they are used, as views of the bytes: what is signed is never written anew.
use super::CmsError;
use crate::certificate::{Certificate, Raw};
use der::asn1::{Any, ObjectIdentifier, OctetStringRef};
use der::{
    AnyRef, Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence, SliceReader, Tag,
    Writer,
};
use spki::AlgorithmIdentifierRef;

pub(crate) const ID_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub(crate) const ID_SIGNED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(crate) const ID_ENVELOPED: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
pub(crate) const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");

/// The tag of a sequence, which is how most of what CMS lets one choose from begins.
pub(crate) const SEQUENCE: u8 = 0x30;

/// The elements of a set, in the order in which they came: not everybody sorts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawSet<'a>(pub &'a [u8]);

impl<'a> DecodeValue<'a> for RawSet<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length()).map(Self)
    }
}

impl EncodeValue for RawSet<'_> {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

impl FixedTag for RawSet<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> RawSet<'a> {
    /// The elements, of which there may be so many.
    pub fn elements(&self, most: usize) -> Result<Vec<&'a [u8]>, CmsError> {
        let mut reader = SliceReader::new(self.0)?;
        let mut found = Vec::new();
        while !reader.is_finished() {
            if found.len() == most {
                return Err(CmsError::TooMany);
            }
            found.push(reader.tlv_bytes()?);
        }
        Ok(found)
    }

    /// The only element, if there is just one.
    pub fn single(&self) -> Option<&'a [u8]> {
        let found = self.elements(1).ok()?;
        found.first().copied()
    }
}

/// The elements as DER wants them in a set: in the order of their bytes.
pub(crate) fn sorted(mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort_unstable();
    elements.concat()
}

#[derive(Sequence)]
pub(crate) struct ContentInfo<'a> {
    pub kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub content: AnyRef<'a>,
}

impl ContentInfo<'_> {
    /// A whole message of this kind.
    pub fn write(kind: ObjectIdentifier, content: &impl Encode) -> Result<Vec<u8>, CmsError> {
        let content = content.to_der()?;
        Ok(ContentInfo { kind, content: AnyRef::from_der(&content)? }.to_der()?)
    }
}

#[derive(Sequence)]
pub(crate) struct SignedData<'a> {
    pub version: u8,
    pub digests: RawSet<'a>,
    pub content: Encapsulated<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub certificates: Option<RawSet<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub revoked: Option<RawSet<'a>>,
    pub signers: RawSet<'a>,
}

#[derive(Sequence)]
pub(crate) struct Encapsulated<'a> {
    pub kind: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub content: Option<&'a OctetStringRef>,
}

#[derive(Sequence)]
pub(crate) struct SignerInfo<'a> {
    pub version: u8,
    pub signer: Raw<'a>,
    pub digest: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub attributes: Option<RawSet<'a>>,
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: &'a OctetStringRef,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub unsigned: Option<RawSet<'a>>,
}

#[derive(Sequence)]
pub(crate) struct IssuerAndSerial<'a> {
    pub issuer: Raw<'a>,
    pub serial: Raw<'a>,
}

impl IssuerAndSerial<'_> {
    /// What names this certificate. The number's bytes are the certificate's own, even where they are odd.
    pub fn of(certificate: &Certificate) -> Result<Vec<u8>, CmsError> {
        let serial = Any::new(Tag::Integer, certificate.serial())?.to_der()?;
        Ok(IssuerAndSerial { issuer: Raw(certificate.issuer()), serial: Raw(&serial) }.to_der()?)
    }
}

#[derive(Sequence)]
pub(crate) struct RawAttribute<'a> {
    pub kind: ObjectIdentifier,
    pub values: RawSet<'a>,
}

#[derive(Sequence)]
pub(crate) struct EnvelopedData<'a> {
    pub version: u8,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub originator: Option<RawSet<'a>>,
    pub recipients: RawSet<'a>,
    pub content: EncryptedContent<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub unprotected: Option<RawSet<'a>>,
}

#[derive(Sequence)]
pub(crate) struct KeyTransport<'a> {
    pub version: u8,
    pub recipient: Raw<'a>,
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub key: &'a OctetStringRef,
}

/// The content's tag says whether it is whole (`0x80`) or in pieces (`0xa0`).
#[derive(Sequence)]
pub(crate) struct EncryptedContent<'a> {
    pub kind: ObjectIdentifier,
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub content: Raw<'a>,
}
