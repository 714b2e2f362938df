//! Who sent a request: extractors that no unsigned request gets past.
//!
//! The order is: signature, claims, clock, then the length of the body, the
//! body, its hash, its fields. Nothing of a stranger's body is read.
use crate::error::{self, Error};
use crate::protocol::agent::fault::{Fault, Refused};
use crate::protocol::agent::request::{self, authorization, data};
use crate::protocol::agent::shared::{Known, KnownAgent, Shared};
use crate::protocol::agent::token::{self, Expected, Token};
use crate::protocol::agent::{body, copy};
use crate::service::enrollment::agent;
use crate::service::request::{RequestRefusal, Signed, accept};
use crate::store::device::Device;
use crate::store::{Conn, Store, in_transaction};
use crate::traffic;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use anyhow::anyhow;
use domain::id::DeviceId;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use wire::{Claims, ErrorCode};

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Refused>>>>;

/// A request that an enrolled device signed; its body is not read yet.
pub struct Enrolled {
    known: Known,
    claims: Claims,
}

impl Enrolled {
    pub fn device(&self) -> DeviceId {
        self.known.id
    }

    /// What is known of the agent that signed it.
    pub fn agent(&self) -> Arc<KnownAgent> {
        Arc::clone(&self.known.agent)
    }

    /// The hash that the body must have, in hex.
    pub fn body_sha256(&self) -> &str {
        &self.claims.body_sha256
    }

    /// For [`accept`](crate::service::request::accept), in the transaction of what the request does.
    pub fn signed(&self) -> Signed {
        Signed {
            device: self.known.id,
            generation: self.known.generation,
            jti: self.claims.jti.clone(),
            forget_at: token::forget_at(&self.claims),
        }
    }

    /// Does `work` for the device, in one act with recording the request's id. What `work` refuses is undone,
    /// but the request still counts as received: it is accepted only once.
    ///
    /// # Errors
    /// When the request is not accepted, or as `work`.
    pub async fn act<T: Send + 'static>(
        &self,
        request: &HttpRequest,
        work: impl FnOnce(&mut Conn, &Device) -> error::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let signed = self.signed();
        let accepted = data::<Store>(request)?
            .act(move |conn| -> error::Result<_> {
                Ok(accept(conn, &signed, false)?.map(|device| in_transaction(conn, |conn| work(conn, &device))))
            })
            .await?;
        let shared = data::<Shared>(request)?;
        let done = accepted.map_err(|refusal| shared.fault(self.device(), refusal))?;
        Ok(done?)
    }

    /// Checks the hash of the whole body.
    ///
    /// # Errors
    /// When it is not the one that was signed.
    pub fn check_body(&self, body: &[u8]) -> Result<(), Fault> {
        check_body(&self.claims, body)
    }

    fn check_hash(&self, hash: &[u8; 32]) -> Result<(), Fault> {
        check_hash(&self.claims, hash)
    }

    /// Registers the request as the first of its kind, if its sender asks for that.
    ///
    /// # Errors
    /// With the answer given, if it is a copy of another.
    pub async fn enter(&self, request: &HttpRequest) -> Result<(), Refused> {
        copy::enter(request, self.known.id.as_str(), &self.claims.jti).await
    }
}

/// Compares a body with the hash that was signed.
///
/// # Errors
/// When it is another body.
pub fn check_body(claims: &Claims, body: &[u8]) -> Result<(), Fault> {
    check_hash(claims, &secret::sha256(body))
}

fn check_hash(claims: &Claims, hash: &[u8; 32]) -> Result<(), Fault> {
    let mut said = [0; 32];
    let is_hash = hex::decode_to_slice(&claims.body_sha256, &mut said).is_ok();
    if is_hash && said == *hash {
        Ok(())
    } else {
        Err(Fault::new(ErrorCode::BadSignature, "the body is not the one that was signed (`body_sha256`)"))
    }
}

impl FromRequest for Enrolled {
    type Error = Refused;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { identify(&request).await.map_err(|it| Refused::at(it, request::now(&request))) })
    }
}

/// A signed message: a body within the limit, with the signed hash, that could be parsed.
pub struct Message<T> {
    pub from: Enrolled,
    pub message: T,
}

/// A message that a device sends.
pub trait Incoming: DeserializeOwned + Send + 'static {
    /// The largest body in bytes.
    const LIMIT: usize;
}

impl<T: Incoming> FromRequest for Message<T> {
    type Error = Refused;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let at = |it| Refused::at(it, request::now(&request));
            let from = identify(&request).await.map_err(at)?;
            let most = body::check_length(&request, T::LIMIT).map_err(at)?.unwrap_or(T::LIMIT as u64);
            let mut payload = payload;
            if let Err(copy) = from.enter(&request).await {
                // Read to its end, or a sender in the middle of the body would not see the answer.
                from.check_hash(&body::hash(&mut payload, T::LIMIT).await.map_err(at)?).map_err(at)?;
                return Err(copy);
            }
            receive(&request, payload, from, most).await.map_err(at)
        })
    }
}

async fn receive<T: Incoming>(
    request: &HttpRequest,
    payload: Payload,
    from: Enrolled,
    most: u64,
) -> Result<Message<T>, Fault> {
    // Without a length it may become large, so it counts as such.
    let is_large = most > SMALL as u64;
    let place = if is_large { Some(data::<Shared>(request)?.large().enter(from.device())?) } else { None };
    let holds = |bytes| place.as_ref().map_or(Ok(()), |it| it.holds(bytes as u64));
    let body = body::read(payload, T::LIMIT, holds).await?;
    from.check_body(&body)?;
    // A large one would hold up everything else on this worker.
    let message = if body.len() <= SMALL {
        body::parse(&body)?
    } else {
        body::off_the_worker(move || body::parse(&body)).await?
    };
    Ok(Message { from, message })
}

/// Bodies up to this size are parsed on the worker.
const SMALL: usize = 256 << 10;

async fn identify(request: &HttpRequest) -> Result<Enrolled, Fault> {
    let shared = data::<Shared>(request)?;
    let store = data::<Store>(request)?;
    let token = Token::parse(authorization(request)?)?;
    let id = token.kid.as_deref().and_then(DeviceId::parse).ok_or_else(|| {
        Fault::new(ErrorCode::BadSignature, "the token's `kid` must be the id the device got at enrolment")
    })?;
    let (known, claims) = verify(shared, store, &token, id).await?;
    let expected = Expected {
        sub: id.as_str(),
        method: request.method().as_str(),
        path: request.path(),
        now: request::now(request),
    };
    token::check(&claims, &expected)?;
    let audience = audience(shared, store).await?;
    if claims.aud != audience {
        return Err(Fault::new(ErrorCode::BadSignature, "the token's `aud` is not this server's audience"));
    }
    // Only now: those who have not shown who they are go first when connections run short.
    traffic::is_of_device(request, id);
    Ok(Enrolled { known, claims })
}

/// Verifies with the remembered key; if that does not fit, with the one in the database, which a new enrolment
/// may have changed.
async fn verify(shared: &Shared, store: &Store, token: &Token<'_>, id: DeviceId) -> Result<(Known, Claims), Fault> {
    let remembered = shared.key(id);
    if let Some(known) = &remembered
        && let Ok(claims) = token.verify(&known.key)
    {
        return Ok((known.clone(), claims));
    }
    let known = look_up(shared, store, id).await?;
    let claims = token.verify(&known.key)?;
    Ok((known, claims))
}

async fn look_up(shared: &Shared, store: &Store, id: DeviceId) -> Result<Known, Fault> {
    let unknown = || Fault::from(RequestRefusal::Unknown);
    let (enrollment, agent) = store.read(move |conn| agent::current(conn, id)).await?.ok_or_else(unknown)?;
    let carries = enrollment.channel().map_err(Error::from)?.carries;
    let agent = KnownAgent { roots: agent.roots().map_err(Error::from)?, version: agent.version, carries };
    let key = shared.remember(id, enrollment.generation, &enrollment.identity, agent);
    Ok(key.ok_or_else(|| Error::Internal(anyhow!("the signing key of device {id} cannot be read")))?)
}

async fn audience<'a>(shared: &'a Shared, store: &Store) -> Result<&'a str, Fault> {
    if let Some(audience) = shared.audience() {
        return Ok(audience);
    }
    let audience = store.read(agent::audience).await?;
    // There is none before the first enrolment, and then no device either.
    Ok(shared.set_audience(audience.ok_or_else(|| Fault::from(RequestRefusal::Unknown))?))
}
