//! Who acts, and how far what they may do reaches.
use crate::activity::Actor;
use crate::id::UserId;
use crate::role::{Grants, Permission, Reach};

/// A person who acts. Every act of a person takes one, and asks it how far the permission for that act reaches.
///
/// What the server's own machine, a device or a rule does has none, and takes an [`Actor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// How the history names them; nothing is decided by it.
    pub actor: Actor,
    pub user: UserId,
    pub grants: Grants,
    pub presence: Presence,
}

/// Whether the person was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// They looked at a page, and can agree to what it showed.
    Page,
    /// A token or a script acted in their name. It was shown nothing, so it can agree to nothing.
    Script,
}

impl By {
    /// The devices for which they hold `permission`; none if they hold it nowhere.
    pub fn reach(&self, permission: Permission) -> Option<Reach> {
        self.grants.reach(permission)
    }
}

/// Who does what a person may do at the console, and the server's own machine without one.
#[derive(Debug, Clone, Copy)]
pub enum Author<'a> {
    Person(&'a By),
    /// Whoever has the command line of the server's own machine.
    Host(&'a Actor),
}

impl<'a> Author<'a> {
    /// How the history names them.
    pub fn actor(self) -> &'a Actor {
        match self {
            Self::Person(by) => &by.actor,
            Self::Host(actor) => actor,
        }
    }

    /// The person's account; none for the host.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Person(by) => Some(by.user),
            Self::Host(_) => None,
        }
    }
}

impl<'a> From<&'a By> for Author<'a> {
    fn from(by: &'a By) -> Self {
        Self::Person(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{ActorKind, Via};
    use crate::role::{Role, Scope};
    use crate::time::Time;

    fn by(presence: Presence) -> By {
        let user = UserId::generate(Time::from_millis(1));
        let (name, address) = ("Ada".to_owned(), String::new());
        let actor = Actor { kind: ActorKind::User, id: Some(user.to_string()), name, via: Via::Web, address };
        By { actor, user, grants: Grants::new(vec![(Role::Helpdesk, Scope::Organisation)]), presence }
    }

    #[test]
    fn a_person_reaches_as_far_as_their_roles() {
        assert_eq!(by(Presence::Page).reach(Permission::LockDevices), Some(Reach::All));
        assert_eq!(by(Presence::Page).reach(Permission::RequestWipe), None);
    }

    #[test]
    fn a_person_has_an_account_and_the_host_has_none() {
        let by = by(Presence::Page);
        assert_eq!((Author::Person(&by).user(), Author::Host(&by.actor).user()), (Some(by.user), None));
        assert_eq!(Author::Host(&by.actor).actor(), &by.actor);
    }
}
