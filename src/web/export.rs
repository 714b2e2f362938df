//! Lists as files: streamed piece by piece, and each download an entry of the history.
use crate::error::Result;
use crate::service;
use crate::store::Store;
use crate::web::session::SignedIn;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use anyhow::Context;
use serde::Serialize;

/// A piece of a file that is on its way.
pub type Piece = std::result::Result<Bytes, actix_web::Error>;

/// The head of a list as a file, which browsers keep instead of showing it.
pub fn file(content_type: &str, name: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(content_type)
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer
}

/// An error breaks the answer off, so that nobody takes half a list for a whole one.
pub fn finish(piece: Result<Vec<u8>>) -> Piece {
    piece.map(Bytes::from).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "an export broke off");
        actix_web::error::ErrorInternalServerError("the export broke off")
    })
}

/// Rows as a piece of a JSON list; `opening` is empty but for the first piece, `closing` but for the last.
///
/// # Errors
/// When a row cannot be written.
pub fn json_piece(opening: &str, rows: &[impl Serialize], closing: &str) -> Result<Vec<u8>> {
    let mut out = opening.as_bytes().to_vec();
    for (at, row) in rows.iter().enumerate() {
        if at > 0 || opening.is_empty() {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, row).context("writing a row as JSON")?;
    }
    out.extend_from_slice(closing.as_bytes());
    Ok(out)
}

/// Writes down who took which list; gives the number of the entry.
///
/// # Errors
/// When the database refuses; then nothing is handed out.
pub async fn record(
    by: &SignedIn,
    store: &Store,
    list: &'static str,
    filter: String,
    now: crate::domain::time::Time,
) -> Result<i64> {
    let actor = by.actor();
    store.act(move |conn| service::activity::exported(conn, &actor, list, &filter, now)).await
}
