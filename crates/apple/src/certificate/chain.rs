//! Whether a certificate that somebody brought was issued below a root that is known here.
use super::{Certificate, Strength};

/// How many authorities may stand between a certificate and its root.
const MOST_BETWEEN: usize = 4;

impl Certificate {
    /// Whether one of `roots` issued it, by way of `others` or not. Of a key that Apple built into a device nothing is asked
    /// about the time: such a certificate is never renewed, and devices outlive theirs.
    #[must_use]
    pub fn leads_to(&self, roots: &[Self], others: &[Self]) -> bool {
        let mut current = self;
        for _ in 0..=MOST_BETWEEN {
            if roots.iter().any(|root| current.is_from(root)) {
                return true;
            }
            match others.iter().find(|it| *it != current && current.is_from(it)) {
                Some(issuer) => current = issuer,
                None => return false,
            }
        }
        false
    }

    fn is_from(&self, issuer: &Self) -> bool {
        issuer.usage.is_authority
            && self.issuer == issuer.subject
            && issuer.public_key().is_ok_and(|key| self.is_signed_by(&key, Strength::WithLegacy).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUTHORITY, DEVICE, OTHER, REGISTRAR, YEAR};
    use super::*;
    use crate::certificate::{Authority, PrivateKey};
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer};

    /// An authority below another one, and a certificate of each kind below that.
    fn below() -> (Certificate, Certificate) {
        let root = Issuer::from_ca_cert_der(&AUTHORITY.certificate().der().into(), key_of(&AUTHORITY)).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Between");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = PrivateKey::generate_p256().unwrap();
        let between = params.signed_by(&key, &root).unwrap();
        let issuer = Issuer::from_ca_cert_der(between.der(), &key).unwrap();
        let leaf = CertificateParams::default().signed_by(&DEVICE.key, &issuer).unwrap();
        (Certificate::parse(between.der()).unwrap(), Certificate::parse(leaf.der()).unwrap())
    }

    fn key_of(authority: &Authority) -> PrivateKey {
        PrivateKey::from_pkcs8(&authority.to_pkcs8()).unwrap()
    }

    #[test]
    fn a_certificate_leads_to_its_root_through_what_came_with_it() {
        let (between, leaf) = below();
        let roots = [AUTHORITY.certificate().clone()];
        assert!(leaf.leads_to(&roots, &[OTHER.certificate.clone(), between.clone()]));
        assert!(REGISTRAR.certificate.leads_to(&roots, &[]));
        assert!(!leaf.leads_to(&roots, &[]), "what is between is missing");
        let other = Authority::create("Devices", YEAR).unwrap();
        assert!(!leaf.leads_to(&[other.certificate().clone()], &[between]), "the same name, another key");
    }

    #[test]
    fn a_certificate_that_is_no_authority_issues_nothing() {
        let issuer = {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "other");
            Issuer::new(params, &OTHER.key)
        };
        let forged = CertificateParams::default().signed_by(&DEVICE.key, &issuer).unwrap();
        let forged = Certificate::parse(forged.der()).unwrap();
        assert!(!forged.leads_to(std::slice::from_ref(&OTHER.certificate), &[]));
        let own = &DEVICE.certificate;
        assert!(!own.leads_to(&[AUTHORITY.certificate().clone()], &[own.clone(), own.clone()]), "no way, and an end");
    }
}
