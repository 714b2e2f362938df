//! Policies: the list with its results, and the form that writes one.
mod form;

pub use form::PolicyForm;

use crate::error::Error;
use crate::service::compliance::{self, Tallies};
use crate::service::policy::{self, Draft};
use crate::store::device_list::Named;
use crate::store::policy::Policy;
use crate::store::team::Team;
use crate::store::{self, Conn, Store};
use crate::web::area::{Area, Link, Place};
use crate::web::device::team_options;
use crate::web::error::PageResult;
use crate::web::flash::see_other;
use crate::web::form::refusal;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::login::require_password;
use crate::web::session::{Can, EditPolicies, ViewPolicies};
use crate::web::span::UNITS;
use actix_web::web::{Data, Form, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::fields::FieldErrors;
use domain::guard::GuardedAct;
use domain::id::PolicyId;
use domain::policy::{Finding, Requirement};
use domain::role::Permission;
use form::Span;
use serde::Deserialize;

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/policies",
        icon: "list-checks",
        label: "Policies",
        needs: Some(Permission::ViewPolicies),
    }),
    pages_with_forms: &["/policies", "/policies/{id}"],
    forms: &[("/policies/{id}/removals", "/policies/{id}")],
    ..Area::new(routes, &["policies"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(new).service(add).service(show).service(edit).service(change).service(remove);
}

#[derive(Template, WebTemplate)]
#[template(path = "policy/list.html")]
struct ListPage {
    layout: Layout,
    policies: Vec<(Policy, Vec<Requirement>, String)>,
    tallies: Tallies,
}

#[derive(Template, WebTemplate)]
#[template(path = "policy/show.html")]
struct ShowPage {
    layout: Layout,
    policy: Policy,
    requirements: Vec<Requirement>,
    team: String,
    tallies: Tallies,
    /// What the first devices that do not meet it fail.
    failing: Vec<(Named, Finding)>,
    may_edit: bool,
    /// What was typed to remove it.
    confirm: String,
    errors: FieldErrors,
}

/// How many of the devices that do not meet a policy are shown.
const FIRST: usize = 20;

impl ShowPage {
    /// How many devices do not meet this requirement.
    fn fails(&self, requirement: &Requirement) -> i64 {
        self.tallies.of_requirement(self.policy.id, requirement.kind()).not_compliant
    }

    /// Whether there are more devices that do not meet it than are shown.
    fn is_cut(&self) -> bool {
        usize::try_from(self.tallies.of(self.policy.id).not_compliant).is_ok_and(|it| it > FIRST)
    }
}

#[derive(Template, WebTemplate)]
#[template(path = "policy/edit.html")]
struct EditPage {
    layout: Layout,
    /// None for a new policy.
    id: Option<PolicyId>,
    form: PolicyForm,
    teams: Vec<(String, String)>,
    spans: [Span; 3],
    errors: FieldErrors,
}

impl EditPage {
    fn new(layout: Layout, id: Option<PolicyId>, teams: Vec<Team>, form: PolicyForm, errors: FieldErrors) -> Self {
        let mut teams = team_options(teams);
        if let Some(first) = teams.first_mut() {
            "All devices".clone_into(&mut first.1);
        }
        Self { layout, id, teams, spans: form.spans(), form, errors }
    }
}

fn team_name(teams: &[Team], policy: &Policy) -> String {
    match policy.team_id {
        None => "All devices".to_owned(),
        Some(id) => teams.iter().find(|it| it.id == id).map_or("A team", |it| it.name.as_str()).to_owned(),
    }
}

#[get("/policies")]
async fn list(
    by: Can<ViewPolicies>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
) -> PageResult<impl Responder> {
    let (reach, now) = (by.reach().clone(), clock.now());
    let (policies, tallies) = store
        .read(move |conn| {
            let teams = store::team::all(conn)?;
            let policies = compliance::within(conn, &reach)?;
            let tallies = compliance::tallies(conn, &policies, &reach, now)?;
            let mut rows = Vec::with_capacity(policies.len());
            for policy in policies {
                let team = team_name(&teams, &policy);
                rows.push((policy.clone(), policy.requirements()?, team));
            }
            Ok::<_, Error>((rows, tallies))
        })
        .await?;
    Ok(ListPage { layout, policies, tallies })
}

#[get("/policies/new")]
async fn new(by: Can<EditPolicies>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let teams = store.read(store::team::all).await?;
    let reach = by.reach();
    let teams = teams.into_iter().filter(|it| reach.covers(Some(it.id))).collect();
    Ok(EditPage::new(layout, None, teams, PolicyForm::new(), FieldErrors::new()))
}

#[post("/policies")]
async fn add(
    by: Can<EditPolicies>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    form: Form<PolicyForm>,
) -> PageResult<HttpResponse> {
    let (acting, now, form) = (by.acting(), clock.now(), form.into_inner());
    let done = match form.parse() {
        Ok(draft) => store.act(move |conn| policy::add(conn, &acting, &draft, now)).await,
        Err(errors) => Err(errors.into()),
    };
    match done {
        Ok(policy) => Ok(see_other(
            format!("/policies/{}", policy.id),
            Some(
                "Saved. Devices get it at their next \
             check-in.",
            ),
        )),
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            let teams = store.read(store::team::all).await?;
            refusal.again(&EditPage::new(layout, None, teams, form, errors))
        }
    }
}

/// A policy with what it requires, and all teams.
type Loaded = (Policy, Vec<Requirement>, Vec<Team>);

fn load(conn: &mut Conn, policy: Option<Policy>) -> Result<Loaded, Error> {
    let policy = policy.filter(|it| it.removed_at.is_none()).ok_or(Error::NotFound("policy"))?;
    Ok((policy.clone(), policy.requirements()?, store::team::all(conn)?))
}

/// A policy that the person may change.
async fn editable(store: &Store, by: &Can<EditPolicies>, id: PolicyId) -> Result<Loaded, Error> {
    let acting = by.acting();
    let read = move |conn: &mut Conn| {
        let policy = policy::editable(conn, &acting, id)?;
        load(conn, Some(policy))
    };
    store.read(read).await
}

async fn show_page(
    by: &Can<ViewPolicies>,
    layout: Layout,
    store: &Store,
    id: PolicyId,
    (errors, confirm): (FieldErrors, String),
) -> PageResult<ShowPage> {
    let (reach, now) = (by.reach().clone(), layout.now);
    let ((policy, requirements, teams), tallies, failing) = store
        .read(move |conn| {
            let policy = store::policy::find(conn, id)?;
            let loaded = load(conn, policy.filter(|it| it.team_id.is_none() || reach.covers(it.team_id)))?;
            let one = vec![loaded.0.clone()];
            let tallies = compliance::tallies(conn, &one, &reach, now)?;
            let failing = compliance::failing(conn, &one, &reach, FIRST, now)?;
            Ok::<_, Error>((loaded, tallies, failing))
        })
        .await?;
    let team = team_name(&teams, &policy);
    let may_edit = by.grants().reach(Permission::EditPolicies).is_some_and(|it| it.covers(policy.team_id));
    Ok(ShowPage { layout, policy, requirements, team, tallies, failing, may_edit, confirm, errors })
}

#[get("/policies/{id}")]
async fn show(
    by: Can<ViewPolicies>,
    layout: Layout,
    store: Data<Store>,
    id: Path<PolicyId>,
) -> PageResult<impl Responder> {
    show_page(&by, layout, &store, id.into_inner(), Default::default()).await
}

#[get("/policies/{id}/edit")]
async fn edit(
    by: Can<EditPolicies>,
    layout: Layout,
    store: Data<Store>,
    id: Path<PolicyId>,
) -> PageResult<impl Responder> {
    let (policy, requirements, teams) = editable(&store, &by, id.into_inner()).await?;
    let form = PolicyForm::of(&policy, &requirements, &teams);
    Ok(EditPage::new(layout, Some(policy.id), teams, form, FieldErrors::new()))
}

#[post("/policies/{id}")]
async fn change(
    by: Can<EditPolicies>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
    shared: Data<Shared>,
    (id, form): (Path<PolicyId>, Form<PolicyForm>),
) -> PageResult<HttpResponse> {
    let desk: Desk = (store.clone(), clock.clone(), shared);
    let (acting, now, id, form) = (by.acting(), clock.now(), id.into_inner(), form.into_inner());
    let version = form.version.clone();
    let done = match form.parse() {
        Ok(draft) => match guarded(&by, &desk, id, Some(&draft), &form.password).await {
            Err(error) => Err(error),
            Ok(()) => {
                store
                    .act(move |conn| {
                        let old = policy::editable(conn, &acting, id)?;
                        let teams = store::team::all(conn)?;
                        let shown = policy::shown(&old, &old.requirements()?, team_name(&teams, &old));
                        shown.check(&version).map_err(Error::Conflict)?;
                        policy::change(conn, &acting, (id, old.version), &draft, now)
                    })
                    .await
            }
        },
        Err(errors) => Err(errors.into()),
    };
    match done {
        Ok(_) => Ok(see_other(
            format!("/policies/{id}"),
            Some(
                "Saved. Devices get it at their next \
         check-in.",
            ),
        )),
        Err(error) => {
            let is_newer = matches!(error, Error::Conflict(_));
            let (errors, refusal) = refusal(error)?;
            let (policy, requirements, teams) = editable(&store, &by, id).await?;
            let current = policy::shown(&policy, &requirements, team_name(&teams, &policy)).version();
            let version = if is_newer { current } else { form.version.clone() };
            refusal.again(&EditPage::new(layout, Some(id), teams, PolicyForm { version, ..form }, errors))
        }
    }
}

/// What a person types to remove a policy.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RemoveForm {
    confirm: String,
    password: String,
}

type Desk = (Data<Store>, Data<Clock>, Data<Shared>);

/// Asks for a fresh password if a change or a removal weakens a policy that guards data.
async fn guarded(
    by: &Can<EditPolicies>,
    (store, clock, shared): &Desk,
    id: PolicyId,
    draft: Option<&Draft>,
    password: &str,
) -> Result<(), Error> {
    let (acting, draft) = (by.acting(), draft.cloned());
    if store.read(move |conn| policy::is_guarded(conn, &acting, id, draft.as_ref())).await? {
        require_password(GuardedAct::LoosenPolicy, by, (store, clock, shared), password).await?;
    }
    Ok(())
}

#[post("/policies/{id}/removals")]
async fn remove(
    by: Can<EditPolicies>,
    viewer: Can<ViewPolicies>,
    layout: Layout,
    (store, clock, shared): Desk,
    (id, form): (Path<PolicyId>, Form<RemoveForm>),
) -> PageResult<HttpResponse> {
    let desk: Desk = (store.clone(), clock.clone(), shared);
    let (acting, now, id) = (by.acting(), clock.now(), id.into_inner());
    let RemoveForm { confirm, password } = form.into_inner();
    let typed = confirm.clone();
    let done = match guarded(&by, &desk, id, None, &password).await {
        Err(error) => Err(error),
        Ok(()) => store.act(move |conn| policy::remove(conn, &acting, id, &typed, now)).await,
    };
    match done {
        Ok(()) => Ok(see_other(
            "/policies",
            Some(
                "The policy was removed. Devices drop it at their next \
         check-in.",
            ),
        )),
        Err(error) => {
            let (errors, refusal) = refusal(error)?;
            refusal.again(&show_page(&viewer, layout, &store, id, (errors, confirm)).await?)
        }
    }
}
