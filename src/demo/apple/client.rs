//! A simulated device at the listener for Apple devices: over the real protocol, on loopback.
use anyhow::{Context, Result, bail};
use apple::plist::Dictionary;
use apple::simulated::{Asked, Device, Identity, asked, learn, registrar, signed};
use clock::Clock;
use jiff::Timestamp;
use std::net::SocketAddr;

/// A device that has enrolled, and what it identifies itself with.
pub struct Client {
    pub device: Device,
    pub topic: String,
    pub identity: Identity,
    door: SocketAddr,
    clock: Clock,
    agent: ureq::Agent,
}

impl Client {
    /// Enrolls a device with a token, from its profile to where it is reached; `key` is its key. `push_token` is 32 bytes.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn enroll(
        (door, clock): (SocketAddr, &Clock),
        device: Device,
        (token, key): (&str, &Identity),
        push_token: &[u8],
    ) -> Result<Self> {
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
        let learned = learn(&get(&agent, &format!("http://{door}/apple/enroll/{token}"))?)?;
        let registrar = registrar(&get(&agent, &format!("http://{door}/apple/scep?operation=GetCACert"))?)?;
        let message = key.asks(&registrar, Some(&learned.challenge), now(clock)?)?;
        let answer = agent.post(format!("http://{door}/apple/scep?operation=PKIOperation")).send(&message[..]);
        let answer = body(answer.context("asking for a certificate")?)?;
        let certificate = key.certificate_in(&answer)?.context("the server gave no certificate")?;
        let client =
            Self { identity: key.with(certificate)?, topic: learned.topic, device, door, clock: clock.clone(), agent };
        client.says(client.device.authenticate(&client.topic))?;
        client.says(client.device.token_update(&client.topic, push_token))?;
        Ok(client)
    }

    /// Says something, signed; the answer's bytes.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub fn says(&self, message: Dictionary) -> Result<Vec<u8>> {
        let (bytes, signature) = signed(message, &self.identity, now(&self.clock)?)?;
        let url = format!("http://{}/apple/mdm", self.door);
        let answer = self.agent.put(url).header("Mdm-Signature", signature).send(&bytes[..]);
        body(answer.context("speaking to the server")?)
    }

    /// Asks for something to do, and does all of it; returns what that was.
    ///
    /// # Errors
    /// As [`Client::says`].
    pub fn talks(&self) -> Result<Vec<Asked>> {
        let mut done = Vec::new();
        let mut next = asked(&self.says(self.device.idle())?)?;
        while let Some(it) = next {
            let is_last = it.kind == "EraseDevice";
            next = asked(&self.says(self.device.acknowledges(&it))?)?;
            done.push(it);
            if is_last {
                break;
            }
        }
        Ok(done)
    }
}

fn now(clock: &Clock) -> Result<Timestamp> {
    Timestamp::from_millisecond(clock.now().millis()).context("the time of a message")
}

fn get(agent: &ureq::Agent, url: &str) -> Result<Vec<u8>> {
    body(agent.get(url).call().with_context(|| format!("fetching {url}"))?)
}

fn body(answer: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>> {
    let (head, mut body) = answer.into_parts();
    let bytes = body.read_to_vec().context("reading an answer")?;
    if !head.status.is_success() {
        bail!("the server answered {}: {}", head.status, String::from_utf8_lossy(&bytes));
    }
    Ok(bytes)
}
