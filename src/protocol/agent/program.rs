//! `GET /agent/v1/program`: the agent, for a machine that is to become a device.
//!
//! Whoever holds an open enrolment token may have it, without using up the token; strangers get nothing.
use crate::error::Error;
use crate::program::Program;
use crate::protocol::agent::enroll::{refused, too_many};
use crate::protocol::agent::fault::{Fault, Refused};
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::{address, body, request};
use crate::service::enrollment;
use crate::store::Store;
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get};
use anyhow::Context;
use bytes::Bytes;
use clock::Clock;
use futures_util::stream;
use std::io;
use tokio::task::spawn_blocking;
use wire::ErrorCode;

#[get("/agent/v1/program")]
pub async fn fetch(request: HttpRequest) -> Result<HttpResponse, Refused> {
    let own = open(&request).await.map_err(|it| Refused::at(it, request::now(&request)))?;
    let name = format!("attachment; filename=\"holdfast-{}\"", Program::platform());
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(SizedStream::new(own.size(), pieces(own))))
}

async fn open(request: &HttpRequest) -> Result<&'static Program, Fault> {
    let shared = data::<Shared>(request)?;
    let from = address::of(request)?;
    if !shared.may_enroll(from) {
        return Err(too_many());
    }
    let token = request::authorization(request)?.split_once(' ').filter(|(it, _)| it.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.trim().to_owned()).ok_or_else(|| {
        Fault::new(ErrorCode::TokenRefused, "send an enrolment token: `Authorization: Bearer` and the token")
    })?;
    let now = data::<Clock>(request)?.now();
    let store = data::<Store>(request)?;
    let open = store.read(move |conn| enrollment::check_open(conn, &token, now)).await?;
    open.map_err(|it| refused(shared, from, it))?;
    body::off_the_worker(|| {
        Program::offered().context("reading the agent's file").map_err(|it| Error::Internal(it).into())
    })
    .await
}

/// Reads as fast as the other side accepts.
fn pieces(own: &'static Program) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(0, move |at| async move {
        let piece = spawn_blocking(move || own.read(at)).await.map_err(io::Error::other)??;
        let next = at + piece.len() as u64;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), next)))
    })
}
