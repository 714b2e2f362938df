//! The settings of the listener for Apple devices.
use super::{Options, check_url};
use anyhow::anyhow;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// How this server is an Apple MDM server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppleSettings {
    pub listen: SocketAddr,
    /// `https://…`, where devices reach it; without a trailing slash.
    pub url: String,
    /// Of the push certificate, `com.apple.mgmt.External.…`.
    pub topic: String,
    /// Whether clients may ask for certificates with SHA-1 and DES.
    pub takes_weak_scep: bool,
    /// The header in which a trusted proxy passes on a device's certificate.
    pub certificate_header: Option<String>,
    pub trusted_proxies: Vec<IpAddr>,
    /// PEM file with the push certificate and its key; without it, no device is woken.
    pub push_certificate: Option<PathBuf>,
    /// Where Apple's push service is; without a trailing slash.
    pub push_url: String,
    /// Where Apple's device-enrolment service is; without a trailing slash.
    pub service_url: String,
    /// PEM file with the roots of the keys that Apple builds into devices; without it, their signatures have to be good, and
    /// nothing more.
    pub device_roots: Option<PathBuf>,
}

/// Apple's own.
const PUSH_URL: &str = "https://api.push.apple.com";

/// Apple's own.
const SERVICE_URL: &str = "https://mdmenrollment.apple.com";

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
        let topic = options.apple_topic.clone().ok_or_else(|| anyhow!("apple-listen needs apple-topic"))?;
        if !topic.starts_with("com.apple.mgmt.") {
            return Err(anyhow!(
                "apple-topic is in the push certificate and begins with com.apple.mgmt.; `{topic}` does not"
            ));
        }
        Ok(Some(Self {
            listen,
            url,
            topic,
            takes_weak_scep: options.apple_weak_scep.unwrap_or(true),
            certificate_header: options.apple_certificate_header.clone(),
            push_certificate: options.apple_push_certificate.clone(),
            push_url: check_url("apple-push-url", options.apple_push_url.as_deref().unwrap_or(PUSH_URL))?,
            service_url: check_url("apple-service-url", options.apple_service_url.as_deref().unwrap_or(SERVICE_URL))?,
            device_roots: options.apple_device_roots.clone(),
            trusted_proxies: options.trusted_proxy.iter().flatten().map(IpAddr::to_canonical).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<AppleSettings>, String> {
        AppleSettings::new(&toml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_listener_for_apple_devices_needs_its_address_and_topic() {
        assert_eq!(of(""), Ok(None));
        let listen = "apple_listen = \"127.0.0.1:0\"";
        let topic = "apple_topic = \"com.apple.mgmt.External.1\"";
        let url = "apple_url = \"https://devices.example.org/\"";
        let whole = of(&format!("{listen}\n{topic}\n{url}")).unwrap().unwrap();
        assert_eq!((whole.url.as_str(), whole.takes_weak_scep), ("https://devices.example.org", true));
        for wrong in [
            url.to_owned(),
            listen.to_owned(),
            format!("{listen}\n{url}"),
            format!("{listen}\n{topic}\napple_url = \"http://devices.example.org\""),
            format!("{listen}\n{url}\napple_topic = \"org.example\""),
        ] {
            assert!(of(&wrong).is_err(), "{wrong}");
        }
    }
}
