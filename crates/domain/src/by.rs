//! Who acts, and how far what they may do reaches.
use crate::activity::{Actor, Via};
use crate::id::UserId;
use crate::role::{Grants, Permission, Reach};

/// A person who acts. Every act of a person takes one, and asks it how far the permission for that act reaches.
///
/// What the server's own machine, a device or a rule does has none, and takes an [`Actor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    pub actor: Actor,
    pub user: UserId,
    pub grants: Grants,
}

impl By {
    /// The devices for which they hold `permission`; none if they hold it nowhere.
    pub fn reach(&self, permission: Permission) -> Option<Reach> {
        self.grants.reach(permission)
    }

    /// Whether they look at a page. A token in their name was shown no facts, so it can agree to none.
    pub fn is_at_a_page(&self) -> bool {
        self.actor.via == Via::Web
    }
}

/// Who does what a person may do at the console, and the server's own machine without one.
#[derive(Debug, Clone, Copy)]
pub enum Author<'a> {
    Person(&'a By),
    /// Whoever has the command line of the server's own machine.
    Host(&'a Actor),
}

impl<'a> From<&'a By> for Author<'a> {
    fn from(by: &'a By) -> Self {
        Self::Person(by)
    }
}
