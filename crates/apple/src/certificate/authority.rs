//! The authority whose certificates devices identify themselves with.
use super::{Certificate, CertificateError, Family, KeyError, PrivateKey, PublicKey, Strength};
use aws_lc_rs::rand;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Names of more characters fit into no certificate (RFC 5280, `ub-common-name`).
const MAX_NAME: usize = 64;

/// From when until when, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// What goes into a device's certificate. All of it is ours: whatever the device asked for beside its key is ignored.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    pub public_key: &'a PublicKey,
    pub common_name: &'a str,
    pub organization: Option<&'a str>,
    pub names: &'a [AlternativeName],
    pub validity: Validity,
}

/// Another name of the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlternativeName {
    Uri(String),
    Dns(String),
}

/// What devices encrypt their requests to, and what signs our answers: never the authority's own key.
#[derive(Debug)]
pub struct Registrar {
    pub certificate: Certificate,
    pub key: PrivateKey,
}

impl Registrar {
    /// One that was made before.
    ///
    /// # Errors
    /// When the two do not belong together, or one of them cannot be read.
    pub fn load(certificate: &[u8], pkcs8: &[u8]) -> Result<Self, AuthorityError> {
        let (certificate, key) = pair(certificate, pkcs8)?;
        if key.public().family() != Family::Rsa {
            return Err(AuthorityError::Key(KeyError::Unsupported));
        }
        Ok(Self { certificate, key })
    }
}

/// Why a certificate could not be made, or an authority not be loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the key is not the certificate's")]
    OtherKey,
    #[error("the certificate is not an authority's")]
    NoAuthority,
    #[error("a name is empty, longer than 64 characters, or has characters that it may not have")]
    Name,
    #[error("a certificate must end after it begins, between the years 1970 and 9999")]
    Validity,
    #[error("the certificate could not be written: {0}")]
    Write(String),
}

impl From<rcgen::Error> for AuthorityError {
    fn from(why: rcgen::Error) -> Self {
        Self::Write(why.to_string())
    }
}

/// Why a certificate is not accepted as a device's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no certificate")]
    Absent,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the certificate is signed by itself")]
    SelfSigned,
    #[error("the certificate was not issued by this authority")]
    OtherAuthority,
    #[error("the certificate is not one for devices")]
    Usage,
    #[error("the certificate is not yet valid")]
    Early,
    #[error("the certificate has expired")]
    Expired,
}

/// A root of its own, on the curve P-256.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    key: PrivateKey,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When the name or the validity are none, or there is no randomness.
    pub fn create(name: &str, validity: Validity) -> Result<Self, AuthorityError> {
        let key = PrivateKey::generate_p256()?;
        let mut params = params(name, None, validity)?;
        // Below it are only certificates of devices and of registrars.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = Certificate::parse(params.self_signed(&key)?.der())?;
        Ok(Self { certificate, key })
    }

    /// One that was made before.
    ///
    /// # Errors
    /// When the two do not belong together, or one of them cannot be read.
    pub fn load(certificate: &[u8], pkcs8: &[u8]) -> Result<Self, AuthorityError> {
        let (certificate, key) = pair(certificate, pkcs8)?;
        if !certificate.usage.is_authority {
            return Err(AuthorityError::NoAuthority);
        }
        Ok(Self { certificate, key })
    }

    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key, as PKCS#8 in DER, to be sealed by whoever stores it.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.key.to_pkcs8()
    }

    /// A certificate with a new RSA key that devices encrypt their requests to.
    ///
    /// # Errors
    /// When the name or the validity are none, or there is no randomness.
    pub fn issue_registrar(&self, name: &str, validity: Validity) -> Result<Registrar, AuthorityError> {
        let key = PrivateKey::generate_rsa()?;
        let mut params = params(name, None, validity)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        Ok(Registrar { certificate: self.signed(&params, &key)?, key })
    }

    /// A device's certificate, for a key that only the device has.
    ///
    /// # Errors
    /// When a name or the validity are none.
    pub fn issue_leaf(&self, leaf: &Leaf<'_>) -> Result<Certificate, AuthorityError> {
        let mut params = params(leaf.common_name, leaf.organization, leaf.validity)?;
        params.key_usages = match leaf.public_key.family() {
            Family::Rsa => vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment],
            Family::P256 | Family::P384 => vec![KeyUsagePurpose::DigitalSignature],
        };
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for name in leaf.names {
            params.subject_alt_names.push(match name {
                AlternativeName::Uri(it) => SanType::URI(it.as_str().try_into()?),
                AlternativeName::Dns(it) => SanType::DnsName(it.as_str().try_into()?),
            });
        }
        self.signed(&params, &SubjectPublicKeyInfo::from_der(leaf.public_key.der())?)
    }

    fn signed(
        &self,
        params: &CertificateParams,
        key: &impl rcgen::PublicKeyData,
    ) -> Result<Certificate, AuthorityError> {
        let issuer = Issuer::from_ca_cert_der(&self.certificate.der().into(), &self.key)?;
        Ok(Certificate::parse(params.signed_by(key, &issuer)?.der())?)
    }

    /// The certificate that somebody presented, if this authority issued it for a device and it is valid at `now`.
    /// Whose it is, and whether it was revoked, is for the caller to know.
    ///
    /// # Errors
    /// When it is not accepted, with the reason.
    pub fn check(&self, presented: Option<&[u8]>, now: Timestamp) -> Result<Certificate, Refused> {
        let certificate = Certificate::parse(presented.ok_or(Refused::Absent)?)?;
        if certificate.issuer != self.certificate.subject
            || certificate.is_signed_by(self.key.public(), Strength::Modern).is_err()
        {
            return Err(if certificate.is_self_signed() { Refused::SelfSigned } else { Refused::OtherAuthority });
        }
        if certificate.issuer == certificate.subject {
            return Err(Refused::SelfSigned);
        }
        if certificate.usage.is_authority || !certificate.usage.authenticates_clients {
            return Err(Refused::Usage);
        }
        if now < certificate.not_before {
            return Err(Refused::Early);
        }
        if now > certificate.not_after {
            return Err(Refused::Expired);
        }
        Ok(certificate)
    }
}

fn pair(certificate: &[u8], pkcs8: &[u8]) -> Result<(Certificate, PrivateKey), AuthorityError> {
    let certificate = Certificate::parse(certificate)?;
    let key = PrivateKey::from_pkcs8(pkcs8)?;
    if certificate.public_key()? != *key.public() {
        return Err(AuthorityError::OtherKey);
    }
    Ok((certificate, key))
}

fn params(name: &str, organization: Option<&str>, validity: Validity) -> Result<CertificateParams, AuthorityError> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, text(name)?);
    if let Some(organization) = organization {
        subject.push(DnType::OrganizationName, text(organization)?);
    }
    if validity.from >= validity.until || validity.from < Timestamp::UNIX_EPOCH {
        return Err(AuthorityError::Validity);
    }
    let time = |it: Timestamp| {
        OffsetDateTime::from_unix_timestamp(it.as_second()).map_err(|_out_of_range| AuthorityError::Validity)
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = time(validity.from)?;
    params.not_after = time(validity.until)?;
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn text(name: &str) -> Result<DnValue, AuthorityError> {
    let is_fit = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.contains(char::is_control);
    if is_fit { Ok(DnValue::Utf8String(name.to_owned())) } else { Err(AuthorityError::Name) }
}

/// 127 random bits below a one, so that the number is positive and always as long.
fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_unspecified| AuthorityError::Write("no randomness".to_owned()))?;
    if let Some(first) = bytes.first_mut() {
        *first |= 0x80;
    }
    Ok(SerialNumber::from_slice(&bytes))
}
