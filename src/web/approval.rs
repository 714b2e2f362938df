//! `/approvals`: wipes that wait, those that the reader decides and those that others do.
use crate::clock::Clock;
use crate::domain::role::Permission;
use crate::domain::wipe::BEFORE_DELIVERY;
use crate::error::Error;
use crate::service::wipe;
use crate::store::{self, Store};
use crate::web::error::PageResult;
use crate::web::form::with_status;
use crate::web::layout::Layout;
use crate::web::session::{Can, ViewDevices};
use crate::web::wipe::{Acting, Row, approvers, rows};
use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, get};
use askama::Template;

/// So many are shown.
const SHOWN: i64 = 500;

/// The pages of this area.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list);
}

#[derive(Template)]
#[template(path = "approval/list.html")]
struct ListPage {
    layout: Layout,
    mine: Vec<Row>,
    others: Vec<Row>,
}

#[get("/approvals")]
pub async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    clock: Data<Clock>,
) -> PageResult<HttpResponse> {
    use crate::domain::wipe::WipeState as S;
    let (who, view, now) = (by.clone(), by.reach().clone(), clock.now());
    let (mine, others) = store
        .read(move |conn| {
            let listed = store::wipe::list(conn, &BEFORE_DELIVERY, &view, SHOWN)?;
            let names = store::wipe::names(conn, &approvers(&listed))?;
            let acting = who.grants().reach(Permission::ApproveWipe).map(|reach| Acting::within(&who, reach));
            let (mut mine, mut others) = (Vec::new(), Vec::new());
            for row in rows(listed, &names)? {
                let waits = matches!(row.it.request.state, S::Requested | S::Held);
                let decides = match &acting {
                    Some(acting) if waits && acting.by().reach.covers(row.it.team_id) => {
                        match wipe::may_decide(conn, &acting.by(), &row.it.request, now) {
                            Ok(()) => true,
                            Err(Error::Refused(_) | Error::Conflict(_)) => false,
                            Err(other) => return Err(other),
                        }
                    }
                    _ => false,
                };
                if decides { mine.push(row) } else { others.push(row) }
            }
            Ok::<_, Error>((mine, others))
        })
        .await?;
    with_status(&ListPage { layout, mine, others }, StatusCode::OK)
}
