//! `POST /agent/v1/check-in`: facts and results in, policy and commands out.
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::reply::Reply;
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::signed::{Incoming, Message};
use crate::protocol::agent::{address, convert};
use crate::service;
use crate::service::check_in::Caller;
use crate::service::enrollment;
use crate::service::request::{RequestRefusal, accept};
use crate::store::Store;
use actix_web::{HttpRequest, post};
use clock::Clock;
use domain::channel::Channel;
use domain::fact::check_text;
use wire::{CheckIn, CheckInAnswer};

impl Incoming for CheckIn {
    const LIMIT: usize = 512 << 10;
}

#[post("/agent/v1/check-in")]
pub async fn check_in(request: HttpRequest, received: Message<CheckIn>) -> Reply<CheckInAnswer> {
    Reply(run(&request, received).await)
}

async fn run(request: &HttpRequest, received: Message<CheckIn>) -> Result<CheckInAnswer, Fault> {
    let Message { from, message } = received;
    let now = data::<Clock>(request)?.now();
    let (generation, version) = (message.generation, message.agent_version.clone());
    let carries = Channel::of_agent(&message.orders).carries;
    check_text(&version).map_err(|why| Fault::message("agent_version", why))?;
    let report = convert::report(message);
    service::check_in::check(&report, now)?;
    let address = address::of(request)?.to_string();
    let (device, signed, agent) = (from.device(), from.signed(), from.agent());
    let is_new_version = agent.version != version || agent.carries != carries;
    // Not an act: acts wait for one another, and this runs thousands of times a second.
    let answer = data::<Store>(request)?
        .write(move |conn| {
            let device = match accept(conn, &signed, false)? {
                Ok(device) => device,
                Err(refusal) => return Ok(Err(refusal)),
            };
            // The key is the right one, but what it signed was written for another enrolment.
            if generation != device.generation {
                return Ok(Err(RequestRefusal::KeyChanged));
            }
            // Only when it changes: each of thousands of check-ins a second is to write one row.
            if is_new_version {
                enrollment::agent::set_version(conn, &device, (&version, &carries))?;
            }
            let caller = Caller { device: &device, roots: agent.roots.clone(), address: &address };
            service::check_in::run(conn, caller, &report, now).map(Ok)
        })
        .await?;
    let shared = data::<Shared>(request)?;
    if is_new_version {
        // What is remembered says the version before.
        shared.forget(device);
    }
    let answer = answer.map_err(|refusal| shared.fault(device, refusal))?;
    Ok(convert::answer(answer, now))
}
