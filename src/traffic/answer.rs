//! An answer holds its connection's turn until all of it was sent.
use crate::traffic::crowd::Connection;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One request of a connection, from its head to the end of its answer.
#[derive(Debug)]
pub struct Turn {
    connection: Arc<Connection>,
    is_strangers: bool,
}

impl Turn {
    pub fn begin(connection: Arc<Connection>) -> Self {
        let is_strangers = connection.asks();
        Self { connection, is_strangers }
    }

    /// Whether nobody knows yet whose connection it is.
    pub fn is_strangers(&self) -> bool {
        self.is_strangers
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.connection.is_answered();
    }
}

/// A body with the turn it belongs to.
pub struct Answer {
    body: BoxBody,
    turn: Option<Turn>,
}

impl Answer {
    pub fn new(body: impl MessageBody + 'static, turn: Option<Turn>) -> Self {
        Self { body: body.boxed(), turn }
    }
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, turn } = self;
        body.try_into_bytes().map_err(|body| Self { body, turn })
    }
}
