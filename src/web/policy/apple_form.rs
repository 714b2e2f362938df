//! `/policies/apple/{scope}`: the form that sets something on Apple devices.
use super::Desk;
use super::apple::team;
use crate::auth::{Can, EditPolicies};
use crate::error::{Error, Result};
use crate::service::apple::settings::{change, editable, in_force, loosened, remove, shown};
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{Pairs, number, refusal, value};
use crate::web::layout::Layout;
use crate::web::login::require_password;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use domain::apple_settings::{MAX_LENGTH, Passcode, Restriction, Settings};
use domain::fields::FieldErrors;
use domain::guard::GuardedAct;
use domain::id::TeamId;

/// A restriction as the form shows it.
struct Choice {
    key: &'static str,
    name: &'static str,
    options: [Possible; 3],
}

/// What it may be set to.
struct Possible {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

/// What is typed, as the form shows it.
#[derive(Debug, Clone, Default)]
struct SettingsForm {
    passcode: bool,
    minimum_length: String,
    allows_simple: bool,
    /// `yes`, `no` or nothing.
    restrictions: Vec<(Restriction, String)>,
    file_vault: bool,
    time_machine: String,
}

impl SettingsForm {
    fn of(settings: &Settings) -> Self {
        let word = |it: &Restriction| match settings.restrictions.get(it) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let length = settings.passcode.and_then(|it| it.minimum_length);
        Self {
            passcode: settings.passcode.is_some(),
            minimum_length: length.map(|it| it.to_string()).unwrap_or_default(),
            allows_simple: settings.passcode.is_some_and(|it| it.allows_simple),
            restrictions: Restriction::ALL.iter().map(|it| (*it, word(it).to_owned())).collect(),
            file_vault: settings.file_vault,
            time_machine: settings.time_machine.clone().unwrap_or_default(),
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let choice = |(it, chosen): &(Restriction, String)| {
            let option = |value, text| Possible { value, text, is_chosen: value == chosen };
            let options = [option("", "as the device is"), option("yes", it.word(true)), option("no", it.word(false))];
            Choice { key: it.as_str(), name: it.name(), options }
        };
        self.restrictions.iter().map(choice).collect()
    }

    fn typed(pairs: &Pairs) -> Self {
        let is_on = |name| !value(pairs, name).is_empty();
        let restrictions = Restriction::ALL.iter().map(|it| (*it, value(pairs, it.as_str()).to_owned()));
        Self {
            passcode: is_on("passcode"),
            minimum_length: value(pairs, "minimum_length").trim().to_owned(),
            allows_simple: is_on("allows_simple"),
            restrictions: restrictions.collect(),
            file_vault: is_on("file_vault"),
            time_machine: value(pairs, "time_machine").trim().to_owned(),
        }
    }

    fn parse(&self) -> std::result::Result<Settings, FieldErrors> {
        let mut errors = FieldErrors::new();
        let minimum_length = Some(&self.minimum_length).filter(|it| self.passcode && !it.is_empty());
        let minimum_length =
            minimum_length.map(|it| number(it, "minimum_length", 1..=i64::from(MAX_LENGTH), &mut errors));
        let passcode = Passcode {
            minimum_length: minimum_length.and_then(|it| u8::try_from(it).ok()),
            allows_simple: self.allows_simple,
        };
        let mut settings = Settings {
            passcode: self.passcode.then_some(passcode),
            file_vault: self.file_vault,
            time_machine: Some(self.time_machine.clone()).filter(|it| !it.is_empty()),
            ..Settings::default()
        };
        for (restriction, word) in &self.restrictions {
            match word.as_str() {
                "" => {}
                "yes" => drop(settings.restrictions.insert(*restriction, true)),
                "no" => drop(settings.restrictions.insert(*restriction, false)),
                _ => errors.add(restriction.as_str(), "Choose one of the three."),
            }
        }
        errors.into_result()?;
        Ok(settings)
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "policy/apple_form.html")]
struct FormPage {
    layout: Layout,
    scope: String,
    name: String,
    /// Whether a team has settings of its own, which it may give up.
    is_own: bool,
    version: String,
    form: SettingsForm,
    errors: FieldErrors,
}

async fn page(
    by: &Can<EditPolicies>,
    (layout, store): (Layout, &Store),
    scope: String,
    (typed, errors): (Option<SettingsForm>, FieldErrors),
) -> Result<FormPage> {
    let (acting, team) = (by.acting(), team(&scope)?);
    let (name, current, is_own) = store
        .read(move |conn| {
            let name = editable(conn, &acting, team)?;
            let is_own = team.is_some() && store::apple::settings::find(conn, team)?.is_some();
            Ok::<_, Error>((name, in_force(conn, team)?, is_own))
        })
        .await?;
    let version = shown(&current, &name).version();
    let form = typed.unwrap_or_else(|| SettingsForm::of(&current));
    Ok(FormPage { layout, scope, name, is_own, version, form, errors })
}

#[get("/policies/apple/{scope}")]
pub async fn edit(
    by: Can<EditPolicies>,
    layout: Layout,
    store: Data<Store>,
    scope: Path<String>,
) -> PageResult<impl Responder> {
    Ok(page(&by, (layout, &store), scope.into_inner(), (None, FieldErrors::new())).await?)
}

/// Asks for a fresh password if a change loosens something, takes backups away, or sends data elsewhere.
async fn guarded(
    by: &Can<EditPolicies>,
    (store, clock, shared): &Desk,
    (team, settings): (Option<TeamId>, Option<&Settings>),
    password: &str,
) -> Result<()> {
    let (acting, settings) = (by.acting(), settings.cloned());
    let said = store.read(move |conn| loosened(conn, &acting, team, settings.as_ref())).await?;
    if !said.is_empty() {
        require_password(GuardedAct::LoosenPolicy, by, (store, clock, shared), password).await?;
    }
    Ok(())
}

const SAVED: &str = "Saved. Devices are woken, and get it when they come.";

#[post("/policies/apple/{scope}")]
pub async fn set(
    by: Can<EditPolicies>,
    layout: Layout,
    desk: Desk,
    (scope, pairs): (Path<String>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (store, clock) = (desk.0.clone(), desk.1.clone());
    let (scope, pairs) = (scope.into_inner(), pairs.into_inner());
    let (acting, now, team) = (by.acting(), clock.now(), team(&scope)?);
    let typed = SettingsForm::typed(&pairs);
    let version = value(&pairs, "version").to_owned();
    let done = match typed.parse() {
        Ok(settings) => match guarded(&by, &desk, (team, Some(&settings)), value(&pairs, "password")).await {
            Ok(()) => store.act(move |conn| change(conn, &acting, team, (&settings, &version), now)).await,
            Err(error) => Err(error),
        },
        Err(errors) => Err(errors.into()),
    };
    match done {
        Ok(()) => Ok(see_other("/policies/apple", Some(SAVED))),
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            refusal.again(&page(&by, (layout, &store), scope, (Some(typed), errors)).await?)
        }
    }
}

#[post("/policies/apple/{scope}/removals")]
pub async fn give_up(
    by: Can<EditPolicies>,
    layout: Layout,
    desk: Desk,
    (scope, pairs): (Path<String>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (store, clock, scope) = (desk.0.clone(), desk.1.clone(), scope.into_inner());
    let (acting, now) = (by.acting(), clock.now());
    let id = team(&scope)?.ok_or(Error::NotFound("team with settings of its own"))?;
    let done = match guarded(&by, &desk, (Some(id), None), value(&pairs, "password")).await {
        Ok(()) => store.act(move |conn| remove(conn, &acting, id, now)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => Ok(see_other("/policies/apple", Some(SAVED))),
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            refusal.again(&page(&by, (layout, &store), scope, (None, errors)).await?)
        }
    }
}
