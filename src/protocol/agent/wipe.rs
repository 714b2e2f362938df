//! `POST /agent/v1/wipe-reports`: how a wipe went; the answer is the receipt.
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::reply::Reply;
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::signed::{Incoming, Message};
use crate::protocol::agent::{address, convert};
use crate::service::request::accept;
use crate::service::wipe;
use crate::store::Store;
use actix_web::{HttpRequest, post};
use clock::Clock;
use domain::activity::Via;
use wire::{WipeReceipt, WipeReport};

impl Incoming for WipeReport {
    const LIMIT: usize = 4 << 20;
}

#[post("/agent/v1/wipe-reports")]
pub async fn wipe_reports(request: HttpRequest, received: Message<WipeReport>) -> Reply<WipeReceipt> {
    Reply(run(&request, received).await)
}

async fn run(request: &HttpRequest, received: Message<WipeReport>) -> Result<WipeReceipt, Fault> {
    let Message { from, message } = received;
    let address = address::of(request)?.to_string();
    let now = data::<Clock>(request)?.now();
    let (device, signed) = (from.device(), from.signed());
    let report = convert::wipe_report(message);
    let command_id = report.command_id;
    // A device that did not get its receipt reports again, and is already wiped by then.
    let accepted = data::<Store>(request)?
        .act(move |conn| match accept(conn, &signed, true)? {
            Ok(device) => wipe::reported(conn, &device.actor(Via::Agent, &address), &device, &report, now).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        })
        .await?;
    let shared = data::<Shared>(request)?;
    let received_at = accepted.map_err(|refusal| shared.fault(device, refusal))?;
    Ok(WipeReceipt { command_id, received_at })
}
