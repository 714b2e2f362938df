//! Lists as files: streamed piece by piece, with an entry in the history for each download.
use crate::auth::SignedIn;
use crate::error::Result;
use crate::service;
use crate::service::report::harmless;
use crate::store::Store;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use anyhow::Context;
use domain::time::Time;
use futures_util::stream;
use serde::Serialize;
use std::future::Future;

/// A piece of a file that is on its way.
pub type Piece = std::result::Result<Bytes, actix_web::Error>;

/// How many rows of a list are read at once for a file.
pub const CHUNK: i64 = 1_000;

/// The position to continue from after a chunk: that of its last row, or none if the chunk was not full.
pub fn next<Row, At>(rows: &[Row], at: impl Fn(&Row) -> At) -> Option<At> {
    let is_full = i64::try_from(rows.len()).is_ok_and(|it| it >= CHUNK);
    rows.last().filter(|_| is_full).map(at)
}

/// The headers of a list as a file, which browsers save instead of showing it.
pub fn file(content_type: &str, name: &str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(content_type)
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    answer
}

/// An error breaks off the answer, so that nobody takes half a list for a whole one.
pub fn finish(piece: Result<Vec<u8>>) -> Piece {
    piece.map(Bytes::from).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "an export broke off");
        actix_web::error::ErrorInternalServerError("the export broke off")
    })
}

/// Rows as a piece of a JSON list; `opening` is empty except for the first piece, `closing` except for the
/// last.
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

/// Rows as a piece of a CSV file, with `head` above them in the first piece.
///
/// No field begins like a formula: people and devices choose many of the values, and spreadsheets run what they
/// open.
///
/// # Errors
/// When a row cannot be written.
pub fn csv_piece(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !head.is_empty() {
        writer.write_record(head).context("writing the head of a CSV file")?;
    }
    for row in rows {
        writer.write_record(row.iter().map(|it| harmless(it))).context("writing a row of CSV")?;
    }
    Ok(writer.into_inner().context("writing CSV")?)
}

/// A list as a CSV file that is read and sent in chunks: `read` returns the rows after a position (none: from
/// the start) and the position to continue from (none: that was all).
pub fn csv_stream<At, Read, Reading>(name: &str, head: &'static [&'static str], read: Read) -> HttpResponse
where
    At: 'static,
    Read: Fn(Option<At>) -> Reading + 'static,
    Reading: Future<Output = Result<(Vec<Vec<String>>, Option<At>)>> + 'static,
{
    let body = stream::unfold(Some((read, None, head)), |state| async move {
        let (read, after, head) = state?;
        Some(match read(after).await {
            Ok((rows, next)) => {
                (finish(csv_piece(head, rows)), next.map(|next| (read, Some(next), &[] as &'static [&'static str])))
            }
            Err(error) => (finish(Err(error)), None),
        })
    });
    file("text/csv; charset=utf-8", name).streaming(Box::pin(body))
}

/// A time as written in files: ISO 8601 in UTC; empty if there is none.
pub fn iso(at: Option<Time>) -> String {
    at.map(Time::iso).unwrap_or_default()
}

/// The filter of an address without what was left open: "kind=&state=open" is "state=open".
fn chosen(filter: &str) -> String {
    let pairs = filter.split('&').filter(|it| it.split_once('=').is_some_and(|(_, value)| !value.is_empty()));
    pairs.collect::<Vec<_>>().join("&")
}

/// Records who took which list; returns the number of the entry.
///
/// # Errors
/// When the database refuses; then nothing is handed out.
pub async fn record(by: &SignedIn, store: &Store, list: &'static str, filter: String, now: Time) -> Result<i64> {
    let (acting, filter) = (by.acting(), chosen(&filter));
    store.act(move |conn| service::activity::exported(conn, &acting, list, &filter, now)).await
}
