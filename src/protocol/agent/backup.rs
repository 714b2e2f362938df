//! `POST /agent/v1/backups`: what a finished backup was; `…/backup-failures`: that one failed.
use crate::protocol::agent::convert;
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::reply::{Done, Reply};
use crate::protocol::agent::request::data;
use crate::protocol::agent::signed::{Incoming, Message};
use crate::service;
use actix_web::{HttpRequest, post};
use clock::Clock;
use wire::{BackupReport, FailedAttempt};

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
    let (message, now) = (convert::backup(message), data::<Clock>(request)?.now());
    // An act, because it decides what is tested: two at once must not both be the first.
    from.act(request, move |conn, device| service::backup::report(conn, device, &message, now)).await?;
    Ok(Done {})
}

impl Incoming for FailedAttempt {
    const LIMIT: usize = 16 << 10;
}

#[post("/agent/v1/backup-failures")]
pub async fn backup_failures(request: HttpRequest, received: Message<FailedAttempt>) -> Reply<Done> {
    Reply(run_failed(&request, received).await)
}

async fn run_failed(request: &HttpRequest, received: Message<FailedAttempt>) -> Result<Done, Fault> {
    let Message { from, message } = received;
    let (message, now) = (convert::failed_backup(message), data::<Clock>(request)?.now());
    from.act(request, move |conn, device| service::backup_attempt::failed(conn, device, &message, now)).await?;
    Ok(Done {})
}
