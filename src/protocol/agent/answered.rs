//! What was answered in the last moments.
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many answers are kept: those of the last moments.
const MAX_KEPT: usize = 4096;

/// A larger answer is given to those waiting for it, and not kept.
const MAX_BYTES: usize = 8 << 10;

/// Who sent a request, and its id.
type Key = (String, String);

/// An answer as it was given.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: StatusCode,
    pub retry_after: Option<HeaderValue>,
    pub body: Bytes,
}

impl Answered {
    /// The answer once more.
    pub fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(after) = self.retry_after {
            response.insert_header((RETRY_AFTER, after));
        }
        response.content_type(header::ContentType::json()).body(self.body)
    }
}

/// The answers of the last moments. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    by_request: HashMap<Key, watch::Receiver<Option<Answered>>>,
    /// The oldest first.
    order: VecDeque<Key>,
}

/// The first of its kind: whoever holds it owes the answer. If it is dropped without one, a copy is a request
/// of its own.
#[derive(Debug)]
pub struct First {
    answers: Answers,
    key: Key,
    answer: watch::Sender<Option<Answered>>,
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Each change is one step, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a request; for a copy, returns what to wait for.
    fn enter(&self, key: Key) -> Result<First, watch::Receiver<Option<Answered>>> {
        let mut kept = self.kept();
        if let Some(known) = kept.by_request.get(&key) {
            return Err(known.clone());
        }
        if kept.order.len() >= MAX_KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            // Copies that are waiting already hold the receiver, and still get the answer.
            kept.by_request.remove(&oldest);
        }
        let (answer, receiver) = watch::channel(None);
        kept.by_request.insert(key.clone(), receiver);
        kept.order.push_back(key.clone());
        drop(kept);
        Ok(First { answers: self.clone(), key, answer })
    }

    fn forget(&self, key: &Key) {
        let mut kept = self.kept();
        if kept.by_request.remove(key).is_some() {
            kept.order.retain(|it| it != key);
        }
    }

    /// The first of its kind, or the answer it got.
    pub async fn first(&self, key: Key) -> Result<First, Answered> {
        loop {
            let mut waiting = match self.enter(key.clone()) {
                Ok(first) => return Ok(first),
                Err(waiting) => waiting,
            };
            match waiting.wait_for(Option::is_some).await.map(|it| it.clone()) {
                Ok(Some(answered)) => return Err(answered),
                Ok(None) => {}
                // It ended without an answer, and was forgotten before its end was seen here.
                Err(_gone) => self.forget(&key),
            }
        }
    }
}

impl First {
    pub fn answer(&self, answered: Answered) {
        if answered.body.len() > MAX_BYTES {
            self.answers.forget(&self.key);
        }
        self.answer.send_replace(Some(answered));
    }
}

impl Drop for First {
    fn drop(&mut self) {
        if self.answer.borrow().is_none() {
            self.answers.forget(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        ("device".to_owned(), number.to_string())
    }

    fn said(text: &'static str) -> Answered {
        Answered { status: StatusCode::OK, retry_after: None, body: Bytes::from_static(text.as_bytes()) }
    }

    #[actix_web::test]
    async fn a_copy_waits_for_the_answer_to_the_first_and_gets_it_even_later() {
        let answers = Answers::default();
        let first = answers.first(key(1)).await.unwrap();

        let copy = answers.first(key(1));
        let (copy, ()) = tokio::join!(copy, async { first.answer(said("done")) });
        drop(first);

        assert_eq!(copy.unwrap_err().body, "done");
        assert_eq!(answers.first(key(1)).await.unwrap_err().body, "done");
        assert!(answers.first(key(2)).await.is_ok(), "another request is its own");
        let other = ("other".to_owned(), "1".to_owned());
        assert!(answers.first(other).await.is_ok(), "and so is another device's");
    }

    #[actix_web::test]
    async fn a_first_that_went_without_an_answer_leaves_the_copy_to_be_done() {
        let answers = Answers::default();
        let first = answers.first(key(1)).await.unwrap();

        let (copy, ()) = tokio::join!(answers.first(key(1)), async { drop(first) });

        assert!(copy.is_ok());
    }

    #[actix_web::test]
    async fn only_the_last_moments_are_kept_and_nothing_large() {
        let answers = Answers::default();
        for number in 0..=MAX_KEPT {
            answers.first(key(number)).await.unwrap().answer(said("done"));
        }
        let kept = || {
            let kept = answers.kept();
            (kept.by_request.len(), kept.order.len())
        };
        assert_eq!(kept(), (MAX_KEPT, MAX_KEPT));
        assert!(answers.first(key(0)).await.is_ok(), "the oldest was forgotten");

        let large = Answered { body: Bytes::from(vec![b' '; MAX_BYTES + 1]), ..said("") };
        let first = answers.first(key(9_999_999)).await.unwrap();
        first.answer(large);
        drop(first);
        assert!(answers.first(key(9_999_999)).await.is_ok());
    }
}
