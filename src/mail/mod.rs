//! Sending mail: by SMTP, or into memory for tests.
//!
//! A mail is first a row in the outbox (`service::mail`); `job::mail` takes it from there and calls
//! [`Mailer::send`].
use anyhow::{Context, anyhow};
use domain::name::plain;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message as Letter};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long one step of the conversation may take.
const STEP_LIMIT: Duration = Duration::from_secs(20);

/// How long one mail may take in total, however slowly the server answers.
const SEND_LIMIT: Duration = Duration::from_secs(60);

/// One mail to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Becomes the `Message-ID`, which tells a mail that had to be sent twice from two mails.
    pub id: String,
    pub to: String,
    pub subject: String,
    pub body: String,
}

/// Where mail goes.
#[derive(Clone)]
pub enum Mailer {
    Smtp(Smtp),
    /// Keeps what was sent; for tests.
    Memory(Arc<Mutex<Vec<Message>>>),
}

/// A mail server, and the sender address.
#[derive(Clone)]
pub struct Smtp {
    url: String,
    from: Mailbox,
}

impl Mailer {
    /// A mail server by its URL: `smtps://user:password@host:465`,
    /// `smtp://host:587?tls=required` or, without encryption, `smtp://host:25`.
    ///
    /// # Errors
    /// When the URL or the address cannot be read.
    pub fn smtp(url: &str, from: &str) -> anyhow::Result<Self> {
        let from = from.parse::<Mailbox>().with_context(|| format!("reading the mail address `{from}`"))?;
        transport(url)?;
        Ok(Self::Smtp(Smtp { url: url.to_owned(), from }))
    }

    /// A mailer that only remembers.
    pub fn memory() -> Self {
        Self::Memory(Arc::default())
    }

    /// What a memory mailer was given, oldest first.
    pub fn sent(&self) -> Vec<Message> {
        match self {
            Self::Smtp(_) => Vec::new(),
            Self::Memory(sent) => sent.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Hands a mail to the server; blocks for at most a minute.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the server answered but did not accept this one, [`Failure::Away`] if it cannot
    /// be reached or takes too long.
    pub fn send(&self, message: &Message) -> Result<(), Failure> {
        match self {
            Self::Smtp(smtp) => smtp.send(message),
            Self::Memory(sent) => {
                sent.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
                Ok(())
            }
        }
    }
}

/// Why a mail was not handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// This mail was refused; others may be accepted.
    #[error("{0}")]
    Refused(String),
    /// The server did not answer.
    #[error("{0}")]
    Away(String),
}

impl Smtp {
    fn send(&self, message: &Message) -> Result<(), Failure> {
        let letter = self.letter(message).map_err(|error| Failure::Refused(one_line(&format!("{error:#}"))))?;
        let transport = transport(&self.url).map_err(|error| Failure::Away(error.to_string()))?;
        // A separate runtime: the limit on the whole conversation needs a timer that can cut it off.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Away(error.to_string()))?;
        runtime.block_on(async {
            let sending = tokio::time::timeout(SEND_LIMIT, transport.build().send(letter)).await;
            let answer = sending.map_err(|_elapsed| {
                Failure::Away(format!("the mail server took longer than {} s", SEND_LIMIT.as_secs()))
            })?;
            answer.map(drop).map_err(|error| {
                let text = one_line(&chain(&error));
                // A code is an answer: the server is there.
                if error.status().is_some() { Failure::Refused(text) } else { Failure::Away(text) }
            })
        })
    }

    fn letter(&self, message: &Message) -> anyhow::Result<Letter> {
        let to = message.to.parse::<Mailbox>().with_context(|| format!("reading the mail address `{}`", message.to))?;
        Letter::builder()
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .from(self.from.clone())
            .to(to)
            .subject(one_line(&message.subject))
            .header(ContentType::TEXT_PLAIN)
            .body(message.body.clone())
            .context("writing a mail")
    }
}

fn transport(url: &str) -> anyhow::Result<AsyncSmtpTransportBuilder> {
    // The URL may hold a password, so the error does not repeat it.
    let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_may_hold_it| {
        anyhow!("give the mail server as `smtps://user:password@host:465` or `smtp://host:587?tls=required`")
    })?;
    Ok(builder.timeout(Some(STEP_LIMIT)))
}

/// An error with its causes, as one text.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        cause = it.source();
    }
    text
}

/// Text without line breaks and other control characters: a device's name must not become a header.
fn one_line(text: &str) -> String {
    plain(text).chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_server_or_address_is_refused_without_naming_the_password() {
        assert!(Mailer::smtp("smtps://u:p@mail.example", "Holdfast <holdfast@example.org>").is_ok());
        assert!(Mailer::smtp("smtp://localhost:25", "not an address").is_err());

        let error = Mailer::smtp("htp://user:topsecret@mail.example", "a@example.org").err().unwrap();

        assert!(!format!("{error:#}").contains("topsecret"));
    }

    #[test]
    fn a_name_with_line_ends_adds_no_header() {
        let Mailer::Smtp(smtp) = Mailer::smtp("smtp://localhost", "a@example.org").unwrap() else { unreachable!() };
        let message = Message {
            id: "1".to_owned(),
            to: "b@example.org".to_owned(),
            subject: "Laptop\r\nBcc: evil@example.org".to_owned(),
            body: "text".to_owned(),
        };

        let letter = String::from_utf8(smtp.letter(&message).unwrap().formatted()).unwrap();

        assert!(!letter.contains("\nBcc:"), "{letter}");
        assert!(letter.contains("Message-ID: <1@example.org>"), "{letter}");
    }
}
