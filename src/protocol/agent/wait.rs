//! `GET /agent/v1/wait`: answers as soon as a command is waiting.
//!
//! While waiting, it holds no database connection and no thread.
use crate::protocol::agent::fault::{Fault, Refused};
use crate::protocol::agent::reply::Reply;
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::signed::Enrolled;
use crate::service::request::{RequestRefusal, accept};
use crate::store::{self, Store};
use crate::wake::{Wake, Woken};
use actix_web::web::Query;
use actix_web::{HttpRequest, get};
use clock::Clock;
use serde::Deserialize;
use std::time::Duration;
use wire::Waiting;

/// Proxies give up after a minute.
const LONGEST: u64 = 50;
/// How long a replaced wait pauses.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Asked {
    seconds: Option<u64>,
}

#[get("/agent/v1/wait")]
pub async fn wait(request: HttpRequest, from: Enrolled) -> Result<Reply<Waiting>, Refused> {
    from.enter(&request).await?;
    Ok(Reply(run(&request, from).await))
}

async fn run(request: &HttpRequest, from: Enrolled) -> Result<Waiting, Fault> {
    from.check_body(b"")?;
    let asked = Query::<Asked>::from_query(request.query_string())
        .map_err(|error| Fault::message("seconds", format!("whole seconds, at most {LONGEST}: {error}")))?;
    let patience = Duration::from_secs(asked.seconds.unwrap_or(LONGEST).min(LONGEST));
    let now = data::<Clock>(request)?.now();
    let (device, signed) = (from.device(), from.signed());
    // Before looking at the database, so that a command in between is not missed.
    let waiting = data::<Wake>(request)?.subscribe(device);
    let shared = data::<Shared>(request)?;
    let queued = data::<Store>(request)?
        .write(move |conn| match accept(conn, &signed, false)? {
            Ok(device) => Ok(Ok(store::command::is_queued(conn, device.id, device.generation, now)?)),
            Err(refusal) => Ok::<_, crate::error::Error>(Err::<bool, RequestRefusal>(refusal)),
        })
        .await?
        .map_err(|refusal| shared.fault(device, refusal))?;
    if queued {
        return Ok(Waiting { command_waits: true });
    }
    match waiting.wait(patience).await {
        Woken::Yes => Ok(Waiting { command_waits: true }),
        Woken::No => Ok(Waiting { command_waits: false }),
        // Otherwise two programs waiting for one device would keep ending each other's waits.
        Woken::Replaced => {
            Err(Fault::busy("this device is already waiting in another request; try again later", PAUSE))
        }
    }
}
