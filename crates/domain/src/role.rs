//! Who may do what.
use crate::id::TeamId;
use crate::text::text_enum;

text_enum! {
    /// A set of permissions a person holds in the organisation or in one team.
    Role {
        Owner = "owner",
        Operator = "operator",
        Approver = "approver",
        PolicyEditor = "policy_editor",
        Recovery = "recovery",
        Helpdesk = "helpdesk",
        Auditor = "auditor",
        Observer = "observer",
    }
}

/// One permission that a handler may require.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    ViewDevices,
    /// File names in backups and failures.
    ViewFileNames,
    ViewActivity,
    EnrollDevices,
    LockDevices,
    /// Back up now, prove now, and tokens with which a person's own restic client appends.
    RunBackups,
    /// Reading what devices backed up: looking inside restore points, downloads, tokens that read, and restores to
    /// another person's device.
    ReadContents,
    RequestWipe,
    ApproveWipe,
    /// Anyone who may see the device may stop a wipe.
    StopWipe,
    Restore,
    /// Agreeing, as a second person, to a restore from one device to another.
    ApproveRestore,
    ViewPolicies,
    EditPolicies,
    ManageUsers,
    ManageSettings,
    /// Making holds, and asking to lift one.
    Hold,
    /// Agreeing, as a second person, to keep less or to lift a hold.
    ApproveRemoval,
}

impl Role {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Operator => "Operator",
            Self::Approver => "Approver",
            Self::PolicyEditor => "Policy editor",
            Self::Recovery => "Recovery",
            Self::Helpdesk => "Helpdesk",
            Self::Auditor => "Auditor",
            Self::Observer => "Observer",
        }
    }

    /// What it is for, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Owner => "Manages people and settings, and can do everything the other roles can.",
            Self::Operator => "Enrolls devices, backs them up, restores to them, locks them and requests wipes.",
            Self::Approver => {
                "Decides on wipes, on restores to another device, and on keeping less, that somebody else requested."
            }
            Self::PolicyEditor => "Writes the policies that say what devices must meet.",
            Self::Recovery => "Restores files, and can read what devices backed up.",
            Self::Helpdesk => "Sees devices and locks them.",
            Self::Auditor => "Sees devices and their activity. Changes nothing, but can stop a wipe.",
            Self::Observer => "Sees devices and policies. Changes nothing, but can stop a wipe.",
        }
    }

    /// Whether it is offered for a single team: people and settings belong to the organisation, so an owner does too.
    pub const fn is_for_teams(self) -> bool {
        !matches!(self, Self::Owner)
    }

    /// Whether it lets somebody request or approve wipes.
    pub const fn has_part_in_wipes(self) -> bool {
        self.allows(Permission::RequestWipe) || self.allows(Permission::ApproveWipe)
    }

    /// Whether this role alone gives `permission`.
    pub const fn allows(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            P::ViewDevices | P::StopWipe | P::ViewPolicies => true,
            P::ViewFileNames => matches!(self, Self::Owner | Self::Operator | Self::Approver | Self::Recovery),
            P::ViewActivity => matches!(self, Self::Owner | Self::Auditor | Self::Operator | Self::Approver),
            P::EnrollDevices | P::RequestWipe => matches!(self, Self::Owner | Self::Operator),
            P::RunBackups | P::Restore => matches!(self, Self::Owner | Self::Operator | Self::Recovery),
            P::ReadContents => matches!(self, Self::Owner | Self::Recovery),
            P::LockDevices => matches!(self, Self::Owner | Self::Operator | Self::Helpdesk),
            P::ApproveWipe | P::ApproveRestore | P::ApproveRemoval => matches!(self, Self::Owner | Self::Approver),
            P::EditPolicies => matches!(self, Self::Owner | Self::PolicyEditor),
            P::Hold => matches!(self, Self::Owner | Self::Operator | Self::Approver),
            P::ManageUsers | P::ManageSettings => matches!(self, Self::Owner),
        }
    }
}

/// Where a role holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Organisation,
    Team(TeamId),
}

/// The devices a permission covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    All,
    Teams(Vec<TeamId>),
}

impl Reach {
    /// Whether a device of `team` is within reach.
    pub fn covers(&self, team: Option<TeamId>) -> bool {
        match self {
            Self::All => true,
            Self::Teams(teams) => team.is_some_and(|team| teams.contains(&team)),
        }
    }
}

/// All roles of one person; they add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(Vec<(Role, Scope)>);

impl Grants {
    pub fn new(grants: Vec<(Role, Scope)>) -> Self {
        Self(grants)
    }

    /// Every role with its scope.
    pub fn iter(&self) -> impl Iterator<Item = &(Role, Scope)> {
        self.0.iter()
    }

    /// The devices for which `permission` holds; none if it holds nowhere.
    pub fn reach(&self, permission: Permission) -> Option<Reach> {
        let mut teams = Vec::new();
        for (role, scope) in &self.0 {
            if role.allows(permission) {
                match scope {
                    Scope::Organisation => return Some(Reach::All),
                    Scope::Team(team) => teams.push(*team),
                }
            }
        }
        (!teams.is_empty()).then_some(Reach::Teams(teams))
    }

    /// Whether `permission` holds for the whole organisation.
    pub fn allows_everywhere(&self, permission: Permission) -> bool {
        self.reach(permission) == Some(Reach::All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn a_role_in_a_team_reaches_only_that_team() {
        let [mine, other] = [1, 2].map(|at| TeamId::generate(Time::from_millis(at)));
        let grants = Grants::new(vec![(Role::Operator, Scope::Team(mine))]);

        let reach = grants.reach(Permission::RequestWipe).unwrap();

        assert!(reach.covers(Some(mine)));
        assert!(!reach.covers(Some(other)));
        assert!(!reach.covers(None));
        assert!(!grants.allows_everywhere(Permission::RequestWipe));
    }

    #[test]
    fn what_is_said_of_a_role_is_what_it_may_do() {
        use Permission as P;
        for (words, permission) in [
            ("wipes", P::RequestWipe),
            ("locks", P::LockDevices),
            ("read what devices backed up", P::ReadContents),
            ("Writes the policies", P::EditPolicies),
            ("Enrolls", P::EnrollDevices),
            ("Decides on wipes", P::ApproveWipe),
        ] {
            for role in Role::ALL.iter().filter(|it| it.sentence().contains(words)) {
                let is_decided = words == "wipes" && role.allows(P::ApproveWipe);
                assert!(role.allows(permission) || is_decided, "{role}: {words}");
            }
        }
        for role in Role::ALL.iter().filter(|it| it.sentence().contains("Changes nothing")) {
            assert!(P_CHANGING.iter().all(|it| !role.allows(*it)), "{role}");
        }
    }

    /// Anybody who sees the device can stop a wipe, so that does not count here.
    const P_CHANGING: [Permission; 8] = [
        Permission::EnrollDevices,
        Permission::LockDevices,
        Permission::RunBackups,
        Permission::RequestWipe,
        Permission::ApproveWipe,
        Permission::Restore,
        Permission::EditPolicies,
        Permission::ManageUsers,
    ];

    #[test]
    fn helpdesk_may_lock_but_never_wipe() {
        assert!(Role::Helpdesk.allows(Permission::LockDevices));
        assert!(!Role::Helpdesk.allows(Permission::RequestWipe));
        assert!(!Role::Helpdesk.allows(Permission::ApproveWipe));
    }

    #[test]
    fn who_runs_backups_does_not_read_them_unless_a_role_says_so() {
        let readers: Vec<_> = Role::ALL.iter().filter(|it| it.allows(Permission::ReadContents)).collect();
        assert_eq!(readers, [&Role::Owner, &Role::Recovery]);
        for role in Role::ALL.iter().filter(|it| **it != Role::Owner) {
            assert!(!(role.allows(Permission::Restore) && role.allows(Permission::ApproveRestore)), "{role}");
        }
    }

    #[test]
    fn nobody_but_owner_holds_both_ends_of_a_wipe() {
        for role in Role::ALL.iter().filter(|it| **it != Role::Owner) {
            assert!(!(role.allows(Permission::RequestWipe) && role.allows(Permission::ApproveWipe)), "{role}");
        }
    }

    #[test]
    fn only_an_owner_belongs_to_the_whole_organisation() {
        let not: Vec<_> = Role::ALL.iter().filter(|it| !it.is_for_teams()).collect();
        assert_eq!(not, [&Role::Owner]);
        let part: Vec<_> = Role::ALL.iter().filter(|it| it.has_part_in_wipes()).collect();
        assert_eq!(part, [&Role::Owner, &Role::Operator, &Role::Approver]);
        let all = Grants::new(vec![(Role::Operator, Scope::Organisation)]);
        assert!(all.allows_everywhere(Permission::RequestWipe) && !all.allows_everywhere(Permission::ManageUsers));
    }
}
