//! The navigation around a page, made from the areas.
use crate::web::area::{Area, Link, Place};
use crate::web::layout::Layout;
use domain::role::Permission;

/// Leads to the first page of Settings that the person may open.
const SETTINGS: Link = Link { href: "/settings", icon: "settings", label: "Settings", needs: None };

impl Layout {
    /// The links of the navigation that the person may open.
    pub fn nav(&self) -> impl Iterator<Item = Link> {
        let main = self.areas.0.iter().filter_map(|it| match it.place {
            Place::Main(link) => Some(link),
            Place::Below(_) | Place::Settings { .. } | Place::Nowhere => None,
        });
        main.chain([SETTINGS]).filter(|it| it.needs.is_none_or(|permission| self.may(permission)))
    }

    /// Whether a link of the navigation leads to this page's area.
    pub fn is_current(&self, link: &Link) -> bool {
        self.areas.of(&self.path).and_then(main_link).is_some_and(|it| it == link.href)
    }

    /// Where a link of the navigation leads for this person.
    pub fn href(&self, link: &Link) -> &'static str {
        if link.href == SETTINGS.href {
            self.settings().first().map_or("/account", |(href, _)| href)
        } else {
            link.href
        }
    }

    /// The pages of Settings that the person may open, with their names.
    pub fn settings(&self) -> Vec<(&'static str, &'static str)> {
        let may = |needs: Option<Permission>| needs.is_none_or(|it| self.grants.allows_everywhere(it));
        let pages = self.areas.0.iter().filter_map(|it| match it.place {
            Place::Settings { href, label, needs } if may(needs) => Some((href, label)),
            Place::Settings { .. } | Place::Main(_) | Place::Below(_) | Place::Nowhere => None,
        });
        pages.collect()
    }
}

/// Where the link of the main navigation leads that an area belongs to.
const fn main_link(area: &Area) -> Option<&'static str> {
    match area.place {
        Place::Main(link) => Some(link.href),
        Place::Below(href) => Some(href),
        Place::Settings { .. } => Some(SETTINGS.href),
        Place::Nowhere => None,
    }
}
