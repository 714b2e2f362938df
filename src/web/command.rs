//! Commands: waiting and past ones, and cancelling what no device has received yet.
use crate::auth::{Can, SignedIn, ViewDevices};
use crate::error::Error;
use crate::query::command::CommandQuery;
use crate::service::command;
use crate::store::Store;
use crate::store::command_list::{self, Listed};
use crate::web::PageResult;
use crate::web::area::{Area, Link, Place};
use crate::web::flash::{see_other, see_other_refused};
use crate::web::form::{Pairs, local, value};
use crate::web::layout::Layout;
use actix_web::web::{Data, Form, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, Responder, get, post};
use askama::Template;
use askama_web::WebTemplate;
use clock::Clock;
use domain::command::CommandKind;
use domain::id::CommandId;
use domain::role::Permission;
use domain::words::counted;

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/commands",
        icon: "terminal",
        label: "Commands",
        needs: Some(Permission::ViewDevices),
    }),
    forms: &[("/commands/cancellations", "/commands"), ("/commands/{id}/cancellations", "/commands")],
    ..Area::new(routes, &["commands"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list).service(cancel_all).service(cancel);
}

const PER_PAGE: usize = 50;

#[derive(Template, WebTemplate)]
#[template(path = "command/list.html")]
struct ListPage {
    layout: Layout,
    query: CommandQuery,
    commands: Vec<Listed>,
    kinds: Vec<(String, String)>,
    states: Vec<(String, String)>,
    next: String,
    download: String,
}

impl ListPage {
    fn summary(&self) -> String {
        format!("{} shown, newest first", self.layout.count(self.commands.len()))
    }

    /// Whether any of those shown can be cancelled; then all of them can.
    fn can_cancel_any(&self) -> bool {
        self.commands.iter().any(|it| self.can_cancel(it))
    }

    fn can_cancel(&self, (command, _, team): &Listed) -> bool {
        command.kind.may_cancel(command.state).is_ok() && self.layout.may_in(command.kind.permission(), *team)
    }
}

#[get("/commands")]
async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    query: Query<CommandQuery>,
) -> PageResult<impl Responder> {
    let query = query.into_inner();
    let (filter, reach) = (query.filter()?, by.reach().clone());
    let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
    let mut commands = store.read(move |conn| command_list::newest(conn, &filter, &reach, limit)).await?;
    let has_more = commands.len() > PER_PAGE;
    commands.truncate(PER_PAGE);
    let last = commands.last().filter(|_| has_more).map(|(last, ..)| last.id.to_string());
    let next = last.map(|before| format!("/commands?{}", CommandQuery { before, ..query.clone() }.address()));
    let download = format!("/commands.csv?{}", CommandQuery { before: String::new(), ..query.clone() }.address());
    let pair = |value: &str, text: &str| (value.to_owned(), text.to_owned());
    let mut kinds = vec![pair("", "Any command")];
    kinds.extend(CommandKind::ALL.iter().map(|it| pair(it.as_str(), it.name())));
    let mut states = vec![pair("", "Any state"), pair("open", "Waiting for the device")];
    states.extend([
        pair("acknowledged", "Done"),
        pair("failed", "Failed"),
        pair("expired", "Expired"),
        pair("cancelled", "Cancelled"),
    ]);
    Ok(ListPage { layout, query, commands, kinds, states, next: next.unwrap_or_default(), download })
}

/// Cancels everything the list shows that no device has received yet, as far as the reader's roles reach.
#[post("/commands/cancellations")]
async fn cancel_all(
    by: SignedIn,
    (store, clock): (Data<Store>, Data<Clock>),
    form: Form<CommandQuery>,
) -> PageResult<HttpResponse> {
    let (acting, now, shown) = (by.acting(), clock.now(), form.filter()?);
    let count = store.act(move |conn| command::cancel_all(conn, &acting, &shown, now)).await?;
    let said = format!("{} cancelled before a device received it.", counted(count, "command", "commands"));
    Ok(see_other("/commands", Some(&said)))
}

/// Whoever may queue a kind of command may cancel it.
#[post("/commands/{id}/cancellations")]
async fn cancel(
    by: SignedIn,
    store: Data<Store>,
    clock: Data<Clock>,
    (id, form): (Path<CommandId>, Form<Pairs>),
) -> PageResult<HttpResponse> {
    let (acting, now, id) = (by.acting(), clock.now(), id.into_inner());
    let cancelled = store.act(move |conn| command::cancel(conn, &acting, id, now)).await;
    // A form on a device's page leads back to that page.
    let to = Some(value(&form, "to")).filter(|it| !it.is_empty()).map_or("/commands", local);
    match cancelled {
        Ok(_) => Ok(see_other(to, Some("The command was cancelled before the device received it."))),
        Err(Error::Conflict(why) | Error::Refused(why)) => Ok(see_other_refused(to, &why)),
        Err(error) => Err(error.into()),
    }
}
