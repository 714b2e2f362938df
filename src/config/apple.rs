//! The settings of the listener for Apple devices.
use super::{Options, check_url};
use anyhow::{Context, anyhow};
use domain::push_certificate::TOPIC;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// How this server is an Apple MDM server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppleSettings {
    pub listen: SocketAddr,
    /// `https://…`, where devices reach it; without a trailing slash.
    pub url: String,
    /// Of the push certificate, `com.apple.mgmt.External.…`; none if the certificate says it.
    pub topic: Option<String>,
    /// PEM file with certificates that devices trust once they enroll.
    pub root: Option<PathBuf>,
    /// Whether clients may ask for certificates with SHA-1 and DES.
    pub takes_weak_scep: bool,
    /// The header in which a trusted proxy passes on a device's certificate.
    pub certificate_header: Option<String>,
    pub trusted_proxies: Vec<IpAddr>,
    /// PEM file with the push certificate and its key, where none was put in on the page.
    pub push_certificate: Option<PathBuf>,
    /// Whether profiles are handed out with which a device is attested.
    pub offers_acme: bool,
    /// Certificates in PEM of those who may attest devices; none is Apple's own.
    pub attestation_root: Option<String>,
    /// Where Apple's push service is; without a trailing slash.
    pub push_url: String,
    /// PEM file with certificates that are trusted there beside those that everybody trusts.
    pub push_root: Option<PathBuf>,
}

/// Apple's own.
const PUSH_URL: &str = "https://api.push.apple.com";

impl AppleSettings {
    /// Checks the settings; none if there is no such listener.
    ///
    /// # Errors
    /// When one is missing or wrong.
    pub(super) fn new(options: &Options) -> anyhow::Result<Option<Self>> {
        let Some(listen) = options.apple_listen else {
            if options.apple_url.is_some() || options.apple_topic.is_some() {
                return Err(anyhow!("apple-url and apple-topic need apple-listen, where Apple devices connect"));
            }
            return Ok(None);
        };
        let url = options.apple_url.as_deref().ok_or_else(|| anyhow!("apple-listen needs apple-url"))?;
        let url = check_url("apple-url", url)?;
        if !url.starts_with("https://") {
            return Err(anyhow!("apple-url must be https://: Apple devices take no other"));
        }
        let topic = options.apple_topic.clone();
        if let Some(topic) = topic.as_ref().filter(|it| !it.starts_with(TOPIC)) {
            return Err(anyhow!(
                "apple-topic is in the push certificate and begins with com.apple.mgmt.; `{topic}` does not"
            ));
        }
        Ok(Some(Self {
            listen,
            url,
            topic,
            root: options.apple_root.clone(),
            takes_weak_scep: options.apple_weak_scep.unwrap_or(true),
            certificate_header: options.apple_certificate_header.clone(),
            offers_acme: options.apple_acme.unwrap_or(false),
            attestation_root: options.apple_attestation_root.as_deref().map(attestation_root).transpose()?,
            push_certificate: options.apple_push_certificate.clone(),
            push_url: check_url("apple-push-url", options.apple_push_url.as_deref().unwrap_or(PUSH_URL))?,
            push_root: options.apple_push_root.clone(),
            trusted_proxies: options.trusted_proxy.iter().flatten().map(IpAddr::to_canonical).collect(),
        }))
    }
}

fn attestation_root(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading apple-attestation-root, {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<AppleSettings>, String> {
        AppleSettings::new(&toml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_listener_for_apple_devices_needs_its_address() {
        assert_eq!(of(""), Ok(None));
        let listen = "apple_listen = \"127.0.0.1:0\"";
        let topic = "apple_topic = \"com.apple.mgmt.External.1\"";
        let url = "apple_url = \"https://devices.example.org/\"";
        let whole = of(&format!("{listen}\n{topic}\n{url}")).unwrap().unwrap();
        assert_eq!((whole.url.as_str(), whole.takes_weak_scep), ("https://devices.example.org", true));
        assert_eq!((whole.offers_acme, whole.attestation_root), (false, None));
        assert_eq!(of(&format!("{listen}\n{url}")).unwrap().unwrap().topic, None, "the certificate says it");
        for wrong in [
            url.to_owned(),
            listen.to_owned(),
            format!("{listen}\n{topic}\napple_url = \"http://devices.example.org\""),
            format!("{listen}\n{url}\napple_topic = \"org.example\""),
            format!("{listen}\n{url}\n{topic}\napple_attestation_root = \"/nowhere\""),
        ] {
            assert!(of(&wrong).is_err(), "{wrong}");
        }
    }
}
