//! `/policies/{id}`: what it asks for, who does not meet it, and its removal.
use super::{Desk, guarded, load, team_name};
use crate::auth::{Can, EditPolicies, ViewPolicies};
use crate::error::Error;
use crate::service::compliance::{self, Tallies};
use crate::service::policy;
use crate::store::device_list::Named;
use crate::store::policy::Policy;
use crate::store::{self, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::refusal;
use crate::web::layout::Layout;
use actix_web::web::{Data, Form, Path};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use domain::fields::FieldErrors;
use domain::id::PolicyId;
use domain::policy::{Finding, Requirement};
use domain::role::Permission;
use serde::Deserialize;

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
pub async fn show(
    by: Can<ViewPolicies>,
    layout: Layout,
    store: Data<Store>,
    id: Path<PolicyId>,
) -> PageResult<impl Responder> {
    show_page(&by, layout, &store, id.into_inner(), Default::default()).await
}

/// What a person types to remove a policy.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RemoveForm {
    confirm: String,
    password: String,
}

#[post("/policies/{id}/removals")]
pub async fn remove(
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
