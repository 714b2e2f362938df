//! `/policies/new` and `/policies/{id}/edit`: the form that writes a policy.
use super::form::{PolicyForm, Span};
use super::{Desk, editable, guarded, team_name};
use crate::auth::{Can, EditPolicies};
use crate::error::Error;
use crate::service::policy;
use crate::store::team::Team;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::device::team_options;
use crate::web::flash::see_other;
use crate::web::form::refusal;
use crate::web::hashing::Shared;
use crate::web::layout::Layout;
use crate::web::span::UNITS;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::fields::FieldErrors;
use domain::id::PolicyId;

#[derive(Template, WebTemplate)]
#[template(path = "policy/edit.html")]
struct EditPage {
    layout: Layout,
    /// None for a new policy.
    id: Option<PolicyId>,
    form: PolicyForm,
    teams: Vec<(String, String)>,
    spans: [Span; 4],
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

#[get("/policies/new")]
pub async fn new(by: Can<EditPolicies>, layout: Layout, store: Data<Store>) -> PageResult<impl Responder> {
    let teams = store.read(store::team::all).await?;
    let reach = by.reach();
    let teams = teams.into_iter().filter(|it| reach.covers(Some(it.id))).collect();
    Ok(EditPage::new(layout, None, teams, PolicyForm::new(), FieldErrors::new()))
}

#[post("/policies")]
pub async fn add(
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

#[get("/policies/{id}/edit")]
pub async fn edit(
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
pub async fn change(
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
