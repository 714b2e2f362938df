//! The certificate with which Apple devices are woken: asked for here, put in, and its end told in time.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{account, installation, reach};
use crate::store::apple::push_certificate::{PushRequest, StoredPushCertificate};
use crate::store::setting::PUSH_REMINDED;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::guard::GuardedAct;
use domain::push_certificate::{Offered, PushCertificate, PushRefusal, PushStanding, RENEWAL};
use domain::role::Permission;
use domain::time::Time;

/// What the settings say, fixed when the server starts. What is put in here goes before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Whether Apple devices are served.
    pub is_served: bool,
    pub topic: Option<String>,
    /// That of a file.
    pub certificate: Option<PushCertificate>,
}

/// A key that was just made, and the request for its certificate.
#[derive(Debug, Clone)]
pub struct Made {
    /// PKCS#8, encrypted, base64.
    pub key: String,
    /// In PEM.
    pub request: String,
}

/// Whoever has the keys.
pub trait Keys: Send + Sync {
    /// Makes a key; that takes a while.
    ///
    /// # Errors
    /// When there is no randomness.
    fn make(&self) -> Result<Made>;

    /// Reads a certificate in PEM that is to belong to this key of [`Made`]; none if it is not exactly one.
    ///
    /// # Errors
    /// When the key cannot be opened.
    fn read(&self, pem: &str, key: &str) -> Result<Option<Offered>>;
}

/// What is known of the certificate.
#[derive(Debug, Clone)]
pub struct Known {
    pub is_served: bool,
    /// The one in use.
    pub certificate: Option<PushCertificate>,
    /// When it was put in here; none if the settings name its file.
    pub put_in_at: Option<Time>,
    pub request: Option<PushRequest>,
    pub device_count: i64,
}

/// What is known of it now.
///
/// # Errors
/// When the database refuses.
pub fn known(conn: &mut Conn, given: &Given) -> Result<Known> {
    let stored = store::apple::push_certificate::find(conn)?;
    Ok(Known {
        is_served: given.is_served,
        put_in_at: stored.as_ref().map(|it| it.put_in_at),
        certificate: stored.map(facts).or_else(|| given.certificate.clone()),
        request: store::apple::push_certificate::find_request(conn)?,
        device_count: store::apple::enrollment::count(conn, None)?,
    })
}

fn facts(stored: StoredPushCertificate) -> PushCertificate {
    PushCertificate { topic: stored.topic, until: stored.until }
}

/// How the waking of devices stands; none if none are served.
///
/// # Errors
/// When the database refuses.
pub fn standing(conn: &mut Conn, given: &Given, now: Time) -> Result<Option<PushStanding>> {
    if !given.is_served {
        return Ok(None);
    }
    let stored = store::apple::push_certificate::find(conn)?.map(facts);
    Ok(Some(PushStanding::of(stored.as_ref().or(given.certificate.as_ref()), now)))
}

/// The topic that a new profile names; none if there is none yet: a device that enrolled without could never be woken.
///
/// # Errors
/// When the database refuses.
pub fn topic(conn: &mut Conn, given: &Given) -> Result<Option<String>> {
    let stored = store::apple::push_certificate::find(conn)?.map(|it| it.topic);
    Ok(stored.or_else(|| given.topic.clone()))
}

/// Keeps a key that was just made, in the place of one that still waits for its certificate. An act.
///
/// # Errors
/// `Refused` if nobody could be told.
pub fn request(conn: &mut Conn, by: &By, made: &Made, now: Time) -> Result<()> {
    let actor = reach::organisation(by.into(), Permission::ManageSettings)?;
    let request = PushRequest { key: made.key.clone(), request: made.request.clone(), made_at: now };
    store::apple::push_certificate::put_request(conn, &request)?;
    activity::record(conn, actor, &Act::done(Action::PushCertificateRequested, object()), now)?;
    let what =
        "A new key was made, and a request for its certificate. The certificate in use stays until another is put in.";
    tell(conn, actor, what, now)
}

/// Puts a certificate in, in the place of the present one. An act.
///
/// # Errors
/// `Invalid` if it is not for the request's key, no push certificate, out of date, or would leave enrolled devices behind.
pub fn put_in(conn: &mut Conn, by: &By, keys: &dyn Keys, pem: &str, now: Time) -> Result<()> {
    let actor = reach::organisation(by.into(), Permission::ManageSettings)?;
    let request =
        store::apple::push_certificate::find_request(conn)?.ok_or_else(|| refused(&PushRefusal::NoRequest))?;
    let offered = keys.read(pem, &request.key)?.ok_or_else(|| refused(&PushRefusal::Unreadable))?;
    let accepted = offered.accept(now).map_err(|it| refused(&it))?;
    let left_behind = store::apple::enrollment::count(conn, Some(&accepted.topic))?;
    let PushCertificate { topic, until } = accepted.reaches_all(left_behind).map_err(|it| refused(&it))?;
    store::apple::enrollment::end_unused_of_others(conn, &topic, now)?;
    let what = format!("topic {topic}, good until {}", until.iso());
    let (key, certificate) = (request.key, pem.trim().to_owned());
    let stored = StoredPushCertificate { key, certificate, topic, until, put_in_at: now };
    store::apple::push_certificate::put(conn, &stored)?;
    store::apple::push_certificate::end_request(conn)?;
    activity::record(conn, actor, &Act::done(Action::PushCertificatePutIn, object()).because(&what), now)?;
    tell(conn, actor, &format!("Another push certificate was put in: {what}."), now)
}

fn refused(why: &PushRefusal) -> Error {
    Error::invalid("certificate", why.to_string())
}

fn object() -> Object {
    Object::new("push_certificate", "", "the push certificate for Apple devices")
}

#[derive(Template)]
#[template(path = "mail/push_certificate_changed.txt")]
struct Changed<'a> {
    by: &'a str,
    what: &'a str,
    url: String,
}

fn tell(conn: &mut Conn, actor: &Actor, what: &str, now: Time) -> Result<()> {
    let by = account::who(conn, actor)?;
    let body = Changed { by: &by, what, url: url(conn)? };
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageUsers, None),
        kind: GuardedAct::ChangePushCertificate.as_str(),
        dedupe_key: None,
        subject: "The push certificate for Apple devices is changed".to_owned(),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_or_refuse(conn, &mail, now)
}

#[derive(Template)]
#[template(path = "mail/push_certificate_ends.txt")]
struct Ends {
    sentence: String,
    renewal: &'static str,
    url: String,
}

/// The reminder that is due and was not sent.
///
/// # Errors
/// When the database refuses.
pub fn reminder(conn: &mut Conn, given: &Given, now: Time) -> Result<Option<String>> {
    let due = standing(conn, given, now)?.and_then(PushStanding::reminder);
    let told = PUSH_REMINDED.find(conn)?;
    Ok(due.filter(|it| told.as_ref() != Some(it)))
}

/// Reminds whoever manages settings that the certificate ends, or did; returns how many mails that made.
///
/// # Errors
/// When the database refuses.
pub fn remind(conn: &mut Conn, given: &Given, now: Time) -> Result<usize> {
    let (Some(due), Some(standing)) = (reminder(conn, given, now)?, standing(conn, given, now)?) else { return Ok(0) };
    let body = Ends { sentence: standing.sentence(&Time::iso), renewal: RENEWAL, url: url(conn)? };
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageSettings, None),
        kind: "push_certificate_ends",
        dedupe_key: Some(due.clone()),
        subject: format!("Push certificate for Apple devices: {}", standing.word().to_lowercase()),
        body: body.render().context("writing a mail")?,
    };
    PUSH_REMINDED.set(conn, &due, now)?;
    mail::enqueue(conn, &mail, now)
}

fn url(conn: &mut Conn) -> Result<String> {
    Ok(format!("{}/push-certificate", installation::public_url(conn)?.unwrap_or_default()))
}
