//! How we and a device talk, and which orders can reach it.
use crate::command::{CommandKind, Order};
use crate::device::Platform;
use crate::restore::Conflict;
use std::collections::BTreeMap;

/// A protocol that devices enroll through, with what it can ask of them.
///
/// Open: each adapter declares its own. What an enrolment carries is kept with it, because it depends on how the
/// device was enrolled, not on its protocol alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Such as `agent`: a word, kept with each enrolment.
    pub name: String,
    pub carries: Vec<CommandKind>,
    /// Why it does not carry some of the others, in words that follow “it was not sent:”.
    pub cannot: BTreeMap<CommandKind, String>,
}

impl Channel {
    /// The name of our own agent's.
    pub const AGENT: &str = "agent";
    /// The name of Apple's device management protocol.
    pub const APPLE: &str = "apple";

    /// A channel that carries these kinds of orders.
    pub fn new(name: &str, carries: &[CommandKind]) -> Self {
        Self { name: name.to_owned(), carries: carries.to_vec(), cannot: BTreeMap::new() }
    }

    /// The channel of our own agent, which carries every order that any agent does.
    pub fn agent() -> Self {
        Self::new(Self::AGENT, &CommandKind::OF_AGENTS)
    }

    /// The same for an agent that said which orders it carries out, by their words; one that says nothing is older
    /// than that. Words that this server does not know are of no use to it.
    pub fn of_agent(said: &[String]) -> Self {
        let is_carried = |kind: &&CommandKind| Self::FIRST.contains(kind) || said.iter().any(|it| it == kind.as_str());
        let carries: Vec<_> = CommandKind::OF_AGENTS.iter().filter(is_carried).copied().collect();
        Self::new(Self::AGENT, &carries)
    }

    /// Whether an order reaches what is behind it. One that replaces files reaches only what can put them back.
    pub fn carries_out(&self, order: &Order) -> bool {
        let replaces = matches!(order, Order::Restore(it) if it.conflict == Conflict::Replace);
        self.carries.contains(&order.kind()) && (!replaces || self.carries.contains(&CommandKind::UndoRestore))
    }

    /// What every agent carries.
    const FIRST: [CommandKind; 5] = [
        CommandKind::Lock,
        CommandKind::BackUpNow,
        CommandKind::Wipe,
        CommandKind::RemoveCompanyData,
        CommandKind::Restore,
    ];
}

/// Why an order cannot reach a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    #[error("“{}” is not possible on {}", .kind.name(), .platform.name())]
    Platform { platform: Platform, kind: CommandKind },
    #[error("this device is enrolled through “{channel}”, which does not carry “{}”", .kind.name())]
    Channel { channel: String, kind: CommandKind },
    #[error("“{}”: {why}", .kind.name())]
    Device { kind: CommandKind, why: String },
}

/// Whether an order of this kind can reach a device of this platform that enrolled through `channel`.
///
/// # Errors
/// Why not.
pub fn may_order(platform: Platform, channel: &Channel, kind: CommandKind) -> Result<(), OrderRefusal> {
    if !is_possible(platform, kind) {
        return Err(OrderRefusal::Platform { platform, kind });
    }
    match channel.cannot.get(&kind) {
        _ if channel.carries.contains(&kind) => Ok(()),
        Some(why) => Err(OrderRefusal::Device { kind, why: why.clone() }),
        None => Err(OrderRefusal::Channel { channel: channel.name.clone(), kind }),
    }
}

/// Whether a platform lets any management program do it.
const fn is_possible(platform: Platform, kind: CommandKind) -> bool {
    match platform {
        // Each app keeps its own files there: none lets another read them for a backup, or write them back.
        Platform::Ios | Platform::Ipados | Platform::Android => match kind {
            CommandKind::BackUpNow
            | CommandKind::Restore
            | CommandKind::UndoRestore
            | CommandKind::RotateRecoveryKey
            | CommandKind::SetRecoveryLock => false,
            CommandKind::Lock
            | CommandKind::Wipe
            | CommandKind::RemoveCompanyData
            | CommandKind::LostModeOn
            | CommandKind::LostModeOff
            | CommandKind::PlaySound
            | CommandKind::Locate
            | CommandKind::ClearPasscode
            | CommandKind::Restart
            | CommandKind::ShutDown
            | CommandKind::FetchBypassCode => true,
        },
        Platform::Linux | Platform::Macos | Platform::Windows => match kind {
            CommandKind::LostModeOn
            | CommandKind::LostModeOff
            | CommandKind::PlaySound
            | CommandKind::Locate
            | CommandKind::ClearPasscode => false,
            CommandKind::Lock
            | CommandKind::BackUpNow
            | CommandKind::Wipe
            | CommandKind::RemoveCompanyData
            | CommandKind::Restore
            | CommandKind::UndoRestore
            | CommandKind::Restart
            | CommandKind::ShutDown
            | CommandKind::RotateRecoveryKey
            | CommandKind::SetRecoveryLock
            | CommandKind::FetchBypassCode => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_carries_every_order_of_its_own_that_its_platform_allows() {
        for platform in Platform::ALL {
            for kind in CommandKind::ALL {
                let is_phone = matches!(platform, Platform::Ios | Platform::Ipados | Platform::Android);
                let is_of_files =
                    matches!(kind, CommandKind::BackUpNow | CommandKind::Restore | CommandKind::UndoRestore);
                let found = may_order(*platform, &Channel::agent(), *kind);
                let is_carried = CommandKind::OF_AGENTS.contains(kind) && !(is_phone && is_of_files);
                assert_eq!(found.is_ok(), is_carried, "{kind} on {platform}");
            }
        }
    }

    #[test]
    fn a_channel_that_says_why_it_does_not_carry_something_is_quoted() {
        let mut channel = Channel::new("apple", &[CommandKind::Lock]);
        channel.cannot.insert(CommandKind::Locate, "only a supervised device takes it".to_owned());
        let refusal = may_order(Platform::Ios, &channel, CommandKind::Locate).unwrap_err();
        assert_eq!(refusal.to_string(), "“Locate”: only a supervised device takes it");
        assert!(may_order(Platform::Macos, &channel, CommandKind::Locate).unwrap_err().to_string().contains("macOS"));
        channel.cannot.insert(CommandKind::Lock, "said before it could".to_owned());
        assert_eq!(may_order(Platform::Ios, &channel, CommandKind::Lock), Ok(()));
    }

    #[test]
    fn an_agent_that_does_not_say_so_undoes_nothing() {
        let carries = |said: &[&str]| {
            let said: Vec<_> = said.iter().map(|it| (*it).to_owned()).collect();
            Channel::of_agent(&said).carries
        };
        assert!(!carries(&[]).contains(&CommandKind::UndoRestore));
        assert!(carries(&[]).contains(&CommandKind::Restore));
        assert_eq!(carries(&["undo_restore", "of tomorrow", "lost_mode_on"]), CommandKind::OF_AGENTS);
    }

    #[test]
    fn a_channel_carries_what_it_says_and_nothing_else() {
        let channel = Channel::new("loopback", &[CommandKind::Lock]);
        for kind in CommandKind::ALL {
            let found = may_order(Platform::Macos, &channel, *kind);
            assert_eq!(found.is_ok(), *kind == CommandKind::Lock, "{kind}");
        }
        let refusal = may_order(Platform::Macos, &channel, CommandKind::Wipe).unwrap_err();
        assert_eq!(refusal.to_string(), "this device is enrolled through “loopback”, which does not carry “Wipe”");
    }
}
