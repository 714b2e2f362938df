//! `POST /agent/v1/backups`: what a finished backup was.
use crate::clock::Clock;
use crate::domain::message::BackupReport;
use crate::protocol::agent::fault::{Done, Fault, Reply};
use crate::protocol::agent::signed::{Incoming, Message, data};
use crate::service;
use crate::wake::Wake;
use actix_web::{HttpRequest, post};

impl Incoming for BackupReport {
    // `excluded` names files: some hundred thousand at most.
    const LIMIT: usize = 32 << 20;
}

#[post("/agent/v1/backups")]
pub async fn backups(request: HttpRequest, received: Message<BackupReport>) -> Reply<Done> {
    Reply(run(&request, received).await)
}

async fn run(request: &HttpRequest, received: Message<BackupReport>) -> Result<Done, Fault> {
    let Message { from, message } = received;
    let now = data::<Clock>(request)?.now();
    // An act, for it decides what is tested: two at once must not both be the first.
    from.act(request, move |conn, device| service::backup::report(conn, device, &message, now)).await?;
    data::<Wake>(request)?.proof();
    Ok(Done {})
}
