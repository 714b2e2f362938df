//! What all workers share: devices' keys, so that a check-in needs no read before its one write, and the limits
//! on what strangers may ask for.
use crate::error::Error;
use crate::protocol::agent::answered::Answers;
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::large::LargeBodies;
use crate::protocol::agent::token;
use crate::service::request::RequestRefusal;
use anyhow::anyhow;
use aws_lc_rs::signature::ParsedPublicKey;
use domain::command::CommandKind;
use domain::id::DeviceId;
use governor::{DefaultKeyedRateLimiter, Quota};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A device's key as in the database, and the agent that has it. Cheap to clone.
#[derive(Clone)]
pub struct Known {
    pub id: DeviceId,
    pub generation: i64,
    pub key: Arc<ParsedPublicKey>,
    pub agent: Arc<KnownAgent>,
}

/// What a check-in needs of the agent's row, so that it need not read it each time.
pub struct KnownAgent {
    /// The folders it protects; they do not change within an enrolment.
    pub roots: Vec<String>,
    /// What its row says; written again only when the agent says something else. Only this process writes it: with
    /// several servers on one database, each would have to read it.
    pub version: String,
    /// The kinds of orders it carries out, likewise.
    pub carries: Vec<CommandKind>,
}

/// How many keys are remembered; then all are forgotten and read again.
const MAX_KEYS: usize = 200_000;

/// Shared by all workers of one server. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    keys: RwLock<HashMap<DeviceId, Known>>,
    audience: OnceLock<String>,
    enrollments: DefaultKeyedRateLimiter<IpAddr>,
    refused: DefaultKeyedRateLimiter<IpAddr>,
    preparing: Arc<Semaphore>,
    manifests: Arc<Semaphore>,
    large: LargeBodies,
    answers: Answers,
}

impl Default for Shared {
    fn default() -> Self {
        Self(Arc::new(Inner {
            keys: RwLock::default(),
            audience: OnceLock::new(),
            // A whole office enrolls from one address in one morning.
            enrollments: DefaultKeyedRateLimiter::keyed(per_minute(1200)),
            refused: DefaultKeyedRateLimiter::keyed(per_minute(20)),
            preparing: Arc::new(Semaphore::new(4)),
            manifests: Arc::new(Semaphore::new(2)),
            large: LargeBodies::default(),
            answers: Answers::default(),
        }))
    }
}

fn per_minute(count: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN))
}

impl Shared {
    pub fn new() -> Self {
        Self::default()
    }

    /// The large bodies that are being received.
    pub fn large(&self) -> &LargeBodies {
        &self.0.large
    }

    /// What was answered in the last moments.
    pub fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// A device's key, if it is remembered.
    pub fn key(&self, id: DeviceId) -> Option<Known> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Remembers a device's key; none if the text is not a key.
    pub fn remember(&self, id: DeviceId, generation: i64, signing_key: &str, agent: KnownAgent) -> Option<Known> {
        let key = Arc::new(token::public_key(signing_key)?);
        let known = Known { id, generation, key, agent: Arc::new(agent) };
        let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS {
            keys.clear();
        }
        keys.insert(id, known.clone());
        Some(known)
    }

    /// Forgets a device's key: it was wiped, removed, or enrolled again.
    ///
    /// Forgetting only serves speed: what a request does checks the generation and state again, in its
    /// transaction.
    pub fn forget(&self, id: DeviceId) {
        self.0.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// A refusal as a fault; what was remembered about a refused device may be out of date.
    pub fn fault(&self, device: DeviceId, refusal: RequestRefusal) -> Fault {
        if matches!(refusal, RequestRefusal::KeyChanged | RequestRefusal::Unknown | RequestRefusal::Wiped) {
            self.forget(device);
        }
        refusal.into()
    }

    /// The required `aud`, once it is known.
    pub fn audience(&self) -> Option<&str> {
        self.0.audience.get().map(String::as_str)
    }

    /// Keeps the required `aud`; it never changes.
    pub fn set_audience(&self, audience: String) -> &str {
        self.0.audience.get_or_init(|| audience)
    }

    /// Whether an address may try to enroll once more.
    pub fn may_enroll(&self, from: IpAddr) -> bool {
        self.0.enrollments.check_key(&from).is_ok()
    }

    /// Counts a refused enrolment; false when there were too many from this address.
    pub fn may_be_refused(&self, from: IpAddr) -> bool {
        self.0.refused.check_key(&from).is_ok()
    }

    /// Forgets the addresses that have been quiet.
    pub fn forget_addresses(&self) {
        self.0.enrollments.retain_recent();
        self.0.refused.retain_recent();
    }

    /// Bounds how many repositories are made at once.
    pub fn preparing(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.preparing)
    }

    /// Waits for a turn to decode a manifest: that takes memory, so only a few run at once.
    ///
    /// # Errors
    /// When the server is stopping.
    pub async fn turn_to_decode(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let turn = Arc::clone(&self.0.manifests).acquire_owned().await;
        turn.map_err(|_closed| Error::Internal(anyhow!("the server is stopping")).into())
    }
}
