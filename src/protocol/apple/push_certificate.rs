//! Push certificates as they are read: from a file of the settings, and as somebody pastes one.
use crate::config::AppleSettings;
use crate::service::apple::push_certificate::Given;
use anyhow::{Context, anyhow};
use apple::certificate::Certificate;
use domain::push_certificate::{PushCertificate, TOPIC};
use domain::time::Time;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The certificate of a text that somebody pasted; none if it is anything but one in PEM.
pub fn one_certificate(text: &str) -> Option<Certificate> {
    let text = text.trim();
    let is_alone = text.starts_with("-----BEGIN CERTIFICATE-----") && text.ends_with("-----END CERTIFICATE-----");
    let mut all = CertificateDer::pem_slice_iter(text.as_bytes());
    match (all.next(), all.next()) {
        (Some(Ok(one)), None) if is_alone => Certificate::parse(&one).ok(),
        _ => None,
    }
}

/// What the settings say of the certificate.
///
/// # Errors
/// When its file cannot be read, or it has another topic than the settings.
pub fn given(settings: &AppleSettings) -> anyhow::Result<Given> {
    let topic = settings.topic.clone();
    let Some(file) = &settings.push_certificate else { return Ok(Given { is_served: true, topic, certificate: None }) };
    let of = || format!("reading the push certificate {}", file.display());
    let first = CertificateDer::from_pem_file(file).map_err(|error| anyhow!("{error}")).with_context(of)?;
    let first = Certificate::parse(&first).with_context(of)?;
    let own = first.user_id().filter(|it| it.starts_with(TOPIC)).map(str::to_owned);
    if let (Some(said), Some(own)) = (&topic, &own)
        && said != own
    {
        return Err(anyhow!("apple-topic is {said}, but the push certificate has {own}"));
    }
    let topic = topic.or(own);
    let until = Time::from_millis(first.not_after().as_millisecond());
    let certificate = topic.clone().map(|topic| PushCertificate { topic, until });
    Ok(Given { is_served: true, topic, certificate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    /// What is known of a file whose certificate says `own`, where the settings say `topic`.
    fn known(topic: Option<&str>, own: Option<&str>) -> anyhow::Result<Given> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("push.pem");
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        if let Some(own) = own {
            params.distinguished_name.push(DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]), own);
        }
        std::fs::write(&file, format!("{}{}", key.serialize_pem(), params.self_signed(&key).unwrap().pem())).unwrap();
        given(&AppleSettings {
            offers_acme: false,
            attestation_root: None,
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            url: "https://devices.test".to_owned(),
            topic: topic.map(str::to_owned),
            root: None,
            takes_weak_scep: true,
            certificate_header: None,
            trusted_proxies: Vec::new(),
            push_certificate: Some(file),
            push_url: "https://push.test".to_owned(),
            push_root: None,
        })
    }

    #[test]
    fn the_certificate_of_a_file_says_its_topic_and_must_not_contradict_the_settings() {
        let (one, two) = ("com.apple.mgmt.External.1", "com.apple.mgmt.External.2");
        for (topic, own) in [(None, Some(one)), (Some(one), Some(one)), (Some(one), None), (Some(one), Some("other"))] {
            let known = known(topic, own).unwrap();
            assert_eq!((known.topic.as_deref(), known.certificate.unwrap().topic.as_str()), (Some(one), one));
        }
        assert!(known(None, None).unwrap().certificate.is_none());
        let why = known(Some(two), Some(one)).unwrap_err().to_string();
        assert!(why.contains(one) && why.contains(two), "{why}");
    }

    #[test]
    fn only_one_certificate_and_nothing_else_is_read() {
        let key = KeyPair::generate().unwrap();
        let one = CertificateParams::default().self_signed(&key).unwrap().pem();
        assert!(one_certificate(&one).is_some());
        assert!(one_certificate(&format!("\r\n  {}", one.replace('\n', "\r\n"))).is_some());
        let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        for text in [
            "",
            "rubbish",
            rubbish,
            &format!("{one}{one}"),
            &format!("{}{one}", key.serialize_pem()),
            &format!("{one}{}", key.serialize_pem()),
            &format!("{one}{}{one}", key.serialize_pem()),
            &one.replace("-----END", "----END"),
        ] {
            assert!(one_certificate(text).is_none(), "{text}");
        }
    }
}
