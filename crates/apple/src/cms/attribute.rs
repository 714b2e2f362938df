//! Attributes that a signer signs beside the content.
use super::CmsError;
use super::asn1::{RawAttribute, RawSet, sorted};
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, EncodeValue, FixedTag};

/// More than this many are refused.
const MOST: usize = 32;

/// An attribute with one value, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub kind: ObjectIdentifier,
    pub value: Vec<u8>,
}

impl Attribute {
    /// With this value.
    ///
    /// # Errors
    /// When the value cannot be written.
    pub fn new(kind: ObjectIdentifier, value: &(impl EncodeValue + FixedTag)) -> Result<Self, CmsError> {
        Ok(Self { kind, value: value.to_der()? })
    }
}

/// The attributes of one signer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(ObjectIdentifier, Option<Vec<u8>>)>);

impl Attributes {
    /// Each kind may be there once.
    pub(crate) fn parse(set: &RawSet<'_>) -> Result<Self, CmsError> {
        let mut found: Vec<(ObjectIdentifier, Option<Vec<u8>>)> = Vec::new();
        for element in set.elements(MOST)? {
            let attribute = RawAttribute::from_der(element)?;
            if found.iter().any(|(kind, _)| *kind == attribute.kind) {
                return Err(CmsError::Attribute);
            }
            found.push((attribute.kind, attribute.values.single().map(<[u8]>::to_vec)));
        }
        Ok(Self(found))
    }

    /// The value of an attribute that is there with exactly one, in DER.
    #[must_use]
    pub fn get(&self, kind: ObjectIdentifier) -> Option<&[u8]> {
        self.0.iter().find(|(it, _)| *it == kind).and_then(|(_, value)| value.as_deref())
    }

    /// As [`Self::get`], read.
    ///
    /// # Errors
    /// When it is not there once, or not of that type.
    pub fn read<'a, T: Decode<'a>>(&'a self, kind: ObjectIdentifier) -> Result<T, CmsError> {
        T::from_der(self.get(kind).ok_or(CmsError::Attribute)?).map_err(|_malformed| CmsError::Attribute)
    }
}

/// What stands inside the set.
pub(crate) fn write(attributes: &[Attribute]) -> Result<Vec<u8>, CmsError> {
    let each = attributes.iter().map(|it| RawAttribute { kind: it.kind, values: RawSet(&it.value) }.to_der());
    Ok(sorted(each.collect::<der::Result<_>>()?))
}
