//! A body that arrives too slowly is cut off: otherwise a few strangers, each sending a byte now and then,
//! would tie up whatever the server holds for a running request.
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How slowly a body may arrive.
#[derive(Debug, Clone, Copy)]
pub struct Least {
    /// Added to what the bytes may take: a first round trip, a phone changing its cell.
    pub grace: Duration,
    /// Bytes per second; below a modem's.
    pub rate: u32,
}

impl Default for Least {
    fn default() -> Self {
        Self { grace: Duration::from_secs(20), rate: 8 << 10 }
    }
}

impl Least {
    /// How long the server may have waited for a body of which this many bytes have arrived.
    fn patience(self, received: u64) -> Duration {
        self.grace + Duration::from_secs(received / u64::from(self.rate.max(1)))
    }
}

/// A body that must keep a pace. Only time the server spent waiting for it counts: the time our own disk takes
/// is not the sender's fault.
pub struct Paced {
    body: Payload,
    least: Least,
    received: u64,
    waited: Duration,
    /// Since when the server has been waiting for it, and when that is too long.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    pub fn new(body: Payload, least: Least) -> Self {
        Self { body, least, received: 0, waited: Duration::ZERO, waiting: None }
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(next) = Pin::new(&mut this.body).poll_next(context) {
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            if let Some(Ok(chunk)) = &next {
                this.received += chunk.len() as u64;
            }
            return Poll::Ready(next);
        }
        let left = this.least.patience(this.received).saturating_sub(this.waited);
        let (_, timer) = this.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        match timer.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err(PayloadError::Io(too_slow(this.least))))),
        }
    }
}

fn too_slow(least: Least) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("it arrived at less than {} bytes per second", least.rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    fn body(pieces: u32, every: Duration) -> Payload {
        let stream = futures_util::stream::unfold(0, move |at| async move {
            if at == pieces {
                return None;
            }
            sleep(every).await;
            Some((Ok::<_, PayloadError>(Bytes::from_static(&[0; 1024])), at + 1))
        });
        Payload::Stream { payload: Box::pin(stream) }
    }

    async fn received(body: Payload, least: Least) -> Result<u64, PayloadError> {
        let mut paced = Paced::new(body, least);
        let mut received = 0;
        while let Some(chunk) = paced.next().await {
            received += chunk?.len() as u64;
        }
        Ok(received)
    }

    #[actix_web::test]
    async fn a_body_that_trickles_is_broken_off_and_one_that_is_slow_is_not() {
        let least = Least { grace: Duration::from_millis(50), rate: 1024 };
        assert_eq!(received(body(40, Duration::from_millis(1)), least).await.unwrap(), 40 << 10);
        assert!(received(body(2, Duration::from_secs(3600)), least).await.is_err(), "silent from the start");
        let crawl = Least { grace: Duration::from_millis(50), rate: 1 << 30 };
        assert!(
            received(body(10_000, Duration::from_millis(5)), crawl).await.is_err(),
            "below the least rate in the end"
        );
    }
}
