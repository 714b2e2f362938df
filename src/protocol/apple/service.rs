//! A client of Apple's device-enrolment service.
use crate::error::Result;
use crate::protocol::apple::authority::timestamp;
use crate::protocol::apple::shared::Door;
use crate::service::apple::service::{DeviceService, Failure, Known, Page};
use crate::store::apple::service::{AppleService, AppleServiceDevice};
use anyhow::{Context, anyhow};
use apple::certificate::{Authority, Certificate, PrivateKey, Registrar, Validity};
use apple::service::{self, MAX_ANSWER, ServerToken, ServiceFault};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::time::{Time, days, minutes};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long Apple may ask to wait: a wrong answer must not stop it for ever.
const LONGEST_WAIT: Duration = minutes(6 * 60);

/// How long the certificate says that it is good. Nothing depends on it.
const LIFE: Duration = days(10 * 365);

const KEY: &str = "device service key";

/// The service, as the settings say where it is.
pub struct Client {
    door: Door,
    agent: Agent,
    /// Of the token file that is kept with it.
    session: Mutex<Option<(String, String)>>,
}

impl Client {
    pub fn new(door: Door) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Self { door, agent: Agent::new_with_config(config.max_redirects(0).build()), session: Mutex::default() }
    }

    fn token(&self, kept: &AppleService) -> std::result::Result<ServerToken, Failure> {
        let opened = || -> anyhow::Result<_> {
            let decoded = |text: &str| BASE64_STANDARD.decode(text).context("reading the device-enrolment account");
            let key = self.door.opened().map_err(|fault| anyhow!("{fault}"))?.unseal(KEY, &kept.sealed_key)?;
            let file = decoded(kept.token_file.as_deref().context("there is no token file")?)?;
            Ok((Certificate::parse(&decoded(&kept.certificate)?)?, PrivateKey::from_pkcs8(&key)?, file))
        };
        let (certificate, key, file) = opened().map_err(|error| Failure::Other(format!("{error:#}")))?;
        ServerToken::open(&file, &certificate, &key).map_err(|why| Failure::Other(format!("the token file: {why}")))
    }

    fn session(&self, kept: &AppleService, now: Time) -> std::result::Result<String, Failure> {
        let file = kept.token_file.clone().unwrap_or_default();
        let known = self.session.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, session)) = known.filter(|(of, _)| *of == file) {
            return Ok(session);
        }
        let token = self.token(kept)?;
        let url = format!("{}/session", self.door.settings().service_url);
        let nonce = secret::generate("").map_err(|error| Failure::Other(error.to_string()))?;
        let header = service::authorization(&token, &url, &nonce, now.seconds());
        let body = answered(self.agent.get(&url).header("Authorization", header).call())?;
        let session = service::session(&body).map_err(other)?;
        self.remember(Some((file, session.clone())));
        Ok(session)
    }

    fn remember(&self, session: Option<(String, String)>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }

    /// Asks with the session; once more with a new one if it has ended.
    fn ask(
        &self,
        kept: &AppleService,
        (path, body): (&str, Option<&str>),
        now: Time,
    ) -> std::result::Result<Vec<u8>, Failure> {
        match self.ask_once(kept, (path, body), now) {
            Err(Asked::SessionEnded) => {
                self.remember(None);
                self.ask_once(kept, (path, body), now).map_err(Failure::from)
            }
            answer => answer.map_err(Failure::from),
        }
    }

    fn ask_once(
        &self,
        kept: &AppleService,
        (path, body): (&str, Option<&str>),
        now: Time,
    ) -> std::result::Result<Vec<u8>, Asked> {
        let session = self.session(kept, now)?;
        let url = format!("{}{path}", self.door.settings().service_url);
        let sent = match body {
            Some(body) => self
                .agent
                .post(&url)
                .header("X-ADM-Auth-Session", &session)
                .header("X-Server-Protocol-Version", "3")
                .header("Content-Type", "application/json;charset=UTF8")
                .send(body),
            None => self
                .agent
                .get(&url)
                .header("X-ADM-Auth-Session", &session)
                .header("X-Server-Protocol-Version", "3")
                .call(),
        };
        if let Ok(answer) = &sent {
            // Any answer may bring the session that comes next.
            if let Some(next) = answer.headers().get("x-adm-auth-session").and_then(|it| it.to_str().ok()) {
                self.remember(Some((kept.token_file.clone().unwrap_or_default(), next.to_owned())));
            }
        }
        answered(sent)
    }
}

/// Why there is no answer.
enum Asked {
    SessionEnded,
    Failed(Failure),
}

impl From<Failure> for Asked {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Asked> for Failure {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::SessionEnded => other(ServiceFault::Session),
            Asked::Failed(failure) => failure,
        }
    }
}

fn other(fault: ServiceFault) -> Failure {
    match fault {
        ServiceFault::Cursor => Failure::Cursor,
        ServiceFault::Session => {
            Failure::Other("Apple’s service does not take the token: it may have been replaced".to_owned())
        }
        ServiceFault::Later | ServiceFault::TermsNotSigned | ServiceFault::Refused(_) | ServiceFault::Answer => {
            Failure::Other(fault.to_string())
        }
    }
}

fn answered(sent: std::result::Result<Response<Body>, ureq::Error>) -> std::result::Result<Vec<u8>, Asked> {
    let failed = |error: ureq::Error| Asked::Failed(Failure::Other(format!("Apple’s service: {error}")));
    let (head, mut body) = sent.map_err(failed)?.into_parts();
    let limit = u64::try_from(MAX_ANSWER).unwrap_or(u64::MAX);
    let bytes = body.with_config().limit(limit).read_to_vec().map_err(failed)?;
    if head.status.is_success() {
        return Ok(bytes);
    }
    match ServiceFault::of(head.status.as_u16(), &bytes) {
        ServiceFault::Session => Err(Asked::SessionEnded),
        ServiceFault::Later => {
            let said = head.headers.get("retry-after").and_then(|it| it.to_str().ok()?.trim().parse().ok());
            let wait = Duration::from_secs(said.unwrap_or(60)).clamp(Duration::from_secs(1), LONGEST_WAIT);
            Err(Failure::Later(wait).into())
        }
        fault @ (ServiceFault::Cursor
        | ServiceFault::TermsNotSigned
        | ServiceFault::Refused(_)
        | ServiceFault::Answer) => Err(other(fault).into()),
    }
}

impl DeviceService for Client {
    fn make(&self, now: Time) -> Result<AppleService> {
        let opened = self.door.opened().map_err(|fault| anyhow!("{fault}"))?;
        let validity = Validity { from: timestamp(now)?, until: timestamp(now + LIFE)? };
        // Nobody checks who issued it: Apple only encrypts to it.
        let issuer = Authority::create("Holdfast device enrolment", validity).context("making a key")?;
        let Registrar { certificate, key } =
            issuer.issue_registrar("Holdfast device enrolment", validity).context("making a key")?;
        Ok(AppleService {
            certificate: BASE64_STANDARD.encode(certificate.der()),
            sealed_key: opened.seal(KEY, &key.to_pkcs8())?,
            made_at: now,
            token_file: None,
            token_until: None,
            organization: String::new(),
            profile_uuid: None,
            sync_cursor: None,
            listing_from: None,
            synced_at: None,
            due_at: now,
            failure: None,
        })
    }

    fn account(&self, kept: &AppleService, now: Time) -> std::result::Result<Known, Failure> {
        let said = service::account(&self.ask(kept, ("/account", None), now)?).map_err(other)?;
        let until = self.token(kept)?.expires_at.map(|it| Time::from_millis(it.as_millisecond()));
        Ok(Known { organization: said.organization, until })
    }

    fn list(&self, kept: &AppleService, now: Time) -> std::result::Result<Page, Failure> {
        // Until the whole list was read once, its pages come from another address than what changed after.
        let is_whole = kept.sync_cursor.is_none() || kept.listing_from.is_some();
        let path = if is_whole { "/server/devices" } else { "/devices/sync" };
        let asked = service::list_request(kept.sync_cursor.as_deref());
        let page = service::listed(&self.ask(kept, (path, Some(&asked)), now)?).map_err(other)?;
        if page.has_more && kept.sync_cursor.as_ref() == Some(&page.cursor) {
            return Err(Failure::Other("Apple’s service gives the same page again and again".to_owned()));
        }
        let device = |it: service::Change| {
            let device = AppleServiceDevice {
                serial: it.serial,
                model: it.model,
                description: it.description,
                said_at: now,
                removed_at: None,
                token_id: None,
                profile_uuid: None,
            };
            (device, it.is_gone)
        };
        let devices = page.changes.into_iter().map(device).collect();
        Ok(Page { devices, cursor: page.cursor, has_more: page.has_more })
    }

    fn define(&self, kept: &AppleService, now: Time) -> std::result::Result<String, Failure> {
        let asked = service::profile_request(&format!("{}/apple/enroll/automatic", self.door.settings().url));
        service::defined(&self.ask(kept, ("/profile", Some(&asked)), now)?).map_err(other)
    }

    fn assign(
        &self,
        kept: &AppleService,
        (profile, serials): (&str, &[String]),
        now: Time,
    ) -> std::result::Result<Vec<String>, Failure> {
        let asked = service::assign_request(profile, serials);
        service::assigned(&self.ask(kept, ("/profile/devices", Some(&asked)), now)?).map_err(other)
    }
}
