//! The columns of the list: which of them somebody wants to see, and how each one sorts.
use crate::auth::{Can, SignedIn, ViewDevices};
use crate::error::{Error, Result};
use crate::query::device::DeviceQuery;
use crate::service::preference;
use crate::store::device_list::Sort;
use crate::store::{Conn, Store};
use crate::web::PageResult;
use crate::web::flash::see_other;
use crate::web::form::{Pairs, value, values};
use actix_web::web::{Data, Form};
use actix_web::{HttpResponse, post};

/// A column that can be hidden; the first one, which names the device, cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Person,
    Encrypted,
    Proven,
    NewestBackup,
    IfWiped,
    Policies,
    CheckedIn,
}

impl Column {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Person,
        Self::Encrypted,
        Self::Proven,
        Self::NewestBackup,
        Self::IfWiped,
        Self::Policies,
        Self::CheckedIn,
    ];

    /// The word in the form and in what is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Encrypted => "encrypted",
            Self::Proven => "proven",
            Self::NewestBackup => "newest_backup",
            Self::IfWiped => "loss",
            Self::Policies => "policies",
            Self::CheckedIn => "checked_in",
        }
    }

    /// The heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "Person",
            Self::Encrypted => "Encrypted",
            Self::Proven => "Proven as of",
            Self::NewestBackup => "Newest backup",
            Self::IfWiped => "If wiped now",
            Self::Policies => "Policies failing",
            Self::CheckedIn => "Checked in",
        }
    }

    const fn sort(self) -> Sort {
        match self {
            Self::Person => Sort::Person,
            Self::Encrypted => Sort::Encryption,
            Self::Proven => Sort::ProvenAt,
            Self::NewestBackup => Sort::NewestBackup,
            Self::IfWiped => Sort::IfWiped,
            Self::Policies => Sort::Failing,
            Self::CheckedIn => Sort::LastSeen,
        }
    }
}

/// A heading with the link that sorts by it.
pub struct Heading {
    pub name: &'static str,
    pub href: String,
    /// The value of `aria-sort`.
    pub sort: &'static str,
}

/// The headings for the device and for the columns that are shown.
pub fn headings(query: &DeviceQuery, order: (Sort, bool), shown: &[Column]) -> Vec<Heading> {
    let device = heading(query, order, "Device", Sort::Name);
    std::iter::once(device).chain(shown.iter().map(|it| heading(query, order, it.name(), it.sort()))).collect()
}

fn heading(query: &DeviceQuery, (sort, is_descending): (Sort, bool), name: &'static str, by: Sort) -> Heading {
    let is_current = by == sort || (by == Sort::ProvenAt && sort == Sort::Worst);
    // The list is sorted worst first; the heading switches between that and the age of the proof. For failing
    // policies, the most failures come first.
    let next = match (by, sort, is_descending) {
        (Sort::ProvenAt, Sort::Worst, _) => ("proven_at", ""),
        (Sort::ProvenAt, Sort::ProvenAt, true) => ("", ""),
        (Sort::Failing, Sort::Failing, true) => ("failing", ""),
        (Sort::Failing, _, _) => ("failing", "desc"),
        _ if by == sort && !is_descending => (by.as_str(), "desc"),
        _ => (by.as_str(), ""),
    };
    Heading {
        name,
        href: format!("/devices?{}", query.with(&[("sort", next.0), ("dir", next.1)])),
        sort: match (is_current, is_descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        },
    }
}

const LIST: &str = "devices";

/// The columns that somebody sees.
///
/// # Errors
/// When the database refuses.
pub fn shown(conn: &mut Conn, by: &SignedIn) -> Result<Vec<Column>> {
    let hidden = preference::hidden_columns(conn, by.id, LIST)?;
    Ok(Column::ALL.into_iter().filter(|it| !hidden.iter().any(|word| word == it.as_str())).collect())
}

/// Keeps which columns are ticked, and goes back to the list as it was.
#[post("/devices/columns")]
pub async fn choose(by: Can<ViewDevices>, store: Data<Store>, form: Form<Pairs>) -> PageResult<HttpResponse> {
    let ticked: Vec<&str> = values(&form, "column").collect();
    if ticked.iter().any(|word| Column::ALL.iter().all(|it| it.as_str() != *word)) {
        return Err(Error::invalid("column", "There is no such column. Load the list again.").into());
    }
    let query: DeviceQuery = serde_urlencoded::from_str(value(&form, "query"))
        .map_err(|_not_ours| Error::invalid("query", "Load the list again."))?;
    let hidden: Vec<_> = Column::ALL.iter().map(|it| it.as_str()).filter(|it| !ticked.contains(it)).collect();
    let user = by.id;
    store.write(move |conn| preference::hide_columns(conn, user, LIST, &hidden)).await?;
    Ok(see_other(format!("/devices?{}", query.address()), Some("Your choice of columns was saved.")))
}
