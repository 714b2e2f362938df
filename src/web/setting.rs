//! What owners change for the organisation, and whether mail works.
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::time::Time;
use crate::error::{Error, FieldErrors};
use crate::service::setting::{NUMBERS, Number};
use crate::store::mail::OutboxStatus;
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::form::{self, Pairs};
use crate::web::hashing::Shared;
use crate::web::layout::{Layout, see_other};
use crate::web::login::require_password;
use crate::web::session::{Can, ManageSettings};
use crate::{service, wake};
use actix_web::web::{Data, Form, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;

/// Registers the pages of this area.
pub fn routes(config: &mut ServiceConfig) {
    config.service(show).service(change).service(send_test_mail);
}

#[derive(Template, WebTemplate)]
#[template(path = "setting/show.html")]
struct SettingsPage {
    layout: Layout,
    /// Each number with what its field shows.
    numbers: Vec<(Number, String)>,
    errors: FieldErrors,
    mail: MailStatus,
    public_url: String,
}

struct MailStatus {
    /// The address that mail comes from; none where no server is set.
    from: Option<String>,
    outbox: OutboxStatus,
}

async fn mail_status(store: &Store, config: &Config) -> PageResult<MailStatus> {
    let outbox = store.read(store::mail::status).await?;
    Ok(MailStatus { from: config.mail.as_ref().map(|it| it.from.clone()), outbox })
}

#[get("/settings")]
async fn show(
    _: Can<ManageSettings>,
    layout: Layout,
    store: Data<Store>,
    config: Data<Config>,
) -> PageResult<impl Responder> {
    let numbers = store
        .read(|conn| -> crate::error::Result<_> {
            NUMBERS
                .iter()
                .map(|it| Ok((*it, (service::setting::number(conn, it)? / it.unit).to_string())))
                .collect::<crate::error::Result<Vec<_>>>()
        })
        .await?;
    let mail = mail_status(&store, &config).await?;
    let public_url = config.public_url.clone();
    Ok(SettingsPage { layout, numbers, errors: FieldErrors::new(), mail, public_url })
}

#[post("/settings")]
async fn change(
    by: Can<ManageSettings>,
    layout: Layout,
    (store, clock, config, shared): (Data<Store>, Data<Clock>, Data<Config>, Data<Shared>),
    form: Form<Pairs>,
) -> PageResult<HttpResponse> {
    let (actor, now) = (by.actor(), clock.now());
    let (values, errors) = read(&form);
    let asked = match errors.into_result() {
        Ok(()) => require_password(&by, (&store, &clock, &shared), form::value(&form, "password")).await,
        Err(errors) => Err(errors.into()),
    };
    let done = match asked {
        Ok(()) => store.act(move |conn| service::setting::set_numbers(conn, &actor, &values, now)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(0) => Ok(see_other("/settings", Some("Nothing was different."))),
        Ok(_) => Ok(see_other("/settings", Some("The settings are changed."))),
        Err(Error::Invalid(errors)) => {
            let numbers = NUMBERS.iter().map(|it| (*it, form::value(&form, it.field).to_owned())).collect();
            let mail = mail_status(&store, &config).await?;
            let public_url = config.public_url.clone();
            form::again(&SettingsPage { layout, numbers, errors, mail, public_url })
        }
        Err(error) => Err(error.into()),
    }
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
    wake: Data<wake::Wake>,
) -> PageResult<HttpResponse> {
    let (actor, user, now): (_, _, Time) = (by.actor(), by.id, clock.now());
    if config.mail.is_none() {
        let why = "No mail server is set. Start the server with --mail-url.";
        return Err(Error::Refused(why.to_owned()).into());
    }
    store.act(move |conn| service::mail::test(conn, &actor, user, now)).await?;
    wake.mail();
    let text = format!("A test mail to {} is on its way. Its state is below.", by.email);
    Ok(see_other("/settings", Some(&text)))
}
