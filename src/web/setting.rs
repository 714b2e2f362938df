//! What owners change for the organisation, and whether mail works.
use crate::auth::{Can, ManageSettings};
use crate::config::Config;
use crate::error::{Error, FieldErrors};
use crate::service::host::{self, KeyCopy};
use crate::service::setting::{Changed, NUMBERS, Number};
use crate::service::{self, recovery_key, team_key};
use crate::store::mail::OutboxStatus;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::area::{Area, Place};
use crate::web::flash::see_other;
use crate::web::form::{self, Pairs};
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::guard::GuardedAct;
use domain::key_holder::{KeyHolder, left_out};
use domain::role::Permission;
use domain::shown::Shown;
use domain::time::Time;

pub const AREA: Area = Area {
    place: Place::Settings { href: "/settings", label: "Organisation", needs: Some(Permission::ManageSettings) },
    pages_with_forms: &["/settings"],
    forms: &[("/settings/test-mails", "/settings"), ("/settings/{name}/take-backs", "/settings")],
    ..Area::new(routes, &["settings"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(show).service(change).service(take_back).service(send_test_mail);
}

#[derive(Template, WebTemplate)]
#[template(path = "setting/show.html")]
struct SettingsPage {
    layout: Layout,
    fields: Vec<NumberField>,
    /// The values shown in the form.
    version: String,
    errors: FieldErrors,
    mail: MailStatus,
    public_url: String,
    proof_key: String,
    /// When a copy of the proof key was last found to be good.
    proof_key_copy: Option<KeyCopy>,
    recovery: Recovery,
}

/// How the backups stand to being opened with shares, in words.
struct Recovery {
    word: &'static str,
    is_good: bool,
    sentence: String,
    advice: Option<&'static str>,
    /// How far the repositories are sealed to their teams' keys.
    wrapping: String,
    /// How many no key of this server opens.
    left_out: Option<String>,
}

/// A number as the page shows it.
struct NumberField {
    number: Number,
    /// What its field shows.
    text: String,
    /// What it becomes, and when; in the form's units.
    next: Option<(i64, Time)>,
}

fn load(conn: &mut Conn, now: Time) -> crate::error::Result<Vec<NumberField>> {
    let load = |conn: &mut Conn, it: &Number| -> crate::error::Result<NumberField> {
        let value = it.value(conn, now)?;
        let next = value.next.map(|(next, at)| (next / it.unit, at));
        Ok(NumberField { number: *it, text: (value.now / it.unit).to_string(), next })
    };
    NUMBERS.iter().map(|it| load(conn, it)).collect()
}

async fn fields(store: &Store, now: Time) -> crate::error::Result<Vec<NumberField>> {
    store.read(move |conn| load(conn, now)).await
}

fn shown(fields: &[NumberField]) -> Shown {
    Shown::new(fields.iter().map(|it| {
        let next = it.next.map(|(next, at)| format!(", and {next} from {}", at.iso())).unwrap_or_default();
        (it.number.label, format!("{}{next}", it.text))
    }))
}

struct MailStatus {
    /// The sender of mails; none if no server is set.
    from: Option<String>,
    outbox: OutboxStatus,
}

async fn page(
    layout: Layout,
    (store, config): (&Store, &Config),
    fields: Vec<NumberField>,
    version: String,
    errors: FieldErrors,
) -> PageResult<SettingsPage> {
    let now = layout.now;
    let read = move |conn: &mut Conn| {
        let customers = store::repository::count_of(conn, KeyHolder::Customer)?;
        let recovery = (recovery_key::recoverability(conn, now)?, team_key::progress(conn)?, customers);
        Ok::<_, Error>((store::mail::status(conn)?, host::proof_key_copy(conn, now)?, recovery))
    };
    let (outbox, proof_key_copy, recovery) = store.read(read).await?;
    let (recovery, progress, customers) = recovery;
    let (word, is_good) = recovery.word();
    let sentence = recovery.sentence(|at| layout.zone.full(at));
    let (advice, wrapping) = (recovery.advice(), progress.sentence());
    let recovery = Recovery { word, is_good, sentence, advice, wrapping, left_out: left_out(customers) };
    let mail = MailStatus { from: config.mail.as_ref().map(|it| it.from.clone()), outbox };
    let (public_url, proof_key) = (config.public_url.clone(), config.proof_key.display().to_string());
    Ok(SettingsPage { layout, fields, version, errors, mail, public_url, proof_key, proof_key_copy, recovery })
}

#[get("/settings")]
async fn show(
    _: Can<ManageSettings>,
    layout: Layout,
    store: Data<Store>,
    config: Data<Config>,
) -> PageResult<impl Responder> {
    let fields = fields(&store, layout.now).await?;
    let version = shown(&fields).version();
    page(layout, (&store, &config), fields, version, FieldErrors::new()).await
}

#[post("/settings")]
async fn change(
    by: Can<ManageSettings>,
    layout: Layout,
    (store, clock, config, shared): (Data<Store>, Data<Clock>, Data<Config>, Data<Shared>),
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    let (values, errors) = read(&form);
    let version = form::value(&form, "version").to_owned();
    let asked = match errors.into_result() {
        Ok(()) => {
            require_password(GuardedAct::ChangeSettings, &by, (&store, &clock, &shared), form::value(&form, "password"))
                .await
        }
        Err(errors) => Err(errors.into()),
    };
    let done = match asked {
        Ok(()) => {
            store
                .act(move |conn| {
                    shown(&load(conn, now)?).check(&version).map_err(Error::Conflict)?;
                    service::setting::set_numbers(conn, &acting, &values, now)
                })
                .await
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(changed) => Ok(see_other("/settings", Some(said(changed)))),
        Err(error) => {
            let is_newer = matches!(error, Error::Conflict(_));
            let (errors, refusal) = form::refusal(error)?;
            let mut fields = fields(&store, now).await?;
            let typed = form::value(&form, "version").to_owned();
            let version = if is_newer { shown(&fields).version() } else { typed };
            for it in &mut fields {
                form::value(&form, it.number.field).clone_into(&mut it.text);
            }
            refusal.again(&page(layout, (&store, &config), fields, version, errors).await?)
        }
    }
}

const fn said(changed: Changed) -> &'static str {
    match changed {
        Changed { at_once: 0, later: 0 } => "Nothing was changed: all values are the same as before.",
        Changed { later: 0, .. } => "The settings were changed.",
        Changed { .. } => "The settings were changed. Looser values take effect after 72 hours; the page shows when.",
    }
}

#[post("/settings/{name}/take-backs")]
async fn take_back(
    by: Can<ManageSettings>,
    (store, clock): (Data<Store>, Data<Clock>),
    name: Path<String>,
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    store.act(move |conn| service::setting::take_back(conn, &acting, &name, now)).await?;
    Ok(see_other("/settings", Some("Taken back. The setting stays as it is.")))
}

fn read(pairs: &Pairs) -> (Vec<(Number, i64)>, FieldErrors) {
    let mut errors = FieldErrors::new();
    let values = NUMBERS
        .iter()
        .map(|it| (*it, form::number(form::value(pairs, it.field), it.field, it.least..=it.most, &mut errors)))
        .collect();
    (values, errors)
}

#[post("/settings/test-mails")]
async fn send_test_mail(
    by: Can<ManageSettings>,
    (store, clock, config): (Data<Store>, Data<Clock>, Data<Config>),
) -> PageResult<HttpResponse> {
    let (acting, now) = (by.acting(), clock.now());
    if config.mail.is_none() {
        return Err(Error::Refused("no mail server is set; the settings page says how to set one".to_owned()).into());
    }
    store.act(move |conn| service::mail::test(conn, &acting, now)).await?;
    let text = format!("A test mail to {} is on its way. Its state is below.", by.email);
    Ok(see_other("/settings", Some(&text)))
}
