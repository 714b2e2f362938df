//! Who keeps the keys to a team's backups, and what it costs if that is the customer.
//!
//! Every sentence about it is only here: pages, refusals, mails and the command line say the same.
use crate::text::text_enum;
use crate::words::counted;

text_enum! {
    /// Who can open the backups of a team's devices.
    KeyHolder {
        /// This server: each master key is sealed to the team's key and to the recovery keys.
        Server = "server",
        /// The customer: each master key is made on the device, and is nowhere on this server.
        Customer = "customer",
    }
}

/// Unless somebody decided otherwise, as it was for everything that is older than the question.
impl Default for KeyHolder {
    fn default() -> Self {
        Self::Server
    }
}

/// What is done here with a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyedAct {
    /// A restore test.
    Test,
    /// Looking inside a restore point, searching, comparing, downloading.
    LookInside,
    /// A password for somebody's own client.
    AddPassword,
    /// Showing the key to somebody on the server's own machine.
    Unseal,
}

/// Why the level ends where it does.
pub const CAPPED: &str = "The customer keeps this team’s key, so nobody here can prove a restore: “verified” is the \
     most that is ever said.";

/// What is meant by verified, where nobody here can read the backups.
pub const VERIFIED: &str = "Verified means here that each stored object was read back and is the one that was sent; \
     whether files come back from them, only a restore with the customer’s key shows.";

/// Why nothing is proven from the second store.
pub const NOT_FROM_COPY: &str = "The customer keeps the key and no share opens these backups, so nobody here can restore them \
     from the second store.";

/// What a finding says instead of a value where a policy asks for a proof.
pub const NO_PROOF: &str = "The customer keeps the key: nothing is ever proven here";

/// What a wipe or a removal takes besides files.
pub const GOES_WITH_IT: &str = "The device’s own copy of the key is destroyed with it: unless the customer has the key file \
     elsewhere, nothing opens these backups any more.";

/// What a restore needs, before it is ordered.
pub const NEEDS_KEY_FILE: &str = "The customer keeps the key: the device that restores opens these backups with its own key \
     file, and without the same key it gets nothing.";

/// What a token for somebody's own client is worth.
pub const CLIENT_NEEDS_KEY_FILE: &str = "The password for restic is in the customer’s key file, and nowhere here: without it a \
     token reads only what is encrypted.";

/// What would be left if the customer lost the key.
pub const LOST: &str =
    "The customer’s key opens these backups and nothing else does: without it they are lost, whatever this server has.";

/// What a team costs whose keys the customer keeps, before it becomes one.
pub const COSTS: &[&str] = &[
    "Nobody here can open its backups, with the proof key or with recovery shares. If the customer loses the key file, \
     they are lost.",
    "No restore is ever tested here: its devices are called verified at best, never proven, and nothing unusual in a backup \
     is noticed.",
    "Nobody can look inside its backups, search or download. Files come back only where the key file is: on a device that was \
     enrolled with it, or with restic.",
    "Nothing of its backups ends: which data restore points share cannot be seen without the key.",
    "This server still sees the names, sizes and hashes of the files, in the lists that the devices send.",
    "It stays so: there is no way back, and no device moves between such a team and another.",
];

/// Why a team cannot be handed over.
pub const HAS_DEVICES: &str =
    "this team has devices, or had some, and this server has the keys to their backups: make a new team for it";

/// Why a device stays in its team, or outside it.
pub const NO_CROSSING: &str = "a customer keeps the keys to the backups of one of these two teams: a device cannot move \
     between them. Remove it and enroll it anew";

/// Why a restore does not cross.
pub const NO_RESTORE_ACROSS: &str = "a customer keeps the keys to the backups of one of these two teams: files are \
     restored only within it";

/// What somebody who enrolls a device into such a team must know.
pub const KEEP_THE_KEY_FILE: &str = "The customer keeps the key to this team’s backups: --key-file names its file. The agent \
     makes the file if there is none, and it is never on this server: keep copies of it elsewhere, outside of the folders that \
     are backed up. Whoever loses it loses the backups.";

/// The answer to an agent that enrolls into a customer's team without a key of its own.
pub const KEY_FILE_NEEDED: &str = "the customer keeps the key to the backups of this team: enroll with --key-file FILE, \
     which makes the key, or reads the one that is there";

/// The answer to an agent that brings a key of its own into another team.
pub const KEY_FILE_REFUSED: &str = "this server keeps the keys to the backups of this team: enroll without --key-file";

impl KeyHolder {
    /// The word in a list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "This server",
            Self::Customer => "The customer",
        }
    }

    /// Whether a restore can be tested here: otherwise “verified” is the most that is said of a restore point.
    pub const fn can_prove(self) -> bool {
        match self {
            Self::Server => true,
            Self::Customer => false,
        }
    }

    /// What the order to back up is called: where nothing is tested here, it promises no proof.
    pub const fn back_up(self) -> &'static str {
        match self {
            Self::Server => "Back up and prove",
            Self::Customer => "Back up",
        }
    }

    /// Why something that needs the key is not done here; none if it can be.
    pub const fn refusal(self, act: KeyedAct) -> Option<&'static str> {
        match (self, act) {
            (Self::Server, _) => None,
            (Self::Customer, KeyedAct::Test) => Some(
                "the customer keeps the key to these backups, so no restore of them can be tested here: a restore to a device \
                 that has the key file shows what comes back",
            ),
            (Self::Customer, KeyedAct::LookInside) => Some(
                "the customer keeps the key to these backups, so nobody can look inside them here: restore to a device \
                 that has the key file, or read them with restic and that file",
            ),
            (Self::Customer, KeyedAct::AddPassword) => Some(
                "the customer keeps the key to these backups, so no password can be made here: the one for restic is in \
                 the key file",
            ),
            (Self::Customer, KeyedAct::Unseal) => {
                Some("the customer keeps the key to these backups: this server has it in no form")
            }
        }
    }
}

/// What is said beside every count of repositories that keys of this server open; none if there is nothing to say.
pub fn left_out(repositories: i64) -> Option<String> {
    (repositories > 0).then(|| {
        format!(
            "{} left out: the customer keeps the key, and neither the proof key nor any share opens {}.",
            counted(repositories, "repository is", "repositories are"),
            if repositories == 1 { "it" } else { "them" }
        )
    })
}

/// What is said beside a count of devices that shares could prove; none if there is nothing to say.
pub fn devices_left_out(devices: i64) -> Option<String> {
    (devices > 0).then(|| {
        format!(
            "{} left out: the customer keeps the key, and no share opens {} backups.",
            counted(devices, "device is", "devices are"),
            if devices == 1 { "its" } else { "their" }
        )
    })
}

/// What is said beside what a rule would end; none if there is nothing to say.
pub fn nothing_ends(repositories: i64) -> Option<String> {
    (repositories > 0).then(|| {
        format!(
            "Of {} nothing ends: the customer keeps the key, so nobody here can say which data its restore points share.",
            counted(repositories, "repository", "repositories")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_the_key_is_refused_where_the_customer_keeps_it_and_only_there() {
        for act in [KeyedAct::Test, KeyedAct::LookInside, KeyedAct::AddPassword, KeyedAct::Unseal] {
            assert_eq!(KeyHolder::Server.refusal(act), None);
            assert!(KeyHolder::Customer.refusal(act).is_some_and(|it| it.starts_with("the customer keeps the key")));
        }
        assert!(KeyHolder::Server.can_prove() && !KeyHolder::Customer.can_prove());
        assert_eq!(KeyHolder::default(), KeyHolder::Server);
    }

    #[test]
    fn what_no_key_of_the_server_opens_is_counted_apart() {
        assert_eq!(left_out(0), None);
        assert!(left_out(1).unwrap().starts_with("1 repository is left out"));
        assert!(left_out(3).unwrap().starts_with("3 repositories are left out"));
        assert_eq!((devices_left_out(0), nothing_ends(0)), (None, None));
        assert!(devices_left_out(1).unwrap().ends_with("no share opens its backups."));
        assert!(nothing_ends(2).unwrap().starts_with("Of 2 repositories nothing ends"));
    }
}
