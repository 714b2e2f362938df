//! Apple's push service, over HTTP/2 with the push certificate: one request for each device, whose body says nothing but that
//! it is to come.
use crate::config::AppleSettings;
use crate::service::apple::push::{Outcome, Push};
use crate::store::apple::push::Due;
use anyhow::Context;
use futures_util::StreamExt;
use reqwest::{Certificate, Client, Identity, StatusCode, Version};
use std::time::Duration;
use tokio::runtime::Handle;

/// How many requests are under way at once.
const AT_ONCE: usize = 32;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Wakes devices through Apple's push service.
#[derive(Debug, Clone)]
pub struct Apns {
    client: Client,
    url: String,
}

impl Apns {
    /// With the push certificate of the settings; none if there is none. `root` as in [`Apns::new`].
    ///
    /// # Errors
    /// When the file cannot be read, or is not a certificate with its key in PEM.
    pub fn open(settings: &AppleSettings, root: Option<&[u8]>) -> anyhow::Result<Option<Self>> {
        let Some(file) = &settings.push_certificate else { return Ok(None) };
        let pem = std::fs::read(file).with_context(|| format!("reading the push certificate {}", file.display()))?;
        let apns = Self::new(&pem, &settings.push_url, root);
        apns.map(Some).with_context(|| format!("using the push certificate {}", file.display()))
    }

    /// With a certificate and its key. `root`, in PEM, is trusted beside those that everybody trusts.
    ///
    /// # Errors
    /// When they are not both there in PEM.
    pub fn new(pem: &[u8], url: &str, root: Option<&[u8]>) -> anyhow::Result<Self> {
        secret::install_crypto();
        let identity = Identity::from_pem(pem).context("that is not a certificate with its key in PEM")?;
        let mut client = Client::builder().identity(identity).https_only(true).no_proxy().timeout(PATIENCE);
        if let Some(root) = root {
            client = client.tls_certs_merge([Certificate::from_pem(root).context("reading a root")?]);
        }
        let client = client.build().context("preparing the connection to Apple’s push service")?;
        Ok(Self { client, url: url.to_owned() })
    }

    async fn wake_one(&self, device: &Due) -> Outcome {
        let body = serde_json::json!({ "mdm": device.magic }).to_string();
        let sent = self
            .client
            .post(format!("{}/3/device/{}", self.url, device.token))
            .version(Version::HTTP_2)
            .header("apns-topic", &device.topic)
            .header("apns-push-type", "mdm")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(answer) => match answer.status() {
                StatusCode::OK => Outcome::Sent,
                StatusCode::GONE => Outcome::Gone,
                status => Outcome::Failed(format!("{status}: {}", reason(answer).await)),
            },
            Err(error) => Outcome::Failed(format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

/// Why Apple said no, in its own word; its answers are short.
async fn reason(answer: reqwest::Response) -> String {
    let bytes = answer.bytes().await.unwrap_or_default();
    let said: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let word = said.as_ref().and_then(|it| it.get("reason")).and_then(|it| it.as_str()).unwrap_or("no reason");
    word.chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

impl Push for Apns {
    /// Called on a thread where it may block.
    fn wake(&self, devices: &[Due]) -> Vec<Outcome> {
        let all = futures_util::stream::iter(devices).map(|it| self.wake_one(it)).buffered(AT_ONCE);
        Handle::current().block_on(all.collect())
    }
}
