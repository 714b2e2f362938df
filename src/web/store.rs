//! Where backups are kept, and what is known of the bytes there.
use crate::auth::{Can, ViewDevices};
use crate::error::Error;
use crate::service::copy::CopyState;
use crate::service::verification::{Shown, Verifiers, shown};
use crate::service::{copy_proof, escrow};
use crate::store::Store;
use crate::web::PageResult;
use crate::web::area::{Area, Link, Place};
use crate::web::filter;
use crate::web::layout::Layout;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::copy_proof::CopyProofs;
use domain::escrow::Coverage;
use domain::object::Location;
use domain::role::Permission;
use domain::verification::{Lag, Pace, Standing};

pub const AREA: Area = Area {
    place: Place::Main(Link {
        href: "/stores",
        icon: "hard-drive",
        label: "Stores",
        needs: Some(Permission::ViewDevices),
    }),
    ..Area::new(routes, &["stores"])
};

fn routes(config: &mut ServiceConfig) {
    config.service(list);
}

#[derive(Template, WebTemplate)]
#[template(path = "store/list.html")]
struct ListPage {
    layout: Layout,
    stores: Vec<Shown>,
    /// What was restored from the second store alone, with recovery shares.
    proofs: CopyProofs,
    /// The escrow records there, with which it gives backups back without any state of the console.
    escrow: Coverage,
}

impl ListPage {
    /// "3 h": how long the oldest bytes have waited that were never read back.
    fn waited(&self, lag: &Lag) -> Option<String> {
        match lag {
            Lag::None => None,
            Lag::Waiting(waited) | Lag::Late(waited) => Some(filter::span(*waited)),
        }
    }

    fn has_no_copy(&self) -> bool {
        self.stores.iter().all(|it| it.location != Location::Copy)
    }

    /// How far the second store is.
    fn copy(&self, state: &CopyState) -> Vec<String> {
        state.sentences(self.layout.now, &|at| self.layout.zone.full(at))
    }

    /// What is proven from the second store alone, and whether shares are to be asked for.
    fn proven(&self) -> (String, bool) {
        (self.proofs.sentence(self.layout.now, &|at| self.layout.zone.full(at)), self.proofs.is_due())
    }

    /// How the escrow records stand, and whether somebody should look at them.
    fn escrows(&self) -> (String, bool) {
        let now = self.layout.now;
        (self.escrow.sentence(now, &|at| self.layout.zone.full(at)), !self.escrow.is_good(now))
    }

    /// "30 days".
    fn cycle(&self, store: &Shown) -> String {
        domain::words::span(store.settings.cycle)
    }
}

#[get("/stores")]
async fn list(
    by: Can<ViewDevices>,
    layout: Layout,
    (store, verifiers): (Data<Store>, Data<Verifiers>),
) -> PageResult<impl Responder> {
    let (reach, now) = (by.reach().clone(), layout.now);
    let (stores, proofs, escrow) = store
        .read(move |conn| {
            let stores =
                verifiers.0.iter().map(|it| shown(conn, it, &reach, now)).collect::<Result<Vec<_>, Error>>()?;
            Ok::<_, Error>((stores, copy_proof::all(conn, &reach, now)?, escrow::coverage(conn)?))
        })
        .await?;
    Ok(ListPage { layout, stores, proofs, escrow })
}
