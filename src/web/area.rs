//! An area of the pages: what one noun adds to the whole, in one place.
use actix_web::web::{Data, ServiceConfig};
use domain::role::Permission;

/// What an area's module exports as `AREA`.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// Registers its addresses.
    pub routes: fn(&mut ServiceConfig),
    pub place: Place,
    /// What its addresses begin with, between the first two slashes.
    pub starts: &'static [&'static str],
    /// Its addresses that work without signing in.
    pub public: &'static [&'static str],
    /// Its addresses that show a page and also accept that page's form.
    pub pages_with_forms: &'static [&'static str],
    /// Its addresses that only accept a form, each with the page that the form is on.
    ///
    /// A faulty form is answered at the address that accepts it. Whoever opens that address later, from a bookmark
    /// or after signing in again, means the page.
    pub forms: &'static [(&'static str, &'static str)],
}

/// Where an area stands in the navigation.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// It has its own link.
    Main(Link),
    /// It belongs to the area whose link leads there.
    Below(&'static str),
    /// It is a page of Settings, for those who hold the permission for the whole organisation.
    Settings { href: &'static str, label: &'static str, needs: Option<Permission> },
    /// It is for visitors, browsers or monitoring.
    Nowhere,
}

/// A link of the main navigation.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    pub href: &'static str,
    pub icon: &'static str,
    pub label: &'static str,
    pub needs: Option<Permission>,
}

impl Area {
    /// An area without a place, whose addresses only show something to people who are signed in.
    pub const fn new(routes: fn(&mut ServiceConfig), starts: &'static [&'static str]) -> Self {
        Self { routes, starts, place: Place::Nowhere, public: &[], pages_with_forms: &[], forms: &[] }
    }
}

/// All areas, in the order of the navigation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Areas(pub &'static [Area]);

impl Areas {
    /// What is registered in the data of a request; without it, no address is public.
    pub fn in_use(data: Option<&Data<Self>>) -> Self {
        data.map_or_else(Self::default, |it| ***it)
    }

    /// The area that an address belongs to.
    pub fn of(self, path: &str) -> Option<&'static Area> {
        let start = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        self.0.iter().find(|it| it.starts.contains(&start))
    }

    /// The addresses that work without signing in; every other one needs it.
    pub fn public(self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|it| it.public).copied()
    }

    /// Whether an address shows a page that also accepts its own form.
    pub fn is_page_with_form(self, pattern: &str) -> bool {
        self.0.iter().any(|it| it.pages_with_forms.contains(&pattern))
    }

    /// The page whose form an address accepts; none if it accepts no form, or is itself a page.
    pub fn page_behind(self, path: &str, pattern: Option<&str>) -> Option<&'static str> {
        let mut forms = self.0.iter().flat_map(|it| it.forms);
        // By the path too: `/devices/{id}` would also match the forms beside it.
        let (_, page) = forms.find(|(form, _)| *form == path || Some(*form) == pattern)?;
        Some(page)
    }
}
